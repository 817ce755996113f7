//! Small changes of texts between what people write, what bots write and how it is kept.

use serde_json::Value;

use super::state::Mention;

/// Text that means nothing but itself.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A picture in a text.
pub(super) fn picture(address: &str) -> String {
    format!("<img src=\"{address}\">")
}

/// What remains of HTML without its marks; people who are addressed stay marked as `<at>Name</at>`.
pub fn plain(html: &str) -> String {
    let mut out = String::new();
    let mut rest = html;
    while let Some((before, after)) = rest.split_once('<') {
        out.push_str(before);
        let Some((tag, after)) = after.split_once('>') else {
            break;
        };
        let name = tag.split([' ', '/']).next().unwrap_or_default();
        match (name, tag) {
            ("at", _) => out.push_str("<at>"),
            (_, "/at") => out.push_str("</at>"),
            ("br", _) | (_, "/p" | "/div" | "/li") => out.push('\n'),
            _ => {}
        }
        rest = after;
    }
    out.push_str(rest);
    out.trim()
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&nbsp;", " ")
        .replace("&amp;", "&")
}

/// The HTML that a bot is given: who is addressed is marked in another way than in Graph.
pub(super) fn for_bots(html: &str, mentions: &[Mention]) -> String {
    let mut out = html.to_owned();
    for (number, mention) in mentions.iter().enumerate() {
        let name = escape(&mention.name);
        let mark = format!(
            "<span itemtype=\"http://schema.skype.com/Mention\" itemscope=\"\" itemid=\"{number}\">{name}</span>"
        );
        out = out.replace(&format!("<at id=\"{number}\">{name}</at>"), &mark);
    }
    out
}

/// A bot's text as Graph keeps it.
pub(super) fn from_bot(text: &str, format: &str, mentions: &[(String, Mention)]) -> String {
    let mut html = if format == "xml" {
        text.to_owned()
    } else {
        let mut escaped = escape(text);
        for (mark, _) in mentions {
            escaped = escaped.replace(&escape(mark), mark);
        }
        escaped.replace('\n', "<br>")
    };
    for (number, (mark, mention)) in mentions.iter().enumerate() {
        html = html.replacen(mark, &format!("<at id=\"{number}\">{}</at>", escape(&mention.name)), 1);
    }
    html
}

/// The elements that a bot's text of the format `xml` may hold.
const ELEMENTS: &[&str] = &[
    "a",
    "at",
    "b",
    "blockquote",
    "br",
    "code",
    "del",
    "div",
    "em",
    "h1",
    "h2",
    "h3",
    "hr",
    "i",
    "img",
    "li",
    "ol",
    "p",
    "pre",
    "s",
    "span",
    "strike",
    "strong",
    "u",
    "ul",
];

/// Elements in a bot's text that Teams does not show.
pub(super) fn strange_elements(text: &str) -> Vec<String> {
    let name = |part: &str| {
        part.trim_start_matches('/')
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .collect::<String>()
            .to_ascii_lowercase()
    };
    text.split('<')
        .skip(1)
        .map(name)
        .filter(|name| !ELEMENTS.contains(&name.as_str()))
        .collect()
}

/// The elements of a card that Teams shows.
const CARD_ELEMENTS: &[&str] = &[
    "Action.OpenUrl",
    "AdaptiveCard",
    "Column",
    "ColumnSet",
    "Container",
    "Image",
    "RichTextBlock",
    "TextBlock",
    "TextRun",
    "mention",
];

/// What of an adaptive card Teams does not show.
pub(super) fn strange_card(card: &Value) -> Vec<String> {
    let mut out = Vec::new();
    if card["type"] != "AdaptiveCard" || !card["version"].is_string() || !card["body"].is_array() {
        out.push("the card has no type, version or body".to_owned());
    }
    walk_card(card, &mut out);
    out
}

fn walk_card(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| walk_card(value, out)),
        Value::Object(fields) => {
            if let Some(kind) = fields.get("type").and_then(Value::as_str)
                && !CARD_ELEMENTS.contains(&kind)
            {
                out.push(format!("the card holds {kind}, which Teams does not show"));
            }
            if fields.get("type").is_some_and(|kind| kind == "Image") {
                let address = fields.get("url").and_then(Value::as_str).unwrap_or_default();
                if !address.starts_with("https://") && !address.starts_with("http://127.0.0.1") {
                    out.push(format!("a picture of the card has no address: {address:?}"));
                }
            }
            fields.values().for_each(|value| walk_card(value, out));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::teams::state::Author;

    fn ann() -> Mention {
        Mention {
            name: "Ann & Co".to_owned(),
            who: Author::User("u".to_owned()),
        }
    }

    #[test]
    fn texts_change_their_form_and_nothing_else() {
        let html = r#"<p><at id="0">Ann &amp; Co</at> a <b>c</b> &lt;</p>"#;
        assert_eq!(plain(html), "<at>Ann & Co</at> a c <");
        assert_eq!(
            for_bots(html, &[ann()]),
            "<p><span itemtype=\"http://schema.skype.com/Mention\" itemscope=\"\" itemid=\"0\">Ann &amp; Co</span> \
             a <b>c</b> &lt;</p>"
        );
        let mark = "<at>Ann &amp; Co</at>".to_owned();
        assert_eq!(
            from_bot(&format!("<b>x</b> {mark}"), "xml", &[(mark.clone(), ann())]),
            r#"<b>x</b> <at id="0">Ann &amp; Co</at>"#
        );
        assert_eq!(from_bot("<b> & c\nd", "plain", &[]), "&lt;b&gt; &amp; c<br>d");
    }

    #[test]
    fn strange_elements_are_found() {
        assert_eq!(strange_elements("<b>a</b><BR/><table><script >"), ["table", "script"]);
    }
}
