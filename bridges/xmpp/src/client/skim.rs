//! Takes out of a component's stream, before it is parsed, what [`super::sift`] would drop after.
//!
//! With a thousand puppets in a room a million presences come when they enter, and to parse them costs more than everything
//! else. So whole stanzas are passed over where it shows from their bytes alone that nobody reads them. Whatever is in doubt is
//! let through: `sift` looks at it again. A stream that has anything in it that XMPP forbids (comments, declarations, sections
//! of raw text) is no longer looked at: what ends where could not be told from its bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use memchr::{memchr, memchr3};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};
use xmpp_parsers::ns;

use super::sift::is_puppet;

/// So much of a stanza is kept aside, in bytes; a longer one is let through. What a room tells everybody is shorter.
const HELD_BOUND: usize = 64 * 1024;

/// Reads through, without what nobody reads.
#[derive(Debug)]
pub struct Skim<Io> {
    inner: Io,
    scan: Option<Scan>,
    passed: Vec<u8>,
    taken: usize,
}

impl<Io> Skim<Io> {
    /// A component's stream, from its first byte.
    pub fn new(inner: Io) -> Self {
        Self {
            inner,
            scan: Some(Scan::default()),
            passed: Vec::new(),
            taken: 0,
        }
    }

    /// A stream of which everything is read.
    pub fn whole(inner: Io) -> Self {
        Self {
            scan: None,
            ..Self::new(inner)
        }
    }
}

impl<Io: AsyncBufRead + Unpin> AsyncBufRead for Skim<Io> {
    fn poll_fill_buf(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        let Some(scan) = &mut this.scan else {
            return Pin::new(&mut this.inner).poll_fill_buf(context);
        };
        while this.taken >= this.passed.len() {
            this.passed.clear();
            this.taken = 0;
            let bytes = ready!(Pin::new(&mut this.inner).poll_fill_buf(context))?;
            if bytes.is_empty() {
                break;
            }
            scan.feed(bytes, &mut this.passed);
            let length = bytes.len();
            Pin::new(&mut this.inner).consume(length);
        }
        Poll::Ready(Ok(this.passed.get(this.taken..).unwrap_or_default()))
    }

    fn consume(self: Pin<&mut Self>, amount: usize) {
        let this = self.get_mut();
        match this.scan {
            Some(_) => this.taken = this.taken.saturating_add(amount),
            None => Pin::new(&mut this.inner).consume(amount),
        }
    }
}

impl<Io: AsyncBufRead + Unpin> AsyncRead for Skim<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let bytes = ready!(self.as_mut().poll_fill_buf(context))?;
        let (bytes, _) = split(bytes, buffer.remaining());
        buffer.put_slice(bytes);
        let length = bytes.len();
        self.consume(length);
        Poll::Ready(Ok(()))
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Skim<Io> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

/// Where in the stream the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum At {
    #[default]
    Text,
    /// Just after a `<`.
    Opened,
    Tag,
    /// In an attribute's value, until this byte.
    Value(u8),
    /// Nothing is looked at any more.
    Lost,
}

/// What kind of tag is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Tag {
    #[default]
    Start,
    End,
    /// The stream's XML declaration.
    Declaration,
}

#[derive(Debug, Default)]
struct Scan {
    at: At,
    tag: Tag,
    /// The last byte of the tag so far.
    last: u8,
    /// How many elements are open, the stream itself counted.
    depth: usize,
    /// The stanza that is kept aside, as far as it has come; none if it is let through.
    held: Option<Vec<u8>>,
    /// Where the tag begins in it.
    begun: usize,
}

impl Scan {
    /// Looks at bytes of the stream, and appends to `passed` what is let through.
    fn feed(&mut self, mut bytes: &[u8], passed: &mut Vec<u8>) {
        while !bytes.is_empty() {
            bytes = match self.at {
                At::Text => self.text(bytes, passed),
                At::Opened => self.opened(bytes, passed),
                At::Tag => self.tag(bytes, passed),
                At::Value(quote) => self.value(bytes, quote, passed),
                At::Lost => {
                    passed.extend_from_slice(bytes);
                    return;
                }
            };
        }
    }

    fn keep(&mut self, bytes: &[u8], passed: &mut Vec<u8>) {
        match &mut self.held {
            Some(held) if held.len() + bytes.len() <= HELD_BOUND => held.extend_from_slice(bytes),
            Some(_) => {
                self.release(passed);
                passed.extend_from_slice(bytes);
            }
            None => passed.extend_from_slice(bytes),
        }
    }

    /// Lets through what was kept aside.
    fn release(&mut self, passed: &mut Vec<u8>) {
        if let Some(held) = self.held.take() {
            passed.extend_from_slice(&held);
        }
    }

