//! Encrypted files. One of the homeserver's is decrypted while it is read, and its hash checked at its end: whoever reads it
//! must not use it before the end came without an error. One on its way there is encrypted where it is spooled.
//!
//! Where a file is, and its key, are one locator: `mxc://server/id#KEY.IV.HASH`, each part in base64 for addresses.

use std::io::{Cursor, Read as _, Seek as _};

use bytes::Bytes;
use futures_util::TryStreamExt;
use matrix_sdk_crypto::{AttachmentDecryptor, AttachmentEncryptor, MediaEncryptionInfo};
use serde_json::{Map, Value, json};
use tokio_util::io::{StreamReader, SyncIoBridge};
use viaduct_bridge::{MediaError, MediaStream};

use crate::convert::raw::text;
use crate::media::Spool;

/// How many bytes are decrypted at a time.
const PIECE: usize = 64 * 1024;
/// How many decrypted pieces may wait for their reader.
const AHEAD: usize = 4;

/// What divides the address of an encrypted file from its key.
const MARK: char = '#';

/// The locator of an encrypted file, from the `file` of a message. None if it is not shaped as one.
pub(crate) fn locator(file: &Value) -> Option<String> {
    let url = text(file, "url").filter(|url| url.starts_with("mxc://") && url.len() <= 1024 && !url.contains(MARK))?;
    let key = text(file.get("key")?, "k")?;
    let [iv, hash] = [text(file, "iv")?, text(file.get("hashes")?, "sha256")?].map(url_safe);
    let parts = [(key, 43), (iv.as_str(), 22), (hash.as_str(), 43)];
    let fits = |(part, length): (&str, usize)| {
        part.len() == length && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    (text(file, "v") == Some("v2") && parts.into_iter().all(fits)).then(|| format!("{url}{MARK}{key}.{iv}.{hash}"))
}

fn url_safe(part: &str) -> String {
    part.trim_end_matches('=').replace('+', "-").replace('/', "_")
}

fn plain(part: &str) -> String {
    part.replace('-', "+").replace('_', "/")
}

/// The address in a locator, and the key of a file that is encrypted.
pub(crate) fn parts(locator: &str) -> Result<(&str, Option<MediaEncryptionInfo>), MediaError> {
    let Some((url, secret)) = locator.split_once(MARK) else {
        return Ok((locator, None));
    };
    let refused = || MediaError::Refused("the key of an encrypted file cannot be read".to_owned());
    let mut parts = secret.split('.');
    let mut next = || parts.next().ok_or_else(refused);
    let (key, iv, hash) = (next()?, plain(next()?), plain(next()?));
    let info = json!({
        "v": "v2", "iv": iv, "hashes": { "sha256": hash },
        "key": { "kty": "oct", "alg": "A256CTR", "ext": true, "k": key, "key_ops": ["encrypt", "decrypt"] },
    });
    let info = serde_json::from_value(info).map_err(|_| refused())?;
    Ok((url, Some(info)))
}

/// The bytes of an encrypted file, decrypted while they are read.
pub(crate) fn decrypted(stream: MediaStream, info: MediaEncryptionInfo) -> MediaStream {
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Bytes, MediaError>>(AHEAD);
    let mut source = SyncIoBridge::new(StreamReader::new(stream.map_err(std::io::Error::other)));
    tokio::task::spawn_blocking(move || {
        let mut pieces = match AttachmentDecryptor::new(&mut source, info) {
            Ok(pieces) => pieces,
            Err(error) => {
                sender.blocking_send(Err(MediaError::Refused(error.to_string()))).ok();
                return;
            }
        };
        let mut piece = vec![0; PIECE];
        loop {
            let (sent, more) = match pieces.read(&mut piece) {
                Ok(0) => return,
                Ok(read) => (Ok(Bytes::copy_from_slice(piece.get(..read).unwrap_or_default())), true),
                Err(error) => (Err(told(&error)), false),
            };
            // Its reader may have had enough.
            if sender.blocking_send(sent).is_err() || !more {
                return;
            }
        }
    });
    Box::pin(futures_util::stream::unfold(receiver, async |mut receiver| {
        receiver.recv().await.map(|piece| (piece, receiver))
    }))
}

/// An error of the source as it was, anything else is the hash.
fn told(error: &std::io::Error) -> MediaError {
    let source = error.get_ref().and_then(|inner| inner.downcast_ref::<MediaError>());
    source.cloned().unwrap_or_else(|| {
        MediaError::Refused("the encrypted file is not the one that was sent: its hash is another".to_owned())
    })
}

/// Encrypts a spooled file. Gives what the message says about it, without its address.
pub(crate) async fn encrypted(spool: Spool) -> std::io::Result<(Spool, Map<String, Value>)> {
    let (spool, info) = match spool {
        Spool::Memory(bytes) => {
            let mut source = Cursor::new(bytes);
            let mut pieces = AttachmentEncryptor::new(&mut source);
            let mut out = Vec::new();
            pieces.read_to_end(&mut out)?;
            (Spool::Memory(out.into()), pieces.finish())
        }
        Spool::File(file, size) => {
            let mut source = file.into_std().await;
            let encrypting = tokio::task::spawn_blocking(move || {
                let mut out = tempfile::tempfile()?;
                let mut pieces = AttachmentEncryptor::new(&mut source);
                std::io::copy(&mut pieces, &mut out)?;
                let info = pieces.finish();
                out.rewind()?;
                Ok::<_, std::io::Error>((out, info))
            });
            let (out, info) = encrypting.await.map_err(std::io::Error::other)??;
            (Spool::File(tokio::fs::File::from_std(out), size), info)
        }
    };
    match serde_json::to_value(info)? {
        Value::Object(info) => Ok((spool, info)),
        _ => Err(std::io::Error::other("the key of a file has no form")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(stream: MediaStream) -> Result<Vec<u8>, MediaError> {
        stream
            .try_fold(Vec::new(), async |mut all, piece| {
                all.extend_from_slice(&piece);
                Ok(all)
            })
            .await
    }

    fn stream(pieces: Vec<Result<Bytes, MediaError>>) -> MediaStream {
        Box::pin(futures_util::stream::iter(pieces))
    }

    /// A file as it lies on the homeserver, and its locator.
    async fn sent(bytes: Vec<u8>) -> (Vec<u8>, String) {
        let (spool, mut file) = encrypted(Spool::Memory(bytes.into())).await.unwrap();
        let Spool::Memory(sealed) = spool else {
            panic!("it was in memory")
        };
        file.insert("url".to_owned(), json!("mxc://example.org/abc"));
        (sealed.to_vec(), locator(&Value::Object(file)).unwrap())
    }

    #[tokio::test]
    async fn what_was_encrypted_is_read_as_it_was_and_nothing_else_is() {
        let bytes: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let (sealed, locator) = sent(bytes.clone()).await;
        assert_ne!(sealed, bytes);
        let open = |pieces| {
            let (url, info) = parts(&locator).unwrap();
            assert_eq!(url, "mxc://example.org/abc");
            decrypted(stream(pieces), info.unwrap())
        };
        let whole: Vec<_> = sealed
            .chunks(1000)
            .map(|piece| Ok(Bytes::copy_from_slice(piece)))
            .collect();
        assert_eq!(read(open(whole)).await.unwrap(), bytes);

        let mut other = sealed.clone();
        other[70_000] ^= 1;
        let told = read(open(vec![Ok(other.into())])).await;
        assert!(matches!(told, Err(MediaError::Refused(_))), "{told:?}");
        let broke = vec![Ok(Bytes::copy_from_slice(&sealed[..10])), Err(MediaError::Gone)];
        assert!(matches!(read(open(broke)).await, Err(MediaError::Gone)));
    }

    #[tokio::test]
    async fn a_spooled_file_is_encrypted_as_well() {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, b"something").unwrap();
        file.rewind().unwrap();
        let (spool, info) = encrypted(Spool::File(tokio::fs::File::from_std(file), 9))
            .await
            .unwrap();
        let Spool::File(mut out, 9) = spool else {
            panic!("it was a file of 9 bytes")
        };
        let mut sealed = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut out, &mut sealed)
            .await
            .unwrap();
        let info: MediaEncryptionInfo = serde_json::from_value(Value::Object(info)).unwrap();
        assert_eq!(
            read(decrypted(stream(vec![Ok(sealed.into())]), info)).await.unwrap(),
            b"something"
        );
    }

    #[test]
    fn only_what_is_shaped_as_one_is_an_encrypted_file() {
        let (key, hash) = ("k".repeat(43), "h+/".repeat(14) + "h");
        let good = json!({
            "url": "mxc://example.org/abc", "v": "v2", "key": { "k": key }, "iv": "i".repeat(22),
            "hashes": { "sha256": hash },
        });
        let found = locator(&good).unwrap();
        assert!(parts(&found).is_ok_and(|(_, info)| info.is_some()), "{found}");
        for (pointer, odd) in [
            ("/url", json!("https://example.org/abc")),
            ("/url", json!("mxc://example.org/abc#x")),
            ("/v", json!("v1")),
            ("/key/k", json!("short")),
            ("/iv", json!("#".repeat(22))),
            ("/hashes/sha256", json!(7)),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(pointer).unwrap() = odd;
            assert_eq!(locator(&bad), None, "{bad}");
        }
        assert!(parts("mxc://example.org/abc#a.b").is_err());
        assert!(parts("mxc://example.org/abc").is_ok_and(|(_, info)| info.is_none()));
    }
}
