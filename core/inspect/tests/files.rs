//! What is seen in files, and that what is delivered is what was seen.

mod common;

use common::{
    Network, bzip2, gzip, inspector, look, look_with, media, pieces, png_with_place, read, seven_zip, tar, with_files,
    xz, zip, zip_by, zstd,
};
use viaduct_bridge::MediaError;
use viaduct_compliance::{Context, Decision, Evidence, Filter, Metadata, Policy, ScanResult, decide_all};
use viaduct_inspect::{Archives, Declared, Files};

fn names(evidence: &Evidence) -> Vec<&str> {
    evidence.members.iter().map(|member| member.name.as_str()).collect()
}

#[tokio::test]
async fn archives_are_seen_through() {
    let evidence = look(b"plain words").await;
    assert_eq!((evidence.archive_depth, evidence.archive_entries), (Some(0), Some(0)));
    assert_eq!(evidence.scan, ScanResult::Missing);

    let flat = zip(&[("a.txt", b"words"), ("b/c.pdf", b"%PDF-1.7")]);
    let evidence = look(&flat).await;
    assert_eq!(evidence.sniffed.as_deref(), Some("application/zip"));
    assert_eq!((evidence.archive_depth, evidence.archive_entries), (Some(1), Some(2)));
    assert_eq!(names(&evidence), ["a.txt", "b/c.pdf"]);
    assert_eq!(evidence.members[1].sniffed.as_deref(), Some("application/pdf"));
    assert_eq!((evidence.encrypted, evidence.macros), (Some(false), Some(false)));

    let nested = zip(&[("in.tar.gz", &gzip(&tar(&[("deep.zip", &flat)])))]);
    let evidence = look(&nested).await;
    assert_eq!(evidence.archive_depth, Some(3), "a packed tar is one level");
    assert_eq!(names(&evidence), ["in.tar.gz", "deep.zip", "a.txt", "b/c.pdf"]);

    let long = format!("{}/evil.exe", "long/".repeat(60));
    let evidence = look(&tar(&[(&long, b"MZ")])).await;
    assert_eq!(names(&evidence), [long.as_str()], "long names are not lost");

    let hidden = [&b"\x89PNG\r\n\x1a\n not really"[..], &flat].concat();
    let evidence = look(&hidden).await;
    assert_eq!(evidence.archive_depth, Some(1), "an archive behind a picture");
    assert_eq!(names(&evidence), ["a.txt", "b/c.pdf"]);
}

#[tokio::test]
async fn bombs_and_damaged_archives_are_not_known() {
    let zeros = vec![0; 8 * 1024 * 1024];
    let bomb = zip(&[("zeros", &zeros)]);
    let evidence = look(&bomb).await;
    assert_eq!(evidence.archive_depth, Some(1));
    assert!(evidence.archive_ratio.unwrap() > 500, "{:?}", evidence.archive_ratio);
    let small = |archives: Archives| Files {
        archives,
        ..Files::default()
    };
    let unknown = |evidence: &Evidence| {
        evidence.archive_depth.is_none() && evidence.archive_ratio.is_none() && evidence.archive_entries.is_none()
    };
    let bytes = small(Archives {
        unpacked: 1024 * 1024,
        ..Archives::default()
    });
    for bomb in [
        bomb.clone(),
        gzip(&zeros),
        gzip(&gzip(&zeros)),
        zip(&[("in.zip", &bomb)]),
    ] {
        assert!(unknown(&look_with(bytes.clone(), &bomb).await));
    }
    let mut deep = zip(&[("end", b"end")]);
    for _ in 0..5 {
        deep = zip(&[("in.zip", &deep)]);
    }
    assert!(unknown(&look(&deep).await), "six levels, four are looked at");
    let levels = small(Archives {
        levels: 6,
        ..Archives::default()
    });
    assert_eq!(look_with(levels, &deep).await.archive_depth, Some(6));
    let few = small(Archives {
        entries: 3,
        ..Archives::default()
    });
    let many = zip(&[("a", b""), ("b", b""), ("c", b""), ("d", b"")]);
    assert!(unknown(&look_with(few, &many).await));
    let closed = look(&zip(&[("a.rar", b"Rar!\x1a\x07\x01\0...."), ("b.txt", b"words")])).await;
    assert!(unknown(&closed), "nobody knows what is in there");
    assert_eq!(names(&closed), ["a.rar", "b.txt"], "but what could be seen is told");
    let whole = zip(&[("a.txt", b"some words"), ("b.txt", b"more words")]);
    let mut cut = 0;
    for end in 30..whole.len() {
        cut += usize::from(unknown(&look(&whole[..end]).await));
    }
    assert_eq!(cut, whole.len() - 30, "none of the cut ones is believed");
    // One name twice: programs differ in which of the two they show.
    let mut twice = zip(&[("a.txt", b"harmless"), ("b.txt", b"harmful!")]);
    for at in 0..twice.len() - 5 {
        if &twice[at..at + 5] == b"b.txt" {
            twice[at] = b'a';
        }
    }
    assert!(unknown(&look(&twice).await));
}

