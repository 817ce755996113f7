//! The agreements at work: those of the configuration and those made by command, with what happened to them since.
//!
//! Every change is one commit with its ledger entry. Readers take the [`Register`], a value that does not change under them.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use viaduct_audit::{Action, Entry};
use viaduct_model::{Clock, Timestamp};
use viaduct_store::Store;

use crate::GovernanceError;
use crate::agreement::{Agreement, PartnerName, SignOff};
use crate::date::Day;
use crate::keys::Keys;
use crate::register::{Due, DueWhat, Partner, Register, Source};
use crate::standing::{History, Networks, Renewal};
use crate::step::{Recorder, Step, keep, scan};

const PREFIX: &str = "partner/";
/// The longest reason that a command may give, in characters.
const REASON_BOUND: usize = 1000;

/// What the store keeps of a partner.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Stored {
    /// The agreement itself, if it was made by command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agreement: Option<Agreement>,
    #[serde(default)]
    history: History,
}

/// An office of the own organisation that signs agreements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Office {
    /// Information technology.
    It,
    /// Data protection.
    Dpo,
    /// Management.
    Management,
}

/// All agreements, and the commands that change them.
#[derive(Debug)]
pub struct Agreements {
    store: Arc<dyn Store>,
    recorder: Arc<dyn Recorder>,
    keys: Arc<Keys>,
    clock: Arc<dyn Clock>,
    register: RwLock<Arc<Register>>,
    /// One change at a time.
    changing: tokio::sync::Mutex<()>,
}

