//! What the homeserver side needs to know.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use viaduct_model::{Person, Secret};

/// For whom of the homeserver's own people the hub may speak: what they say elsewhere by a login of their own then comes back
/// as themselves, and not as a ghost. The registration gets their user ids, not exclusively.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SpeakFor {
    /// For nobody.
    #[default]
    Nobody,
    /// For these, by their full user ids.
    These(BTreeSet<String>),
    /// For everybody on the homeserver. It then pushes the events of every room in which one of its people is.
    OwnUsers,
}

/// Everything about the homeserver and our place next to it.
#[derive(Debug, Clone)]
pub struct HomeserverConfig {
    /// The client API's base, such as `https://matrix.example.org`.
    pub url: String,
    /// The server name in user ids, such as `example.org`.
    pub domain: String,
    /// What we show to the homeserver.
    pub as_token: Secret,
    /// What the homeserver shows to us.
    pub hs_token: Secret,
    /// The application service's id in the registration file.
    pub id: String,
    /// The localpart of our own user.
    pub bot: String,
    /// How the localparts of ghosts begin, such as `_via_`.
    pub ghost_prefix: String,
    /// For whom the hub may speak beside its ghosts.
    pub speak_for: SpeakFor,
    /// Where the homeserver's transactions are received.
    pub listen: SocketAddr,
    /// Under which address the homeserver (and, for media links, others) reach [`HomeserverConfig::listen`]; none means by
    /// the listen address itself.
    pub public_url: Option<String>,
    /// Certificate authorities in PEM form to trust beside the system's, for a homeserver behind an own one.
    pub ca_file: Option<std::path::PathBuf>,
    /// The largest file carried in either direction, in bytes.
    pub media_limit: u64,
    /// The largest transaction accepted, in bytes.
    pub body_limit: usize,
    /// The bot's device, where mirrors may be encrypted.
    pub encryption: Option<Encryption>,
    /// How ghosts are named; `{name}`, `{network}`, `{id}` and `{organisation}` are replaced.
    pub ghost_name: String,
}

/// The device with which the bot encrypts and decrypts.
#[derive(Debug, Clone)]
pub struct Encryption {
    /// The device's id.
    pub device: String,
    /// The folder of its keys.
    pub folder: std::path::PathBuf,
    /// What its keys are encrypted with.
    pub passphrase: Secret,
}

/// The longest display name given to a ghost, in bytes.
const NAME_BOUND: usize = 255;

impl HomeserverConfig {
    /// Our own user's full id.
    pub fn bot_id(&self) -> String {
        format!("@{}:{}", self.bot, self.domain)
    }

    /// Under which address the homeserver reaches us.
    pub fn reachable_url(&self) -> String {
        self.public_url
            .clone()
            .unwrap_or_else(|| format!("http://{}", self.listen))
    }

    /// The display name of a person's ghost.
    pub(crate) fn ghost_display_name(&self, person: &Person) -> String {
        let mut out = String::with_capacity(self.ghost_name.len() + person.name.len());
        let mut rest = self.ghost_name.as_str();
        // One pass over the template: what a name contains is never read as a placeholder.
        while let Some((before, tail)) = rest.split_once('{') {
            out.push_str(before);
            let Some((word, after)) = tail.split_once('}') else {
                out.push('{');
                rest = tail;
                continue;
            };
            match word {
                "name" => out.push_str(&person.name),
                "network" => out.push_str(person.network.as_str()),
                "id" => out.push_str(person.id.as_str()),
                "organisation" => out.push_str(person.organisation.as_deref().unwrap_or_default()),
                other => {
                    out.push('{');
                    out.push_str(other);
                    out.push('}');
                }
            }
            rest = after;
        }
        out.push_str(rest);
        let mut name: String = out.chars().filter(|c| !c.is_control()).collect();
        while name.len() > NAME_BOUND {
            name.pop();
        }
        let trimmed = name.trim();
        if trimmed.is_empty() {
            person.id.as_str().to_owned()
        } else {
            trimmed.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use viaduct_model::{NetworkName, PersonId};

    use super::*;

    #[test]
    fn names_are_made_from_the_template_in_one_pass() {
        let config = crate::testing::config("http://127.0.0.1:1");
        let mut person = Person {
            network: NetworkName::new("acme-irc").unwrap(),
            id: PersonId::new("bob").unwrap(),
            name: "Bob {network}\n".into(),
            avatar: None,
            organisation: None,
            bot: false,
        };
        assert_eq!(config.ghost_display_name(&person), "Bob {network} (acme-irc)");
        person.name = "ü".repeat(400);
        assert!(config.ghost_display_name(&person).len() <= NAME_BOUND);
    }
}