#[tokio::test]
async fn seven_zip_and_xz_are_seen_through() {
    let program = b"MZ and more of a program";
    let packed = seven_zip(&[("a.txt", b"words"), ("b/c.exe", program), ("empty", b"")]);
    let evidence = look(&packed).await;
    assert_eq!(evidence.sniffed.as_deref(), Some("application/x-7z-compressed"));
    assert_eq!((evidence.archive_depth, evidence.archive_entries), (Some(1), Some(3)));
    let mut seen = names(&evidence);
    seen.sort_unstable();
    assert_eq!(seen, ["a.txt", "b/c.exe", "empty"]);
    let found = evidence.members.iter().find(|member| member.name == "b/c.exe").unwrap();
    assert!(found.sniffed.as_deref().unwrap().contains("exe"), "{found:?}");

    let nested = look(&zip(&[
        ("in.7z", &packed),
        ("in.tar.xz", &xz(&tar(&[("deep.7z", &packed)]))),
    ]))
    .await;
    assert_eq!(nested.archive_depth, Some(3), "a packed tar is one level");
    assert_eq!(nested.archive_entries, Some(2 + 3 + 1 + 3));

    let zeros = vec![0; 8 * 1024 * 1024];
    let bounded = Files {
        archives: Archives {
            unpacked: 1024 * 1024,
            ..Archives::default()
        },
        ..Files::default()
    };
    for bomb in [seven_zip(&[("zeros", &zeros)]), xz(&zeros), xz(&xz(&zeros))] {
        assert_eq!(look(&bomb).await.archive_ratio.map(|ratio| ratio > 500), Some(true));
        assert_eq!(look_with(bounded.clone(), &bomb).await.archive_depth, None);
    }
    for whole in [packed.clone(), xz(b"some words, some words")] {
        for end in (10..whole.len()).step_by(7) {
            assert_eq!(look(&whole[..end]).await.archive_depth, None, "cut at {end}");
        }
    }
    // A program that unpacks itself, or something that shall look like another.
    for hidden in [&packed[..], b"Rar!\x1a\x07\x01\0...."] {
        let program = [&b"MZ"[..], &vec![0; 100_000], hidden].concat();
        assert_eq!(look(&program).await.archive_depth, None, "an archive behind a program");
    }
}

#[tokio::test]
async fn bzip2_and_zstandard_are_seen_through() {
    let flat = tar(&[("a.txt", b"words"), ("b.exe", b"MZ and more of a program")]);
    let small = Files {
        archives: Archives {
            unpacked: 1024 * 1024,
            ..Archives::default()
        },
        ..Files::default()
    };
    let zeros = vec![0; 8 * 1024 * 1024];
    for (name, pack) in [("bzip2", bzip2 as fn(&[u8]) -> Vec<u8>), ("zstd", zstd)] {
        let evidence = look(&pack(&flat)).await;
        assert_eq!(
            (evidence.archive_depth, names(&evidence)),
            (Some(1), vec!["a.txt", "b.exe"]),
            "{name}"
        );
        let nested = look(&zip(&[("in.tar.x", &pack(&flat))])).await;
        assert_eq!(nested.archive_depth, Some(2), "{name}");
        let bomb = look_with(small.clone(), &pack(&zeros)).await;
        assert_eq!(bomb.archive_depth, None, "{name}: a bomb");
        let whole = pack(&flat);
        for end in [whole.len() / 3, whole.len() - 1] {
            assert_eq!(look(&whole[..end]).await.archive_depth, None, "{name} cut at {end}");
        }
    }
    let packed = zip_by(::zip::CompressionMethod::Bzip2, &[("a.txt", b"words")]);
    let evidence = look(&packed).await;
    assert_eq!((evidence.archive_depth, names(&evidence)), (Some(1), vec!["a.txt"]));
    assert_eq!(&*evidence.text.read, "a.txt\nwords\n", "{:?}", evidence.text);
    // What is passed over may be anything.
    let skipped = [&b"\x51\x2a\x4d\x18\x04\0\0\0abcd"[..], &zstd(&flat)].concat();
    assert_eq!(look(&skipped).await.archive_depth, None);
}

