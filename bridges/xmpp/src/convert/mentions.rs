//! Words of a text that address somebody.

use viaduct_model::document::{Document, Inline, Mention};
use xmpp_parsers::minidom::Element;

use crate::xep::xep0372_references::{self, Reference};

/// At most so many references of one message are looked at.
const BOUND: usize = 32;
/// Nobody is addressed by a nick of more characters.
const NICK_BOUND: usize = 128;

/// Who is mentioned: the words of the body, and the address they stand for.
pub fn referenced(body: &str, payloads: &[Element]) -> Vec<(String, String)> {
    let references = payloads
        .iter()
        .filter(|payload| payload.is("reference", xep0372_references::NS))
        .take(BOUND);
    references
        .filter_map(|payload| Reference::try_from(payload.clone()).ok())
        .filter(|reference| reference.kind == "mention")
        .filter_map(|reference| {
            let address = reference.uri?.strip_prefix("xmpp:")?.to_owned();
            let (begin, end) = reference.begin.zip(reference.end)?;
            let words: String = body.chars().skip(begin).take(end.checked_sub(begin)?).collect();
            (!words.trim().is_empty()).then_some((words, address))
        })
        .collect()
}

/// The document with the first occurrence of each mention's label made that mention.
pub fn apply(document: Document, mentions: Vec<Mention>) -> Document {
    mentions.into_iter().fold(document, |document, mention| {
        let mut mention = Some(mention);
        document.map_inlines(&mut |inline| match (inline, mention.take()) {
            (Inline::Text(text), Some(wanted)) => match text.split_once(&wanted.label) {
                Some((before, after)) if !wanted.label.is_empty() => {
                    let mut parts = Vec::new();
                    let mut push = |text: &str| {
                        if !text.is_empty() {
                            parts.push(Inline::Text(text.to_owned()));
                        }
                    };
                    push(before);
                    let before_length = usize::from(!before.is_empty());
                    push(after);
                    parts.insert(before_length, Inline::Mention(wanted));
                    parts
                }
                _ => {
                    mention = Some(wanted);
                    vec![Inline::Text(text)]
                }
            },
            (inline, rest) => {
                mention = rest;
                vec![inline]
            }
        })
    })
}

/// The nick at the beginning of a text that is addressed the way people do in chat rooms: `nick: …`, `nick, …`, `@nick …`.
pub fn addressed<'a>(text: &str, nicks: impl Iterator<Item = &'a String>) -> Option<&'a String> {
    let (text, at) = match text.strip_prefix('@') {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    // Most texts address nobody, and a room may have thousands of nicks.
    if !at && !text.chars().take(NICK_BOUND).any(|c| matches!(c, ':' | ',')) {
        return None;
    }
    nicks
        .filter(|nick| {
            text.strip_prefix(nick.as_str()).is_some_and(|rest| {
                rest.starts_with([':', ','])
                    || (at && !rest.starts_with(char::is_alphanumeric))
                    || (at && rest.is_empty())
            })
        })
        .max_by_key(|nick| nick.len())
}

#[cfg(test)]
mod tests {
    use viaduct_model::document::MentionTarget;

    use super::*;

    #[test]
    fn the_first_occurrence_becomes_the_mention() {
        let mention = Mention {
            label: "al".into(),
            target: MentionTarget::Everyone,
        };
        let document = apply(Document::plain("so al and al"), vec![mention.clone()]);
        let text = |text: &str| Inline::Text(text.into());
        assert_eq!(
            document,
            Document::paragraph(vec![text("so "), Inline::Mention(mention), text(" and al")])
        );
    }

    #[test]
    fn people_are_addressed_at_the_beginning() {
        let nicks = ["al".to_owned(), "al b".to_owned()];
        let find = |text: &str| addressed(text, nicks.iter()).map(String::as_str);
        assert_eq!(find("al: hi"), Some("al"));
        assert_eq!(find("al b, hi"), Some("al b"));
        assert_eq!(find("@al hi"), Some("al"));
        assert_eq!(find("@al"), Some("al"));
        assert_eq!(find("also"), None);
        assert_eq!(find("@also"), None);
    }
}
