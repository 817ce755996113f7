//! The ledger on disk: recovery at every byte, and every kind of tampering.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use crate::note::{Signer, Verifier};
use crate::outbox::Numbered;
use crate::testing::{Chance, Other, delivered, small};
use crate::{
    Action, Format, Ledger, LedgerError, Options, Problem, Query, Reader, Record, check_export, export, find, merkle,
    segment, verify,
};

const ORIGIN: &str = "hub.example.org/ledger";

// Making a key takes its time in an unoptimised build.
static SIGNER: LazyLock<Signer> = LazyLock::new(|| Signer::generate(ORIGIN, &Chance).unwrap());

fn signer() -> Signer {
    SIGNER.clone()
}

fn key() -> Verifier {
    SIGNER.verifier()
}

fn open(folder: &Path) -> Result<Ledger, LedgerError> {
    Ledger::open(
        folder,
        signer(),
        Options {
            segment_bytes: 100,
            ..Options::new(ORIGIN)
        },
    )
}

/// Small entries with these numbers.
fn batch(numbers: impl IntoIterator<Item = u64>) -> Vec<Numbered> {
    numbers
        .into_iter()
        .map(|number| Numbered {
            number,
            entry: small(number).into(),
        })
        .collect()
}

/// A ledger of so many small entries, appended in batches of two, in several segments.
fn ledger(folder: &Path, size: u64) -> Ledger {
    let mut ledger = open(folder).unwrap();
    for two in batch(0..size).chunks(2) {
        ledger.append(two).unwrap();
    }
    ledger
}

fn records(folder: &Path) -> Vec<Record> {
    Reader::open(folder, &key()).unwrap().collect::<Result<_, _>>().unwrap()
}

fn copy(from: &Path, to: &Path) {
    for file in fs::read_dir(from).unwrap() {
        let path = file.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

/// Everything that `verify` is about: segments and checkpoint.
fn evidence(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = segment::list(folder)
        .unwrap()
        .iter()
        .map(|first| segment::path(folder, *first))
        .collect();
    files.push(folder.join(segment::CHECKPOINT));
    files
}

#[test]
fn what_is_appended_is_read_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    drop(ledger(folder.path(), 9));
    assert!(segment::list(folder.path()).unwrap().len() > 2);
    let wanted: Vec<_> = (0..9)
        .map(|seq| Record {
            seq,
            number: seq,
            entry: small(seq),
        })
        .collect();
    assert_eq!(records(folder.path()), wanted);
    let mut ledger = open(folder.path()).unwrap();
    assert_eq!(ledger.size(), 9);
    assert_eq!(ledger.append(&batch([9])).unwrap(), 10);
    let verified = verify(folder.path(), &key(), &[]).unwrap();
    assert_eq!((verified.records, verified.problems), (10, vec![]));
    for seq in 0..12 {
        let rest = Reader::open(folder.path(), &key()).unwrap().from(seq).unwrap();
        let found: Vec<u64> = rest.map(|record| record.unwrap().seq).collect();
        assert_eq!(found, (seq..10).collect::<Vec<_>>());
    }
}

#[test]
fn the_hint_may_be_missing_or_wrong() {
    let folder = tempfile::tempdir().unwrap();
    drop(ledger(folder.path(), 9));
    let hint = folder.path().join("frontier");
    let right = fs::read(&hint).unwrap();
    for wrong in [
        Vec::new(),
        b"{}".to_vec(),
        right.iter().map(|b| if *b == b'1' { b'2' } else { *b }).collect(),
    ] {
        fs::write(&hint, wrong).unwrap();
        assert_eq!(open(folder.path()).unwrap().size(), 9);
    }
    fs::remove_file(&hint).unwrap();
    let mut ledger = open(folder.path()).unwrap();
    ledger.append(&batch([9])).unwrap();
    assert!(verify(folder.path(), &key(), &[]).unwrap().is_good());
}

#[test]
fn a_batch_given_again_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = ledger(folder.path(), 4);
    let before = ledger.checkpoint().to_owned();
    assert_eq!(ledger.append(&batch(2..4)).unwrap(), 4);
    assert_eq!(ledger.checkpoint(), before);
    // A commit that failed leaves a gap: there is no entry with number 4.
    assert_eq!(ledger.append(&batch([2, 3, 5, 6])).unwrap(), 6);
    assert_eq!(ledger.last(), Some(6));
    assert_eq!(ledger.append(&batch([2, 3])).unwrap(), 6);
    let wrong = [
        Numbered {
            number: 6,
            entry: small(99).into(),
        },
        Numbered {
            number: 7,
            entry: small(7).into(),
        },
    ];
    assert_eq!(ledger.append(&wrong), Err(LedgerError::Conflict(6)));
    assert_eq!(ledger.append(&batch([4, 7])), Err(LedgerError::Conflict(4)));
    assert_eq!(ledger.append(&batch(0..7)), Err(LedgerError::Conflict(4)));
    assert_eq!(ledger.append(&batch([8, 7])), Err(LedgerError::Order(7)));
    assert_eq!(ledger.append(&batch([7, 7])), Err(LedgerError::Order(7)));
    drop(ledger);
    let mut ledger = open(folder.path()).unwrap();
    assert_eq!(ledger.last(), Some(6));
    assert_eq!(ledger.append(&batch([7])).unwrap(), 7);
    assert_eq!(records(folder.path()).len(), 7);
}

