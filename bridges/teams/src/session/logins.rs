//! People who let the app act in their name: who they are, and whether they still do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use viaduct_bridge::secret::Secret;
use viaduct_bridge::{DeliveryError, Probe, State};
use viaduct_model::{ChannelId, NetworkName, Outbound, Person, PersonId};

use super::channels::Channel;
use super::outbound::Aim;
use super::{Teams, locked};
use crate::client::error::CallError;
use crate::client::person;
use crate::telemetry;

/// After how long a login that was refused is tried again.
const AGAIN: Duration = Duration::from_hours(1);

#[derive(Debug, Default)]
struct Standing {
    /// Their id in the directory, once Microsoft has said it.
    user: Option<String>,
    /// Why they cannot be spoken as.
    trouble: Option<String>,
    tried: Option<Instant>,
    /// Channels in which they may not speak themselves.
    shut_out: BTreeSet<ChannelId>,
}

/// Somebody who lets the app act in their name.
pub struct Login {
    /// Their tokens.
    pub person: person::Person,
    standing: Mutex<Standing>,
}

impl Login {
    /// Their id in the directory, while they can be spoken as.
    pub fn user(&self) -> Option<String> {
        let standing = locked(&self.standing);
        standing.user.clone().filter(|_| standing.trouble.is_none())
    }
}

/// Everybody who does, by their Matrix user ids.
pub type Logins = BTreeMap<String, Arc<Login>>;

/// Those who are configured.
pub fn logins(configured: BTreeMap<String, Secret>, state: &Arc<dyn State>) -> Logins {
    let login = |(name, token): (String, Secret)| {
        let person = person::Person::new(&name, token, Arc::clone(state));
        let standing = Mutex::default();
        (name, Arc::new(Login { person, standing }))
    };
    configured.into_iter().map(login).collect()
}

/// In whose name something is posted.
#[derive(Clone)]
pub(super) enum Voice {
    /// The bot's, with the author's name.
    Bot,
    /// The author's own.
    Own(Arc<Login>, String),
}

impl Teams {
    /// Finds out who everybody is; those whose login was lost are asked about now and then.
    pub(super) async fn log_people_in(&self) {
        for (name, login) in &self.logins {
            let settled = {
                let standing = locked(&login.standing);
                let lately = standing.tried.is_some_and(|at| at.elapsed() < AGAIN);
                standing.user.is_some() && standing.trouble.is_none() || lately
            };
            if settled {
                continue;
            }
            let asked = self.wire.me(&login.person).await;
            let mut standing = locked(&login.standing);
            // What could not be asked is asked with the next sweep.
            standing.tried = match &asked {
                Err(error) if error.is_passing() => None,
                _ => Some(Instant::now()),
            };
            match asked {
                Ok(user) => (standing.user, standing.trouble) = (Some(user), None),
                Err(error) => {
                    tracing::warn!(person = name, %error, "Somebody cannot be spoken as; the bot speaks for them.");
                    standing.trouble = Some(error.to_string());
                }
            }
        }
        self.count_logins();
    }

    /// A new run: what was refused is tried again.
    pub(super) fn forgive_logins(&self) {
        for login in self.logins.values() {
            let mut standing = locked(&login.standing);
            standing.tried = None;
            standing.shut_out.clear();
        }
    }

    fn count_logins(&self) {
        let (good, lost): (Vec<_>, Vec<_>) = self.logins.values().partition(|login| login.user().is_some());
        telemetry::logins(self.context.network.as_str(), good.len(), lost.len());
    }

    /// Who somebody with this id in the directory is on Matrix.
    pub(super) fn on_matrix(&self, user: &str) -> Option<&str> {
        let mut found = self.logins.iter();
        let found = found.find(|(_, login)| login.user().as_deref() == Some(user));
        found.map(|(name, _)| name.as_str())
    }

    /// Whoever does something in a channel, as the one who they are. A chat in private is one with the person in Teams.
    pub(super) fn as_themselves(&self, channel: &Channel, person: Person) -> Person {
        if channel.direct_to.is_some() || person.network != self.context.network {
            return person;
        }
        let Some(id) = self.on_matrix(person.id.as_str()).and_then(|id| PersonId::new(id).ok()) else {
            return person;
        };
        Person {
            network: NetworkName::matrix(),
            organisation: id.as_str().split_once(':').map(|(_, server)| server.to_owned()),
            id,
            ..person
        }
    }

    /// In whose name a delivery is made: the author's own where they let us and are in the channel, else the bot's.
    pub(super) fn voice(&self, aim: &Aim, outbound: &Outbound) -> Voice {
        let author = &outbound.author.person;
        let own = || {
            let login = self.logins.get(author.id.as_str())?;
            let user = login.user()?;
            let shut_out = locked(&login.standing).shut_out.contains(&aim.channel.spelling);
            (!shut_out).then(|| Voice::Own(Arc::clone(login), user))
        };
        let possible = author.network.is_matrix() && !aim.channel.is_chat() && aim.channel.scope().is_some();
        possible.then(own).flatten().unwrap_or(Voice::Bot)
    }

    /// What an error means that was met in the author's own name. What they may not do themselves the bot does for them, at once.
    pub(super) fn own_voice_failed(&self, login: &Login, aim: &Aim, error: CallError) -> DeliveryError {
        {
            let mut standing = locked(&login.standing);
            match error.status() {
                401 => {
                    tracing::warn!(%error, "Somebody can no longer be spoken as; the bot speaks for them.");
                    standing.trouble = Some(error.to_string());
                    standing.tried = Some(Instant::now());
                }
                403 | 404 => {
                    standing.shut_out.insert(aim.channel.spelling.clone());
                }
                _ => return error.for_delivery(),
            }
        }
        self.count_logins();
        DeliveryError::retry(format!("the author's own name: {error}"))
    }

    /// Who can be spoken as, for `doctor`: as the run at work found it, or else asked with what is configured.
    pub(super) async fn probe_logins(&self) -> Vec<Probe> {
        let mut out = Vec::new();
        for (name, login) in &self.logins {
            let found = {
                let standing = locked(&login.standing);
                let trouble = standing.trouble.clone().map(Err);
                trouble.or_else(|| standing.user.clone().map(Ok))
            };
            let found = match found {
                Some(found) => found,
                None => self.wire.me(&login.person).await.map_err(|error| error.to_string()),
            };
            let subject = format!("own login of {name}");
            out.push(match found {
                Ok(user) => Probe::ok(subject, format!("Microsoft knows them as {user}")),
                Err(reason) => Probe::warning(
                    subject,
                    reason,
                    "let them consent again and configure the new refresh token, unless the hub at work holds a newer one than is \
                     configured; until then the bot speaks for them",
                ),
            });
        }
        out
    }
}
