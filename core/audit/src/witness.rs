//! Witnesses: a partner's hub cosigns that it saw a ledger at some state, and never cosigns two states of which one does not
//! continue the other. Then not even whoever holds a ledger's key and disk can tell different people different histories.
//!
//! What is asked and answered follows C2SP `tlog-witness`: the size the witness saw last, a proof that the new state continues
//! it, and the signed checkpoint; the answer is the checkpoint with the witness's cosignature. How the two hubs talk is up to
//! whoever carries the texts.
//!
//! ```text
//!   hub                                    partner's hub
//!   WitnessRequest::of(ledger, old) ─────▶ Witness::cosign ── proof good, memory durable ──┐
//!   kept beside the ledger, or anywhere ◀── note with the cosignature ◀────────────────────┘
//!   verify(ledger, key, [note]) and Verifier::cosigned(note), by anybody, offline
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use viaduct_model::Timestamp;

use crate::LedgerError;
use crate::keys::sync_folder;
use crate::merkle::{Hash, consistency_proof, leaf, root, verify_consistency};
use crate::note::{Checkpoint, Signer, Verifier};
use crate::reader::Reader;
use crate::text::hex;

/// A longer proof is none: a tree of 2^63 entries needs no more.
const PROOF_BOUND: usize = 63;

/// What a hub asks of a witness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessRequest {
    /// The size of the ledger that the witness cosigned last; 0 at first.
    pub old: u64,
    /// That the new state continues that one (RFC 6962, 2.1.2).
    pub proof: Vec<Hash>,
    /// The signed checkpoint of the new state.
    pub note: String,
}

impl WitnessRequest {
    /// Asks about the ledger in a folder as it is now. Reads all of it, with 32 bytes of memory for each entry.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Damaged`] if the ledger is not as it was signed; [`LedgerError::Note`] if it was never so large.
    pub fn of(folder: &Path, verifier: &Verifier, old: u64) -> Result<Self, LedgerError> {
        let note = crate::segment::checkpoint_note(folder)?;
        let checkpoint = verifier.open(&note).and_then(Checkpoint::parse)?;
        let mut reader = Reader::open(folder, verifier)?;
        let mut leaves = Vec::new();
        while (leaves.len() as u64) < checkpoint.size {
            match reader.line()? {
                Some(line) => leaves.push(leaf(&line)),
                None => break,
            }
        }
        if root(&leaves) != checkpoint.root {
            return Err(LedgerError::damaged(folder, "an entry is not as it was signed"));
        }
        let size = usize::try_from(old).ok().filter(|size| *size <= leaves.len());
        let size = size.ok_or_else(|| LedgerError::note(format!("the ledger never had {old} entries")))?;
        let proof = consistency_proof(&leaves, size).unwrap_or_default();
        Ok(Self { old, proof, note })
    }

    /// Reads the text that its display gives.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Note`] if it is not such a text.
    pub fn parse(text: &str) -> Result<Self, LedgerError> {
        let bad = || LedgerError::note("this is no request to a witness");
        let (head, note) = text.split_once("\n\n").ok_or_else(bad)?;
        let mut lines = head.lines();
        let old = lines
            .next()
            .and_then(|line| line.strip_prefix("old "))
            .ok_or_else(bad)?;
        let old = old.parse().map_err(|_| bad())?;
        let mut proof = Vec::new();
        for line in lines {
            let hash = STANDARD.decode(line).ok().and_then(|bytes| Hash::try_from(bytes).ok());
            proof.push(hash.filter(|_| proof.len() < PROOF_BOUND).ok_or_else(bad)?);
        }
        Ok(Self {
            old,
            proof,
            note: note.to_owned(),
        })
    }
}

impl fmt::Display for WitnessRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        for hash in &self.proof {
            writeln!(f, "{}", STANDARD.encode(hash))?;
        }
        write!(f, "\n{}", self.note)
    }
}

