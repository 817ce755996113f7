//! Legal holds: what they cover is not deleted, whatever else says so.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use viaduct_audit::{Action, Entry};
use viaduct_model::{MirrorName, NetworkName, PersonId, Timestamp};
use viaduct_store::Store;

use crate::agreements::reason_given;
use crate::keys::Keys;
use crate::records::Item;
use crate::step::{Recorder, Step, keep, scan};
use crate::{GovernanceError, PartnerName};

const PREFIX: &str = "hold/";

/// A hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegalHold {
    /// Its id.
    pub id: String,
    /// What it covers.
    pub scope: Scope,
    /// Why, such as a court's file number.
    pub reason: String,
    /// Who placed it: their Matrix user id.
    pub author: String,
    /// Since when.
    pub at: Timestamp,
}

/// What a hold covers: everything that answers all of what is given.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// Records under the agreement with this partner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partner: Option<PartnerName>,
    /// Records of this mirror.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<MirrorName>,
    /// Records by or about this person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<(NetworkName, PersonId)>,
    /// Records from this time on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Records from before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Scope {
    /// Whether it covers a record.
    pub fn covers(&self, item: &Item) -> bool {
        let partner = |name: &PartnerName| item.partners.iter().any(|(known, _)| known == name);
        self.partner.as_ref().is_none_or(partner)
            && self.mirror.as_ref().is_none_or(|mirror| *mirror == item.mirror)
            && self.person.as_ref().is_none_or(|person| item.people.contains(person))
            && self.since.is_none_or(|since| item.at >= since)
            && self.until.is_none_or(|until| item.at < until)
    }

    /// Whether anything about a partner may be covered: then the partner's keys stay.
    pub fn may_concern(&self, partner: &PartnerName) -> bool {
        self.partner.as_ref().is_none_or(|known| known == partner)
    }
}

/// The first hold that covers a record.
pub fn covering<'h>(holds: &'h [LegalHold], item: &Item) -> Option<&'h LegalHold> {
    holds.iter().find(|hold| hold.scope.covers(item))
}

/// All holds in a store, oldest first.
pub(crate) async fn standing_holds(store: &dyn Store) -> Result<Vec<LegalHold>, GovernanceError> {
    Ok(scan(store, PREFIX).await?.into_iter().map(|(_, hold)| hold).collect())
}

/// All holds, and the commands that place and lift them.
#[derive(Debug)]
pub struct Holds {
    store: Arc<dyn Store>,
    recorder: Arc<dyn Recorder>,
    keys: Arc<Keys>,
}

impl Holds {
    /// The holds in a store.
    pub fn new(store: Arc<dyn Store>, recorder: Arc<dyn Recorder>, keys: Arc<Keys>) -> Self {
        Self { store, recorder, keys }
    }

    /// All holds that stand, oldest first.
    ///
    /// # Errors
    ///
    /// When the store fails or a record in it is damaged: then nothing may be deleted.
    pub async fn list(&self) -> Result<Vec<LegalHold>, GovernanceError> {
        standing_holds(&*self.store).await
    }

    /// Places a hold; it covers what is there and what is still to come.
    ///
    /// # Errors
    ///
    /// If no reason is given, or the scope is empty: a hold on everything has to say since when.
    pub async fn place(
        &self,
        scope: Scope,
        reason: &str,
        author: &str,
        now: Timestamp,
    ) -> Result<LegalHold, GovernanceError> {
        if scope == Scope::default() {
            let what = "say what the hold covers: partner, mirror, person, since or until";
            return Err(GovernanceError::invalid(what));
        }
        let reason = reason_given(reason)?;
        let known = self.list().await?;
        let mut number = now.as_millis();
        while known.iter().any(|hold| hold.id == number.to_string()) {
            number = number.saturating_add(1);
        }
        let hold = LegalHold {
            id: number.to_string(),
            scope,
            reason,
            author: author.to_owned(),
            at: now,
        };
        let step = Step::entry(self.entry(Action::HoldPlaced, &hold, author, &hold.reason, now));
        let step = step.with(keep(&format!("{PREFIX}{}", hold.id), Some(&hold))?);
        self.recorder.commit(step).await?;
        Ok(hold)
    }

    /// Lifts a hold: what it covered goes the way of the agreements again.
    ///
    /// # Errors
    ///
    /// If there is none, or no reason is given.
    pub async fn lift(&self, id: &str, reason: &str, by: &str, now: Timestamp) -> Result<(), GovernanceError> {
        let reason = reason_given(reason)?;
        let hold = self.list().await?.into_iter().find(|hold| hold.id == id);
        let hold = hold.ok_or_else(|| GovernanceError::invalid(format!("there is no hold {id}")))?;
        let step = Step::entry(self.entry(Action::HoldLifted, &hold, by, &reason, now));
        let step = step.with(keep::<LegalHold>(&format!("{PREFIX}{id}"), None)?);
        self.recorder.commit(step).await
    }

    fn entry(&self, action: Action, hold: &LegalHold, by: &str, reason: &str, now: Timestamp) -> Entry {
        let mut entry = Entry::new(now, action);
        entry.actor = self.keys.operator(by);
        entry.partner = hold.scope.partner.as_ref().map(ToString::to_string);
        entry.mirror.clone_from(&hold.scope.mirror);
        entry.reason = Some(format!("hold {}: {reason}", hold.id));
        entry
    }
}
