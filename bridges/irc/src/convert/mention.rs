//! Nicks in a text that address somebody.

use viaduct_model::document::{Block, Mention, MentionTarget};
use viaduct_model::{Document, Inline, NetworkName, PersonId};

/// Whom a nick means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addressee {
    /// The network that knows them.
    pub network: NetworkName,
    /// Their id there.
    pub id: PersonId,
}

/// Answers for one nick whom it means; told is also whether it is marked as one: it opens the line (`nick:`) or follows
/// an `@`.
pub type Known<'a> = dyn Fn(&str, bool) -> Option<Addressee> + 'a;

/// Whether a character can be part of a nick.
pub fn in_nick(character: char) -> bool {
    character.is_alphanumeric() || "-_[]{}\\|^`".contains(character)
}

/// Makes nicks that address somebody mentions.
pub fn find(mut document: Document, known: &Known<'_>) -> Document {
    for (number, block) in document.blocks.iter_mut().enumerate() {
        if let Block::Paragraph(content) = block {
            *content = inlines(std::mem::take(content), number == 0, known);
        }
    }
    document
}

fn inlines(content: Vec<Inline>, opening: bool, known: &Known<'_>) -> Vec<Inline> {
    let mut out = Vec::with_capacity(content.len());
    for (number, inline) in content.into_iter().enumerate() {
        let opening = opening && number == 0;
        match inline {
            Inline::Text(text) => in_text(text, opening, known, &mut out),
            Inline::Strong(inner) => out.push(Inline::Strong(inlines(inner, opening, known))),
            Inline::Emphasis(inner) => out.push(Inline::Emphasis(inlines(inner, opening, known))),
            Inline::Underline(inner) => out.push(Inline::Underline(inlines(inner, opening, known))),
            other => out.push(other),
        }
    }
    out
}

fn in_text(text: String, opening: bool, known: &Known<'_>, out: &mut Vec<Inline>) {
    let mut plain_from = 0;
    let mut at = 0;
    let mut before: Option<char> = None;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let length: usize = rest
            .chars()
            .take_while(|character| in_nick(*character))
            .map(char::len_utf8)
            .sum();
        if length == 0 {
            before = rest.chars().next();
            at += before.map_or(1, char::len_utf8);
            continue;
        }
        let (word, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        let next = after.chars().next();
        // A part of an address or a path is no nick.
        let apart = !matches!(before, Some('/' | '.' | ':' | '#')) && !matches!(next, Some('/' | '@' | '('));
        let marked = before == Some('@') || (opening && at == 0 && matches!(next, Some(':' | ',')));
        let found = (apart && (marked || word.chars().count() > 2))
            .then(|| known(word, marked))
            .flatten();
        if let Some(addressee) = found {
            if let Some(plain) = text.get(plain_from..at).filter(|plain| !plain.is_empty()) {
                out.push(Inline::Text(plain.to_owned()));
            }
            let target = MentionTarget::Person {
                network: addressee.network,
                id: addressee.id,
            };
            out.push(Inline::Mention(Mention {
                label: word.to_owned(),
                target,
            }));
            plain_from = at + length;
        }
        before = word.chars().next_back();
        at += length;
    }
    if plain_from == 0 && !text.is_empty() {
        out.push(Inline::Text(text));
    } else if let Some(plain) = text.get(plain_from..).filter(|plain| !plain.is_empty()) {
        out.push(Inline::Text(plain.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn known(nick: &str, marked: bool) -> Option<Addressee> {
        let there = matches!(nick, "ann[m]" | "bo") || (nick == "the" && marked);
        there.then(|| Addressee {
            network: NetworkName::matrix(),
            id: PersonId::new(nick).unwrap(),
        })
    }

    fn mentioned(text: &str) -> Vec<String> {
        let found = find(Document::plain(text), &known);
        found.mentions().iter().map(|mention| mention.label.clone()).collect()
    }

    #[test]
    fn only_what_addresses_somebody() {
        assert_eq!(mentioned("hello ann[m], the end"), ["ann[m]"]);
        assert_eq!(mentioned("the: hello"), ["the"]);
        assert_eq!(mentioned("see @the and @bo"), ["the", "bo"]);
        assert_eq!(mentioned("https://x/ann[m]/ and bo and xann[m]"), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn no_character_is_lost(text in "[a-z @:,\\[\\]ü]{0,20}(ann\\[m\\]|the|bo)?[ :,x]{0,4}") {
            let before = Document::plain(&text);
            prop_assert_eq!(find(before.clone(), &known).to_plain(), before.to_plain());
        }
    }
}
