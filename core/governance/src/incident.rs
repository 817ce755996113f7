//! What a notification of a breach needs (Art. 33 GDPR): whom and what it concerns, within an interval, from the ledger. People
//! stay behind their pseudonyms until two others agree otherwise.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use viaduct_audit::{Action, Entry, Tag};
use viaduct_model::{EventKind, Language, MessageId, Place, Timestamp};

use crate::agreements::reason_given;
use crate::date::{Day, second};
use crate::keys::Keys;
use crate::notices::{contact, day};
use crate::phrases::Phrase;
use crate::register::Partner;
use crate::report::side_of;
use crate::{GovernanceError, PartnerName};

/// How many people and events are listed; all are counted as far as they can be told apart.
const LISTED: usize = 10_000;
/// How many of each the text lists; the JSON has the rest.
const SHOWN: usize = 200;

/// What a breach at a partner, within an interval, concerns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// The partner.
    pub partner: PartnerName,
    /// Its organisation.
    pub organisation: String,
    /// The controller.
    pub controller: String,
    /// The purpose of the exchange.
    pub purpose: String,
    /// Whom to ask about data protection.
    pub contact: String,
    /// From when on.
    pub from: Timestamp,
    /// Until before when.
    pub until: Timestamp,
    /// When this was made.
    pub made: Timestamp,
    /// The senders, by pseudonym, and how many events of theirs.
    pub people: BTreeMap<Tag, u64>,
    /// The events, in their order.
    pub events: Vec<IncidentEvent>,
    /// The partner's channels.
    pub places: BTreeSet<Place>,
    /// How many events were delivered somewhere.
    pub delivered: u64,
    /// How many entries about further events there are that are not listed.
    pub more: u64,
}

/// One event that a breach concerns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentEvent {
    /// When it was first seen.
    pub at: Timestamp,
    /// Where it happened.
    pub from: Place,
    /// Its id there.
    pub event: MessageId,
    /// Its kind.
    pub kind: Option<EventKind>,
    /// Where it was delivered, with its ids there.
    pub to: Vec<(Place, Vec<MessageId>)>,
}

impl Incident {
    /// Gathers what entries of the ledger say of a partner in an interval.
    ///
    /// # Errors
    ///
    /// When the entries cannot be read.
    pub fn of<E>(
        (name, partner): (&PartnerName, &Partner),
        (from, until): (Timestamp, Timestamp),
        entries: impl Iterator<Item = Result<Entry, E>>,
        now: Timestamp,
    ) -> Result<Self, E> {
        let agreement = &partner.agreement;
        let mut incident = Self {
            partner: name.clone(),
            organisation: agreement.organisation.clone(),
            controller: agreement.controller.clone(),
            purpose: agreement.purpose.clone(),
            contact: contact(agreement),
            from,
            until,
            made: now,
            people: BTreeMap::new(),
            events: Vec::new(),
            places: BTreeSet::new(),
            delivered: 0,
            more: 0,
        };
        let mut known: HashMap<(Place, MessageId), usize> = HashMap::new();
        for entry in entries {
            let entry = entry?;
            if entry.at < from || entry.at >= until || !is_step(entry.action) {
                continue;
            }
            if let Some((place, _)) = side_of(name, partner, &entry) {
                let place = place.clone();
                incident.take(entry, place, &mut known);
            }
        }
        Ok(incident)
    }

    fn take(&mut self, entry: Entry, place: Place, known: &mut HashMap<(Place, MessageId), usize>) {
        let (Some(from), Some(event)) = (entry.from, entry.event) else {
            return;
        };
        if self.places.len() < LISTED {
            self.places.insert(place);
        }
        let index = match known.get(&(from.clone(), event.clone())) {
            Some(index) => *index,
            None if self.events.len() >= LISTED => {
                self.more += 1;
                return;
            }
            None => {
                if let Some(actor) = entry.actor {
                    *self.people.entry(actor).or_default() += 1;
                }
                known.insert((from.clone(), event.clone()), self.events.len());
                self.events.push(IncidentEvent {
                    at: entry.at,
                    from,
                    event,
                    kind: entry.kind,
                    to: Vec::new(),
                });
                self.events.len() - 1
            }
        };
        if let (Action::Delivered, Some(to), Some(event)) = (entry.action, entry.to, self.events.get_mut(index)) {
            self.delivered += u64::from(event.to.is_empty());
            event.to.push((to, entry.ids));
        }
    }

