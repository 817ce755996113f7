//! IRC lines as a person's client shows them. Written apart from the bridge's own parser, so that a mistake in that one shows.

/// A line of the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    /// The nick before the `!`, or the server's name.
    pub source: String,
    pub command: String,
    pub parameters: Vec<String>,
}

impl Line {
    pub fn read(text: &str) -> Self {
        let mut rest = text.trim_end_matches(['\r', '\n']);
        let mut line = Self::default();
        if rest.starts_with('@') {
            rest = rest.split_once(' ').map_or("", |(_, rest)| rest).trim_start();
        }
        if let Some(after) = rest.strip_prefix(':') {
            let (source, after) = after.split_once(' ').unwrap_or((after, ""));
            source.split('!').next().unwrap().clone_into(&mut line.source);
            rest = after.trim_start();
        }
        while !rest.is_empty() {
            if let Some(last) = rest.strip_prefix(':').filter(|_| !line.command.is_empty()) {
                line.parameters.push(last.to_owned());
                break;
            }
            let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
            if line.command.is_empty() {
                word.clone_into(&mut line.command);
            } else {
                line.parameters.push(word.to_owned());
            }
            rest = after.trim_start_matches(' ');
        }
        line
    }

    /// A parameter; empty where there is none.
    pub fn parameter(&self, number: usize) -> &str {
        self.parameters.get(number).map_or("", String::as_str)
    }
}

/// What can be read of a text with formatting codes, and whether any of it is bold.
pub fn shown(text: &str) -> (String, bool) {
    let mut out = String::new();
    let (mut bold, mut any_bold) = (false, false);
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\u{2}' => bold = !bold,
            '\u{f}' => bold = false,
            '\u{3}' => {
                let digits = |rest: &mut std::iter::Peekable<std::str::Chars<'_>>| {
                    (0..2)
                        .take_while(|_| rest.next_if(char::is_ascii_digit).is_some())
                        .count()
                };
                let mut ahead = rest.clone();
                if digits(&mut rest) > 0 {
                    ahead.clone_from(&rest);
                    if ahead.next() == Some(',') && digits(&mut ahead) > 0 {
                        rest = ahead;
                    }
                }
            }
            '\u{4}' => {
                for _ in 0..6 {
                    rest.next_if(char::is_ascii_hexdigit);
                }
            }
            '\u{11}' | '\u{16}' | '\u{1d}' | '\u{1e}' | '\u{1f}' => {}
            other => {
                any_bold |= bold && !other.is_whitespace();
                out.push(other);
            }
        }
    }
    (out, any_bold)
}

#[test]
fn lines_and_codes_are_read_as_a_client_does() {
    let line = Line::read("@a=b :Bob[m]!u@h PRIVMSG #kit :hello: there \r\n");
    assert_eq!((line.source.as_str(), line.command.as_str()), ("Bob[m]", "PRIVMSG"));
    assert_eq!(line.parameters, ["#kit", "hello: there "]);
    assert_eq!(
        shown("\u{3}4,5red\u{3}, \u{3}12blue\u{f} \u{2}big\u{2} \u{4}ff0000x"),
        ("red, blue big x".to_owned(), true)
    );
    assert_eq!(shown("\u{2} \u{2}small"), (" small".to_owned(), false));
}
