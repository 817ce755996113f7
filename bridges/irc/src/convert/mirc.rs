//! Formatting codes in a line: text to styled runs, runs to a [`Document`], and runs back to text.

use viaduct_model::document::{Block, Rgb};
use viaduct_model::{Document, Inline};

use super::palette;

const BOLD: char = '\u{2}';
const COLOUR: char = '\u{3}';
const HEX_COLOUR: char = '\u{4}';
const RESET: char = '\u{f}';
const MONOSPACE: char = '\u{11}';
const REVERSE: char = '\u{16}';
const ITALIC: char = '\u{1d}';
const STRIKE: char = '\u{1e}';
const UNDERLINE: char = '\u{1f}';

/// How a run of text looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is one switch of the wire format")]
pub struct Style {
    /// Bold.
    pub bold: bool,
    /// Italic.
    pub italic: bool,
    /// Underlined.
    pub underline: bool,
    /// Struck through.
    pub strike: bool,
    /// Monospaced.
    pub monospace: bool,
    /// The number of the letters' colour.
    pub foreground: Option<Rgb>,
    /// The number of the colour behind them.
    pub background: Option<Rgb>,
}

/// A piece of one line in one style.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its style.
    pub style: Style,
    /// Its text, without control characters.
    pub text: String,
}

impl Run {
    /// Text without any style.
    pub fn plain(text: impl Into<String>) -> Self {
        Self {
            style: Style::default(),
            text: text.into(),
        }
    }
}

/// Reads a line as the network sent it. Control characters that are no formatting are dropped.
pub fn runs(line: &str) -> Vec<Run> {
    let mut out: Vec<Run> = Vec::new();
    let mut style = Style::default();
    let mut text = String::new();
    let mut rest = line.chars();
    while let Some(character) = rest.next() {
        if !character.is_control() {
            text.push(character);
            continue;
        }
        let before = style;
        match character {
            BOLD => style.bold = !style.bold,
            ITALIC => style.italic = !style.italic,
            UNDERLINE => style.underline = !style.underline,
            STRIKE => style.strike = !style.strike,
            MONOSPACE => style.monospace = !style.monospace,
            REVERSE => std::mem::swap(&mut style.foreground, &mut style.background),
            RESET => style = Style::default(),
            COLOUR => rest = colours(rest.as_str(), 2, &mut style, number).chars(),
            HEX_COLOUR => rest = colours(rest.as_str(), 6, &mut style, hexadecimal).chars(),
            '\t' => text.push(' '),
            _ => {}
        }
        if style != before {
            push(&mut out, before, &mut text);
        }
    }
    push(&mut out, style, &mut text);
    out
}

fn push(out: &mut Vec<Run>, style: Style, text: &mut String) {
    match out.last_mut() {
        _ if text.is_empty() => {}
        Some(last) if last.style == style => last.text.push_str(&std::mem::take(text)),
        _ => out.push(Run {
            style,
            text: std::mem::take(text),
        }),
    }
}

fn number(digits: &str) -> Option<Rgb> {
    digits.parse().ok().and_then(palette::colour)
}

fn hexadecimal(digits: &str) -> Option<Rgb> {
    let [_, red, green, blue] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
    Some(Rgb(red, green, blue))
}

/// Reads `N[,N]` behind a colour code and gives what follows. Without digits both colours end.
fn colours<'a>(rest: &'a str, width: usize, style: &mut Style, read: fn(&str) -> Option<Rgb>) -> &'a str {
    let (foreground, after) = digits(rest, width);
    if foreground.is_empty() {
        style.foreground = None;
        style.background = None;
        return rest;
    }
    style.foreground = read(foreground);
    if let Some(behind) = after.strip_prefix(',') {
        let (background, after) = digits(behind, width);
        if !background.is_empty() {
            style.background = read(background);
            return after;
        }
    }
    after
}

/// The leading digits: one or two decimal ones, or exactly six hexadecimal ones.
fn digits(text: &str, width: usize) -> (&str, &str) {
    let wanted = |character: char| {
        if width == 2 {
            character.is_ascii_digit()
        } else {
            character.is_ascii_hexdigit()
        }
    };
    let count = text
        .chars()
        .take(width)
        .take_while(|character| wanted(*character))
        .count();
    if count == 0 || (width > 2 && count < width) {
        ("", text)
    } else {
        text.split_at_checked(count).unwrap_or(("", text))
    }
}

/// One line as a paragraph.
pub fn parse(line: &str) -> Document {
    if !line.contains(char::is_control) {
        return if line.is_empty() {
            Document::default()
        } else {
            Document::paragraph(vec![Inline::Text(line.to_owned())])
        };
    }
    let content = runs(line).into_iter().map(inline).collect();
    Document {
        blocks: vec![Block::Paragraph(content)],
    }
    .normal()
}