/// Why a witness does not cosign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WitnessError {
    /// The witness was not told of such a ledger.
    #[error("this witness does not know a ledger {0:?}")]
    Unknown(String),
    /// The checkpoint is not signed by the ledger's key, or is none.
    #[error("the checkpoint cannot be trusted: {0}")]
    Untrusted(String),
    /// The witness saw the ledger at another size than the request says; ask again from that size.
    #[error("this witness saw the ledger last with {seen} entries; ask again from there")]
    Stale {
        /// The size it saw last.
        seen: u64,
    },
    /// The new state does not continue the one seen before. Somebody rewrote the ledger: tell the people concerned.
    #[error("the ledger with {size} entries does not continue the one seen before")]
    Fork {
        /// The size of the new state.
        size: u64,
    },
    /// The witness's memory cannot be used, so that it cannot cosign anything.
    #[error(transparent)]
    Memory(#[from] LedgerError),
}

/// Cosigns other hubs' ledgers. Remembers what it saw in a folder, one small file for each ledger.
#[derive(Debug)]
pub struct Witness {
    folder: PathBuf,
    signer: Signer,
    ledgers: BTreeMap<String, Verifier>,
}

impl Witness {
    /// A witness with a key of its own (not the one of a ledger) and these ledgers by their names (origins).
    pub fn new(folder: &Path, signer: Signer, ledgers: BTreeMap<String, Verifier>) -> Self {
        Self {
            folder: folder.to_owned(),
            signer,
            ledgers,
        }
    }

    /// What others check its cosignatures with.
    pub fn verifier(&self) -> Verifier {
        self.signer.verifier()
    }

    /// Cosigns a checkpoint that continues the one seen last, and gives it with the cosignature ([`Verifier::cosigned`]). What
    /// was seen is durable before that. Blocks.
    ///
    /// # Errors
    ///
    /// Every reason not to.
    pub fn cosign(&mut self, request: &WitnessRequest, now: Timestamp) -> Result<String, WitnessError> {
        let origin = request.note.lines().next().unwrap_or_default();
        let verifier = self.ledgers.get(origin);
        let verifier = verifier.ok_or_else(|| WitnessError::Unknown(origin.to_owned()))?;
        let untrusted = |error: LedgerError| WitnessError::Untrusted(error.to_string());
        let new = verifier
            .open(&request.note)
            .and_then(Checkpoint::parse)
            .map_err(untrusted)?;
        let path = self.folder.join(format!("{}.seen", hex(&Sha256::digest(origin))));
        let seen = Self::seen(&path, verifier)?;
        let old = seen.as_ref().map_or(0, |seen| seen.size);
        if request.old != old {
            return Err(WitnessError::Stale { seen: old });
        }
        let continues = match &seen {
            Some(seen) if seen.size > 0 => {
                verify_consistency((seen.size, &seen.root), (new.size, &new.root), &request.proof)
            }
            _ => request.proof.is_empty(),
        };
        if !continues {
            return Err(WitnessError::Fork { size: new.size });
        }
        self.remember(&path, &request.note)?;
        Ok(self.signer.cosign(&request.note, now)?)
    }

