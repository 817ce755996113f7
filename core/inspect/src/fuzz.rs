//! What the fuzzer of `tests/fuzz` calls: any bytes as a file.
//!
//! A breach is a panic, which is how a fuzzer learns of it; nothing else uses this module.

use std::io::Cursor;
use std::time::Duration;

use tokio::time::Instant;

use crate::settings::Archives;
use crate::{archive, picture};

/// A file stays within the bounds, and a picture is freed of its metadata once and for all.
///
/// # Panics
///
/// If it does not, or is not.
pub fn file(data: &[u8]) {
    let limits = Archives {
        levels: 3,
        entries: 20,
        unpacked: 256 * 1024,
    };
    let until = Instant::now() + Duration::from_secs(5);
    let contents = archive::look(&mut Cursor::new(data), data.len() as u64, &limits, until);
    assert!(contents.members.len() <= 20, "{} files", contents.members.len());
    assert!(contents.depth.is_none_or(|depth| depth <= 3), "{:?}", contents.depth);
    // The file itself counts too.
    let most = limits.unpacked + data.len() as u64;
    assert!(contents.unpacked <= most, "{} bytes", contents.unpacked);
    for mime in ["image/jpeg", "image/png", "image/webp", "image/gif", "image/heif"] {
        let Some(clean) = picture::without_metadata(mime, data) else {
            continue;
        };
        assert!(clean.len() <= data.len() + 64, "{mime} grew");
        let again = picture::without_metadata(mime, &clean);
        assert_eq!(again.as_ref(), Some(&clean), "{mime} is not clean the first time");
    }
}
