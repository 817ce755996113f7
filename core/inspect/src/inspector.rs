//! From a file somewhere to what the filter may know about it, and to the very bytes that were looked into.

use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use lru::LruCache;
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::Instant;
use tracing::instrument;
use viaduct_bridge::{Media, MediaError, MediaSource, MediaStream, Probe};
use viaduct_compliance::{Evidence, Metadata, ScanResult};
use viaduct_model::{MediaRef, Outbound};

use crate::pin::{Form, Pin};
use crate::remembered::Remembered;
use crate::report::{Report, report};
use crate::scanner::Scanner;
use crate::settings::Files;
use crate::spool::{Spool, SpoolError, blocking};
use crate::{metric, picture};

/// How many files are kept, by where they are.
const FILES: NonZeroUsize = NonZeroUsize::new(256).unwrap();
/// How long a file is kept.
const KEPT: Duration = Duration::from_mins(10);

/// Why files cannot be looked into at all.
#[derive(Debug, thiserror::Error)]
#[error("files on their way are kept in {folder}, which cannot be used: {reason}")]
pub struct InspectError {
    folder: String,
    reason: io::Error,
}

/// Something passing: the file, or the disk, cannot be had now. Try again; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Later(pub String);

/// What a source says about a file. Nothing of it is believed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Declared {
    /// Its name.
    pub name: String,
    /// Its media type.
    pub mime: Option<String>,
    /// Its size in bytes.
    pub size: Option<u64>,
}

/// A file that was looked into, on the disk. Cheap to clone; the disk is freed when the last clone is gone.
#[derive(Debug, Clone)]
pub struct Inspected {
    original: Spool,
    /// The same picture without metadata.
    stripped: Option<Spool>,
    report: Arc<Report>,
}

impl Inspected {
    /// Its real size in bytes.
    pub fn size(&self) -> u64 {
        self.original.size
    }

    /// The SHA-256 of its bytes.
    pub fn sha256(&self) -> [u8; 32] {
        self.original.digest
    }

    /// The media type its bytes show.
    pub fn sniffed(&self) -> Option<&str> {
        self.report.sniffed.as_deref()
    }

    /// Its bytes; without metadata if `stripped`, where there is such a form.
    pub fn stream(&self, stripped: bool) -> MediaStream {
        let spool = self.stripped.as_ref().filter(|_| stripped).unwrap_or(&self.original);
        let failed = |error: io::Error| MediaError::Retry(format!("a spooled file cannot be read: {error}"));
        spool.stream().map_err(failed).boxed()
    }

    fn bytes(&self) -> u64 {
        self.original.size + self.report.text_length() + self.stripped.as_ref().map_or(0, |stripped| stripped.size)
    }

    /// What the filter may know of it. `media` names it where it came from.
    fn evidence(&self, media: &MediaRef) -> Evidence {
        let metadata = match &self.stripped {
            None if self.report.metadata_known => Metadata::Absent,
            None => Metadata::Unknown,
            Some(stripped) => Metadata::Removable {
                media: Pin::new(media, self.original.digest, Form::Stripped).reference(),
                size: stripped.size,
            },
        };
        Evidence {
            size: Some(self.original.size),
            metadata,
            ..self.report.evidence()
        }
    }
}

/// A file that is being looked into, or was; several may wait for one.
type Slot = Arc<OnceCell<Outcome>>;

/// How looking into a file ended.
#[derive(Debug, Clone)]
enum Outcome {
    Known(Inspected),
    /// It cannot be looked into, and trying again does not help: why, for the log, and how many bytes it has at least.
    Closed {
        size: Option<u64>,
    },
}

struct Kept {
    slot: Slot,
    since: Instant,
}

struct Inner {
    settings: Files,
    folder: PathBuf,
    scanner: Option<Scanner>,
    free: Semaphore,
    reports: Remembered,
    /// Files by where they are.
    files: Mutex<LruCache<MediaRef, Kept>>,
}

/// Looks into files. Cheap to clone.
#[derive(Clone)]
pub struct Inspector(Arc<Inner>);

