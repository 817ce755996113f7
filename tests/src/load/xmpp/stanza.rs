//! Just enough XML to serve a well-behaved client: a stream cut into its stanzas, and what the outermost tag says.

/// A part of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// The stream begins.
    Opening,
    /// One stanza.
    Stanza(String),
    /// The stream ends.
    Closing,
}

/// Cuts a stream as it comes.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    bytes: Vec<u8>,
    /// Where what was not taken yet begins.
    from: usize,
    /// Where the next tag is looked for.
    at: usize,
    /// How many tags are open within the stanza.
    depth: usize,
}

impl Splitter {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.from);
        self.at -= self.from;
        self.from = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next part, once it is there as a whole.
    pub(super) fn next_piece(&mut self) -> Option<Piece> {
        loop {
            let rest = self.bytes.get(self.at..)?;
            let start = rest.iter().position(|byte| *byte == b'<')?;
            let tag = rest.get(start..)?;
            let length = tag_length(tag)?;
            let tag = tag.get(..length)?.to_vec();
            self.at += start + length;
            if tag.starts_with(b"<?") {
                continue;
            }
            if tag.starts_with(b"<stream:stream") {
                self.take();
                return Some(Piece::Opening);
            }
            if tag.starts_with(b"</stream:stream") {
                return Some(Piece::Closing);
            }
            if tag.starts_with(b"</") {
                self.depth = self.depth.saturating_sub(1);
            } else if !tag.ends_with(b"/>") {
                self.depth += 1;
            }
            if self.depth == 0 {
                return Some(Piece::Stanza(self.take()));
            }
        }
    }

    /// Takes everything up to the last tag.
    fn take(&mut self) -> String {
        let taken = self.bytes.get(self.from..self.at).unwrap_or_default();
        self.from = self.at;
        String::from_utf8_lossy(taken).into_owned()
    }
}

/// How long the tag at the beginning is; none if its end is not there yet.
fn tag_length(tag: &[u8]) -> Option<usize> {
    let mut quote = None;
    for (position, byte) in tag.iter().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(position + 1),
            (None, b'"' | b'\'') => quote = Some(*byte),
            (Some(open), byte) if open == *byte => quote = None,
            _ => {}
        }
    }
    None
}

/// One stanza's text.
#[derive(Debug)]
pub(super) struct Stanza<'a> {
    text: &'a str,
    /// The outermost tag, without its angle brackets.
    tag: &'a str,
}

impl<'a> Stanza<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let text = text.trim_start();
        let length = tag_length(text.as_bytes()).unwrap_or(text.len());
        let tag = text.split_at_checked(length).map_or(text, |(tag, _)| tag);
        let tag = tag.trim_matches(['<', '>']).trim_end_matches('/');
        Self { text, tag }
    }

    /// The name of its outermost tag, without a prefix.
    pub(super) fn name(&self) -> &'a str {
        let name = self.tag.split([' ', '\n', '\t']).next().unwrap_or_default();
        name.rsplit_once(':').map_or(name, |(_, name)| name)
    }

    /// An attribute of its outermost tag; empty if there is none.
    pub(super) fn attribute(&self, name: &str) -> &'a str {
        let mut rest = self.tag;
        while let Some((before, after)) = rest.split_once('=') {
            let Some(quote) = after.chars().next() else { break };
            let mut parts = after.splitn(3, quote);
            let (_, value, next) = (parts.next(), parts.next(), parts.next());
            if before.split_whitespace().next_back() == Some(name) {
                return value.unwrap_or_default();
            }
            rest = next.unwrap_or_default();
        }
        ""
    }

    /// Whether something is named anywhere within.
    pub(super) fn has(&self, what: &str) -> bool {
        self.text.contains(what)
    }

    /// What is between its outermost tags.
    pub(super) fn inner(&self) -> &'a str {
        let after = self.text.split_once(self.tag).map_or("", |(_, after)| after);
        let inner = after.split_once('>').map_or("", |(_, inner)| inner);
        inner.rsplit_once("</").map_or("", |(inner, _)| inner)
    }

    /// The text of its first `body`.
    pub(super) fn body(&self) -> String {
        let body = self.text.split_once("<body").and_then(|(_, rest)| rest.split_once('>'));
        let body = body.and_then(|(_, rest)| rest.split_once("</"));
        unescape(body.map_or("", |(body, _)| body))
    }
}

/// A text as it is written between tags.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn unescape(text: &str) -> String {
    let named = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&amp;", "&"),
    ];
    named
        .into_iter()
        .fold(text.to_owned(), |text, (name, sign)| text.replace(name, sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_cut_wherever_it_was_torn() {
        let stream = "<?xml version='1.0'?>\n<stream:stream to='a>b'><presence/> <message a=\"x>y\"><b><c/>t</b></message>\
                      </stream:stream>";
        let mut splitter = Splitter::default();
        let mut pieces = Vec::new();
        for byte in stream.bytes() {
            splitter.add(&[byte]);
            while let Some(piece) = splitter.next_piece() {
                pieces.push(piece);
            }
        }
        let stanza = |text: &str| Piece::Stanza(text.to_owned());
        assert_eq!(
            pieces,
            [
                Piece::Opening,
                stanza("<presence/>"),
                stanza(" <message a=\"x>y\"><b><c/>t</b></message>"),
                Piece::Closing
            ]
        );
    }

    #[test]
    fn a_stanza_is_read() {
        let stanza = Stanza::new(
            "<message xmlns='ns' id=\"i\" to='r@c'><body xml:lang='en'>a &lt; &amp;lt;</body><x/></message>",
        );
        assert_eq!(
            (stanza.name(), stanza.attribute("id"), stanza.attribute("to")),
            ("message", "i", "r@c")
        );
        assert_eq!((stanza.attribute("d"), stanza.attribute("xmlns")), ("", "ns"));
        assert_eq!(stanza.inner(), "<body xml:lang='en'>a &lt; &amp;lt;</body><x/>");
        assert_eq!(stanza.body(), "a < &lt;");
        let empty = Stanza::new("<presence to='r@c/n'/>");
        assert_eq!(
            (empty.name(), empty.attribute("to"), empty.inner()),
            ("presence", "r@c/n", "")
        );
        assert_eq!(escape(&unescape("&lt;b&gt;")), "&lt;b&gt;");
    }
}