impl Agreements {
    /// Takes the configuration's agreements and what the store knows besides, and makes the keys that are missing.
    ///
    /// # Errors
    ///
    /// When the store fails or a record in it is damaged.
    pub async fn open(
        configured: BTreeMap<PartnerName, Agreement>,
        networks: Networks,
        store: Arc<dyn Store>,
        recorder: Arc<dyn Recorder>,
        keys: Arc<Keys>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, GovernanceError> {
        let agreements = Self {
            store,
            recorder,
            keys,
            clock,
            register: RwLock::default(),
            changing: tokio::sync::Mutex::default(),
        };
        agreements.reload(configured, networks).await?;
        Ok(agreements)
    }

    /// Takes over a changed configuration.
    ///
    /// # Errors
    ///
    /// When the store fails; then what was before stays.
    pub async fn reload(
        &self,
        configured: BTreeMap<PartnerName, Agreement>,
        networks: Networks,
    ) -> Result<(), GovernanceError> {
        let changing = self.changing.lock().await;
        let mut partners = BTreeMap::new();
        for (key, stored) in scan::<Stored>(&*self.store, PREFIX).await? {
            let name = key.strip_prefix(PREFIX).and_then(|name| PartnerName::new(name).ok());
            let Some(name) = name else { continue };
            let (agreement, source) = match (configured.get(&name), stored.agreement) {
                // Whoever writes an agreement down in the configuration overrules the one made by command.
                (Some(agreement), _) => (agreement.clone(), Source::Configuration),
                (None, Some(agreement)) => (agreement, Source::Command),
                // Taken out of the configuration: nothing is known but that there was one.
                (None, None) => continue,
            };
            partners.insert(
                name,
                Partner {
                    agreement,
                    history: stored.history,
                    source,
                },
            );
        }
        for (name, agreement) in &configured {
            partners.entry(name.clone()).or_insert_with(|| Partner {
                agreement: agreement.clone(),
                history: History::default(),
                source: Source::Configuration,
            });
        }
        let now = self.clock.now();
        self.keys.ensure(&PartnerName::own(), &*self.recorder, now).await?;
        for (name, partner) in &partners {
            if !partner.history.offboarding && partner.history.offboarded.is_none() {
                self.keys.ensure(name, &*self.recorder, now).await?;
            }
        }
        self.replace(Register::new(networks, partners));
        drop(changing);
        Ok(())
    }

    fn replace(&self, register: Register) {
        *self.register.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(register);
    }

    /// All agreements as they stand.
    pub fn register(&self) -> Arc<Register> {
        self.register.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes an agreement. `by` is the Matrix user id of whoever does.
    ///
    /// # Errors
    ///
    /// [`GovernanceError::Exists`] if the name is taken.
    pub async fn add(&self, name: &PartnerName, agreement: Agreement, by: &str) -> Result<(), GovernanceError> {
        if *name == PartnerName::own() {
            return Err(GovernanceError::invalid(
                "`own` is the own organisation; choose another name",
            ));
        }
        let changing = self.changing.lock().await;
        if self.register().partner(name).is_some() {
            return Err(GovernanceError::Exists(name.clone()));
        }
        self.keys.ensure(name, &*self.recorder, self.clock.now()).await?;
        let reason = format!("added, {} to {}", agreement.valid_from, agreement.valid_until);
        let partner = Partner {
            agreement,
            history: History::default(),
            source: Source::Command,
        };
        self.put(name, partner, by, reason).await?;
        drop(changing);
        Ok(())
    }

    /// Lets an agreement go on until another day.
    ///
    /// # Errors
    ///
    /// If there is none, it is being wound up, or the day is not later than the last one.
    pub async fn renew(&self, name: &PartnerName, until: Day, by: &str) -> Result<(), GovernanceError> {
        self.change(name, by, |partner| {
            let last = partner.last_day();
            if until <= last {
                let what = format!("the agreement with {name} already lasts until {last}; give a later day");
                return Err(GovernanceError::Invalid(what));
            }
            partner.history.renewed = Some(Renewal {
                instead_of: partner.agreement.valid_until,
                until,
            });
            Ok(format!("renewed until {until}"))
        })
        .await
    }

    /// Stops an agreement for now.
    ///
    /// # Errors
    ///
    /// If there is none, it is being wound up, or no reason is given.
    pub async fn suspend(&self, name: &PartnerName, reason: &str, by: &str) -> Result<(), GovernanceError> {
        let reason = reason_given(reason)?;
        self.change(name, by, |partner| {
            partner.history.suspended = Some(reason.clone());
            Ok(format!("suspended: {reason}"))
        })
        .await
    }

    /// Takes a suspension by command back.
    ///
    /// # Errors
    ///
    /// If there is no such agreement, or it is not suspended by command.
    pub async fn resume(&self, name: &PartnerName, by: &str) -> Result<(), GovernanceError> {
        self.change(name, by, |partner| match partner.history.suspended.take() {
            Some(_) => Ok("resumed".to_owned()),
            None => Err(GovernanceError::Invalid(format!(
                "the agreement with {name} was not suspended by command"
            ))),
        })
        .await
    }

    /// Signs an agreement that was made by command; those of the configuration are signed there.
    ///
    /// # Errors
    ///
    /// If there is no such agreement, or it is one of the configuration.
    pub async fn sign(&self, name: &PartnerName, office: Office, by: &str) -> Result<(), GovernanceError> {
        let today = Day::of(self.clock.now());
        self.change(name, by, |partner| {
            if partner.source == Source::Configuration {
                let what = format!("{name} is described in the configuration; sign there, under `sign_offs`");
                return Err(GovernanceError::Invalid(what));
            }
            let sign_offs = &mut partner.agreement.sign_offs;
            let (place, what) = match office {
                Office::It => (&mut sign_offs.it, "it"),
                Office::Dpo => (&mut sign_offs.dpo, "dpo"),
                Office::Management => (&mut sign_offs.management, "management"),
            };
            *place = Some(SignOff {
                by: by.to_owned(),
                on: today,
            });
            Ok(format!("signed by {what}"))
        })
        .await
    }

    /// Notes that winding up has begun, or is done: the agreement never comes back into force. Repeating it does no harm.
    pub(crate) async fn wind_up(&self, name: &PartnerName, done: bool, by: &str) -> Result<(), GovernanceError> {
        let now = self.clock.now();
        let changing = self.changing.lock().await;
        let mut partner = self.known(name)?;
        if partner.history.offboarded.is_none() && (done || !partner.history.offboarding) {
            partner.history.offboarding = true;
            partner.history.offboarded = done.then_some(now);
            let reason = if done { "wound up" } else { "winding up began" };
            self.put(name, partner, by, reason.to_owned()).await?;
        }
        drop(changing);
        Ok(())
    }

    /// Changes an agreement that is not being wound up. `change` says in a few words what it did.
    async fn change(
        &self,
        name: &PartnerName,
        by: &str,
        change: impl FnOnce(&mut Partner) -> Result<String, GovernanceError>,
    ) -> Result<(), GovernanceError> {
        let changing = self.changing.lock().await;
        let mut partner = self.known(name)?;
        if partner.history.offboarding || partner.history.offboarded.is_some() {
            let what = format!("the agreement with {name} was wound up; make a new one under another name");
            return Err(GovernanceError::Invalid(what));
        }
        let reason = change(&mut partner)?;
        self.put(name, partner, by, reason).await?;
        drop(changing);
        Ok(())
    }

    /// What the operator should be told now; noted, with a ledger entry each, so that it is told once.
    ///
    /// # Errors
    ///
    /// When the store fails: then it is told again.
    pub async fn take_due(&self) -> Result<Vec<Due>, GovernanceError> {
        let now = self.clock.now();
        let changing = self.changing.lock().await;
        let register = self.register();
        let due = register.due(now);
        let mut partners = register.partners().clone();
        let mut step = Step::default();
        for due in &due {
            let Some(partner) = partners.get_mut(&due.partner) else {
                continue;
            };
            partner.history.told.extend(due.told.iter().cloned());
            step.entries.push(said(due, now));
        }
        for name in due.iter().map(|due| &due.partner) {
            if let Some(partner) = partners.get(name) {
                step.ops.push(keep(&format!("{PREFIX}{name}"), Some(&stored(partner)))?);
            }
        }
        self.recorder.commit(step).await?;
        self.replace(Register::new(register.networks().clone(), partners));
        drop(changing);
        Ok(due)
    }

    fn known(&self, name: &PartnerName) -> Result<Partner, GovernanceError> {
        let found = self.register().partner(name).cloned();
        found.ok_or_else(|| GovernanceError::NoPartner(name.clone()))
    }

    /// Keeps a partner as it is now. Only while `changing` is held.
    async fn put(&self, name: &PartnerName, partner: Partner, by: &str, reason: String) -> Result<(), GovernanceError> {
        let mut entry = Entry::new(self.clock.now(), Action::Agreement);
        entry.partner = Some(name.to_string());
        entry.actor = self.keys.operator(by);
        entry.reason = Some(reason);
        let step = Step::entry(entry).with(keep(&format!("{PREFIX}{name}"), Some(&stored(&partner)))?);
        self.recorder.commit(step).await?;
        let register = self.register();
        let mut partners = register.partners().clone();
        partners.insert(name.clone(), partner);
        self.replace(Register::new(register.networks().clone(), partners));
        Ok(())
    }
}

fn stored(partner: &Partner) -> Stored {
    Stored {
        agreement: (partner.source == Source::Command).then(|| partner.agreement.clone()),
        history: partner.history.clone(),
    }
}

fn said(due: &Due, now: Timestamp) -> Entry {
    let (action, reason) = match due.what {
        DueWhat::Began => (Action::Agreement, format!("in force, until {}", due.last_day)),
        DueWhat::Ended => (Action::Agreement, format!("ended on {}", due.last_day)),
        DueWhat::ContractEnded => (
            Action::Agreement,
            format!("suspended: its processing contract ended on {}", due.last_day),
        ),
        DueWhat::Ends(days) => (
            Action::Notified,
            format!("warned: ends on {}, within {days} days", due.last_day),
        ),
        DueWhat::ContractEnds(days) => (
            Action::Notified,
            format!(
                "warned: its processing contract ends on {}, within {days} days",
                due.last_day
            ),
        ),
    };
    let mut entry = Entry::new(now, action);
    entry.partner = Some(due.partner.to_string());
    entry.reason = Some(reason);
    entry
}

/// A reason that a person gives: not empty, and not without bounds.
pub(crate) fn reason_given(reason: &str) -> Result<String, GovernanceError> {
    let reason: String = reason
        .trim()
        .chars()
        .filter(|c| !c.is_control())
        .take(REASON_BOUND)
        .collect();
    if reason.is_empty() {
        Err(GovernanceError::invalid("give a reason"))
    } else {
        Ok(reason)
    }
}
