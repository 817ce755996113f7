//! What Slack's server makes of text: stray signs escaped, bare links marked up, and rich text beside what people
//! write.

use serde_json::{Value, json};

/// The text as Slack stores what an app posted: `&` that escapes nothing becomes `&amp;`, and bare links are marked up.
pub(super) fn stored(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(sign) = rest.chars().next() {
        let (taken, written) = if sign == '<' {
            // Mark-up is left as it is, up to its end.
            let end = rest.find('>').map_or(sign.len_utf8(), |end| end + 1);
            (end, None)
        } else if sign == '&' && !["&amp;", "&lt;", "&gt;"].iter().any(|escape| rest.starts_with(escape)) {
            (1, Some("&amp;".to_owned()))
        } else if rest.starts_with("https://") || rest.starts_with("http://") {
            let end = rest
                .find(|c: char| c.is_whitespace() || "<>|`".contains(c))
                .unwrap_or(rest.len());
            let (link, _) = rest.split_at(end);
            (
                end,
                Some(format!("<{}>", link.replace("&amp;", "&").replace('&', "&amp;"))),
            )
        } else {
            (sign.len_utf8(), None)
        };
        let (head, tail) = rest.split_at(taken);
        out.push_str(written.as_deref().unwrap_or(head));
        rest = tail;
    }
    out
}

/// The rich text block that Slack's clients send beside what a person wrote. `text` is escaped as in a message.
pub(super) fn rich_text(text: &str, block_id: &str) -> Value {
    let mut elements = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(sign) = rest.chars().next() {
        let closing = match sign {
            '<' => rest.find('>'),
            ':' => emoji_end(rest),
            _ => None,
        };
        let element = closing.and_then(|end| {
            let (head, tail) = rest.split_at(end + 1);
            let inner = head.get(1..end)?;
            let element = if sign == ':' {
                Some(json!({ "type": "emoji", "name": inner }))
            } else {
                marked(inner)
            };
            element.map(|element| (element, tail))
        });
        if let Some((element, tail)) = element {
            flush(&mut plain, &mut elements);
            elements.push(element);
            rest = tail;
        } else {
            let (head, tail) = rest.split_at(sign.len_utf8());
            plain.push_str(head);
            rest = tail;
        }
    }
    flush(&mut plain, &mut elements);
    json!({ "type": "rich_text", "block_id": block_id, "elements": [{ "type": "rich_text_section", "elements": elements }] })
}

fn flush(plain: &mut String, elements: &mut Vec<Value>) {
    if !plain.is_empty() {
        elements.push(json!({ "type": "text", "text": unescaped(plain) }));
        plain.clear();
    }
}

/// Text as a person sees it.
pub(super) fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// Where `:name:` at the start of `text` ends.
fn emoji_end(text: &str) -> Option<usize> {
    let inner = text.strip_prefix(':')?;
    let length = inner.find(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || "_-+".contains(c)))?;
    (length > 0 && inner.split_at(length).1.starts_with(':')).then_some(length + 1)
}

fn marked(inner: &str) -> Option<Value> {
    let (target, label) = inner
        .split_once('|')
        .map_or((inner, None), |(target, label)| (target, Some(label)));
    if let Some(user) = target.strip_prefix('@') {
        return Some(json!({ "type": "user", "user_id": user }));
    }
    if let Some(channel) = target.strip_prefix('#') {
        return Some(json!({ "type": "channel", "channel_id": channel }));
    }
    if let Some(group) = target.strip_prefix("!subteam^") {
        return Some(json!({ "type": "usergroup", "usergroup_id": group }));
    }
    if let Some(range) = target.strip_prefix('!') {
        return ["here", "channel", "everyone"]
            .contains(&range)
            .then(|| json!({ "type": "broadcast", "range": range }));
    }
    let mut link = json!({ "type": "link", "url": unescaped(target) });
    if let Some(label) = label {
        link["text"] = json!(unescaped(label));
    }
    Some(link)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stray_signs_are_escaped_and_bare_links_marked_up() {
        assert_eq!(
            stored("a & b &lt; <@U1> https://x.test/?a=1&b=2 ü"),
            "a &amp; b &lt; <@U1> <https://x.test/?a=1&amp;b=2> ü"
        );
        assert_eq!(stored("<https://x.test|x> a<b"), "<https://x.test|x> a<b");
    }

    #[test]
    fn people_write_rich_text() {
        let block = rich_text("hey <@U1> :wave: a &amp; b <https://x.test|x> 12:30", "b");
        assert_eq!(
            block["elements"][0]["elements"],
            json!([
                { "type": "text", "text": "hey " },
                { "type": "user", "user_id": "U1" },
                { "type": "text", "text": " " },
                { "type": "emoji", "name": "wave" },
                { "type": "text", "text": " a & b " },
                { "type": "link", "url": "https://x.test", "text": "x" },
                { "type": "text", "text": " 12:30" },
            ])
        );
    }
}