impl fmt::Debug for Inspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspector")
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}

impl Inspector {
    /// Makes an inspector that spools files in a folder, which is made if need be. Files have no names there.
    ///
    /// # Errors
    ///
    /// [`InspectError`] if no file can be made there.
    pub fn new(settings: Files, folder: &Path) -> Result<Self, InspectError> {
        let failed = |reason| InspectError {
            folder: folder.display().to_string(),
            reason,
        };
        std::fs::create_dir_all(folder).map_err(failed)?;
        Spool::of(folder, b"").map_err(failed)?;
        Ok(Self(Arc::new(Inner {
            scanner: settings.scanner.clone().map(Scanner::new),
            free: Semaphore::new(settings.at_once.clamp(1, 1000)),
            folder: folder.to_owned(),
            settings,
            reports: Remembered::new(),
            files: Mutex::new(LruCache::new(FILES)),
        })))
    }

    /// Whether there is a malware scanner: then every file must be examined, whatever the policies look at.
    pub fn scans(&self) -> bool {
        self.0.scanner.is_some()
    }

    /// Looks into the files of an event that is planned and not yet cleared, and gives what to tell the filter
    /// ([`viaduct_compliance::Context::evidence`]).
    ///
    /// The event's references are exchanged for such that lead to exactly the bytes that were looked into: whoever opens one
    /// of them must do so through [`Inspector::open`]. Their sizes are set to the real ones. A file that cannot be looked into
    /// for good keeps its reference, and the evidence says that nothing is known. Events without files cost nothing.
    ///
    /// # Errors
    ///
    /// [`Later`]: try the delivery again. The event is unchanged then.
    #[instrument(skip_all, fields(key = %outbound.key))]
    pub async fn examine(&self, source: &dyn MediaSource, outbound: &mut Outbound) -> Result<Vec<Evidence>, Later> {
        let files = outbound.content.message().map(|message| message.attachments.clone());
        let mut outcomes = Vec::new();
        for file in files.unwrap_or_default() {
            // What was pinned before is looked up where it came from.
            let media = Pin::of(&file.media).map_or(file.media, |pin| pin.media);
            let outcome = self.outcome(source, &media).await?;
            outcomes.push((media, outcome));
        }
        let mut all = Vec::new();
        let attachments = outbound.content.message_mut().map(|message| &mut message.attachments);
        for (number, (attachment, (media, outcome))) in attachments.into_iter().flatten().zip(outcomes).enumerate() {
            let evidence = match outcome {
                Outcome::Known(file) => {
                    attachment.media = Pin::new(&media, file.original.digest, Form::Original).reference();
                    attachment.size = Some(file.size());
                    file.evidence(&media)
                }
                Outcome::Closed { size } => self.closed(size),
            };
            all.push(Evidence {
                attachment: number,
                ..evidence
            });
        }
        Ok(all)
    }

    /// What is known of a file that cannot be looked into.
    fn closed(&self, size: Option<u64>) -> Evidence {
        let scan = if self.scans() {
            ScanResult::Unavailable
        } else {
            ScanResult::Missing
        };
        Evidence {
            size,
            scan,
            ..Evidence::default()
        }
    }

    /// Opens a file by a reference that [`Inspector::examine`] gave, or the filter after it; none for any other reference:
    /// open that at its network. What was looked into in the meantime forgotten is fetched again, and given only if it is
    /// still the same, byte for byte.
    pub async fn open(&self, source: &dyn MediaSource, media: &MediaRef) -> Option<Result<Media, MediaError>> {
        let pin = Pin::of(media)?;
        Some(self.pinned(source, &pin).await)
    }

    async fn pinned(&self, source: &dyn MediaSource, pin: &Pin) -> Result<Media, MediaError> {
        let outcome = self.outcome(source, &pin.media).await;
        let changed = || MediaError::Refused("the file is no longer the one that was examined".to_owned());
        match outcome.map_err(|later| MediaError::Retry(later.0))? {
            Outcome::Known(file) if file.original.digest == pin.digest => {
                let stripped = pin.form == Form::Stripped;
                let size = if stripped {
                    // Nothing is given with metadata that was cleared without.
                    file.stripped.as_ref().ok_or_else(changed)?.size
                } else {
                    file.size()
                };
                Ok(Media {
                    mime: file.report.sniffed.clone().or_else(|| file.report.declared.clone()),
                    size: Some(size),
                    name: None,
                    stream: file.stream(stripped),
                })
            }
            _ => Err(changed()),
        }
    }