/// A kill leaves the last batch written up to any byte, its checkpoint not yet signed. What was signed stays, and the batch,
/// which is still in the outbox, is there once after it was given again.
#[test]
fn a_kill_at_any_byte_of_the_last_batch_loses_and_doubles_nothing() {
    for signed in [0, 3] {
        let old = tempfile::tempdir().unwrap();
        drop(ledger(old.path(), signed));
        let last_batch = batch(signed..signed + 2);
        let full = tempfile::tempdir().unwrap();
        copy(old.path(), full.path());
        open(full.path()).unwrap().append(&last_batch).unwrap();

        let last = *segment::list(full.path()).unwrap().last().unwrap();
        let written = fs::read(segment::path(full.path(), last)).unwrap();
        let before = fs::read(segment::path(old.path(), last)).map_or(0, |bytes| bytes.len());
        for new_hint in [false, true] {
            for cut in before..=written.len() {
                let folder = tempfile::tempdir().unwrap();
                copy(old.path(), folder.path());
                if new_hint {
                    fs::copy(full.path().join("frontier"), folder.path().join("frontier")).unwrap();
                }
                fs::write(segment::path(folder.path(), last), &written[..cut]).unwrap();
                let mut ledger = open(folder.path()).unwrap();
                assert_eq!(ledger.size(), signed, "cut at {cut}");
                // Signing and waiting for the device take their time; at the borders of lines and in between a few suffice.
                if cut % 9 == 0 || written[..cut].ends_with(b"\n") {
                    assert_eq!(ledger.append(&last_batch).unwrap(), signed + 2);
                    assert_eq!(records(folder.path()), records(full.path()));
                    assert!(verify(folder.path(), &key(), &[]).unwrap().is_good());
                }
                let kept = fs::read(folder.path().join(format!("unsigned-{signed}.tail"))).unwrap_or_default();
                assert_eq!(kept, &written[before..cut]);
            }
        }
    }
}

