//! Where orders are given: whoever gives one is known, may give it, and gives it in their own name.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use viaduct_audit::Action;
use viaduct_model::Timestamp;

use crate::access::{Access, Caller, Means};
use crate::denied::Denied;
use crate::hub::{Hub, HubError};
use crate::metric;
use crate::order::Order;
use crate::role::Act;

/// How long somebody may take to use that a pseudonym may be lifted, in milliseconds: a day.
const GRANTED: u64 = 24 * 60 * 60 * 1000;
/// How many such grants are kept.
const GRANTS: usize = 256;
/// How many refusals the ledger takes in a minute: nobody fills it by asking. The log and the metric have all of them.
const NOTED: u32 = 60;

/// What a second person allowed: who may learn whose a pseudonym is.
struct Granted {
    by: String,
    reason: String,
    until: Timestamp,
}

/// The desk of a hub. The API, the bot and every other way in give orders here, and nowhere else.
pub struct Desk {
    hub: Arc<dyn Hub>,
    access: Arc<Access>,
    /// By the pseudonym and who may learn whose it is. Lost with a restart: it is granted again.
    granted: Mutex<BTreeMap<(String, String), Granted>>,
    /// A minute, and how many refusals there were in it.
    noted: Mutex<(u64, u32)>,
}

impl Desk {
    /// A desk for those whom `access` knows.
    pub fn new(hub: Arc<dyn Hub>, access: Arc<Access>) -> Self {
        Self {
            hub,
            access,
            granted: Mutex::default(),
            noted: Mutex::default(),
        }
    }

    /// The hub, for looking at it; whoever looks has to be [allowed](Self::allow) to.
    pub(crate) fn hub(&self) -> &dyn Hub {
        &*self.hub
    }

    /// Who is asking.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// Lets somebody do something, or notes that they wanted to.
    ///
    /// # Errors
    ///
    /// [`Denied`].
    pub(crate) async fn allow(&self, caller: &Caller, act: &Act<'_>) -> Result<(), Denied> {
        let may = caller.may(act);
        if let Err(denied) = &may {
            self.note_refused(caller, act.name(), denied).await;
        }
        may
    }

    /// Has an order carried out for somebody, in their name.
    ///
    /// # Errors
    ///
    /// [`HubError::Denied`] if they may not give it; else what is wrong with the order, or with the hub.
    pub async fn order(&self, caller: &Caller, mut order: Order) -> Result<Value, HubError> {
        let personal = match in_their_name(&mut order, caller) {
            Ok(personal) => personal,
            Err(denied) => {
                self.note_refused(caller, order.name(), &denied).await;
                return Err(denied.into());
            }
        };
        self.allow(caller, &Act::Order(&order)).await?;
        if personal && caller.means == Means::Token && self.access.is_central() {
            let what = format!(
                "{} was ordered with a token from the configuration, beside the identity provider",
                order.name()
            );
            tracing::warn!(
                person = caller.person,
                order = order.name(),
                "An order was given with a token from the configuration, beside the identity provider."
            );
            self.hub.note(Action::Access, &what).await?;
        }
        match &mut order {
            Order::GrantUnmask { tag, to, by, reason } => return self.grant(tag, to, by, reason),
            Order::Unmask {
                tag,
                by,
                granted_by,
                reason,
            } => {
                let granted = self.take(tag, by)?;
                *reason = format!("{reason}; granted: {}", granted.reason);
                *granted_by = granted.by;
            }
            _ => {}
        }
        self.hub.order(order).await
    }

    fn grant(&self, tag: &str, to: &str, by: &str, reason: &str) -> Result<Value, HubError> {
        let wrong = |what: &str| Err(HubError::Wrong(what.to_owned()));
        if reason.trim().is_empty() {
            return wrong("a reason is needed");
        }
        if to == by {
            return wrong("somebody else has to grant that a pseudonym is lifted");
        }
        let now = self.access.now();
        let mut granted = self.granted.lock().unwrap_or_else(PoisonError::into_inner);
        granted.retain(|_, granted| now < granted.until);
        if granted.len() >= GRANTS {
            return wrong("too much is granted that was not used yet: wait a day");
        }
        let until = now.plus_millis(GRANTED);
        let new = Granted {
            by: by.to_owned(),
            reason: reason.to_owned(),
            until,
        };
        granted.insert((tag.to_owned(), to.to_owned()), new);
        Ok(json!({ "until": until }))
    }

    /// A grant is for one time.
    fn take(&self, tag: &str, by: &str) -> Result<Granted, HubError> {
        let mut granted = self.granted.lock().unwrap_or_else(PoisonError::into_inner);
        let found = granted.remove(&(tag.to_owned(), by.to_owned()));
        found
            .filter(|granted| self.access.now() < granted.until)
            .ok_or_else(|| {
                HubError::Wrong(format!(
                    "nobody has granted it: a data protection officer grants it with `viaduct subject grant {tag} --to {by}`"
                ))
            })
    }

    /// Whether the ledger takes one more refusal in this minute.
    fn is_noted(&self) -> bool {
        let minute = self.access.now().as_millis() / 60_000;
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.0 != minute {
            *noted = (minute, 0);
        }
        noted.1 = noted.1.saturating_add(1);
        noted.1 <= NOTED
    }

    /// What was refused is in the ledger: what, and why, without names; the log has who.
    async fn note_refused(&self, caller: &Caller, what: &'static str, denied: &Denied) {
        tracing::warn!(person = caller.person, what, %denied, "Somebody was refused.");
        let reason = match denied {
            Denied::Another { .. } => "it named another person than the one who gave it".to_owned(),
            other => other.to_string(),
        };
        metric::refused(what);
        if !self.is_noted() {
            return;
        }
        let told = format!("{what} was refused: {reason}");
        if let Err(error) = self.hub.note(Action::Access, &told).await {
            tracing::error!(%error, "The ledger could not note that somebody was refused.");
        }
    }
}

/// Whoever is known gives the order; that it says somebody else is refused. Says whether it is one that a person gives.
fn in_their_name(order: &mut Order, caller: &Caller) -> Result<bool, Denied> {
    let Some(by) = order.by_mut() else { return Ok(false) };
    let person = caller.person.as_ref().ok_or(Denied::NoPerson)?;
    if !by.is_empty() && by != person {
        return Err(Denied::Another {
            said: by.clone(),
            is: person.clone(),
        });
    }
    by.clone_from(person);
    Ok(true)
}
