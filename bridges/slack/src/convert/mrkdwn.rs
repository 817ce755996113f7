//! Slack's text markup: `*bold* _italics_ ~struck~ code > quote`, and the tokens in angle brackets.
//!
//! Only `&`, `<` and `>` are special to Slack's servers; everything that addresses somebody is a token in angle brackets.
//! [`escape`] makes any text harmless.

use viaduct_model::document::{Block, Inline, Mention, MentionTarget};

use super::World;
use super::ids::{is_channel, is_user};

/// How deep styles nest.
const DEPTH: usize = 8;

/// A text in which nothing is a token or an entity.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // Control characters have no place in a message.
            c if c.is_control() && c != '\n' && c != '\t' => {}
            c => out.push(c),
        }
    }
    out
}

/// The opposite of [`escape`].
pub fn unescape(text: &str) -> String {
    if !text.contains('&') {
        return text.to_owned();
    }
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// What a text with markup says, in blocks.
pub fn blocks(text: &str, reader: &mut Reader<'_>) -> Vec<Block> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("```") {
        let Some((code, tail)) = after.split_once("```") else {
            break;
        };
        plain_blocks(before, reader, &mut out);
        let code = unescape(&untoken(code.trim_matches('\n')));
        if !code.is_empty() {
            out.push(Block::Code {
                language: None,
                text: code,
            });
        }
        rest = tail;
    }
    plain_blocks(rest, reader, &mut out);
    out
}

/// Text without code blocks: quotes and paragraphs.
fn plain_blocks(text: &str, reader: &mut Reader<'_>, out: &mut Vec<Block>) {
    let mut quoted: Vec<&str> = Vec::new();
    let mut said: Vec<&str> = Vec::new();
    for line in text.split('\n') {
        if let Some(quote) = line.strip_prefix("&gt;") {
            flush(&mut said, reader, out, false);
            quoted.push(quote.strip_prefix(' ').unwrap_or(quote));
        } else {
            flush(&mut quoted, reader, out, true);
            said.push(line);
        }
    }
    flush(&mut quoted, reader, out, true);
    flush(&mut said, reader, out, false);
}

fn flush(lines: &mut Vec<&str>, reader: &mut Reader<'_>, out: &mut Vec<Block>, quote: bool) {
    let text = std::mem::take(lines).join("\n");
    let mut paragraphs = text
        .split("\n\n")
        .map(|paragraph| paragraph.trim_matches('\n'))
        .filter(|paragraph| !paragraph.is_empty())
        .map(|paragraph| Block::Paragraph(reader.inlines(paragraph)))
        .collect::<Vec<_>>();
    if quote && !paragraphs.is_empty() {
        paragraphs = vec![Block::Quote(paragraphs)];
    }
    out.append(&mut paragraphs);
}

/// Tokens within code show what they are about.
fn untoken(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        let Some((token, tail)) = after.split_once('>') else {
            break;
        };
        out.push_str(before);
        out.push_str(token.split_once('|').map_or(token, |(_, label)| label));
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// Reads texts, and notes which people it met that the world does not know.
pub struct Reader<'a> {
    /// What is known.
    pub world: &'a dyn World,
    /// People who were addressed or spoke, and are not known.
    pub missing: Vec<String>,
}

impl<'a> Reader<'a> {
    /// A reader that met nobody yet.
    pub fn new(world: &'a dyn World) -> Self {
        Self {
            world,
            missing: Vec::new(),
        }
    }

    /// The inlines of a text with markup.
    pub fn inlines(&mut self, text: &str) -> Vec<Inline> {
        let mut out = Vec::new();
        self.run(text, 0, &mut out);
        out
    }

    fn run(&mut self, text: &str, depth: usize, out: &mut Vec<Inline>) {
        let mut plain = String::new();
        let mut rest = text;
        let mut before: Option<char> = None;
        while let Some(c) = rest.chars().next() {
            let found = match c {
                '<' => self.token(rest),
                '`' => code(rest),
                ':' => self.short_code(rest),
                '*' | '_' | '~' if depth < DEPTH && !before.is_some_and(char::is_alphanumeric) => {
                    self.styled(rest, c, depth)
                }
                '\n' => Some((Inline::Break, rest.split_at(1).1)),
                _ => None,
            };
            if let Some((inline, tail)) = found {
                push_text(&mut plain, out);
                out.push(inline);
                rest = tail;
                before = Some(c);
            } else {
                plain.push(c);
                before = Some(c);
                rest = rest.split_at(c.len_utf8()).1;
            }
        }
        push_text(&mut plain, out);
    }

