//! Pure translation between Slack's words and the hub's: no I/O, no async.
//!
//! | module | does |
//! |---|---|
//! | [`ids`] | timestamps, people's ids, what an id may look like |
//! | [`emoji`] | short codes ⇄ Unicode |
//! | [`mrkdwn`] | Slack's text markup → inlines, and escaping |
//! | [`rich`] | Block Kit → document |
//! | [`render`] | document → Block Kit |
//! | [`split`] | a long document → several |
//! | [`message`] | a whole message → the hub's |

pub mod emoji;
pub mod ids;

pub mod message;
pub mod mrkdwn;
pub mod render;
pub mod rich;
pub mod split;
#[cfg(test)]
mod tests;

use viaduct_model::{MediaRef, NetworkName, Person, Place};

/// What the translation has to know about a workspace.
pub trait World: Sync {
    /// The network's name in the configuration.
    fn network(&self) -> &NetworkName;
    /// A person, if they are known.
    fn person(&self, user: &str) -> Option<Person>;
    /// A channel as the hub names it, and its name here.
    fn channel(&self, id: &str) -> Option<(Place, String)>;
    /// The id here of a channel as the hub names it.
    fn channel_id(&self, place: &Place) -> Option<String>;
    /// The handle of a user group, without `@`.
    fn group(&self, id: &str) -> Option<String>;
    /// The picture of one of the workspace's own emoji.
    fn emoji(&self, name: &str) -> Option<MediaRef>;
}