    fn text<'a>(&mut self, bytes: &'a [u8], passed: &mut Vec<u8>) -> &'a [u8] {
        let Some(at) = memchr(b'<', bytes) else {
            self.keep(bytes, passed);
            return &[];
        };
        let (text, rest) = split(bytes, at);
        self.keep(text, passed);
        if self.depth == 1 {
            self.held = Some(Vec::new());
        }
        self.begun = self.held.as_ref().map_or(0, Vec::len);
        let (bracket, rest) = split(rest, 1);
        self.keep(bracket, passed);
        self.at = At::Opened;
        rest
    }

    fn opened<'a>(&mut self, bytes: &'a [u8], passed: &mut Vec<u8>) -> &'a [u8] {
        self.tag = match bytes.first() {
            Some(b'/') => Tag::End,
            Some(b'?') if self.depth == 0 => Tag::Declaration,
            Some(b'?' | b'!') => {
                self.release(passed);
                self.at = At::Lost;
                return bytes;
            }
            _ => Tag::Start,
        };
        (self.at, self.last) = (At::Tag, 0);
        bytes
    }

    fn tag<'a>(&mut self, bytes: &'a [u8], passed: &mut Vec<u8>) -> &'a [u8] {
        let Some(at) = memchr3(b'>', b'"', b'\'', bytes) else {
            self.last = bytes.last().copied().unwrap_or(self.last);
            self.keep(bytes, passed);
            return &[];
        };
        let (inside, rest) = split(bytes, at);
        let (end, rest) = split(rest, 1);
        self.last = inside.last().copied().unwrap_or(self.last);
        self.keep(inside, passed);
        self.keep(end, passed);
        match end.first() {
            Some(b'>') => self.end_of_tag(passed),
            Some(quote) => self.at = At::Value(*quote),
            None => {}
        }
        rest
    }

    fn value<'a>(&mut self, bytes: &'a [u8], quote: u8, passed: &mut Vec<u8>) -> &'a [u8] {
        let Some(at) = memchr(quote, bytes) else {
            self.keep(bytes, passed);
            return &[];
        };
        let (value, rest) = split(bytes, at.saturating_add(1));
        self.keep(value, passed);
        (self.at, self.last) = (At::Tag, quote);
        rest
    }

    fn end_of_tag(&mut self, passed: &mut Vec<u8>) {
        self.at = At::Text;
        let before = self.depth;
        match self.tag {
            Tag::Start if self.last != b'/' => self.depth = self.depth.saturating_add(1),
            Tag::End => self.depth = self.depth.saturating_sub(1),
            Tag::Start | Tag::Declaration => {}
        }
        let Some(held) = &self.held else { return };
        let tag = held.get(self.begun..).and_then(|tag| std::str::from_utf8(tag).ok());
        let goes_on = match (self.tag, tag) {
            (Tag::Start, Some(tag)) if before == 1 => is_copy(tag),
            (Tag::Start, Some(tag)) => !is_code(tag),
            (Tag::End, Some(_)) => before > 1,
            _ => false,
        };
        if !goes_on {
            self.release(passed);
        } else if self.depth == 1 {
            self.held = None;
        }
    }
}

/// Whether a stanza's first tag shows it to be a puppet's copy of what the hub is told, too.
fn is_copy(tag: &str) -> bool {
    let Some((name, attributes)) = read_tag(tag) else {
        return false;
    };
    let mut found = [None; 3];
    for (key, value) in attributes {
        match key {
            "to" => found[0] = Some(value),
            "type" => found[1] = Some(value),
            "xmlns" => found[2] = Some(value),
            _ => {}
        }
    }
    let [to, kind, namespace] = found;
    let ours = matches!(namespace, None | Some(ns::DEFAULT_NS | ns::JABBER_CLIENT));
    // Whatever is written in another way than usual may mean something else.
    let to_puppet = to.is_some_and(|to| !to.contains("&#") && is_puppet(to));
    ours && to_puppet
        && matches!(
            (name, kind),
            ("message", Some("groupchat")) | ("presence", None | Some("unavailable"))
        )
}

/// Whether a tag within a presence is one by which a room tells a puppet something of itself.
fn is_code(tag: &str) -> bool {
    let name = read_tag(tag).map_or("", |(name, _)| name);
    let local = name.rsplit(':').next().unwrap_or_default();
    matches!(local, "status" | "destroy")
}

/// A start tag's name and attributes; none if it is not as XML has it.
fn read_tag(tag: &str) -> Option<(&str, Vec<(&str, &str)>)> {
    let inside = tag.strip_prefix('<')?.strip_suffix('>')?;
    let inside = inside.strip_suffix('/').unwrap_or(inside);
    let (name, mut rest) = inside.split_at(inside.find(char::is_whitespace).unwrap_or(inside.len()));
    let mut attributes = Vec::new();
    while let Some((key, after)) = rest.split_once('=') {
        let after = after.trim_start();
        let quote = after.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
        let (value, more) = after.strip_prefix(quote)?.split_once(quote)?;
        attributes.push((key.trim(), value));
        rest = more;
    }
    rest.trim().is_empty().then_some((name, attributes))
}

