//! One line as a message and back.
//!
//! Messages are [`irc_proto::Message`], always with [`Command::Raw`]: the typed commands drop what servers may add (further
//! parameters, modes only the server knows, newer numerics), and the library's own parser refuses such lines.

use irc_proto::message::Tag;
use irc_proto::{Command, Message, Prefix};

/// Upper bound of a line with its tags, in bytes without the line end: 8,191 for tags and 512 for the rest.
pub const LINE_BOUND: usize = 8191 + 512;
/// More parameters than this are not looked at.
const PARAMETERS: usize = 32;
/// More tags than this are not looked at.
const TAGS: usize = 64;

/// Reads a line; none if there is no command in it.
pub fn parse(line: &str) -> Option<Message> {
    let mut rest = line.trim_start_matches(' ');
    let mut tags = None;
    if let Some(tagged) = rest.strip_prefix('@') {
        let (list, after) = tagged.split_once(' ')?;
        tags = Some(
            list.split(';')
                .filter(|tag| !tag.is_empty())
                .take(TAGS)
                .map(tag)
                .collect(),
        );
        rest = after.trim_start_matches(' ');
    }
    let mut prefix = None;
    if let Some(prefixed) = rest.strip_prefix(':') {
        let (source, after) = prefixed.split_once(' ')?;
        prefix = Some(Prefix::new_from_str(source));
        rest = after.trim_start_matches(' ');
    }
    let (command, mut rest) = rest.split_once(' ').unwrap_or((rest, ""));
    if command.is_empty() || !command.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let mut parameters = Vec::with_capacity(4);
    while parameters.len() < PARAMETERS {
        rest = rest.trim_start_matches(' ');
        if let Some(last) = rest.strip_prefix(':') {
            parameters.push(last.to_owned());
            break;
        }
        if rest.is_empty() {
            break;
        }
        let (parameter, after) = rest.split_once(' ').unwrap_or((rest, ""));
        parameters.push(parameter.to_owned());
        rest = after;
    }
    Some(Message {
        tags,
        prefix,
        command: Command::Raw(command.to_ascii_uppercase(), parameters),
    })
}

fn tag(text: &str) -> Tag {
    match text.split_once('=') {
        None => Tag(text.to_owned(), None),
        Some((key, value)) if !value.contains('\\') => Tag(key.to_owned(), Some(value.to_owned())),
        Some((key, value)) => Tag(key.to_owned(), Some(unescape(value))),
    }
}

fn unescape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        match characters.next() {
            Some(':') => out.push(';'),
            Some('s') => out.push(' '),
            Some('r') => out.push('\r'),
            Some('n') => out.push('\n'),
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

/// A message of these parameters. All but the last are cut at their first blank, so that none can become two.
pub fn message(command: &str, parameters: &[&str]) -> Message {
    let count = parameters.len();
    let parameters = parameters
        .iter()
        .enumerate()
        .map(|(number, text)| {
            if number + 1 == count {
                return (*text).to_owned();
            }
            let word = text
                .trim_start_matches([' ', ':'])
                .split([' ', '\r', '\n', '\0'])
                .next()
                .unwrap_or_default();
            if word.is_empty() {
                "*".to_owned()
            } else {
                word.to_owned()
            }
        })
        .collect();
    Message {
        tags: None,
        prefix: None,
        command: Command::Raw(command.to_owned(), parameters),
    }
}

/// A line of words at a target; the text is taken as it is.
pub fn spoken(command: &str, target: &str, text: String) -> Message {
    let mut message = message(command, &[target, ""]);
    if let Command::Raw(_, parameters) = &mut message.command
        && let Some(last) = parameters.last_mut()
    {
        *last = text;
    }
    message
}

/// Writes a message as one line with its end. Whatever could end a line inside it becomes a blank.
pub fn write(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    write_into(message, &mut bytes);
    bytes
}

/// The same as [`write`], behind what is there already. The library's own way takes four strings for each line.
pub fn write_into(message: &Message, out: &mut Vec<u8>) {
    let start = out.len();
    for (number, Tag(key, value)) in message.tags.iter().flatten().enumerate() {
        out.push(if number == 0 { b'@' } else { b';' });
        out.extend_from_slice(key.as_bytes());
        if let Some(value) = value {
            out.push(b'=');
            escape(value, out);
        }
    }
    if message.tags.as_ref().is_some_and(|tags| !tags.is_empty()) {
        out.push(b' ');
    }
    out.extend_from_slice(message.name().as_bytes());
    if let Some((last, others)) = message.parameters().split_last() {
        for parameter in others {
            out.push(b' ');
            out.extend_from_slice(parameter.as_bytes());
        }
        out.push(b' ');
        if last.is_empty() || last.contains(' ') || last.starts_with(':') {
            out.push(b':');
        }
        out.extend_from_slice(last.as_bytes());
    }
    for byte in out.iter_mut().skip(start) {
        if matches!(*byte, b'\r' | b'\n' | 0) {
            *byte = b' ';
        }
    }
    out.extend_from_slice(b"\r\n");
}

fn escape(value: &str, out: &mut Vec<u8>) {
    for byte in value.bytes() {
        match byte {
            b';' => out.extend_from_slice(b"\\:"),
            b' ' => out.extend_from_slice(b"\\s"),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\n' => out.extend_from_slice(b"\\n"),
            other => out.push(other),
        }
    }
}

/// What a glance at a line tells, without reading it whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glance<'a> {
    /// The nick (or server) it comes from.
    pub source: &'a str,
    /// Its command or number, as written.
    pub command: &'a str,
    /// What begins with its first parameter.
    pub rest: &'a str,
    /// Whether it belongs to a batch.
    pub batched: bool,
}