    /// The entry that it was handed out, and to whom.
    ///
    /// # Errors
    ///
    /// If no reason is given.
    pub fn exported(&self, keys: &Keys, by: &str, reason: &str) -> Result<Entry, GovernanceError> {
        let mut entry = Entry::new(self.made, Action::Exported);
        entry.partner = Some(self.partner.to_string());
        entry.actor = keys.operator(by);
        entry.findings = BTreeMap::from([(
            "events".to_owned(),
            u32::try_from(self.events.len()).unwrap_or(u32::MAX),
        )]);
        entry.reason = Some(format!("notification of a breach: {}", reason_given(reason)?));
        Ok(entry)
    }

    /// In words.
    pub fn text(&self, language: Language) -> String {
        let say = |phrase: Phrase, values: &[(&str, &str)]| phrase.say(language, values);
        let mut lines = vec![
            say(
                Phrase::IncidentHead,
                &[
                    ("organisation", &self.organisation),
                    ("partner", self.partner.as_str()),
                    ("controller", &self.controller),
                    ("purpose", &self.purpose),
                    ("contact", &self.contact),
                    ("from", &second(self.from)),
                    ("until", &second(self.until)),
                ],
            ),
            String::new(),
            say(
                Phrase::IncidentCounts,
                &[
                    ("people", &self.people.len().to_string()),
                    ("events", &self.events.len().to_string()),
                    ("delivered", &self.delivered.to_string()),
                    ("places", &self.places.len().to_string()),
                ],
            ),
            String::new(),
            say(Phrase::IncidentPeople, &[]),
        ];
        let people = self.people.iter().map(|(person, count)| {
            let values = [("person", &*person.to_string()), ("count", &count.to_string())];
            say(Phrase::IncidentPerson, &values)
        });
        listed(&mut lines, people, 0, language);
        lines.extend([String::new(), say(Phrase::IncidentEvents, &[])]);
        let events = self.events.iter().map(|event| {
            let to: Vec<String> = event.to.iter().map(|(place, _)| place.to_string()).collect();
            let to = if to.is_empty() {
                "\u{2013}".to_owned()
            } else {
                to.join(", ")
            };
            let values = [
                ("at", &*second(event.at)),
                ("from", &event.from.to_string()),
                ("event", event.event.as_str()),
                ("kind", event.kind.map_or("", EventKind::as_str)),
                ("to", &to),
            ];
            say(Phrase::IncidentEvent, &values)
        });
        listed(&mut lines, events, self.more, language);
        let made = day(Day::of(self.made), language);
        lines.extend([String::new(), say(Phrase::IncidentFoot, &[("made", &made)])]);
        lines.join("\n")
    }
}

/// Whether an entry is a step on an event's way, done by its sender as far as it is done by anybody.
fn is_step(action: Action) -> bool {
    matches!(
        action,
        Action::Accepted
            | Action::Delivered
            | Action::Changed
            | Action::Held
            | Action::Refused
            | Action::Failed
            | Action::Unknown
    )
}

/// Lists the first of some rows, and says how many more there are.
fn listed(lines: &mut Vec<String>, mut rows: impl Iterator<Item = String>, more: u64, language: Language) {
    let before = lines.len();
    lines.extend(rows.by_ref().take(SHOWN));
    if lines.len() == before {
        lines.push(Phrase::Nothing.say(language, &[]));
    }
    let rest = rows.count() as u64 + more;
    if rest > 0 {
        lines.push(Phrase::IncidentMore.say(language, &[("count", &rest.to_string())]));
    }
}
