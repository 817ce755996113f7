//! What compliance does over time: agreements, quarantine, retention, holds, subject rights, offboarding.
//!
//! `viaduct-compliance` decides about one event at one moment. This crate knows the calendar: which partner may be talked to
//! today, who may release what is held, what has to be deleted tonight, what a person may demand, and how a partnership ends.
//!
//! | module | one reason to exist |
//! |---|---|
//! | `agreement`, `date` | the contract with a partner as data; days as people write them |
//! | `standing` | how an agreement stands at a time (pure) |
//! | `register` | all agreements: who is covered, who may speak, what is due (pure) |
//! | `agreements` | the agreements at work, and the commands that change them |
//! | `keys` | every partner's keys, and how they end |
//! | `quarantine` | what is held, and how it gets out |
//! | `records` | what journal entries are to data protection: class, agreements, people, time |
//! | `holds`, `retention` | what must not be deleted; what must, and the job that does it |
//! | `subject` | what a person may demand: export, erasure, their pseudonym |
//! | `offboard`, `certificate` | the end of a partnership, and its proof |
//! | `remote`, `tally` | what is asked of the networks, and the table of what came of it |
//! | `alarms` | what filters told senders of, and that these call it wrong |
//! | `report`, `incident`, `processing` | what happened with a partner, what a breach concerns, what is processed |
//! | `texts`, `notices` | everything people are told, in German and English |
//! | `phrases` | what documents are made of, in both |
//! | `step` | what a step writes: changes of the store and ledger entries, in one commit |
//!
//! # The shape of everything here
//!
//! Deciding is pure: values in, values out. What is to be written is a [`Step`], changes of the store and entries of the
//! ledger; the caller joins it with its own changes and commits all of it at once through a [`Recorder`]. Nothing here does
//! I/O but through the store, and through what is handed in: clock, chance, key rings, and the networks as a [`Remote`].
//!
//! # With the engine
//!
//! ```text
//! start:     Keys::open ─▶ Agreements::open ─▶ Quarantine, Holds, RetentionJob, Notices ─▶ Offboarding::unfinished
//! a lane:    Agreements::register().standing_of(member, now).permits()   no: the lane rests, both ways; the journal keeps all
//! a filter:  register.terms_of(place, now)   policies to be asked besides the operator's own, inward and outward
//! a hold:    Quarantine::hold(…) joined with Op::Settle{record: Held}
//! a room:    notice(register, mirror, encrypted), said before the first relay and to new members: Notices
//! hourly:    Agreements::take_due(), Quarantine::expired(now), RetentionJob::run(…) instead of trimming by age alone
//! a command: Agreements::{add, renew, suspend, resume, sign}, Quarantine::{open, release, reject}, Holds::{place, lift},
//!            SubjectRights::{export, erase, unmask}, Offboarding::{preview, run}
//! ```
//!
//! # Extending
//!
//! A new condition for an agreement is a variant of [`Gap`] and a line in `standing::gaps`: until it is met nothing crosses.
//! A new command is a method of [`Agreements`] that ends in one commit with its ledger entry. A new class of records is a
//! variant of [`Class`], a period of [`Retention`] and a line in `records`. A new job of winding up is a variant of [`Job`];
//! it must be one that can be done again. A new text is a variant of [`Text`], one of a document a variant of `Phrase`; the
//! compiler asks for both languages.

mod agreement;
mod agreements;
mod alarms;
mod certificate;
mod date;
mod error;
mod holds;
mod incident;
mod keys;
mod notices;
mod offboard;
mod phrases;
mod processing;
mod quarantine;
mod records;
mod register;
mod remote;
mod report;
mod retention;
mod standing;
mod step;
mod subject;
mod tally;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod texts;

pub use agreement::{
    Agreement, Contact, ContactRole, Contract, NoticeTerms, PartnerName, Period, Region, Retention, SignOff, SignOffs,
    Statutory, Words,
};
pub use agreements::{Agreements, Office};
pub use alarms::{Alarm, Alarms, Dispute, Disputed, disputed};
pub use certificate::{Certificate, KeyKind, Outcome};
pub use date::{Day, Month, second};
pub use error::GovernanceError;
pub use holds::{Holds, LegalHold, Scope, covering};
pub use incident::{Incident, IncidentEvent};
pub use keys::{HubKey, Keys};
pub use notices::{Notice, Notices, Telling, contact, day, help, notice};
pub use offboard::{Job, Offboarding, Preview, Progress, jobs};
pub use processing::processing_record;
pub use quarantine::{EXPIRED, Held, HeldId, HeldState, Hold, Quarantine};
pub use records::{Class, Item, MirrorPlaces, Replaced, due, item, people, statutory};
pub use register::{Coverage, Due, DueWhat, Partner, Register, Source, Terms};
pub use remote::{Remote, Reply, Trace};
pub use report::{DueDay, Ending, Gathering, HeldCounts, Hit, HitOutcome, Latency, PartnerReport, Readers, Volume};
pub use retention::{RetentionJob, RetentionPlan, RetentionReport, keys_due, plan};
pub use standing::{
    FOREIGN_KINDS, Gap, History, NetworkFacts, Networks, Renewal, Standing, WARNINGS, gaps, last_day, standing,
};
pub use step::{OWNER, Recorder, Step};
pub use subject::{EXPORT_BOUND, JournalRecord, Subject, SubjectExport, SubjectRights};
pub use tally::{Basis, HERE, Line, Tally};
pub use texts::Text;
