//! XEP-0511 Link Metadata: what a sender's client found behind a link.

use xmpp_parsers::minidom::Element;

/// The namespace of the element.
pub const NS: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";
/// The namespace of what is in it.
const NS_OG: &str = "https://ogp.me/ns#";

/// At most so many links of one message are taken.
const BOUND: usize = 3;
/// At most so many characters of a title or description are taken.
const LENGTH: usize = 300;

/// What is behind a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkMetadata {
    /// The link.
    pub url: String,
    /// The title of what is there.
    pub title: String,
    /// What it is about.
    pub description: Option<String>,
}

/// What is said about the links of a message; nothing about links that are not in its text.
pub fn find(payloads: &[Element], text: &str) -> Vec<LinkMetadata> {
    let described = payloads.iter().filter(|element| element.is("Description", NS));
    described
        .filter_map(|element| {
            let about = element.attr_ns(NS, "about").or_else(|| element.attr("about"))?;
            let title = child(element, "title")?;
            text.contains(about).then(|| LinkMetadata {
                url: about.to_owned(),
                title,
                description: child(element, "description"),
            })
        })
        .take(BOUND)
        .collect()
}

fn child(element: &Element, name: &str) -> Option<String> {
    let text = element.get_child(name, NS_OG)?.text();
    let words: Vec<&str> = text.split_whitespace().collect();
    let text: String = words.join(" ").chars().take(LENGTH).collect();
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_of_the_text_are_described() {
        let element: Element = "<rdf:Description xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' \
            xmlns:og='https://ogp.me/ns#' rdf:about='https://a.example/x'><og:title>A
              title</og:title><og:image>https://a.example/i.png</og:image></rdf:Description>"
            .parse()
            .unwrap();
        let found = find(std::slice::from_ref(&element), "see https://a.example/x");
        let expected = LinkMetadata {
            url: "https://a.example/x".into(),
            title: "A title".into(),
            description: None,
        };
        assert_eq!(found, [expected]);
        assert!(find(&[element], "see https://b.example/x").is_empty());
    }
}
