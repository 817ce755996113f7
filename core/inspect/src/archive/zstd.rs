//! Zstandard: frames, one after the other.

use std::io::{self, BufRead as _, BufReader, Read};

use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

/// Memory for unpacking, in bytes: enough for all levels but those that must be asked for. What needs more is not unpacked.
const WINDOW: u64 = 8 * 1024 * 1024;
/// How frames that hold nothing to unpack begin: any of sixteen bytes, and these.
const SKIPPED: &[u8] = b"\x2a\x4d\x18";

/// Whether this begins with a frame that programs pass over: what comes after it may be anything.
pub(super) fn is_skipped(head: &[u8]) -> bool {
    head.split_first()
        .is_some_and(|(first, rest)| (0x50..=0x5f).contains(first) && rest.starts_with(SKIPPED))
}

/// What frames unpack to.
pub(super) struct Frames<R: Read> {
    /// None once all are read.
    frame: Option<StreamingDecoder<BufReader<R>, FrameDecoder>>,
    /// The frame has given nothing yet.
    empty: bool,
}

impl<R: Read> Frames<R> {
    /// Begins to unpack.
    ///
    /// # Errors
    ///
    /// If it does not begin with a frame, or with one that asks for too much memory.
    pub(super) fn new(packed: R) -> io::Result<Self> {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(WINDOW);
        Ok(Self {
            frame: Some(open(BufReader::new(packed), decoder)?),
            empty: true,
        })
    }
}

impl<R: Read> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(mut frame) = self.frame.take() {
            let read = frame.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                self.empty &= read == 0;
                self.frame = Some(frame);
                return Ok(read);
            }
            let (mut packed, decoder) = frame.into_parts();
            if packed.fill_buf()?.is_empty() {
                break;
            }
            // Frames of nothing, as many as fit, would cost time and never come to an end.
            if std::mem::replace(&mut self.empty, true) {
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.frame = Some(open(packed, decoder)?);
        }
        Ok(0)
    }
}

fn open<R: Read>(
    packed: BufReader<R>,
    decoder: FrameDecoder,
) -> io::Result<StreamingDecoder<BufReader<R>, FrameDecoder>> {
    StreamingDecoder::new_with_decoder(packed, decoder).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    fn unpacked(packed: &[u8]) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        Frames::new(packed)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    #[test]
    fn all_frames_are_read_and_odd_ones_are_not() {
        let frame = |bytes: &[u8]| compress_to_vec(bytes, CompressionLevel::Fastest);
        let (words, nothing) = (frame(b"words"), frame(b""));
        assert_eq!(unpacked(&words).unwrap(), b"words");
        assert_eq!(unpacked(&[&*words, &words].concat()).unwrap(), b"wordswords");
        assert_eq!(unpacked(&nothing).unwrap(), b"");
        assert!(unpacked(&[&*nothing, &nothing].concat()).is_err());
        assert!(unpacked(&[&*words, b"more"].concat()).is_err(), "something behind it");
        let skipped = [&b"\x51\x2a\x4d\x18\x04\0\0\0abcd"[..], &words].concat();
        assert!(is_skipped(&skipped) && unpacked(&skipped).is_err());
        for end in 1..words.len() {
            assert!(unpacked(&words[..end]).is_err(), "cut at {end}");
        }
        // A frame that says that it needs 2 GiB.
        let greedy = b"\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00";
        assert!(unpacked(greedy).is_err());
    }
}
