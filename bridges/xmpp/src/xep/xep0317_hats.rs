//! XEP-0317 Hats: titles that a room gives people.

use xmpp_parsers::minidom::Element;

/// The namespace.
pub const NS: &str = "urn:xmpp:hats:0";

/// At most so many titles of one person are taken.
const BOUND: usize = 5;
/// At most so many characters of a title are taken.
const LENGTH: usize = 40;

/// The titles in a presence.
pub fn titles(payloads: &[Element]) -> Vec<String> {
    let Some(hats) = payloads.iter().find(|element| element.is("hats", NS)) else {
        return Vec::new();
    };
    let titles = hats.children().filter(|child| child.is("hat", NS));
    titles
        .filter_map(|hat| {
            let title: String = hat
                .attr("title")?
                .chars()
                .filter(|c| !c.is_control())
                .take(LENGTH)
                .collect();
            Some(title.trim().to_owned()).filter(|title| !title.is_empty())
        })
        .take(BOUND)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_bounded() {
        let hat = |title: &str| format!("<hat title='{title}' uri='u'/>");
        let hats = format!(
            "<hats xmlns='{NS}'>{}{}<hat/>{}</hats>",
            hat("Host"),
            hat(" "),
            hat(&"x".repeat(99))
        );
        let found = titles(&[hats.parse().unwrap()]);
        assert_eq!(found, ["Host".to_owned(), "x".repeat(LENGTH)]);
        assert!(titles(&[]).is_empty());
    }
}
