//! Bytes to lines.

use bytes::{Buf, BytesMut};
use encoding_rs::Encoding;

use super::line::LINE_BOUND;

/// Cuts a stream of bytes into lines. Memory is bounded: a longer line than [`LINE_BOUND`] is dropped as it comes.
#[derive(Debug)]
pub struct Lines {
    buffer: BytesMut,
    searched: usize,
    dropping: bool,
    fallback: &'static Encoding,
    /// How many lines were too long.
    pub dropped: u64,
}

impl Lines {
    /// Lines whose bytes are read as `fallback` where they are not UTF-8.
    pub fn new(fallback: &'static Encoding) -> Self {
        Self {
            buffer: BytesMut::with_capacity(16 * 1024),
            searched: 0,
            dropping: false,
            fallback,
            dropped: 0,
        }
    }

    /// Where to read bytes into.
    pub fn buffer(&mut self) -> &mut BytesMut {
        self.buffer.reserve(4096);
        &mut self.buffer
    }

    /// The next whole line, without its end.
    pub fn next_line(&mut self) -> Option<String> {
        loop {
            let fresh = self.buffer.get(self.searched..).unwrap_or_default();
            let Some(at) = fresh.iter().position(|byte| *byte == b'\n') else {
                self.searched = self.buffer.len();
                if self.buffer.len() > LINE_BOUND {
                    self.dropped += u64::from(!self.dropping);
                    self.dropping = true;
                    self.buffer.clear();
                    self.searched = 0;
                }
                return None;
            };
            let line = self.buffer.split_to(self.searched + at);
            self.buffer.advance(1);
            self.searched = 0;
            if std::mem::take(&mut self.dropping) {
                continue;
            }
            if line.len() > LINE_BOUND {
                self.dropped += 1;
                continue;
            }
            let line = line.strip_suffix(b"\r").unwrap_or(&line);
            if !line.is_empty() {
                return Some(decode(line, self.fallback));
            }
        }
    }
}

/// Bytes as text: UTF-8, or else the fallback encoding.
pub fn decode(bytes: &[u8], fallback: &'static Encoding) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => fallback.decode_without_bom_handling(bytes).0.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(lines: &mut Lines) -> Vec<String> {
        std::iter::from_fn(|| lines.next_line()).collect()
    }

    #[test]
    fn bad_bytes_are_latin_and_long_lines_are_dropped() {
        let mut lines = Lines::new(encoding_rs::WINDOWS_1252);
        lines
            .buffer()
            .extend_from_slice(b"caf\xe9 1\r\n\r\ncaf\xc3\xa9 2\nrest");
        assert_eq!(all(&mut lines), ["café 1", "café 2"]);
        lines.buffer().extend_from_slice(&[b'x'; LINE_BOUND + 9]);
        assert_eq!(all(&mut lines), Vec::<String>::new());
        lines.buffer().extend_from_slice(&[b'y'; LINE_BOUND + 9]);
        assert_eq!(all(&mut lines), Vec::<String>::new());
        lines.buffer().extend_from_slice(b"end\nnext\n");
        assert_eq!(all(&mut lines), ["next"]);
        assert_eq!(lines.dropped, 1);
    }

    #[test]
    fn another_encoding_is_read_where_it_is_configured() {
        let mut lines = Lines::new(encoding_rs::KOI8_R);
        lines
            .buffer()
            .extend_from_slice(b"\xd0\xd2\xc9\xd7\xc5\xd4\nUTF-8 \xd0\xbf\n");
        assert_eq!(all(&mut lines), ["привет", "UTF-8 п"]);
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0_usize..300) {
            let mut whole = Lines::new(encoding_rs::WINDOWS_1252);
            whole.buffer().extend_from_slice(&bytes);
            let expected = all(&mut whole);
            let (one, other) = bytes.split_at(cut.min(bytes.len()));
            let mut parts = Lines::new(encoding_rs::WINDOWS_1252);
            parts.buffer().extend_from_slice(one);
            let mut found = all(&mut parts);
            parts.buffer().extend_from_slice(other);
            found.extend(all(&mut parts));
            prop_assert_eq!(expected, found);
        }
    }
}
