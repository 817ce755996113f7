//! Who people are, and the workspace's own emoji and user groups.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lru::LruCache;
use tokio::time::Instant;
use viaduct_model::{MediaRef, NetworkName, Person, PersonId};

use super::inbound::Scene;
use super::{Me, Slack};
use crate::client::calls::Api;
use crate::client::payload::Named;
use crate::convert::ids::person_id;

/// How many people are remembered.
const PEOPLE: NonZeroUsize = NonZeroUsize::new(20_000).unwrap();
/// How many people are asked for beforehand.
pub const BEFOREHAND: usize = 10_000;
/// How many organisations are remembered.
const TEAMS: NonZeroUsize = NonZeroUsize::new(1000).unwrap();
/// How many user groups are remembered.
const GROUPS: usize = 5_000;
/// After how long somebody whom Slack did not know is asked for again.
const AGAIN: Duration = Duration::from_mins(10);
/// The longest name, in characters.
const NAME: usize = 200;

#[derive(Debug, Clone)]
enum Entry {
    Known(Person),
    Unknown(Instant),
}

/// Everybody that was met.
#[derive(Debug)]
pub struct People {
    network: NetworkName,
    known: Mutex<LruCache<String, Entry>>,
    teams: Mutex<LruCache<String, String>>,
    emoji: Mutex<HashMap<String, String>>,
    groups: Mutex<HashMap<String, String>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A picture at an address of Slack's.
fn picture(network: &NetworkName, url: &str) -> MediaRef {
    MediaRef {
        network: network.clone(),
        locator: format!("picture {url}"),
    }
}

fn clean(name: &str) -> Option<String> {
    let name: String = name.chars().filter(|c| !c.is_control()).take(NAME).collect();
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

impl People {
    /// Nobody yet.
    pub fn new(network: NetworkName) -> Self {
        Self {
            network,
            known: Mutex::new(LruCache::new(PEOPLE)),
            teams: Mutex::new(LruCache::new(TEAMS)),
            emoji: Mutex::default(),
            groups: Mutex::default(),
        }
    }

    /// A person, if they were met.
    pub fn get(&self, user: &str) -> Option<Person> {
        match locked(&self.known).get(user) {
            Some(Entry::Known(person)) => Some(person.clone()),
            _ => None,
        }
    }

    /// Whether it is of no use to ask for them now.
    pub fn is_settled(&self, user: &str) -> bool {
        match locked(&self.known).get(user) {
            Some(Entry::Known(_)) => true,
            Some(Entry::Unknown(since)) => since.elapsed() < AGAIN,
            None => false,
        }
    }

    /// Remembers an organisation's name.
    pub fn name_team(&self, team: &str, name: &str) {
        if let Some(name) = clean(name) {
            locked(&self.teams).put(team.to_owned(), name);
        }
    }

    /// An organisation's name, if it is known.
    pub fn team(&self, team: &str) -> Option<String> {
        locked(&self.teams).get(team).cloned()
    }

    /// The person that Slack describes. Strangers are shown with their organisation.
    fn describe(&self, me: &Me, user: &Named) -> Option<Person> {
        let profile = user.profile.clone().unwrap_or_default();
        let team = user.team_id.as_deref().or(profile.team.as_deref());
        let names = [
            profile.display_name.as_deref(),
            profile.real_name.as_deref(),
            user.real_name.as_deref(),
            Some(user.name.as_str()),
        ];
        let name = names
            .into_iter()
            .flatten()
            .find_map(clean)
            .unwrap_or_else(|| user.id.clone());
        let foreign = me.foreign(team);
        let team = foreign.unwrap_or(&me.team);
        let organisation = self.team(team).unwrap_or_else(|| team.to_owned());
        let image = profile.image_512.as_deref().or(profile.image_192.as_deref());
        Some(Person {
            network: self.network.clone(),
            id: person_id(foreign, &user.id)?,
            name: if foreign.is_some() || user.is_stranger {
                format!("{name} ({organisation})")
            } else {
                name
            },
            avatar: image.map(|url| picture(&self.network, url)),
            organisation: Some(organisation),
            bot: user.is_bot,
        })
    }

    /// Takes what Slack says of somebody. Gives the person as they were before and are now, if that is a change of name.
    pub fn learn(&self, me: &Me, user: &Named) -> Option<(Person, Person)> {
        let now = self.describe(me, user)?;
        let before = locked(&self.known).put(user.id.clone(), Entry::Known(now.clone()));
        match before {
            Some(Entry::Known(before)) if before.name != now.name => Some((before, now)),
            _ => None,
        }
    }

    /// Asks Slack for somebody, and for their organisation if it is another one.
    pub async fn ask(&self, api: &Api, me: &Me, user: &str) {
        if self.is_settled(user) {
            return;
        }
        match api.person(user).await {
            Ok(found) => {
                let team = found.team_id.clone().unwrap_or_default();
                if !team.is_empty() && self.team(&team).is_none() {
                    let name = api.team(&team).await.unwrap_or_else(|_| team.clone());
                    self.name_team(&team, &name);
                }
                self.learn(me, &found);
            }
            Err(error) => {
                tracing::debug!(%error, "Slack does not say who somebody is.");
                locked(&self.known).put(user.to_owned(), Entry::Unknown(Instant::now()));
            }
        }
    }

    /// A person of whom nothing is known but what an event says.
    pub fn stranger(&self, me: &Me, team: Option<&str>, user: &str) -> Option<Person> {
        Some(Person {
            network: self.network.clone(),
            id: person_id(me.foreign(team), user)?,
            name: user.to_owned(),
            avatar: None,
            organisation: team.and_then(|team| self.team(team)),
            bot: false,
        })
    }

    /// Takes the workspace's own emoji.
    pub fn set_emoji(&self, emoji: HashMap<String, String>) {
        *locked(&self.emoji) = emoji;
    }

    /// The address of one of the workspace's own emoji; aliases are followed.
    pub fn emoji_url(&self, name: &str) -> Option<String> {
        let emoji = locked(&self.emoji);
        let mut name = name;
        for _ in 0..4 {
            let value = emoji.get(name)?;
            match value.strip_prefix("alias:") {
                Some(other) => name = other,
                None => return Some(value.clone()),
            }
        }
        None
    }

    /// The picture of one of the workspace's own emoji.
    pub fn emoji(&self, name: &str) -> Option<MediaRef> {
        self.emoji_url(name)?;
        Some(MediaRef {
            network: self.network.clone(),
            locator: format!("emoji {name}"),
        })
    }

    /// Takes one user group.
    pub fn learn_group(&self, group: &Named) {
        if let Some(handle) = group.handle.as_deref().and_then(clean) {
            let mut groups = locked(&self.groups);
            if groups.len() < GROUPS || groups.contains_key(&group.id) {
                groups.insert(group.id.clone(), handle);
            }
        }
    }

    /// The handle of a user group.
    pub fn group(&self, id: &str) -> Option<String> {
        locked(&self.groups).get(id).cloned()
    }
}

impl Slack {
    /// Who somebody of the workspace is on Matrix: known of those who logged in with a token of their own that works.
    pub(super) fn on_matrix(&self, person: &Person) -> Option<Person> {
        if person.network != self.context.network {
            return None;
        }
        let logins = locked(&self.logins);
        let (mxid, _) = logins
            .iter()
            .find(|(_, login)| login.trouble.is_none() && login.user.as_deref() == Some(person.id.as_str()))?;
        Some(Person {
            network: NetworkName::matrix(),
            id: PersonId::new(mxid).ok()?,
            organisation: mxid.split_once(':').map(|(_, server)| server.to_owned()),
            ..person.clone()
        })
    }

    /// Whoever says something in a channel, as the one who they are. A chat in private is one with the person in Slack.
    pub(super) fn as_themselves(&self, scene: Scene<'_>, person: Person) -> Person {
        match scene.direct_to {
            None => self.on_matrix(&person).unwrap_or(person),
            Some(_) => person,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> Me {
        Me {
            team: "T1".to_owned(),
            own: ["T1".to_owned()].into(),
            ..Me::default()
        }
    }

    #[test]
    fn strangers_are_shown_with_their_organisation() {
        let people = People::new(NetworkName::new("s").unwrap());
        people.name_team("T2", "Globex");
        let user: Named = serde_json::from_value(serde_json::json!({
            "id": "U9", "team_id": "T2", "name": "bob", "profile": {"display_name": "", "real_name": "Bob\u{7}"},
        }))
        .unwrap();
        assert_eq!(people.learn(&me(), &user), None);
        let bob = people.get("U9").unwrap();
        assert_eq!((bob.id.as_str(), bob.name.as_str()), ("T2/U9", "Bob (Globex)"));
        assert_eq!(bob.organisation.as_deref(), Some("Globex"));
        let mut renamed = user;
        renamed.profile.as_mut().unwrap().display_name = Some("Bobby".to_owned());
        let (before, now) = people.learn(&me(), &renamed).unwrap();
        assert_eq!(
            (before.name.as_str(), now.name.as_str()),
            ("Bob (Globex)", "Bobby (Globex)")
        );
    }

    #[test]
    fn aliases_lead_to_a_picture_or_nowhere() {
        let people = People::new(NetworkName::new("s").unwrap());
        let list = [
            ("a", "alias:b"),
            ("b", "https://emoji.slack-edge.com/b.png"),
            ("x", "alias:x"),
        ];
        people.set_emoji(list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect());
        assert_eq!(people.emoji_url("a").unwrap(), "https://emoji.slack-edge.com/b.png");
        assert_eq!(people.emoji_url("x"), None);
    }
}
