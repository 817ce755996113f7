//! What the bytes of a file say, apart from where it is.

use std::io::{self, Read};

use tokio::time::Instant;
use viaduct_compliance::{Evidence, FileText, Member, ScanResult, sniff};

use crate::inspector::Declared;
use crate::settings::Archives;
use crate::spool::{HEAD, Spool};
use crate::{archive, picture};

/// What is known of a file by its bytes. The default knows nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Report {
    /// The type its source claims.
    pub(crate) declared: Option<String>,
    /// The type its bytes show.
    pub(crate) sniffed: Option<String>,
    depth: Option<u32>,
    ratio: Option<u32>,
    entries: Option<u32>,
    members: Vec<Member>,
    encrypted: Option<bool>,
    macros: Option<bool>,
    /// Whether the format is one of which it can be said what metadata it has, or none that has any.
    pub(crate) metadata_known: bool,
    text: FileText,
    pub(crate) scan: ScanResult,
}

impl Report {
    /// Whether it is a picture of a format whose metadata can be taken away.
    pub(crate) fn is_picture(&self) -> bool {
        self.sniffed.as_deref().is_some_and(picture::is_known)
    }

    pub(crate) fn with_scan(self, scan: ScanResult) -> Self {
        Self { scan, ..self }
    }

    pub(crate) fn with_unknown_metadata(self) -> Self {
        Self {
            metadata_known: false,
            ..self
        }
    }

    /// A report about a file with this text.
    #[cfg(test)]
    pub(crate) fn of_text(text: &str) -> Self {
        let text = FileText {
            read: text.into(),
            whole: true,
        };
        Self {
            text,
            ..Self::default()
        }
    }

    /// How many bytes its text has.
    pub(crate) fn text_length(&self) -> u64 {
        self.text.read.len() as u64
    }

    /// It as the filter takes it.
    pub(crate) fn evidence(&self) -> Evidence {
        Evidence {
            sniffed: self.sniffed.clone(),
            archive_depth: self.depth,
            archive_ratio: self.ratio,
            archive_entries: self.entries,
            members: self.members.clone(),
            encrypted: self.encrypted,
            macros: self.macros,
            text: self.text.clone(),
            scan: self.scan,
            ..Evidence::default()
        }
    }
}

/// Looks at the bytes of a file. Blocks.
pub(crate) fn report(spool: &Spool, declared: &Declared, limits: &Archives, until: Instant) -> io::Result<Report> {
    let mut head = Vec::new();
    spool.reader().take(HEAD as u64).read_to_end(&mut head)?;
    let contents = archive::look(&mut spool.reader(), spool.size, limits, until);
    let sniffed = match sniff(&head) {
        Some("application/zip") => contents.document.or(Some("application/zip")),
        other => other,
    };
    let sniffed = sniffed.map(str::to_owned);
    let known = contents.depth.is_some();
    let ratio = contents.unpacked.div_ceil(spool.size.max(1));
    let is_picture = |kind: &str| kind.starts_with("image/");
    let format_known = match sniffed.as_deref() {
        Some(kind) if is_picture(kind) => picture::is_known(kind),
        // What says that it is a picture, and does not look like one.
        _ => !declared.mime.as_deref().is_some_and(is_picture),
    };
    Ok(Report {
        declared: declared.mime.clone(),
        sniffed,
        depth: contents.depth,
        ratio: known.then(|| u32::try_from(ratio).unwrap_or(u32::MAX)),
        entries: u32::try_from(contents.members.len()).ok().filter(|_| known),
        // What was seen is true; what was not seen is only known to be absent if everything was.
        encrypted: (known || contents.encrypted).then_some(contents.encrypted),
        macros: (known || contents.macros).then_some(contents.macros),
        members: contents.members,
        metadata_known: format_known,
        text: contents.text,
        scan: ScanResult::Missing,
    })
}