#[test]
fn what_was_signed_is_never_silently_cut() {
    let original = tempfile::tempdir().unwrap();
    drop(ledger(original.path(), 3));
    let last = segment::path(
        original.path(),
        *segment::list(original.path()).unwrap().last().unwrap(),
    );
    for file in evidence(original.path()) {
        let bytes = fs::read(&file).unwrap();
        for cut in 0..bytes.len() {
            let folder = tempfile::tempdir().unwrap();
            copy(original.path(), folder.path());
            fs::write(folder.path().join(file.file_name().unwrap()), &bytes[..cut]).unwrap();
            assert!(
                !verify(folder.path(), &key(), &[]).unwrap().is_good(),
                "{file:?} cut at {cut}"
            );
            // Opening reads the end only: it notices what is missing there, and leaves everything as it is.
            if file.ends_with(segment::CHECKPOINT) || file == last {
                assert!(
                    matches!(open(folder.path()), Err(LedgerError::Damaged { .. })),
                    "{file:?} cut at {cut}"
                );
                assert_eq!(
                    fs::read(folder.path().join(file.file_name().unwrap())).unwrap(),
                    &bytes[..cut]
                );
            }
        }
        let folder = tempfile::tempdir().unwrap();
        copy(original.path(), folder.path());
        fs::remove_file(folder.path().join(file.file_name().unwrap())).unwrap();
        assert!(!verify(folder.path(), &key(), &[]).unwrap().is_good());
    }
}

#[test]
fn every_changed_byte_is_detected() {
    let folder = tempfile::tempdir().unwrap();
    drop(ledger(folder.path(), 5));
    let checkpoint = folder.path().join(segment::CHECKPOINT);
    let mut tried = 0;
    for file in evidence(folder.path()) {
        let bytes = fs::read(&file).unwrap();
        for position in 0..bytes.len() {
            for change in if file == checkpoint {
                [0x01, 0x80].as_slice()
            } else {
                &[0x01]
            } {
                let mut changed = bytes.clone();
                changed[position] ^= change;
                fs::write(&file, &changed).unwrap();
                let verified = verify(folder.path(), &key(), &[]).unwrap();
                assert!(!verified.is_good(), "{file:?}, byte {position} changed by {change:#x}");
                tried += 1;
            }
        }
        fs::write(&file, &bytes).unwrap();
    }
    assert!(tried > 400, "only {tried} changes were tried");
    assert!(verify(folder.path(), &key(), &[]).unwrap().is_good());
}

#[test]
fn every_dropped_swapped_doubled_or_added_line_is_detected() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options::new(ORIGIN);
    let mut ledger = Ledger::open(folder.path(), signer(), options).unwrap();
    // Equal entries, so that only their numbers tell them apart.
    ledger
        .append(
            &batch(0..5)
                .into_iter()
                .map(|entry| Numbered {
                    entry: small(1).into(),
                    ..entry
                })
                .collect::<Vec<_>>(),
        )
        .unwrap();
    drop(ledger);
    let file = segment::path(folder.path(), 0);
    let whole = fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let mut forgeries = vec![Vec::new()];
    for first in 0..lines.len() {
        let mut dropped = lines.clone();
        dropped.remove(first);
        forgeries.push(dropped);
        let mut doubled = lines.clone();
        doubled.insert(first, lines[first]);
        forgeries.push(doubled);
        for second in first + 1..lines.len() {
            let mut swapped = lines.clone();
            swapped.swap(first, second);
            forgeries.push(swapped);
        }
    }
    let more = String::from_utf8(
        Record {
            seq: 5,
            number: 5,
            entry: small(5),
        }
        .line()
        .unwrap(),
    )
    .unwrap()
        + "\n";
    forgeries.push([lines.clone(), vec![&more]].concat());
    for forged in forgeries {
        fs::write(&file, forged.concat()).unwrap();
        assert!(!verify(folder.path(), &key(), &[]).unwrap().is_good(), "{forged:?}");
    }
    fs::write(&file, whole).unwrap();
    assert!(verify(folder.path(), &key(), &[]).unwrap().is_good());
}

#[test]
fn an_older_state_as_a_whole_is_shown_by_a_checkpoint_kept_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = ledger(folder.path(), 4);
    let older = tempfile::tempdir().unwrap();
    copy(folder.path(), older.path());
    let early = ledger.checkpoint().to_owned();
    ledger.append(&batch([4])).unwrap();
    let late = ledger.checkpoint().to_owned();
    assert!(
        verify(folder.path(), &key(), &[early.clone(), late.clone()])
            .unwrap()
            .is_good()
    );
    assert!(verify(older.path(), &key(), &[early]).unwrap().is_good());
    let found = verify(older.path(), &key(), &[late]).unwrap().problems;
    assert!(matches!(found.as_slice(), [Problem::Elsewhere(_)]), "{found:?}");

    // Another history, well signed with the right key, is not the one that was seen.
    let forged = tempfile::tempdir().unwrap();
    let mut other = open(forged.path()).unwrap();
    let mut history = batch(0..5);
    history[2].entry = small(99).into();
    other.append(&history).unwrap();
    assert!(verify(forged.path(), &key(), &[]).unwrap().is_good());
    let found = verify(forged.path(), &key(), &[ledger.checkpoint().to_owned()])
        .unwrap()
        .problems;
    assert_eq!(found, [Problem::Root { size: 5 }]);
}