    /// Looks into a file once, however many ask for it.
    async fn outcome(&self, source: &dyn MediaSource, media: &MediaRef) -> Result<Outcome, Later> {
        let slot = self.slot(media);
        let outcome = slot.get_or_try_init(|| self.fetch(source, media)).await?.clone();
        self.forget();
        Ok(outcome)
    }

    /// The place of a file among those that are kept.
    fn slot(&self, media: &MediaRef) -> Slot {
        let mut files = self.0.files.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(kept) = files.get(media)
            && now.duration_since(kept.since) < KEPT
        {
            return kept.slot.clone();
        }
        let slot = Slot::default();
        let kept = Kept {
            slot: slot.clone(),
            since: now,
        };
        files.put(media.clone(), kept);
        slot
    }

    /// Lets go of what is old, of what was not to be had, and of what is too much.
    fn forget(&self) {
        let mut files = self.0.files.lock().unwrap_or_else(PoisonError::into_inner);
        let size = |kept: &Kept| match kept.slot.get() {
            Some(Outcome::Known(file)) => file.bytes(),
            _ => 0,
        };
        let now = Instant::now();
        let old: Vec<MediaRef> = files
            .iter()
            .filter(|(_, kept)| now.duration_since(kept.since) >= KEPT)
            .map(|(media, _)| media.clone())
            .collect();
        for media in old {
            files.pop(&media);
        }
        let mut all: u64 = files.iter().map(|(_, kept)| size(kept)).sum();
        while all > self.0.settings.kept {
            let Some((_, kept)) = files.pop_lru() else { break };
            all = all.saturating_sub(size(&kept));
        }
        metric::kept(all);
    }

    async fn fetch(&self, source: &dyn MediaSource, media: &MediaRef) -> Result<Outcome, Later> {
        let _permit = self.0.free.acquire().await.map_err(|error| Later(error.to_string()))?;
        let (begin, time) = (Instant::now(), self.0.settings.time());
        let looked = async {
            let opened = source.open(media).await.map_err(SpoolError::Source)?;
            let declared = Declared {
                name: opened.name.unwrap_or_default(),
                mime: opened.mime,
                size: opened.size,
            };
            self.inspect_until(opened.stream, &declared, begin + time).await
        };
        let outcome = match tokio::time::timeout(time, looked).await {
            Ok(Ok(file)) => Ok(Outcome::Known(file)),
            Ok(Err(SpoolError::TooLarge)) => Ok(Outcome::Closed {
                size: Some(self.0.settings.largest.saturating_add(1)),
            }),
            Ok(Err(SpoolError::Source(MediaError::TooLarge(bound)))) => Ok(Outcome::Closed {
                size: Some(bound.saturating_add(1)),
            }),
            Ok(Err(SpoolError::Source(MediaError::Gone | MediaError::Refused(_)))) => {
                Ok(Outcome::Closed { size: None })
            }
            Ok(Err(SpoolError::Source(MediaError::Retry(reason)))) => Err(Later(reason)),
            Ok(Err(SpoolError::Disk(error))) => Err(Later(format!("spooling a file: {error}"))),
            Err(_) => Err(Later("a file did not come in time".to_owned())),
        };
        let name = match &outcome {
            Ok(Outcome::Known(_)) => "known",
            Ok(Outcome::Closed { .. }) => "closed",
            Err(_) => "later",
        };
        metric::inspected(name, begin.elapsed().as_secs_f64());
        outcome
    }

