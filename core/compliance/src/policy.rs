//! Policies as data: what an operator writes, and what the reference is made of.
//!
//! A list within a rule means *any of these*; different conditions of one rule must *all* hold; a condition left out always
//! holds. [`Filter`](crate::Filter) makes a policy ready to decide.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::detect::Detector;
use crate::examples::Examples;

/// What may cross into one direction of one network or mirror member. Without anything in it, everything passes, except what
/// carries the label `vs-nfd`, which never does.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Whether the policy acts, or only reports what it would have done.
    #[serde(default)]
    pub mode: Mode,
    /// The labels in use, from the most open to the most closed.
    #[serde(default)]
    pub labels: Vec<String>,
    /// The highest label that may cross. What carries a higher one, or one that is not in `labels`, is refused.
    #[serde(default)]
    pub ceiling: Option<String>,
    /// The lowest label that asks for encryption: what carries it, or a higher one, crosses only where the mirror's Matrix room is
    /// end-to-end encrypted (as far as viaduct), and is refused elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted_from: Option<String>,
    /// Names for sets of people and places, used by `admit`, `barriers` and rules.
    #[serde(default)]
    pub groups: BTreeMap<String, Group>,
    /// The groups whose people may speak here. Everybody else is refused. Left out, everybody may.
    #[serde(default)]
    pub admit: Option<Vec<String>>,
    /// Who must never talk to whom, in either direction, whatever the rules say.
    #[serde(default)]
    pub barriers: Vec<Barrier>,
    /// The rules, in order. Every rule that matches is applied, and the strictest of them wins; a matching `allow` ends the
    /// list, so that the rules after it do not count.
    #[serde(default)]
    pub rules: Vec<Rule>,
}

/// Whether something acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It acts.
    #[default]
    Enforce,
    /// It only reports what it would have done.
    Monitor,
}

/// Which way something goes, seen from the own organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From a network into the homeserver.
    In,
    /// To a network.
    Out,
}

/// People and places that belong together. Who or what is in any of the lists is in the group. `*` stands for any run of
/// characters.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// People, by their id on their own network, such as `@*:example.org` or `*@partner.example`.
    #[serde(default)]
    pub people: Vec<String>,
    /// Everybody of these organisations: domain, tenant or workspace, as the network tells it.
    #[serde(default)]
    pub organisations: Vec<String>,
    /// Everybody and everything on these networks.
    #[serde(default)]
    pub networks: Vec<String>,
    /// Everything in these places, as `network/channel`.
    #[serde(default)]
    pub places: Vec<String>,
}

/// Two sides that must not hear each other.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Barrier {
    /// Its name, shown to operators.
    pub name: String,
    /// The groups on one side.
    pub between: Vec<String>,
    /// The groups on the other.
    pub and: Vec<String>,
}