/// Glances at a line; none if it does not say where it comes from.
pub fn glance(line: &str) -> Option<Glance<'_>> {
    let (tags, bare) = match line.strip_prefix('@') {
        Some(tagged) => tagged.split_once(' ')?,
        None => ("", line),
    };
    let (source, rest) = bare.strip_prefix(':')?.split_once(' ')?;
    let (command, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    Some(Glance {
        source: source.split(['!', '@']).next().unwrap_or_default(),
        command,
        rest,
        batched: tags.split(';').any(|tag| tag.starts_with("batch=")),
    })
}

/// Reading a message without caring about its shape.
pub trait Fields {
    /// Its command, in capital letters, or its number.
    fn name(&self) -> &str;
    /// All its parameters.
    fn parameters(&self) -> &[String];
    /// One parameter; empty if there are fewer.
    fn parameter(&self, number: usize) -> &str;
    /// The last parameter; empty if there is none.
    fn last(&self) -> &str;
    /// A tag's value (empty for one without).
    fn tag(&self, key: &str) -> Option<&str>;
    /// The nick (or server) it comes from; empty if it does not say.
    fn source(&self) -> &str;
    /// Adds a tag.
    fn set_tag(&mut self, key: &str, value: &str);
}

impl Fields for Message {
    fn name(&self) -> &str {
        match &self.command {
            Command::Raw(name, _) => name,
            _ => "",
        }
    }

    fn parameters(&self) -> &[String] {
        match &self.command {
            Command::Raw(_, parameters) => parameters,
            _ => &[],
        }
    }

    fn parameter(&self, number: usize) -> &str {
        self.parameters().get(number).map_or("", String::as_str)
    }

    fn last(&self) -> &str {
        self.parameters().last().map_or("", String::as_str)
    }

    fn tag(&self, key: &str) -> Option<&str> {
        let tags = self.tags.as_ref()?;
        tags.iter()
            .find(|tag| tag.0 == key)
            .map(|tag| tag.1.as_deref().unwrap_or_default())
    }

    fn source(&self) -> &str {
        match &self.prefix {
            Some(Prefix::Nickname(name, _, _) | Prefix::ServerName(name)) => name,
            None => "",
        }
    }

    fn set_tag(&mut self, key: &str, value: &str) {
        let value = (!value.is_empty()).then(|| value.to_owned());
        self.tags.get_or_insert_default().push(Tag(key.to_owned(), value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_tags_source_and_parameters() {
        let found = parse("@time=2026-01-01T00:00:00.000Z;+x=a\\sb\\:;y :ann!u@h PRIVMSG #a  b :c :d").unwrap();
        assert_eq!(found.tag("+x"), Some("a b;"));
        assert_eq!(found.tag("y"), Some(""));
        assert_eq!(found.tag("z"), None);
        assert_eq!(found.source(), "ann");
        assert_eq!(found.parameters(), ["#a", "b", "c :d"]);
        assert_eq!(parse("AUTHENTICATE :+").unwrap().parameter(0), "+");
        assert_eq!(parse(":a.b.c 001 me :Hello").unwrap().source(), "a.b.c");
        let seen = glance("@a=b;batch=7 :ann!u@h PRIVMSG #a :b").unwrap();
        assert_eq!(
            (seen.source, seen.command, seen.rest, seen.batched),
            ("ann", "PRIVMSG", "#a :b", true)
        );
        assert!(!glance("@x=batch=7 :ann!u@h QUIT").unwrap().batched);
        assert!(parse("@only-tags").is_none());
        assert!(parse(":only-prefix").is_none());
        assert!(parse("").is_none());
    }

    proptest! {
        #[test]
        fn any_line_is_read(line in any::<String>()) {
            drop(parse(&line));
            glance(&line);
        }

        #[test]
        fn lines_are_written_as_the_library_writes_them(
            words in proptest::collection::vec("[!-9;-~]{1,6}", 0..3), last in any::<String>(), value in any::<String>(),
        ) {
            let mut sent = message("X", &[]);
            sent.command = Command::Raw("X".to_owned(), words.into_iter().chain([last]).collect());
            sent.set_tag("key", &value);
            let library = sent.to_string();
            let expected: Vec<u8> = library
                .trim_end_matches(['\r', '\n'])
                .bytes()
                .map(|byte| if matches!(byte, b'\r' | b'\n' | 0) { b' ' } else { byte })
                .collect();
            let found = write(&sent);
            let found = found.strip_suffix(b"\r\n").unwrap();
            // The library's line ends cannot be told from those at the end of the text.
            let found = found.get(..expected.len()).unwrap();
            prop_assert_eq!(found, expected.as_slice());
        }

        #[test]
        fn nothing_can_become_a_second_line_or_parameter(
            target in any::<String>(), text in any::<String>(), key in "[a-z]{1,5}", value in any::<String>(),
        ) {
            let mut sent = message("PRIVMSG", &[&target, &text]);
            sent.set_tag(&key, &value);
            let bytes = write(&sent);
            let line = bytes.strip_suffix(b"\r\n").unwrap();
            prop_assert!(!line.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
            let back = parse(std::str::from_utf8(line).unwrap()).unwrap();
            prop_assert_eq!(back.name(), "PRIVMSG");
            prop_assert_eq!(back.parameters().len(), 2);
            let text: String = text.replace(['\r', '\n', '\0'], " ");
            prop_assert_eq!(back.last().trim_end(), text.trim_end());
        }
    }
}
