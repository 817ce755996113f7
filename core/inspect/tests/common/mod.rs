//! Files, events and a scanner for the tests.
#![allow(dead_code, reason = "every test uses its own part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

pub mod clamd;

use std::collections::HashMap;
use std::io::{Cursor, Write};
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use viaduct_bridge::{Media, MediaError, MediaSource, MediaStream};
use viaduct_compliance::Evidence;
use viaduct_inspect::{Declared, Files, Inspector};
use viaduct_model::{
    Attachment, AttachmentKind, Author, ChannelId, Content, DeliveryKey, MediaRef, Message, MessageId, NetworkName,
    Outbound, Person, PersonId, Place, Timestamp,
};
use zip::write::SimpleFileOptions;

/// Files by their locators, and how often each was opened.
#[derive(Default)]
pub struct Network {
    files: Mutex<HashMap<String, Result<Vec<u8>, MediaError>>>,
    pub opened: Mutex<Vec<String>>,
}

impl Network {
    pub fn put(&self, locator: &str, bytes: impl Into<Vec<u8>>) {
        self.files.lock().unwrap().insert(locator.to_owned(), Ok(bytes.into()));
    }

    pub fn fail(&self, locator: &str, error: MediaError) {
        self.files.lock().unwrap().insert(locator.to_owned(), Err(error));
    }

    pub fn opened(&self) -> usize {
        self.opened.lock().unwrap().len()
    }
}

#[async_trait]
impl MediaSource for Network {
    async fn open(&self, media: &MediaRef) -> Result<Media, MediaError> {
        self.opened.lock().unwrap().push(media.locator.clone());
        let files = self.files.lock().unwrap();
        let bytes = files.get(&media.locator).cloned().unwrap_or(Err(MediaError::Gone))?;
        Ok(Media {
            mime: None,
            size: None,
            name: None,
            stream: pieces(&bytes),
        })
    }

    fn link(&self, _media: &MediaRef, _name: &str) -> Option<String> {
        None
    }
}

/// Bytes as they come over a network.
pub fn pieces(bytes: &[u8]) -> MediaStream {
    let pieces: Vec<_> = bytes
        .chunks(1000)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    stream::iter(pieces).boxed()
}

/// An inspector with a folder of its own.
pub fn inspector(settings: Files) -> (Inspector, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Inspector::new(settings, folder.path()).unwrap(), folder)
}

/// What is found in these bytes.
pub async fn look_with(settings: Files, bytes: &[u8]) -> Evidence {
    let (inspector, _folder) = inspector(settings);
    inspector.inspect(pieces(bytes), &Declared::default()).await.unwrap().0
}

/// What is found in these bytes with the usual bounds.
pub async fn look(bytes: &[u8]) -> Evidence {
    look_with(Files::default(), bytes).await
}

pub fn media(locator: &str) -> MediaRef {
    MediaRef {
        network: NetworkName::new("acme").unwrap(),
        locator: locator.to_owned(),
    }
}

/// A message with these files: locator and name.
pub fn with_files(files: &[(&str, &str)]) -> Outbound {
    let place = |network: &str| Place::new(NetworkName::new(network).unwrap(), ChannelId::new("c").unwrap());
    let id = MessageId::new("m").unwrap();
    let attachments = files
        .iter()
        .map(|(locator, name)| Attachment {
            media: media(locator),
            name: (*name).to_owned(),
            mime: None,
            size: None,
            kind: AttachmentKind::File,
            dimensions: None,
            duration: None,
            spoiler: false,
        })
        .collect();
    Outbound {
        key: DeliveryKey::derive(&place("acme"), &id, &place("matrix")),
        to: place("matrix"),
        from: place("acme"),
        author: Author {
            person: Person {
                network: NetworkName::new("acme").unwrap(),
                id: PersonId::new("bob").unwrap(),
                name: "Bob".to_owned(),
                avatar: None,
                organisation: None,
                bot: false,
            },
            display: "Bob".to_owned(),
        },
        at: Timestamp(0),
        content: Content::Message(Message {
            attachments,
            ..Message::default()
        }),
        parts: Vec::new(),
    }
}

/// All bytes of an opened file.
pub async fn read(media: Media) -> Vec<u8> {
    let pieces: Vec<Bytes> = media.stream.try_collect().await.unwrap();
    pieces.concat()
}

/// A ZIP archive of these files.
pub fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    zip_by(zip::CompressionMethod::Deflated, files)
}

/// The same, packed in this way.
pub fn zip_by(method: zip::CompressionMethod, files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method);
    for (name, bytes) in files {
        writer.start_file(*name, options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A tar archive of these files.
pub fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

/// A 7z archive of these files.
pub fn seven_zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = sevenz_rust2::ArchiveWriter::new(Cursor::new(Vec::new())).unwrap();
    for (name, bytes) in files {
        let entry = sevenz_rust2::ArchiveEntry::new_file(name);
        writer.push_archive_entry(entry, Some(*bytes)).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Bytes packed with XZ.
pub fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut writer = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(0)).unwrap();
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

/// Bytes packed with bzip2.
pub fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Bytes packed with Zstandard.
pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

/// Bytes packed with gzip.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A picture of one pixel with a comment that tells where it was made.
pub fn png_with_place() -> Vec<u8> {
    let chunk = |kind: &[u8; 4], content: &[u8]| {
        let mut sum = flate2::Crc::new();
        sum.update(kind);
        sum.update(content);
        let length = u32::try_from(content.len()).unwrap();
        [&length.to_be_bytes(), &kind[..], content, &sum.sum().to_be_bytes()].concat()
    };
    let mut pixels = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    pixels.write_all(&[0, 0]).unwrap();
    [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", &[0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0]),
        chunk(b"tEXt", b"Comment\0made at 52.5 N 13.4 E"),
        chunk(b"IDAT", &pixels.finish().unwrap()),
        chunk(b"IEND", b""),
    ]
    .concat()
}
