//! What a decision may know besides the event itself. Everything is handed in: a decision looks at no clock, disk or network.

use std::sync::Arc;

use viaduct_model::{MediaRef, Message, Person, Timestamp};

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
    /// Whether its Matrix room is end-to-end encrypted, as far as the hub.
    pub encrypted: bool,
}

impl Context<'_> {
    /// What is known about the file of this number.
    pub(crate) fn evidence_of(&self, attachment: usize) -> Option<&Evidence> {
        self.evidence.iter().find(|evidence| evidence.attachment == attachment)
    }
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
    /// For an archive: how many files are in it, at all levels; 0 for what is no archive.
    pub archive_entries: Option<u32>,
    /// For an archive, and for a document that is one inside: the files in it, at all levels. All of them if the depth is
    /// known; otherwise those that were seen.
    pub members: Vec<Member>,
    /// Whether it, or something in it, can only be opened with a password.
    pub encrypted: Option<bool>,
    /// Whether it is, or holds, an office document with macros.
    pub macros: Option<bool>,
    /// What it says beside what it shows.
    pub metadata: Metadata,
    /// What can be read in it.
    pub text: FileText,
    /// What the malware scan said.
    pub scan: ScanResult,
}

/// What can be read in a file, and in the files within it. By default nothing is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileText {
    /// The text, without markup.
    pub read: Arc<str>,
    /// Whether that is all: nothing was cut off, locked or of a sort that cannot be read. Pictures, sounds and films have no text.
    pub whole: bool,
}

/// A file within an archive.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Member {
    /// Its name, with its path within the archive.
    pub name: String,
    /// The media type its bytes show; see [`sniff`].
    pub sniffed: Option<String>,
}

/// What a picture says beside what it shows: where and when it was taken, with what, by whom (EXIF, XMP, IPTC, comments).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Metadata {
    /// Nobody looked, or the format is not known well enough.
    #[default]
    Unknown,
    /// It is no picture, or one that says nothing more.
    Absent,
    /// It has some, and there is the same picture without.
    Removable {
        /// The picture without.
        media: MediaRef,
        /// Its size in bytes.
        size: u64,
    },
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

/// The fewest characters of a reason with which a sender may send all the same what a rule stopped.
pub const JUSTIFICATION: usize = 10;

/// Somebody's decision to let go what was held: a second person's, or the sender's own where the rules allow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Approval<'a> {
    /// Who: their Matrix user id.
    pub approver: &'a str,
    /// Why; must not be empty, and of the sender at least [`JUSTIFICATION`] characters.
    pub reason: &'a str,
}

impl Approval<'_> {
    /// Whether the approver is this person, the sender: then only rules that let their senders decide give way.
    pub(crate) fn is_by(&self, sender: &Person) -> bool {
        sender.network.is_matrix() && sender.id.as_str() == self.approver
    }

    /// Whether the reason is long enough for a sender.
    pub fn is_justified(&self) -> bool {
        self.reason.trim().chars().filter(|c| !c.is_control()).count() >= JUSTIFICATION
    }
}