/// The bytes before a position, and those from it on.
fn split(bytes: &[u8], at: usize) -> (&[u8], &[u8]) {
    bytes.split_at(at.min(bytes.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
        xmlns:stream='http://etherx.jabber.org/streams' id='a>b'>";

    /// What is let through of a stream that comes in pieces of such a length.
    fn skim(stream: &str, length: usize) -> String {
        let (mut scan, mut passed) = (Scan::default(), Vec::new());
        for piece in stream.as_bytes().chunks(length.max(1)) {
            scan.feed(piece, &mut passed);
        }
        scan.release(&mut passed);
        String::from_utf8(passed).unwrap()
    }

    fn presence(to: &str, rest: &str, inner: &str) -> String {
        format!(
            "<presence from='r@c.example/Bob &lt;/presence&gt; > b' {rest} to='{to}'>\
             <x xmlns=\"http://jabber.org/protocol/muc#user\"><item affiliation='none' role='participant'/>{inner}</x></presence>"
        )
    }

    const PUPPET: &str = "alice\\3ahs.example@m.example/viaduct";
    const HUB: &str = "viaduct@m.example/viaduct";

    /// Stanzas, and whether they are let through.
    fn stanzas() -> Vec<(String, bool)> {
        let message = |to: &str, kind: &str| format!("<message to=\"{to}\" type='{kind}'><body>a > b</body></message>");
        vec![
            (presence(PUPPET, "", ""), false),
            (presence(PUPPET, "type='unavailable'", ""), false),
            (presence(PUPPET, "xmlns='jabber:client'", ""), false),
            (format!("<presence to='{PUPPET}'/>"), false),
            (
                format!("<presence to='{PUPPET}' ><a><a><b/></a></a></presence >"),
                false,
            ),
            (message(PUPPET, "groupchat"), false),
            (presence(PUPPET, "", "<status code='110'/>"), true),
            (presence(PUPPET, "", "<u:status xmlns:u='u'/>"), true),
            (presence(PUPPET, "type='unavailable'", "<destroy/>"), true),
            (presence(PUPPET, "type='error'", ""), true),
            (presence(PUPPET, "xmlns='other'", ""), true),
            (presence(HUB, "", ""), true),
            (presence("&#118;iaduct@m.example/viaduct", "", ""), true),
            (presence("bob@m.example/else", "", ""), true),
            (message(HUB, "groupchat"), true),
            (message(PUPPET, "chat"), true),
            (format!("<iq to='{PUPPET}' type='get' id='1'><ping/></iq>"), true),
            (" \n".to_owned(), true),
        ]
    }

    #[test]
    fn copies_for_puppets_are_taken_out() {
        for (stanza, kept) in stanzas() {
            let expected = if kept { stanza.as_str() } else { "" };
            for length in [1, 7, 10_000] {
                let seen = skim(&format!("{HEADER}{stanza}"), length);
                assert_eq!(seen.strip_prefix(HEADER), Some(expected), "{stanza}");
            }
        }
    }

    #[test]
    fn what_is_forbidden_ends_it() {
        for strange in [
            "<!-- > -->",
            "<presence to='x'><![CDATA[</presence>]]></presence>",
            "<?x?>",
        ] {
            let stream = format!("{HEADER}{strange}{}", presence(PUPPET, "", ""));
            assert_eq!(skim(&stream, 5), stream);
        }
        let long = presence(PUPPET, "", &"<a/>".repeat(HELD_BOUND / 4));
        let stream = format!("{HEADER}{long}{}", presence(PUPPET, "", ""));
        assert_eq!(skim(&stream, 999), format!("{HEADER}{long}"));
    }

    proptest! {
        #[test]
        fn streams_are_skimmed_wherever_they_are_cut(
            picks in prop::collection::vec(0usize..18, 0..30), length in 1usize..300,
        ) {
            let all = stanzas();
            let chosen: Vec<_> = picks.iter().map(|pick| &all[*pick]).collect();
            let stream: String = chosen.iter().map(|(stanza, _)| stanza.as_str()).collect();
            let kept: String = chosen.iter().filter(|(_, kept)| *kept).map(|(stanza, _)| stanza.as_str()).collect();
            let end = "</stream:stream>";
            prop_assert_eq!(skim(&format!("{HEADER}{stream}{end}"), length), format!("{HEADER}{kept}{end}"));
        }

        #[test]
        fn any_bytes_are_taken(stream in "[<>/'\" =a!?&]{0,60}", header in any::<bool>(), length in 1usize..9) {
            let stream = if header { format!("{HEADER}{stream}") } else { stream };
            // No address is a puppet's: nothing may be missing.
            prop_assert_eq!(skim(&stream, length), stream);
        }
    }
}