    /// Looks into one file, for its own sake.
    ///
    /// # Errors
    ///
    /// What its source says, [`MediaError::TooLarge`] beyond the bound, [`MediaError::Retry`] where the disk fails.
    pub async fn inspect(&self, stream: MediaStream, declared: &Declared) -> Result<(Evidence, Inspected), MediaError> {
        let until = Instant::now() + self.0.settings.time();
        let file = self.inspect_until(stream, declared, until).await;
        let file = file.map_err(|error| match error {
            SpoolError::TooLarge => MediaError::TooLarge(self.0.settings.largest),
            SpoolError::Source(error) => error,
            SpoolError::Disk(error) => MediaError::Retry(format!("spooling a file: {error}")),
        })?;
        let evidence = Evidence {
            size: Some(file.size()),
            ..file.report.evidence()
        };
        Ok((evidence, file))
    }

    async fn inspect_until(
        &self,
        stream: MediaStream,
        declared: &Declared,
        until: Instant,
    ) -> Result<Inspected, SpoolError> {
        let bound = self.0.settings.largest;
        if declared.size.is_some_and(|size| size > bound) {
            return Err(SpoolError::TooLarge);
        }
        let spool = Spool::take(&self.0.folder, stream, bound).await?;
        let report = match self.0.reports.get(&spool.digest) {
            Some(report) => report,
            None => self.look(&spool, declared, until).await?,
        };
        let stripped = self.strip(&spool, &report).await?;
        let report = match stripped {
            Ok(_) => report,
            // Too large, or not what it seems: its metadata stay.
            Err(()) => Arc::new((*report).clone().with_unknown_metadata()),
        };
        Ok(Inspected {
            original: spool,
            stripped: stripped.unwrap_or_default(),
            report,
        })
    }

    async fn look(&self, spool: &Spool, declared: &Declared, until: Instant) -> Result<Arc<Report>, SpoolError> {
        let (copy, limits) = (spool.clone(), self.0.settings.archives.clone());
        let declared = declared.clone();
        let seen = blocking(move || report(&copy, &declared, &limits, until)).await;
        let seen = seen.unwrap_or_else(|error| {
            // The library panicked over hostile bytes, or the disk failed: nothing is known.
            tracing::warn!(%error, "A file could not be looked into.");
            Report::default()
        });
        let scan = match &self.0.scanner {
            Some(scanner) => scanner.scan(spool).await,
            None => ScanResult::Missing,
        };
        let report = Arc::new(seen.with_scan(scan));
        if scan != ScanResult::Unavailable {
            self.0.reports.put(spool.digest, report.clone());
        }
        Ok(report)
    }

    /// The picture without its metadata: none if it has none, an error if that cannot be said.
    async fn strip(&self, spool: &Spool, report: &Report) -> Result<Result<Option<Spool>, ()>, SpoolError> {
        let Some(mime) = report
            .sniffed
            .clone()
            .filter(|_| report.metadata_known && report.is_picture())
        else {
            return Ok(Ok(None));
        };
        if spool.size > self.0.settings.largest_picture {
            return Ok(Err(()));
        }
        let (copy, folder) = (spool.clone(), self.0.folder.clone());
        let stripped = blocking(move || {
            let mut bytes = Vec::new();
            io::Read::read_to_end(&mut copy.reader(), &mut bytes)?;
            Ok(match picture::without_metadata(&mime, &bytes) {
                None => Err(()),
                Some(clean) if clean == bytes => Ok(None),
                Some(clean) => Ok(Some(Spool::of(&folder, &clean)?)),
            })
        });
        stripped.await.map_err(SpoolError::Disk)
    }

    /// What `doctor` should know: whether the scanner answers.
    pub async fn probe(&self) -> Vec<Probe> {
        let Some(scanner) = &self.0.scanner else {
            return vec![Probe::warning(
                "malware scanner",
                "none is configured: files cross without being scanned",
                "set `files.scanner` in the configuration",
            )];
        };
        vec![match scanner.version().await {
            Ok(version) => Probe::ok("malware scanner", version),
            Err(error) => Probe::error(
                "malware scanner",
                format!("it cannot be asked ({error}): every file is held"),
                "start clamd, and let the hub's user reach its socket",
            ),
        }]
    }
}