#[tokio::test]
async fn what_asks_for_too_much_memory_is_not_known() {
    // A block of XZ says how large a dictionary it wants: here 4 GiB.
    let mut greedy = xz(b"some words");
    let header = 12;
    let length = (usize::from(greedy[header]) + 1) * 4;
    let property = greedy[header..header + length]
        .windows(2)
        .position(|pair| pair == [0x21, 0x01])
        .unwrap();
    greedy[header + property + 2] = 40;
    let mut sum = flate2::Crc::new();
    sum.update(&greedy[header..header + length - 4]);
    greedy[header + length - 4..header + length].copy_from_slice(&sum.sum().to_le_bytes());
    let evidence = look(&greedy).await;
    assert_eq!(evidence.archive_depth, None);
    greedy[header + property + 2] = 12;
    let mut sum = flate2::Crc::new();
    sum.update(&greedy[header..header + length - 4]);
    greedy[header + length - 4..header + length].copy_from_slice(&sum.sum().to_le_bytes());
    assert_eq!(look(&greedy).await.archive_depth, Some(1), "the same with a small one");
}

#[tokio::test]
async fn macros_and_passwords_are_seen() {
    let document = |parts: &[(&str, &[u8])]| {
        let all: Vec<(&str, &[u8])> = [
            ("[Content_Types].xml", &b"<Types/>"[..]),
            ("_rels/.rels", b"<Relationships/>"),
        ]
        .into_iter()
        .chain(parts.iter().copied())
        .collect();
        zip(&all)
    };
    let plain = document(&[("word/document.xml", b"<w/>")]);
    let evidence = look(&plain).await;
    assert!(
        evidence.sniffed.as_deref().unwrap().contains("wordprocessingml"),
        "{evidence:?}"
    );
    assert_eq!(
        (evidence.archive_depth, evidence.macros),
        (Some(0), Some(false)),
        "a document is no archive"
    );
    let with_macros = document(&[("word/document.xml", b"<w/>"), ("word/vbaProject.bin", b"x")]);
    assert_eq!(look(&with_macros).await.macros, Some(true));
    assert_eq!(look(&zip(&[("in.docm", &with_macros)])).await.macros, Some(true));
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let old = |part: &str| {
        [
            &b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"[..],
            &vec![0; 100_000],
            &utf16(part),
        ]
        .concat()
    };
    assert_eq!(look(&old("_VBA_PROJECT")).await.macros, Some(true));
    assert_eq!(look(&old("WordDocument")).await.macros, Some(false));
    assert_eq!(look(&old("EncryptedPackage")).await.encrypted, Some(true));

    let mut locked = zip(&[("secret.txt", b"words")]);
    // The flag "encrypted", in the header of the file and in the list.
    for (mark, offset) in [(b"PK\x03\x04", 6), (b"PK\x01\x02", 8)] {
        let at = locked.windows(4).position(|window| window == mark).unwrap();
        locked[at + offset] |= 1;
    }
    let evidence = look(&locked).await;
    assert_eq!((evidence.encrypted, evidence.archive_depth), (Some(true), None));
    assert_eq!(names(&evidence), ["secret.txt"]);
}

#[tokio::test]
async fn what_is_delivered_is_what_was_examined() {
    let network = Network::default();
    network.put("one", "the first wording");
    let (inspector, _folder) = inspector(Files {
        kept: 0,
        ..Files::default()
    });
    let mut outbound = with_files(&[("one", "a.txt")]);
    let evidence = inspector.examine(&network, &mut outbound).await.unwrap();
    assert_eq!(evidence[0].size, Some(17));
    let attachment = outbound.content.message().unwrap().attachments[0].clone();
    assert_ne!(attachment.media, media("one"));
    assert_eq!(attachment.size, Some(17));
    let opened = inspector.open(&network, &attachment.media).await.unwrap().unwrap();
    assert_eq!(opened.size, Some(17));
    assert_eq!(read(opened).await, b"the first wording");
    // Nothing is kept here, so it is fetched again; but it is another file now.
    network.put("one", "another wording!!");
    let opened = inspector.open(&network, &attachment.media).await.unwrap();
    assert!(matches!(opened, Err(MediaError::Refused(_))));
    assert!(
        inspector.open(&network, &media("one")).await.is_none(),
        "not one of ours"
    );
    // An event that is examined again is examined as it is now.
    inspector.examine(&network, &mut outbound).await.unwrap();
    let again = &outbound.content.message().unwrap().attachments[0].media;
    assert_ne!(again, &attachment.media);
    let opened = inspector.open(&network, again).await.unwrap().unwrap();
    assert_eq!(read(opened).await, b"another wording!!");
}