    /// `*…*`: opened before something visible, closed after something visible and before no letter, on one line.
    fn styled<'t>(&mut self, text: &'t str, mark: char, depth: usize) -> Option<(Inline, &'t str)> {
        let inner = text.strip_prefix(mark)?;
        if inner.starts_with(|c: char| c.is_whitespace() || c == mark) {
            return None;
        }
        let line = inner.split('\n').next()?;
        for (at, _) in line.match_indices(mark).filter(|(at, _)| *at > 0) {
            let (content, tail) = inner.split_at(at);
            let tail = tail.strip_prefix(mark)?;
            let closes = !content.ends_with(char::is_whitespace)
                && !tail.starts_with(|c: char| c.is_alphanumeric() || c == mark)
                && content.matches('<').count() == content.matches('>').count();
            if closes {
                let mut inlines = Vec::new();
                self.run(content, depth + 1, &mut inlines);
                let inline = match mark {
                    '*' => Inline::Strong(inlines),
                    '_' => Inline::Emphasis(inlines),
                    _ => Inline::Strike(inlines),
                };
                return Some((inline, tail));
            }
        }
        None
    }

    fn short_code<'t>(&mut self, text: &'t str) -> Option<(Inline, &'t str)> {
        let inner = text.strip_prefix(':')?;
        let end = inner.find(|c: char| !(c.is_lowercase() || c.is_ascii_digit() || "_-+'".contains(c)))?;
        let (name, tail) = inner.split_at(end);
        let tail = tail.strip_prefix(':')?;
        // A skin tone follows as a code of its own.
        if let Some(tone) = tail.strip_prefix(":skin-tone-") {
            let (digit, end) = tone.split_once(':')?;
            let inline = self.emoji(&format!("{name}::skin-tone-{digit}"))?;
            return Some((inline, end));
        }
        self.emoji(name).map(|inline| (inline, tail))
    }

    /// An emoji of this name: a character, or one of the workspace's own.
    pub fn emoji(&self, name: &str) -> Option<Inline> {
        if let Some(unicode) = super::emoji::to_unicode(name) {
            return Some(Inline::Text(unicode));
        }
        let image = self.world.emoji(name)?;
        Some(Inline::Emoji {
            code: name.to_owned(),
            image: Some(image),
        })
    }

    fn token<'t>(&mut self, text: &'t str) -> Option<(Inline, &'t str)> {
        let (token, tail) = text.strip_prefix('<')?.split_once('>')?;
        let (what, label) = match token.split_once('|') {
            Some((what, label)) => (what, Some(unescape(label))),
            None => (token, None),
        };
        let inline = if let Some(user) = what.strip_prefix('@') {
            self.user(user, label.as_deref())
        } else if let Some(channel) = what.strip_prefix('#') {
            self.channel(channel, label.as_deref())
        } else if let Some(special) = what.strip_prefix('!') {
            self.special(special, label)
        } else if what.is_empty() {
            return None;
        } else {
            Inline::Link {
                url: unescape(what),
                content: label
                    .filter(|label| !label.is_empty())
                    .map(Inline::Text)
                    .into_iter()
                    .collect(),
            }
        };
        Some((inline, tail))
    }

    fn special(&self, special: &str, label: Option<String>) -> Inline {
        match special.split_once('^').unwrap_or((special, "")) {
            ("here" | "channel" | "everyone", _) => everyone(special),
            ("subteam", id) => self.group(id, label.as_deref()),
            // Dates carry their fallback; whatever else there is, too.
            _ => Inline::Text(label.unwrap_or_else(|| format!("<!{special}>"))),
        }
    }

    /// A person is addressed.
    pub fn user(&mut self, user: &str, label: Option<&str>) -> Inline {
        if !is_user(user) {
            return Inline::Text(format!("@{}", label.unwrap_or(user)));
        }
        let Some(person) = self.world.person(user) else {
            self.missing.push(user.to_owned());
            return Inline::Text(format!("@{}", label.unwrap_or(user)));
        };
        Inline::Mention(Mention {
            label: format!("@{}", person.name),
            target: MentionTarget::Person {
                network: person.network,
                id: person.id,
            },
        })
    }

    /// A channel is named.
    pub fn channel(&self, id: &str, label: Option<&str>) -> Inline {
        match self.world.channel(id).filter(|_| is_channel(id)) {
            Some((place, name)) => Inline::Channel {
                place,
                label: format!("#{name}"),
            },
            None => Inline::Text(format!("#{}", label.filter(|label| !label.is_empty()).unwrap_or(id))),
        }
    }

    /// A user group is addressed.
    pub fn group(&self, id: &str, label: Option<&str>) -> Inline {
        let label = match self.world.group(id) {
            Some(handle) => format!("@{handle}"),
            None => label.filter(|label| !label.is_empty()).unwrap_or("@group").to_owned(),
        };
        Inline::Mention(Mention {
            label,
            target: MentionTarget::Group(id.to_owned()),
        })
    }
}

/// Everybody is addressed: `here`, `channel` or `everyone`.
pub fn everyone(range: &str) -> Inline {
    Inline::Mention(Mention {
        label: format!("@{range}"),
        target: MentionTarget::Everyone,
    })
}

fn code(text: &str) -> Option<(Inline, &str)> {
    let inner = text.strip_prefix('`')?;
    let (code, tail) = inner.split_once('`')?;
    if code.is_empty() || code.contains('\n') {
        return None;
    }
    Some((Inline::Code(unescape(&untoken(code))), tail))
}

fn push_text(plain: &mut String, out: &mut Vec<Inline>) {
    if !plain.is_empty() {
        out.push(Inline::Text(unescape(&std::mem::take(plain))));
    }
}
