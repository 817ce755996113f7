//! Any bytes: nothing panics, nothing takes longer or more than it may.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "what went wrong is shown, and helpers fail like tests"
)]

mod common;

use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{gzip, inspector, pieces, png_with_place, seven_zip, tar, xz, zip};
use proptest::prelude::*;
use viaduct_compliance::Evidence;
use viaduct_inspect::{Archives, Declared, Files};

static PANICS: Once = Once::new();
static PANICKED: AtomicBool = AtomicBool::new(false);

const BOUND: u64 = 256 * 1024;

fn bounded() -> Files {
    Files {
        largest: 64 * 1024,
        archives: Archives {
            levels: 3,
            entries: 20,
            unpacked: BOUND,
        },
        ..Files::default()
    }
}

fn look(runtime: &tokio::runtime::Runtime, bytes: &[u8], mime: &str) -> Option<Evidence> {
    PANICS.call_once(|| {
        // The inspector contains panics; here they must not even happen.
        std::panic::set_hook(Box::new(|panic| {
            println!("{panic}");
            PANICKED.store(true, Ordering::SeqCst);
        }));
    });
    let evidence = runtime.block_on(async {
        let (inspector, _folder) = inspector(bounded());
        let declared = Declared {
            mime: Some(mime.to_owned()),
            ..Declared::default()
        };
        let looked = inspector.inspect(pieces(bytes), &declared).await;
        looked.ok().map(|(evidence, _)| evidence)
    });
    assert!(!PANICKED.load(Ordering::SeqCst));
    evidence
}

/// A picture in boxes: one item of pixels, and one of EXIF.
fn heic() -> Vec<u8> {
    let own = |kind: &[u8; 4], content: &[u8]| {
        let size = u32::try_from(content.len() + 8).unwrap();
        [&size.to_be_bytes()[..], kind, content].concat()
    };
    let items = [
        &b"\0\0\0\0\0\x02"[..],
        &own(b"infe", b"\x02\0\0\0\0\x01\0\0hvc1\0"),
        &own(b"infe", b"\x02\0\0\0\0\x02\0\0Exif\0"),
    ];
    let places = b"\0\0\0\0\x44\0\0\x02\0\x01\0\0\0\x01\0\0\0\xe8\0\0\0\x04\0\x02\0\0\0\x01\0\0\0\xec\0\0\0\x20";
    let list = [
        &[0; 4][..],
        &own(b"hdlr", &[0; 25]),
        &own(b"iinf", &items.concat()),
        &own(b"iprp", &own(b"ipco", &own(b"ispe", &[0; 12]))),
        &own(b"iloc", places),
    ];
    let file = [own(b"ftyp", b"heicmif1"), own(b"meta", &list.concat())].concat();
    let media = own(b"mdat", &[b'x'; 100]);
    [file, media].concat()
}

/// Files of every format that is looked into.
fn seeds() -> Vec<Vec<u8>> {
    let flat = zip(&[("a.txt", b"some words, some words"), ("b.png", &png_with_place())]);
    let jpeg = b"\xff\xd8\xff\xe1\x00\x20Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\xff\xda\x00\x04ab\x12\x34\xff\xd9";
    let webp = b"RIFF\x1c\0\0\0WEBPVP8 \x04\0\0\0abcdEXIF\x04\0\0\0efgh";
    vec![
        flat.clone(),
        zip(&[("in.zip", &flat), ("in.gz", &gzip(b"words"))]),
        tar(&[("a.txt", b"words"), ("in.zip", &flat)]),
        gzip(&tar(&[("a.txt", b"words")])),
        png_with_place(),
        jpeg.to_vec(),
        webp.to_vec(),
        seven_zip(&[("a.txt", b"some words, some words"), ("in.zip", &flat), ("empty", b"")]),
        xz(&tar(&[("in.7z", &seven_zip(&[("a.txt", b"words")]))])),
        b"GIF89a\x01\0\x01\0\0\0\0!\xfe\x04here\0,\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0;".to_vec(),
        heic(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files_of_every_format_stay_within_bounds(
        which in 0..11_usize,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        cut in any::<prop::sample::Index>(),
        whole in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut bytes = seeds().swap_remove(which);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if !whole {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        let evidence = look(&runtime, &bytes, "image/png").unwrap();
        prop_assert_eq!(evidence.size, Some(bytes.len() as u64));
        prop_assert!(evidence.members.len() <= 20);
        prop_assert!(evidence.archive_depth.is_none_or(|depth| depth <= 3));
        // Unpacked bytes, rounded up to a multiple of the size.
        let unpacked = u64::from(evidence.archive_ratio.unwrap_or(0)).saturating_sub(1) * bytes.len() as u64;
        prop_assert!(unpacked <= BOUND);
    }

    #[test]
    fn any_bytes_stay_within_bounds(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        prop_assert!(look(&runtime, &bytes, "application/zip").is_some());
    }
}