/// One rule: when all its conditions hold, its action is taken.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, shown to operators and (with the reason) to senders.
    pub name: String,
    /// Who wrote it, as a Matrix user id: they cannot release what it held.
    #[serde(default)]
    pub author: Option<String>,
    /// Whether the rule acts, or only reports.
    #[serde(default)]
    pub mode: Mode,
    /// Senders, by their id on their own network; `*` stands for any run of characters.
    #[serde(default)]
    pub senders: Vec<String>,
    /// Groups the sender is in.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Organisations the sender belongs to; `*` stands for any run of characters.
    #[serde(default)]
    pub organisations: Vec<String>,
    /// Networks the event comes from.
    #[serde(default)]
    pub from: Vec<String>,
    /// Networks the event goes to.
    #[serde(default)]
    pub to: Vec<String>,
    /// Kinds of event, such as `message`, `edit` or `topic`.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// The direction.
    #[serde(default)]
    pub direction: Option<Direction>,
    /// Labels of the conversation, or given to the event by an earlier rule.
    #[serde(default)]
    pub labels: Vec<String>,
    /// The rule holds from this day (`2026-01-31`) or time (RFC 3339) on.
    #[serde(default)]
    pub valid_from: Option<String>,
    /// The rule holds until the end of this day, or until this time.
    #[serde(default)]
    pub valid_until: Option<String>,
    /// The texts that `detectors`, `patterns`, `words`, `values` and `fingerprints` look at. Left out: all of them, but what is
    /// within files only for `values` and `fingerprints`.
    #[serde(default)]
    pub texts: Vec<TextPart>,
    /// Something of these sorts was found.
    #[serde(default)]
    pub detectors: Vec<Detector>,
    /// A regular expression (syntax of the Rust `regex` crate, linear in time) matches.
    #[serde(default)]
    pub patterns: Vec<String>,
    /// A word of a dictionary occurs.
    #[serde(default)]
    pub words: Option<Dictionary>,
    /// A value of a list occurs. A file that cannot be read counts as having one, except in a rule that allows.
    #[serde(default)]
    pub values: Option<Values>,
    /// Enough of a protected document occurs, in all texts of the event and its files together. A file that cannot be read
    /// counts as one, except in a rule that allows.
    #[serde(default)]
    pub fingerprints: Option<Fingerprints>,
    /// At least so many findings of `detectors`, `patterns`, `words`, `values` and `fingerprints` together.
    #[serde(default)]
    pub min_count: Option<u32>,
    /// A file answers this description.
    #[serde(default)]
    pub attachments: Option<AttachmentCondition>,
    /// What to do.
    pub action: RuleAction,
    /// For the actions `hold` and `refuse`: whether the sender of a message or an edit may send it all the same, giving a
    /// reason. Until then it is held; if any other rule stops it that does not allow this, it stays stopped. Only people on
    /// the homeserver can do it.
    #[serde(default, rename = "override")]
    pub overriding: Overriding,
    /// The label that the action `label` gives.
    #[serde(default)]
    pub label: Option<String>,
    /// What the sender is told. Never repeat here what must not be said.
    #[serde(default)]
    pub reason: Option<String>,
    /// Texts that the rule must match, and texts that it must let pass; `viaduct policy test` verifies them.
    #[serde(default)]
    pub examples: Examples,
}

/// What a rule does, from the mildest to the strictest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleAction {
    /// Let it cross, and do not look at the rules after this one.
    Allow,
    /// Give it a label, for the rules after this one and for the ceiling.
    Label,
    /// Let it cross, and tell the compliance contact.
    Notify,
    /// Let it cross, and warn the sender.
    Warn,
    /// Let it cross with pictures freed of what they say beside what they show: place, time, camera, names (EXIF, XMP, IPTC,
    /// comments). Of the files that matched, those of which it cannot be said that they have none or are freed of it are held.
    StripMetadata,
    /// Let it cross with the findings made unreadable.
    Mask,
    /// Let it cross without the files that matched.
    StripAttachment,
    /// Keep it until a second person releases it.
    Hold,
    /// Do not let it cross.
    #[default]
    Refuse,
}

/// Whether a sender may send what a rule stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overriding {
    /// They may not.
    #[default]
    Never,
    /// They may, with a reason of at least ten characters, which the ledger keeps with their pseudonym.
    Justified,
}

/// Where in an event a text stands. Everything that a reader at the other side could see is one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TextPart {
    /// The text of a message, or the caption of its files.
    Body,
    /// The address of a link in the text.
    Link,
    /// What a spoiler or a piece of code says about itself.
    Aside,
    /// The name (and claimed type) of a file.
    FileName,
    /// The topic of the channel.
    Topic,
    /// The name of the channel.
    Name,
    /// The name under which the author is shown.
    Author,
    /// The name of a person.
    Person,
    /// A reaction.
    Reaction,
    /// The reason given for a deletion, a removal or the end of a conversation.
    Reason,
    /// What can be read within a file.
    File,
}

impl TextPart {
    /// What is said by an event itself: all but what is within files.
    pub const SAID: [Self; 10] = [
        Self::Body,
        Self::Link,
        Self::Aside,
        Self::FileName,
        Self::Topic,
        Self::Name,
        Self::Author,
        Self::Person,
        Self::Reaction,
        Self::Reason,
    ];
}

