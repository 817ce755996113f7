//! What a person may demand: to see everything (Art. 15 GDPR), to have it erased (Art. 17), and to stay behind a pseudonym
//! until two others agree otherwise.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use viaduct_audit::{Action, Entry, Query, Record, Tag};
use viaduct_model::{Content, Event, MessageId, MirrorName, NetworkName, Person, PersonId, Place, Timestamp};
use viaduct_store::{Op, Seq, Store};

use crate::agreements::reason_given;
use crate::date::Day;
use crate::holds::{LegalHold, covering};
use crate::keys::Keys;
use crate::quarantine::Quarantine;
use crate::records::{Item, MirrorPlaces, PAGE, Replaced, item, people, settled, statutory};
use crate::remote::{Remote, Reply, Trace};
use crate::step::{Recorder, Step};
use crate::tally::{Basis, HERE, Tally};
use crate::{GovernanceError, PartnerName, Register};

/// The most entries that one export holds; beyond it the export says that it is not complete.
pub const EXPORT_BOUND: usize = 200_000;

/// A person, by all ids they are known under.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Their ids, each on its network (`matrix` for the homeserver).
    pub ids: Vec<(NetworkName, PersonId)>,
}

impl Subject {
    fn is(&self, person: &Person) -> bool {
        self.ids
            .iter()
            .any(|(network, id)| *network == person.network && *id == person.id)
    }

    /// Their pseudonyms under every key there is.
    pub fn tags(&self, register: &Register, keys: &Keys) -> Vec<Tag> {
        let own = PartnerName::own();
        let partners = register.partners().keys().chain([&own]);
        partners
            .flat_map(|partner| {
                self.ids
                    .iter()
                    .filter_map(|(network, id)| keys.tag(partner, network, id))
            })
            .collect()
    }

    /// What to look for in the ledger. Without any key left nothing there can be theirs.
    pub fn query(&self, register: &Register, keys: &Keys) -> Option<Query> {
        let tags = self.tags(register, keys);
        (!tags.is_empty()).then(|| Query {
            tags,
            ..Query::default()
        })
    }
}

/// Everything about a person, for that person.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SubjectExport {
    /// When it was made.
    pub made: Timestamp,
    /// Who they are.
    pub subject: Subject,
    /// Whether there is more than an export holds.
    pub complete: bool,
    /// What they said and did, and what concerns them; of others without content and names.
    pub journal: Vec<JournalRecord>,
    /// What is held of theirs.
    pub held: Vec<Value>,
    /// What the ledger says of them.
    pub ledger: Vec<Record>,
    /// What networks and the homeserver hold about them on the hub's behalf.
    pub traces: Vec<Trace>,
    /// Networks that could not be asked, and why.
    pub unasked: BTreeMap<String, String>,
}

/// One journal entry in an export.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JournalRecord {
    /// The mirror.
    pub mirror: MirrorName,
    /// Its number there.
    pub seq: Seq,
    /// Where it happened.
    pub place: Place,
    /// Its id there.
    pub id: MessageId,
    /// When.
    pub at: Timestamp,
    /// What it has to do with them: `sender` or `concerned`.
    pub role: &'static str,
    /// What it says; of what others said, its kind alone.
    pub content: Value,
}

/// What subject rights work on.
#[derive(Debug, Clone, Copy)]
pub struct SubjectRights<'a> {
    /// The store.
    pub store: &'a dyn Store,
    /// What commits steps.
    pub recorder: &'a dyn Recorder,
    /// The partners' keys.
    pub keys: &'a Keys,
    /// The agreements as they stand.
    pub register: &'a Register,
    /// What is held.
    pub quarantine: &'a Quarantine,
    /// The legal holds.
    pub holds: &'a [LegalHold],
    /// All mirrors.
    pub mirrors: &'a [MirrorPlaces],
    /// The networks.
    pub remote: &'a dyn Remote,
    /// How many days entries are kept that are under no agreement.
    pub own_days: u32,
}

