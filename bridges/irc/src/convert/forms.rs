//! What IRC cannot say, said in words: edits, replies, reactions, deletions and relayed lines, as templates.

use viaduct_model::document::Block;
use viaduct_model::{Document, Inline};

/// What a template's placeholders stand for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Values<'a> {
    /// `{name}`: the author of the message that is acted upon, or of the relayed line.
    pub name: &'a str,
    /// `{quote}`: the beginning of the message that is acted upon.
    pub quote: &'a str,
    /// `{reaction}`: the reaction.
    pub reaction: &'a str,
}

/// Fills a template; placeholders it does not know stay as they are. Values are not searched for placeholders.
pub fn fill(template: &str, values: Values<'_>) -> String {
    let known = [
        ("name}", values.name),
        ("quote}", values.quote),
        ("reaction}", values.reaction),
    ];
    fill_in(template, &known)
}

/// The same with placeholders of the caller's, each without its opening brace.
pub fn fill_in(template: &str, known: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let found = known
            .iter()
            .find_map(|(key, value)| after.strip_prefix(key).map(|after| (after, *value)));
        let (value, after) = found.map_or(("{", after), |(after, value)| (value, after));
        out.push_str(value);
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Puts a text into a template at `{text}`; at its end if the template has no such place.
pub fn wrap(template: &str, values: Values<'_>, text: Document) -> Document {
    let (before, after) = template.split_once("{text}").unwrap_or((template, ""));
    let mut document = text;
    let before = fill(before, values);
    if !before.is_empty() {
        match document.blocks.first_mut() {
            Some(Block::Paragraph(content)) => content.insert(0, Inline::Text(before)),
            _ => document.blocks.insert(0, Block::Paragraph(vec![Inline::Text(before)])),
        }
    }
    let after = fill(after, values);
    if !after.is_empty() {
        match document.blocks.last_mut() {
            Some(Block::Paragraph(content)) => content.push(Inline::Text(after)),
            _ => document.blocks.push(Block::Paragraph(vec![Inline::Text(after)])),
        }
    }
    document
}

/// The beginning of a text on one line: at most `characters` of them.
pub fn quote(text: &str, characters: usize) -> String {
    let mut words = String::new();
    for word in text.split_whitespace() {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
        if words.len() > characters.saturating_mul(4) {
            break;
        }
    }
    if words.chars().count() <= characters {
        return words;
    }
    let mut cut: String = words.chars().take(characters.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// A name that looks the same and is not, so that no client takes it for the person of that name.
pub fn unpinged(name: &str) -> String {
    let mut characters = name.chars();
    match characters.next() {
        Some(first) => format!("{first}\u{200b}{}", characters.as_str()),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_read_well() {
        let values = Values {
            name: "ann",
            quote: "see you {text} tomorrow",
            reaction: "👍",
        };
        let show = |template| wrap(template, values, Document::plain("at ten")).to_plain();
        insta::assert_json_snapshot!(
            [
                show("(edited) {text}"),
                show("{name} (re: {quote}): {text}"),
                fill("{reaction} to {name}: {quote}", values),
                fill("(deleted: {quote})", values),
                fill("<{name}> {unknown} {", values),
                show("no place "),
            ],
            @r#"
        [
          "(edited) at ten",
          "ann (re: see you {text} tomorrow): at ten",
          "👍 to ann: see you {text} tomorrow",
          "(deleted: see you {text} tomorrow)",
          "<ann> {unknown} {",
          "no place at ten"
        ]
        "#
        );
    }

    #[test]
    fn quotes_are_one_short_line() {
        assert_eq!(quote("a\nb   c", 10), "a b c");
        assert_eq!(quote("ääääääääää", 5), "ääää…");
        assert_eq!(unpinged("ann"), "a\u{200b}nn");
        assert_eq!(unpinged(""), "");
    }
}