    /// The last state of a ledger that was cosigned.
    fn seen(path: &Path, verifier: &Verifier) -> Result<Option<Checkpoint>, LedgerError> {
        match fs::read_to_string(path) {
            Ok(note) => {
                let seen = verifier.open(&note).and_then(Checkpoint::parse);
                seen.map(Some)
                    .map_err(|error| LedgerError::damaged(path, error.to_string()))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(LedgerError::io(path)(error)),
        }
    }

    fn remember(&self, path: &Path, note: &str) -> Result<(), LedgerError> {
        fs::create_dir_all(&self.folder).map_err(LedgerError::io(&self.folder))?;
        let new = path.with_extension("new");
        let mut file = File::create(&new).map_err(LedgerError::io(&new))?;
        file.write_all(note.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(LedgerError::io(&new))?;
        fs::rename(&new, path).map_err(LedgerError::io(path))?;
        sync_folder(&self.folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::Numbered;
    use crate::testing::{Chance, Other, small};
    use crate::{Ledger, Options, verify};

    const ORIGIN: &str = "hub.example.org/ledger";

    fn ledger(folder: &Path, numbers: std::ops::Range<u64>, tweak: u64) {
        let signer = Signer::generate(ORIGIN, &Chance).unwrap();
        let mut ledger = Ledger::open(folder, signer, Options::new(ORIGIN)).unwrap();
        for number in numbers {
            let entry = small(number + tweak);
            ledger
                .append(&[Numbered {
                    number,
                    entry: entry.into(),
                }])
                .unwrap();
        }
    }

    fn key() -> Verifier {
        Signer::generate(ORIGIN, &Chance).unwrap().verifier()
    }

    fn witness(folder: &Path) -> Witness {
        let signer = Signer::generate("partner.example.net/witness", &Other).unwrap();
        Witness::new(folder, signer, BTreeMap::from([(ORIGIN.to_owned(), key())]))
    }

    #[test]
    fn another_hubs_checkpoint_is_cosigned_and_anybody_can_check_it() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (mut old, mut notes) = (0, Vec::new());
        for size in [0, 1, 2, 7, 7, 20] {
            ledger(here.path(), old..size, 0);
            let request = WitnessRequest::of(here.path(), &key(), old).unwrap();
            // As text from hub to hub; and the witness is a new one each time, as after a restart.
            let request = WitnessRequest::parse(&request.to_string()).unwrap();
            let mut witness = witness(there.path());
            let now = Timestamp::from_secs(1_800_000_000 + size);
            let note = witness.cosign(&request, now).unwrap();
            assert_eq!(witness.verifier().cosigned(&note), Ok(now));
            assert!(key().open(&note).is_ok(), "the ledger's own signature is still there");
            assert!(
                verify(here.path(), &key(), std::slice::from_ref(&note))
                    .unwrap()
                    .is_good()
            );
            notes.push(note);
            old = size;
        }
        // All of them still fit the ledger as it is now.
        assert!(verify(here.path(), &key(), &notes).unwrap().is_good());
    }

    #[test]
    fn a_rewritten_ledger_is_not_cosigned_and_shows() {
        let (here, rewritten, there) = (
            tempfile::tempdir().unwrap(),
            tempfile::tempdir().unwrap(),
            tempfile::tempdir().unwrap(),
        );
        let mut witness = witness(there.path());
        ledger(here.path(), 0..5, 0);
        let first = WitnessRequest::of(here.path(), &key(), 0).unwrap();
        let seen = witness.cosign(&first, Timestamp(0)).unwrap();
        // Signed with the right key, but another history.
        ledger(rewritten.path(), 0..9, 1);
        let forged = WitnessRequest::of(rewritten.path(), &key(), 5).unwrap();
        assert_eq!(
            witness.cosign(&forged, Timestamp(0)),
            Err(WitnessError::Fork { size: 9 })
        );
        assert!(!verify(rewritten.path(), &key(), &[seen]).unwrap().is_good());
        // The true one goes on.
        ledger(here.path(), 5..9, 0);
        let stale = WitnessRequest::of(here.path(), &key(), 0).unwrap();
        assert_eq!(
            witness.cosign(&stale, Timestamp(0)),
            Err(WitnessError::Stale { seen: 5 })
        );
        let good = WitnessRequest::of(here.path(), &key(), 5).unwrap();
        assert!(witness.cosign(&good, Timestamp(0)).is_ok());
    }

    #[test]
    fn only_known_ledgers_with_their_key_are_cosigned() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut witness = witness(there.path());
        ledger(here.path(), 0..2, 0);
        let good = WitnessRequest::of(here.path(), &key(), 0).unwrap();
        let other = Signer::generate(ORIGIN, &Other).unwrap();
        let text = key().open(&good.note).unwrap();
        let forged = WitnessRequest {
            note: other.sign(text).unwrap(),
            ..good.clone()
        };
        assert!(matches!(
            witness.cosign(&forged, Timestamp(0)),
            Err(WitnessError::Untrusted(_))
        ));
        let unknown = WitnessRequest {
            note: good.note.replace(ORIGIN, "else.example.org/ledger"),
            ..good.clone()
        };
        assert!(matches!(
            witness.cosign(&unknown, Timestamp(0)),
            Err(WitnessError::Unknown(_))
        ));
        assert!(WitnessRequest::of(here.path(), &key(), 3).is_err());
        for bad in ["", "old x\n\nnote", "old 1\nAAAA\n\nnote", "1\n\nnote"] {
            assert!(WitnessRequest::parse(bad).is_err(), "{bad:?}");
        }
    }
}