#[tokio::test]
async fn a_file_is_fetched_once_for_all_destinations() {
    let network = Network::default();
    network.put("one", vec![7; 100_000]);
    let (inspector, folder) = inspector(Files::default());
    let tasks = (0..10).map(|_| async {
        let mut outbound = with_files(&[("one", "a.bin")]);
        inspector.examine(&network, &mut outbound).await.unwrap();
        let media = &outbound.content.message().unwrap().attachments[0].media;
        read(inspector.open(&network, media).await.unwrap().unwrap())
            .await
            .len()
    });
    assert_eq!(futures_util::future::join_all(tasks).await, [100_000; 10]);
    assert_eq!(network.opened(), 1);
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        0,
        "nothing is left if the hub is killed"
    );
}

#[tokio::test]
async fn what_passes_is_tried_again_and_what_does_not_is_unknown() {
    let network = Network::default();
    let (inspector, _folder) = inspector(Files {
        largest: 1000,
        ..Files::default()
    });
    network.fail("busy", MediaError::Retry("busy".to_owned()));
    let mut outbound = with_files(&[("busy", "a.txt")]);
    let before = outbound.clone();
    assert_eq!(inspector.examine(&network, &mut outbound).await.unwrap_err().0, "busy");
    assert_eq!(outbound, before);
    network.put("busy", "words");
    inspector.examine(&network, &mut outbound).await.unwrap();

    network.put("large", vec![0; 1001]);
    network.fail("refused", MediaError::Refused("no".to_owned()));
    let mut outbound = with_files(&[("large", "a.txt"), ("refused", "b.txt"), ("gone", "c.txt")]);
    let evidence = inspector.examine(&network, &mut outbound).await.unwrap();
    assert_eq!(evidence.iter().map(|one| one.attachment).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(evidence[0].size, Some(1001));
    assert_eq!((evidence[1].size, evidence[1].archive_depth), (None, None));
    assert_eq!(outbound.content.message().unwrap().attachments[2].media, media("gone"));
}

#[tokio::test]
async fn a_rule_takes_metadata_away() {
    let network = Network::default();
    network.put("picture", png_with_place());
    network.put("odd", b"GIF89a and more");
    network.put(
        "gif",
        b"GIF89a\x01\0\x01\0\0\0\0!\xfe\x0bmade at 52.\0,\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0;",
    );
    network.put("bitmap", b"BM and more");
    network.put("text", "words");
    let (inspector, _folder) = inspector(Files::default());
    let policy: Policy = serde_json::from_value(serde_json::json!({ "rules": [{
        "name": "places", "attachments": { "types": ["image/*"] }, "action": "strip_metadata"
    }] }))
    .unwrap();
    let filter = Filter::compile(policy).unwrap();
    assert!(filter.looks_at_files());
    let decide = async |files: &[(&str, &str)]| {
        let mut outbound = with_files(files);
        let evidence = inspector.examine(&network, &mut outbound).await.unwrap();
        let context = Context {
            evidence: &evidence,
            ..Context::default()
        };
        (evidence.clone(), decide_all([&filter], &context, outbound))
    };
    let (evidence, decision) = decide(&[("picture", "a.png"), ("text", "b.txt")]).await;
    assert!(matches!(evidence[0].metadata, Metadata::Removable { .. }));
    assert_eq!(evidence[1].metadata, Metadata::Absent);
    let Decision::Pass { outbound, .. } = decision else {
        panic!("{decision:?}");
    };
    let attachment = &outbound.content.message().unwrap().attachments[0];
    let opened = inspector.open(&network, &attachment.media).await.unwrap().unwrap();
    assert_eq!(opened.size, attachment.size);
    assert_eq!(opened.mime.as_deref(), Some("image/png"));
    let bytes = read(opened).await;
    assert_eq!(Some(bytes.len() as u64), attachment.size);
    assert!(!String::from_utf8_lossy(&bytes).contains("52.5"));
    let (clean, _) = inspector.inspect(pieces(&bytes), &Declared::default()).await.unwrap();
    assert_eq!(clean.sniffed.as_deref(), Some("image/png"));

    let (evidence, decision) = decide(&[("gif", "a.gif")]).await;
    assert!(
        matches!(evidence[0].metadata, Metadata::Removable { size: 29, .. }),
        "{evidence:?}"
    );
    assert!(matches!(decision, Decision::Pass { .. }), "{decision:?}");
    for odd in ["odd", "bitmap"] {
        let (_, decision) = decide(&[(odd, "a.gif")]).await;
        assert!(
            matches!(decision, Decision::Hold(_)),
            "what cannot be freed of it does not cross: {decision:?}"
        );
    }
}
