//! The text of HTML and XML, without its tags.

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{
    BufferQueue, CharacterTokens, CommentToken, Tag, TagToken, Token, TokenSink, TokenSinkResult, Tokenizer,
    TokenizerOpts,
};

/// Elements within a line: their tags separate no words.
const INLINE: &[&str] = &[
    "a", "abbr", "b", "bdi", "bdo", "big", "code", "del", "em", "font", "i", "ins", "kbd", "mark", "q", "r", "rpr",
    "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "t", "tspan", "tt", "u", "var",
];
/// Elements of office documents that separate words; all others of theirs do not.
const BREAKS: &[&str] = &[
    "w:p",
    "w:br",
    "w:cr",
    "w:tab",
    "w:tc",
    "w:tr",
    "a:p",
    "a:br",
    "a:tab",
    "text:p",
    "text:h",
    "text:s",
    "text:tab",
    "text:line-break",
    "text:list-item",
];

/// What a reader sees and, behind it, what only a program does: comments, scripts, and what stands in tags.
pub(super) fn text(source: &str) -> String {
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(source));
    let tokenizer = Tokenizer::new(Words::default(), TokenizerOpts::default());
    // Without a script to run, the tokenizer always goes to the end.
    drop(tokenizer.feed(&input));
    tokenizer.end();
    let Said { mut seen, aside } = tokenizer.sink.0.into_inner();
    seen.push('\n');
    seen.push_str(&aside);
    seen
}

#[derive(Default)]
struct Said {
    seen: String,
    aside: String,
}

#[derive(Default)]
struct Words(RefCell<Said>);

impl TokenSink for Words {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut said = self.0.borrow_mut();
        match token {
            CharacterTokens(text) => said.seen.push_str(&text),
            CommentToken(text) => said.aside(&text),
            TagToken(tag) => said.tag(&tag),
            _ => {}
        }
        TokenSinkResult::Continue
    }

    /// Everything is read as if it were XML: there, text may stand in sections of their own.
    fn adjusted_current_node_present_but_not_in_html_namespace(&self) -> bool {
        true
    }
}

impl Said {
    fn aside(&mut self, text: &str) {
        self.aside.push_str(text);
        self.aside.push('\n');
    }

    fn tag(&mut self, tag: &Tag) {
        let name = &*tag.name;
        let office = ["w:", "a:", "text:"].iter().any(|prefix| name.starts_with(prefix));
        if if office {
            BREAKS.contains(&name)
        } else {
            !INLINE.contains(&name)
        } {
            self.seen.push('\n');
        }
        // What office documents say in tags is how their text looks.
        if !name.contains(':') {
            for attribute in &tag.attrs {
                self.aside(&attribute.value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(source: &str) -> String {
        text(source).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn words_are_whole_and_apart() {
        let word = "<w:p w:rsidR='00A1'><w:r><w:rPr><w:b/></w:rPr><w:t>Pro</w:t></w:r><w:r><w:t>jekt</w:t></w:r></w:p>\
                    <w:p><w:r><w:t>Falke</w:t></w:r></w:p>";
        assert_eq!(words(word), "Projekt Falke");
        assert_eq!(
            words("<si><r><t>KD-47</t></r><r><t>11</t></r></si><si><t>x</t></si>"),
            "KD-4711 x"
        );
        assert_eq!(words("<h1>Pro<b>je</b>kt</h1><ul><li>a<li>b</ul>"), "Projekt a b");
        assert_eq!(words("<nr>4711</nr><nr>0815</nr>"), "4711 0815");
        assert_eq!(words("<![CDATA[Pro]]>jekt &#70;alke"), "Projekt Falke");
    }

    #[test]
    fn nothing_is_lost_that_only_programs_see() {
        let source = "<p title='Projekt'>x</p><!-- Falke --><script>var a = 'ACME';</script>";
        let text = text(source);
        for word in ["Projekt", "Falke", "ACME"] {
            assert!(text.contains(word), "{word} in {text:?}");
        }
    }
}
