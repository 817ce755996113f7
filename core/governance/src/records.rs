//! What the journal's entries are to data protection: of which class, under whose agreements, about whom, and since when
//! their time counts. Pure, except that pages of the journal are read.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use viaduct_compliance::Direction;
use viaduct_model::document::MentionTarget;
use viaduct_model::{Content, Event, MirrorName, NetworkName, PersonId, Place, Timestamp};
use viaduct_store::{Lane, Seq, Store};

use crate::date::DAY;
use crate::{Coverage, GovernanceError, PartnerName, Register, Standing};

/// How many journal entries are read at once.
pub(crate) const PAGE: usize = 256;

/// A mirror and its places, the Matrix side among them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MirrorPlaces {
    /// Its name.
    pub name: MirrorName,
    /// Its places.
    pub members: Vec<Place>,
}

/// A class of records, for which an agreement says how long they are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// A message in its newest wording.
    Messages,
    /// A message with files.
    Files,
    /// A wording that was replaced or withdrawn.
    Versions,
    /// Everything else.
    Metadata,
}

impl Class {
    /// Its name in reports and the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Files => "files",
            Self::Versions => "versions",
            Self::Metadata => "metadata",
        }
    }
}

/// One journal entry as data protection sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its mirror.
    pub mirror: MirrorName,
    /// Its number.
    pub seq: Seq,
    /// Its class.
    pub class: Class,
    /// Under whose agreements it is, and which way it went seen from the own organisation. Empty within the own organisation.
    pub partners: Vec<(PartnerName, Direction)>,
    /// By whom and about whom it is.
    pub people: Vec<(NetworkName, PersonId)>,
    /// When it was written.
    pub at: Timestamp,
    /// From when on its time counts.
    pub since: Timestamp,
    /// Whether it has arrived everywhere, or will not.
    pub settled: bool,
}

/// When which wording was replaced or withdrawn.
#[derive(Debug, Clone, Default)]
pub struct Replaced {
    at: HashMap<Seq, Timestamp>,
    /// By the number of the original message: its newest wording.
    newest: HashMap<Seq, Seq>,
}

impl Replaced {
    /// Takes note of an event; `target` is the entry it acts upon. To be called in the order of the journal.
    pub fn note(&mut self, seq: Seq, event: &Event, target: Option<Seq>) {
        let Some(original) = target else { return };
        match event.content {
            Content::Edit { .. } => {
                let before = self.newest.insert(original, seq).unwrap_or(original);
                self.at.entry(before).or_insert(event.at);
            }
            Content::Delete { .. } => {
                let before = self.newest.remove(&original).unwrap_or(original);
                self.at.entry(before).or_insert(event.at);
            }
            _ => {}
        }
    }

    /// Reads a whole mirror's journal.
    pub(crate) async fn of(store: &dyn Store, mirror: &MirrorName) -> Result<Self, GovernanceError> {
        let mut replaced = Self::default();
        let mut after = Seq(0);
        loop {
            let page = store.journal(mirror, after, PAGE).await?;
            let Some((last, _)) = page.last() else {
                return Ok(replaced);
            };
            after = *last;
            for (seq, event) in &page {
                if let Content::Edit { target, .. } | Content::Delete { target, .. } = &event.content {
                    let located = store.locate(&event.place, target).await?;
                    let target = located.filter(|at| at.mirror == *mirror).map(|at| at.seq);
                    replaced.note(*seq, event, target);
                }
            }
        }
    }
}