/// Values that must not (or only then) cross, such as customer numbers, names and part numbers, from a list of keyed hashes that
/// `viaduct policy protect values` made: the hub does not know them. Case, accents, look-alike characters and what separates
/// letters and digits make no difference.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Values {
    /// The file with the list.
    pub list_file: PathBuf,
    /// The file with the key that the list was made with, readable by the hub's user only.
    pub key_file: PathBuf,
}

/// Documents of which no more than a little must cross, from a list of fingerprints that `viaduct policy protect documents`
/// made: the hub does not have the documents. They are found in what was copied, in whatever order, and not in what was
/// reworded throughout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fingerprints {
    /// The file with the list.
    pub list_file: PathBuf,
    /// The file with the key that the list was made with, readable by the hub's user only.
    pub key_file: PathBuf,
    /// How much of one document must occur, as a part of 1.
    #[serde(default = "default_share")]
    pub share: f64,
    /// Or passages of so many letters and digits together, however little of the document that is. With 0, only `share` counts.
    /// Below 60 greetings and set phrases are found, too.
    #[serde(default = "default_passage")]
    pub passage: u32,
}

fn default_share() -> f64 {
    0.3
}

fn default_passage() -> u32 {
    200
}

/// Words that must not (or only then) cross. Case, accents and look-alike characters make no difference.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dictionary {
    /// Words or phrases. They match whole words; a `*` at the end (or the beginning) lets the word go on there.
    pub terms: Vec<String>,
    /// Only when one of these stands nearby.
    #[serde(default)]
    pub near: Vec<String>,
    /// How near, in characters.
    #[serde(default = "default_distance")]
    pub within: u32,
}

fn default_distance() -> u32 {
    80
}

/// A description of files. All that is given must hold for one and the same file. What is not known (size not told, not
/// examined) counts as answering the description, except in a rule that allows.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a condition of its own that is asked for or not"
)]
pub struct AttachmentCondition {
    /// File names, such as `*.exe`; case makes no difference. Of an archive, also the names of the files in it, except in a
    /// rule that allows.
    #[serde(default)]
    pub names: Vec<String>,
    /// Media types, claimed or seen in the file itself, such as `image/*`. Of an archive, also the types of the files in it,
    /// except in a rule that allows.
    #[serde(default)]
    pub types: Vec<String>,
    /// The file's type, claimed or seen, is none of these. A file in an archive counts too, except in a rule that allows;
    /// so does the archive itself.
    #[serde(default)]
    pub types_other_than: Vec<String>,
    /// It has more bytes than this.
    #[serde(default)]
    pub larger_than: Option<u64>,
    /// It is an archive with more levels of archives than this; 0 is any archive.
    #[serde(default)]
    pub archive_deeper_than: Option<u32>,
    /// It is an archive that unpacks to more than so many times its size.
    #[serde(default)]
    pub archive_ratio_over: Option<u32>,
    /// It is an archive with more files than this in it, at all levels.
    #[serde(default)]
    pub archive_entries_over: Option<u32>,
    /// It, or something in it, can only be opened with a password.
    #[serde(default)]
    pub encrypted: bool,
    /// It is an office document with macros, or has such a document in it.
    #[serde(default)]
    pub macros: bool,
    /// It is a picture that says more than it shows: place, time, camera, names (EXIF, XMP, IPTC, comments).
    #[serde(default)]
    pub metadata: bool,
    /// Its bytes are of another type than it claims.
    #[serde(default)]
    pub disguised: bool,
    /// What the malware scan said. Without any rule, what is infected is refused, and what the scanner could not scan is held.
    #[serde(default)]
    pub scan: Vec<ScanResult>,
}

/// What a malware scan said of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScanResult {
    /// Nothing was found.
    Clean,
    /// Malware was found.
    Infected,
    /// The scanner could not be asked, or could not read the file (encrypted, too large).
    Unavailable,
    /// The file was not scanned.
    #[default]
    Missing,
}
