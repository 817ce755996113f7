//! What a decision may know besides the event itself. Everything is handed in: a decision looks at no clock, disk or network.

use viaduct_model::{Message, Timestamp};

use crate::policy::ScanResult;

/// What is known around an event. The default knows nothing.
///
/// Not knowing never opens anything: a rule that restricts counts what is unknown as matching, a rule that allows does not.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context<'a> {
    /// The time, for rules that are valid for a while.
    pub now: Option<Timestamp>,
    /// For an edit: the wording it replaces. A finding that is split over both is found.
    pub previous: Option<&'a Message>,
    /// What is known about the message's files.
    pub evidence: &'a [Evidence],
    /// The labels of the conversation.
    pub labels: &'a [String],
}

/// What an examination of a file's bytes showed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Evidence {
    /// Which of the message's files, from 0.
    pub attachment: usize,
    /// The media type its bytes show; see [`sniff`].
    pub sniffed: Option<String>,
    /// Its real size in bytes.
    pub size: Option<u64>,
    /// For an archive: how many levels of archives it has (1: no archive within); 0 for what is no archive.
    pub archive_depth: Option<u32>,
    /// For an archive: how many times its size it unpacks to.
    pub archive_ratio: Option<u32>,
    /// What the malware scan said.
    pub scan: ScanResult,
}

/// The media type that the first bytes of a file show, if they are of a known sort. 8 KiB are enough.
///
/// ```
/// assert_eq!(viaduct_compliance::sniff(b"%PDF-1.7 ..."), Some("application/pdf"));
/// assert_eq!(viaduct_compliance::sniff(b"plain words"), None);
/// ```
pub fn sniff(head: &[u8]) -> Option<&'static str> {
    infer::get(head).map(|kind| kind.mime_type())
}

/// A second person's decision to release what was held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Approval<'a> {
    /// Who: their Matrix user id.
    pub approver: &'a str,
    /// Why; must not be empty.
    pub reason: &'a str,
}
