//! XEP-0317 Hats: titles that a room gives people.

use xmpp_parsers::minidom::Element;

/// The namespace.
pub const NS: &str = "urn:xmpp:hats:0";
/// The namespace of the first servers that had them, which is the one of Prosody 0.12 and of ejabberd.
pub const NS_EARLY: &str = "xmpp:prosody.im/protocol/hats:1";

/// At most so many titles of one person are taken.
const BOUND: usize = 5;
/// At most so many characters of a title are taken.
const LENGTH: usize = 40;

/// The titles in a presence.
pub fn titles(payloads: &[Element]) -> Vec<String> {
    let is_list = |element: &&Element| element.is("hats", NS) || element.is("hats", NS_EARLY);
    let Some(hats) = payloads.iter().find(is_list) else {
        return Vec::new();
    };
    let titles = hats.children().filter(|child| child.is("hat", hats.ns().as_str()));
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
        let early = format!("<hats xmlns='{NS_EARLY}'>{}</hats>", hat("Host"));
        assert_eq!(titles(&[early.parse().unwrap()]), ["Host"]);
        assert!(titles(&[]).is_empty());
    }
}