#[test]
fn only_the_right_key_and_name_open_it_and_only_once() {
    let folder = tempfile::tempdir().unwrap();
    let open_ledger = ledger(folder.path(), 2);
    assert!(matches!(open(folder.path()), Err(LedgerError::Locked(_))));
    drop(open_ledger);
    let stranger = || Signer::generate(ORIGIN, &Other).unwrap();
    assert!(matches!(
        Ledger::open(folder.path(), stranger(), Options::new(ORIGIN)),
        Err(LedgerError::Damaged { .. })
    ));
    assert!(matches!(
        Ledger::open(folder.path(), signer(), Options::new("else")),
        Err(LedgerError::Damaged { .. })
    ));
    assert!(!verify(folder.path(), &stranger().verifier(), &[]).unwrap().is_good());
    fs::remove_file(folder.path().join(segment::CHECKPOINT)).unwrap();
    assert!(matches!(open(folder.path()), Err(LedgerError::Damaged { .. })));
    assert!(!segment::list(folder.path()).unwrap().is_empty());
}

#[test]
fn a_record_can_be_shown_to_be_in_the_ledger() {
    let folder = tempfile::tempdir().unwrap();
    drop(ledger(folder.path(), 7));
    let reader = Reader::open(folder.path(), &key()).unwrap();
    let checkpoint = reader.checkpoint().clone();
    let lines: Vec<Vec<u8>> = reader.map(|record| record.unwrap().line().unwrap()).collect();
    let leaves: Vec<_> = lines.iter().map(|line| merkle::leaf(line)).collect();
    let proof = merkle::inclusion_proof(&leaves, 4).unwrap();
    assert!(merkle::verify_inclusion(
        &merkle::leaf(&lines[4]),
        4,
        checkpoint.size,
        &proof,
        &checkpoint.root
    ));
    assert!(!merkle::verify_inclusion(
        &merkle::leaf(b"other"),
        4,
        checkpoint.size,
        &proof,
        &checkpoint.root
    ));
}

#[test]
fn exports_are_what_their_manifest_says() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = open(folder.path()).unwrap();
    let mut four = batch(0..4);
    four[1].entry = delivered(1).into();
    four[3].entry = delivered(3).into();
    ledger.append(&four).unwrap();
    let reader = || Reader::open(folder.path(), &key()).unwrap();
    let query = Query {
        actions: vec![Action::Delivered],
        ..Query::default()
    };
    let found: Vec<u64> = find(reader(), &query, 10)
        .unwrap()
        .iter()
        .map(|record| record.seq)
        .collect();
    assert_eq!(found, [1, 3]);
    assert_eq!(find(reader(), &query, 1).unwrap().len(), 1);
    for format in [Format::Jsonl, Format::Csv] {
        let mut bytes = Vec::new();
        let now = viaduct_model::Timestamp(1_782_950_400_000);
        let manifest = export(reader(), &query, format, &mut bytes, &signer(), now).unwrap();
        let text = check_export(&mut bytes.as_slice(), &manifest, &key()).unwrap();
        assert!(text.contains("records 2\n"), "{text}");
        bytes[5] ^= 1;
        assert!(check_export(&mut bytes.as_slice(), &manifest, &key()).is_err());
        assert!(
            check_export(
                &mut bytes.as_slice(),
                &manifest.replace("records 2", "records 3"),
                &key()
            )
            .is_err()
        );
    }
}