/// One run as an inline. Letters in the colour of what is behind them are a spoiler, as IRC people write it.
fn inline(run: Run) -> Inline {
    let Run { style, text } = run;
    let mut inline = if style.monospace {
        Inline::Code(text)
    } else {
        Inline::Text(text)
    };
    if style.foreground.is_some() && style.foreground == style.background {
        inline = Inline::Spoiler {
            reason: None,
            content: vec![inline],
        };
    } else if style.foreground.is_some() || style.background.is_some() {
        let Style {
            foreground, background, ..
        } = style;
        inline = Inline::Colour {
            foreground,
            background,
            content: vec![inline],
        };
    }
    for (wanted, wrap) in [
        (style.strike, Inline::Strike as fn(Vec<Inline>) -> Inline),
        (style.underline, Inline::Underline),
        (style.italic, Inline::Emphasis),
        (style.bold, Inline::Strong),
    ] {
        if wanted {
            inline = wrap(vec![inline]);
        }
    }
    inline
}

/// The codes that lead from one style to another, in front of text that starts with `next`.
pub fn transition(from: Style, to: Style, next: Option<char>) -> String {
    let mut out = String::new();
    for (before, after, code) in [
        (from.bold, to.bold, BOLD),
        (from.italic, to.italic, ITALIC),
        (from.underline, to.underline, UNDERLINE),
        (from.strike, to.strike, STRIKE),
        (from.monospace, to.monospace, MONOSPACE),
    ] {
        if before != after {
            out.push(code);
        }
    }
    let (was, is) = ((from.foreground, from.background), (to.foreground, to.background));
    if was != is {
        out.push(COLOUR);
        let code = |colour: Option<Rgb>| format!("{:02}", colour.map_or(palette::DEFAULT, palette::nearest));
        let needs_guard = if is == (None, None) {
            next.is_some_and(|character| character.is_ascii_digit())
        } else {
            out.push_str(&code(is.0));
            // A background stays until it is named again, so one that ends is named as the default.
            let named = is.1.is_some() || was.1.is_some();
            if named {
                out.push(',');
                out.push_str(&code(is.1));
            }
            !named && next == Some(',')
        };
        if needs_guard {
            // Two bolds undo each other and keep the text apart from the colour's digits.
            out.push(BOLD);
            out.push(BOLD);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn write(runs: &[Run]) -> String {
        let mut out = String::new();
        let mut style = Style::default();
        for run in runs {
            out.push_str(&transition(style, run.style, run.text.chars().next()));
            out.push_str(&run.text);
            style = run.style;
        }
        out
    }

    /// Neighbouring runs of one style joined, empty ones dropped.
    fn joined(runs: Vec<Run>) -> Vec<Run> {
        let mut out: Vec<Run> = Vec::new();
        for run in runs.into_iter().filter(|run| !run.text.is_empty()) {
            match out.last_mut() {
                Some(last) if last.style == run.style => last.text.push_str(&run.text),
                _ => out.push(run),
            }
        }
        out
    }

    fn any_colour() -> impl Strategy<Value = Option<Rgb>> {
        proptest::option::of((0_u8..99).prop_map(|number| palette::colour(number).unwrap()))
    }

    fn any_run() -> impl Strategy<Value = Run> {
        (any::<[bool; 5]>(), any_colour(), any_colour(), "[0-9,a-f ü😀]{0,6}").prop_map(
            |([bold, italic, underline, strike, monospace], foreground, background, text)| Run {
                style: Style {
                    bold,
                    italic,
                    underline,
                    strike,
                    monospace,
                    foreground,
                    background,
                },
                text,
            },
        )
    }

    proptest! {
        #[test]
        fn styles_survive_the_wire(runs in proptest::collection::vec(any_run(), 0..6)) {
            prop_assert_eq!(super::runs(&write(&runs)), joined(runs));
        }

        #[test]
        fn anything_parses_and_keeps_its_text(line in any::<String>()) {
            let document = parse(&line);
            prop_assert!(!document.to_plain().contains(|c: char| c.is_control()));
        }
    }

    #[test]
    fn formatting_becomes_a_tree() {
        insta::assert_json_snapshot!(parse("a \u{2}b\u{1d}c\u{f} \u{3}4,1red\u{3}!"), @r#"
        [
          {
            "paragraph": [
              {
                "text": "a "
              },
              {
                "strong": [
                  {
                    "text": "b"
                  },
                  {
                    "emphasis": [
                      {
                        "text": "c"
                      }
                    ]
                  }
                ]
              },
              {
                "text": " "
              },
              {
                "colour": {
                  "foreground": [
                    255,
                    0,
                    0
                  ],
                  "background": [
                    0,
                    0,
                    0
                  ],
                  "content": [
                    {
                      "text": "red"
                    }
                  ]
                }
              },
              {
                "text": "!"
              }
            ]
          }
        ]
        "#);
    }
}