impl SubjectRights<'_> {
    /// Gathers everything about a person. `ledger` is what [`Subject::query`] finds in the ledger. That it was done is in the
    /// ledger before this returns.
    ///
    /// # Errors
    ///
    /// If no reason is given, or the store fails.
    pub async fn export(
        &self,
        subject: &Subject,
        ledger: Vec<Record>,
        by: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<SubjectExport, GovernanceError> {
        let reason = reason_given(reason)?;
        let mut export = SubjectExport {
            made: now,
            subject: subject.clone(),
            complete: true,
            journal: Vec::new(),
            held: Vec::new(),
            ledger,
            traces: Vec::new(),
            unasked: BTreeMap::new(),
        };
        for mirror in self.mirrors {
            self.export_mirror(subject, mirror, &mut export).await?;
        }
        let tags = subject.tags(self.register, self.keys);
        for held in self.quarantine.list().await? {
            if held.sender.as_ref().is_some_and(|sender| tags.contains(sender)) {
                let event = self.quarantine.event(&held).await?;
                export.held.push(json!({"held": held, "content": event.content}));
            }
        }
        for (network, person) in &subject.ids {
            match self.remote.traces(network, person).await {
                Ok(traces) => export.traces.extend(traces),
                Err(why) => drop(export.unasked.insert(network.to_string(), why)),
            }
        }
        let mut entry = Entry::new(now, Action::Exported);
        entry.actor = self.keys.operator(by);
        entry.findings = BTreeMap::from([("journal".to_owned(), count(export.journal.len()))]);
        entry.reason = Some(format!("data subject access: {reason}"));
        self.recorder.commit(Step::entry(entry)).await?;
        Ok(export)
    }

    async fn export_mirror(
        &self,
        subject: &Subject,
        mirror: &MirrorPlaces,
        export: &mut SubjectExport,
    ) -> Result<(), GovernanceError> {
        let mut after = Seq(0);
        loop {
            let page = self.store.journal(&mirror.name, after, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = *last;
            for (seq, event) in page {
                let Some((role, content)) = seen_by(subject, &event)? else {
                    continue;
                };
                if export.journal.len() >= EXPORT_BOUND {
                    export.complete = false;
                    return Ok(());
                }
                export.journal.push(JournalRecord {
                    mirror: mirror.name.clone(),
                    seq,
                    place: event.place,
                    id: event.id,
                    at: event.at,
                    role,
                    content,
                });
            }
        }
    }

    /// Erases what a person said and did: on every network as far as it allows, and here. What has to stay stays, with its
    /// basis in the table. It can be repeated; what was out of reach is then asked again.
    ///
    /// # Errors
    ///
    /// If no reason is given, or the store fails: what is erased by then is.
    pub async fn erase(
        &self,
        subject: &Subject,
        by: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<Tally, GovernanceError> {
        let reason = reason_given(reason)?;
        let mut tally = Tally::default();
        for mirror in self.mirrors {
            self.erase_mirror(subject, mirror, now, &mut tally).await?;
        }
        self.erase_held(subject, by, now, &mut tally).await?;
        for (network, person) in &subject.ids {
            match self.remote.forget(network, person).await {
                Reply::Done => {}
                Reply::Refused(why) | Reply::Later(why) => tally.refused(network.as_str(), &why, 1),
            }
        }
        let mut entry = Entry::new(now, Action::Erased);
        entry.actor = self.keys.operator(by);
        entry.findings = tally
            .0
            .iter()
            .map(|(network, line)| (network.clone(), clamped(line.deleted)))
            .collect();
        entry.reason = Some(format!("data subject erasure: {reason}"));
        self.recorder.commit(Step::entry(entry)).await?;
        Ok(tally)
    }

    async fn erase_mirror(
        &self,
        subject: &Subject,
        mirror: &MirrorPlaces,
        now: Timestamp,
        tally: &mut Tally,
    ) -> Result<(), GovernanceError> {
        let replaced = Replaced::of(self.store, &mirror.name).await?;
        let settled = settled(self.store, self.register, mirror, now).await?;
        let mut after = Seq(0);
        loop {
            let page = self.store.journal(&mirror.name, after, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = *last;
            let mut wanted = Vec::new();
            for (seq, event) in &page {
                if !is_theirs(subject, event) {
                    continue;
                }
                let item = item(self.register, mirror, &replaced, settled, *seq, event);
                match self.obstacle(&item, now) {
                    Some(basis) => tally.retained(HERE, basis, 1),
                    None if self.redact(mirror, *seq, tally).await? => wanted.push(*seq),
                    None => tally.retained(HERE, Basis::Undelivered, 1),
                }
            }
            tally.deleted(HERE, wanted.len() as u64);
            let step = Step::default().with(Op::Erase {
                mirror: mirror.name.clone(),
                seqs: wanted,
            });
            self.recorder.commit(step).await?;
        }
    }

    /// What stands against erasing a record (Art. 17 (3) GDPR).
    fn obstacle(&self, item: &Item, now: Timestamp) -> Option<Basis> {
        if let Some(hold) = covering(self.holds, item) {
            return Some(Basis::Hold {
                hold: hold.id.clone(),
                reason: hold.reason.clone(),
            });
        }
        if let Some((norm, until)) = statutory(self.register, item, now) {
            return Some(Basis::Statutory {
                norm: norm.to_owned(),
                until: Day::of(until),
            });
        }
        (!item.settled).then_some(Basis::Undelivered)
    }

    /// Redacts all copies of an entry. False if a network has to be asked again later.
    async fn redact(&self, mirror: &MirrorPlaces, seq: Seq, tally: &mut Tally) -> Result<bool, GovernanceError> {
        let mut all = true;
        for place in &mirror.members {
            let ids = self.store.copies(&mirror.name, seq, place).await?;
            if ids.is_empty() {
                continue;
            }
            let network = place.network.as_str();
            match self.remote.redact(&mirror.name, place, &ids).await {
                Reply::Done => tally.deleted(network, 1),
                Reply::Refused(why) => tally.refused(network, &why, 1),
                Reply::Later(why) => {
                    all = false;
                    tally.refused(network, &why, 1);
                }
            }
        }
        Ok(all)
    }

    async fn erase_held(
        &self,
        subject: &Subject,
        by: &str,
        now: Timestamp,
        tally: &mut Tally,
    ) -> Result<(), GovernanceError> {
        let tags = subject.tags(self.register, self.keys);
        for held in self.quarantine.list().await? {
            // What an earlier rejection took along is gone by now.
            let theirs = held.sender.as_ref().is_some_and(|sender| tags.contains(sender));
            if !theirs || !self.quarantine.holds(&held.lane, held.seq).await? {
                continue;
            }
            let concerns = |hold: &&LegalHold| hold.scope.may_concern(&held.partner);
            if let Some(hold) = self.holds.iter().find(concerns) {
                let basis = Basis::Hold {
                    hold: hold.id.clone(),
                    reason: hold.reason.clone(),
                };
                tally.retained(HERE, basis, 1);
                continue;
            }
            let (mut step, gone) = self
                .quarantine
                .reject(&held.id, by, "data subject erasure", now)
                .await?;
            for gone in &gone {
                step.ops.push(Op::Forget {
                    lane: gone.lane.clone(),
                    seq: gone.seq,
                });
            }
            self.recorder.commit(step).await?;
            tally.deleted(HERE, gone.len() as u64);
        }
        Ok(())
    }

    /// Finds who is behind a pseudonym. Needs two people: who asks, and who grants it. That it was done is in the ledger
    /// before this returns.
    ///
    /// # Errors
    ///
    /// [`GovernanceError::NotAllowed`] if both are the same or no reason is given; or if the store fails.
    pub async fn unmask(
        &self,
        tag: &Tag,
        asked_by: &str,
        granted_by: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<Option<(NetworkName, PersonId)>, GovernanceError> {
        let reason = reason_given(reason)?;
        if asked_by == granted_by {
            let why = "somebody else has to grant that a pseudonym is lifted";
            return Err(GovernanceError::NotAllowed(why.to_owned()));
        }
        let owner = tag.key().split_once('.').map_or(tag.key(), |(owner, _)| owner);
        let found = match PartnerName::new(owner) {
            Ok(partner) => self.behind(tag, &partner).await?,
            Err(_) => None,
        };
        let mut entry = Entry::new(now, Action::Unmasked);
        entry.actor = self.keys.operator(granted_by);
        let asker = self
            .keys
            .operator(asked_by)
            .map(|tag| tag.to_string())
            .unwrap_or_default();
        entry.reason = Some(format!("{tag}, asked by {asker}: {reason}"));
        self.recorder.commit(Step::entry(entry)).await?;
        Ok(found)
    }

    async fn behind(
        &self,
        tag: &Tag,
        partner: &PartnerName,
    ) -> Result<Option<(NetworkName, PersonId)>, GovernanceError> {
        for mirror in self.mirrors {
            let mut after = Seq(0);
            loop {
                let page = self.store.journal(&mirror.name, after, PAGE).await?;
                let Some((last, _)) = page.last() else { break };
                after = *last;
                for (network, id) in page.iter().flat_map(|(_, event)| people(event)) {
                    if self.keys.tag(partner, &network, &id).as_ref() == Some(tag) {
                        return Ok(Some((network, id)));
                    }
                }
            }
        }
        Ok(None)
    }
}

/// What a person may see of an event: their own in full; of others', that it concerned them.
fn seen_by(subject: &Subject, event: &Event) -> Result<Option<(&'static str, Value)>, GovernanceError> {
    if subject.is(&event.sender) {
        let content = serde_json::to_value(&event.content);
        let content = content.map_err(|error| GovernanceError::invalid(error.to_string()))?;
        return Ok(Some(("sender", content)));
    }
    let concerned = people(event).iter().any(|person| subject.ids.contains(person));
    Ok(concerned.then(|| {
        (
            "concerned",
            json!({"kind": event.content.kind().as_str(), "masked": true}),
        )
    }))
}

/// Whether an event is the person's own data to be erased: what they sent, and what was noted about them.
fn is_theirs(subject: &Subject, event: &Event) -> bool {
    let about = match &event.content {
        Content::Membership { person, .. } | Content::Role { person, .. } => subject.is(person),
        _ => false,
    };
    about || subject.is(&event.sender)
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn clamped(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