/// What an entry is to data protection.
pub fn item(
    register: &Register,
    mirror: &MirrorPlaces,
    replaced: &Replaced,
    settled: Seq,
    seq: Seq,
    event: &Event,
) -> Item {
    let (class, since) = match (&event.content, replaced.at.get(&seq)) {
        (Content::Message(_) | Content::Edit { .. }, Some(at)) => (Class::Versions, *at),
        (Content::Message(message) | Content::Edit { message, .. }, None) => {
            let files = !message.attachments.is_empty();
            (if files { Class::Files } else { Class::Messages }, event.at)
        }
        _ => (Class::Metadata, event.at),
    };
    let mut partners: Vec<(PartnerName, Direction)> = Vec::new();
    for place in mirror.members.iter().chain([&event.place]) {
        let direction = if *place == event.place {
            Direction::In
        } else {
            Direction::Out
        };
        for (name, _) in register.covering(place) {
            if !partners.iter().any(|known| *known == (name.clone(), direction)) {
                partners.push((name.clone(), direction));
            }
        }
    }
    Item {
        mirror: mirror.name.clone(),
        seq,
        class,
        partners,
        people: people(event),
        at: event.at,
        since,
        settled: seq <= settled,
    }
}

/// By whom and about whom an event is: its sender, whose membership or role it changes, whom it addresses.
pub fn people(event: &Event) -> Vec<(NetworkName, PersonId)> {
    let mut people = vec![(event.sender.network.clone(), event.sender.id.clone())];
    match &event.content {
        Content::Membership { person, .. } | Content::Role { person, .. } => {
            people.push((person.network.clone(), person.id.clone()));
        }
        Content::Message(message) | Content::Edit { message, .. } => {
            for mention in message.body.mentions() {
                if let MentionTarget::Person { network, id } = &mention.target {
                    people.push((network.clone(), id.clone()));
                }
            }
        }
        _ => {}
    }
    people
}

/// When a record has to be deleted. Of several agreements the shortest time counts; within the own organisation `own_days`.
pub fn due(register: &Register, item: &Item, own_days: u32) -> Timestamp {
    let days = item.partners.iter().filter_map(|(name, direction)| {
        let retention = &register.partner(name)?.agreement.retention;
        let period = match item.class {
            Class::Messages => retention.messages,
            Class::Files => retention.files,
            Class::Versions => retention.versions,
            Class::Metadata => retention.metadata,
        };
        Some(period.days(*direction))
    });
    let days = days.min().unwrap_or(own_days);
    item.since.plus_millis(u64::from(days).saturating_mul(DAY))
}

/// The duty that forbids to erase a record now although somebody wishes it: the one that lasts longest.
pub fn statutory<'r>(register: &'r Register, item: &Item, now: Timestamp) -> Option<(&'r str, Timestamp)> {
    if !matches!(item.class, Class::Messages | Class::Files) {
        return None;
    }
    let duties = item.partners.iter().filter_map(|(name, _)| {
        let duty = register.partner(name)?.agreement.retention.statutory.as_ref()?;
        Some((
            duty.basis.as_str(),
            item.at.plus_millis(u64::from(duty.days).saturating_mul(DAY)),
        ))
    });
    duties.filter(|(_, until)| *until > now).max_by_key(|(_, until)| *until)
}

/// The last entry of a mirror that every lane has behind it; zero if a lane was never opened. Lanes under agreements that have
/// ended do not count: nothing will go there any more.
pub(crate) async fn settled(
    store: &dyn Store,
    register: &Register,
    mirror: &MirrorPlaces,
    now: Timestamp,
) -> Result<Seq, GovernanceError> {
    let mut least: Option<Seq> = None;
    for place in &mirror.members {
        if is_over(register, place, now) {
            continue;
        }
        let lane = Lane {
            mirror: mirror.name.clone(),
            to: place.clone(),
        };
        let mark = store.lane(&lane).await?.unwrap_or_default();
        least = Some(least.map_or(mark.settled, |least| least.min(mark.settled)));
    }
    Ok(least.unwrap_or_default())
}

/// Whether nothing will ever go to a place any more: all agreements about it have ended, or are being wound up.
fn is_over(register: &Register, place: &Place, now: Timestamp) -> bool {
    let Coverage::Under(partners) = register.standing_of(place, now) else {
        return false;
    };
    partners.iter().all(|(name, standing)| {
        let offboarding = register
            .partner(name)
            .is_some_and(|partner| partner.history.offboarding);
        offboarding || matches!(standing, Standing::Ended | Standing::Offboarded)
    })
}
