//! Reports, remembered for a while by what the file holds, within a bound on the memory that their texts take.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lru::LruCache;
use tokio::time::Instant;

use crate::report::Report;
use crate::spool::Digest256;

/// How many reports are remembered.
const REPORTS: NonZeroUsize = NonZeroUsize::new(2048).unwrap();
/// How long a report is believed: signatures of malware change.
const BELIEVED: Duration = Duration::from_hours(1);
/// The most that the texts of all of them may have, in bytes.
const TEXTS: u64 = 16 * 1024 * 1024;

/// Reports by what the file holds.
pub(crate) struct Remembered(Mutex<Reports>);

struct Reports {
    known: LruCache<Digest256, (Arc<Report>, Instant)>,
    texts: u64,
}

impl Remembered {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Reports {
            known: LruCache::new(REPORTS),
            texts: 0,
        }))
    }

    /// The report about a file that holds this.
    pub(crate) fn get(&self, digest: &Digest256) -> Option<Arc<Report>> {
        let mut reports = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (report, since) = reports.known.get(digest)?;
        (since.elapsed() < BELIEVED).then(|| report.clone())
    }

    /// Remembers a report, and forgets others for it that were not asked for the longest.
    pub(crate) fn put(&self, digest: Digest256, report: Arc<Report>) {
        let mut reports = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reports = &mut *reports;
        reports.texts += report.text_length();
        if let Some((_, (old, _))) = reports.known.push(digest, (report, Instant::now())) {
            reports.texts -= old.text_length();
        }
        while reports.texts > TEXTS {
            let Some((_, (old, _))) = reports.known.pop_lru() else {
                break;
            };
            reports.texts -= old.text_length();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn texts_are_forgotten_before_they_are_too_much() {
        let remembered = Remembered::new();
        let long = Arc::new(Report::of_text(&"x".repeat(1024 * 1024)));
        for number in 0..40 {
            remembered.put([number; 32], long.clone());
            remembered.put([number; 32], long.clone());
        }
        assert!(remembered.get(&[0; 32]).is_none());
        assert!(remembered.get(&[39; 32]).is_some());
        assert_eq!(remembered.0.lock().unwrap().texts, TEXTS);
    }
}
