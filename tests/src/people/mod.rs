//! People who speak and listen: what the conversations are carried by.

mod irc;
#[cfg(feature = "people")]
mod matrix;
#[cfg(feature = "people")]
mod seen;
mod slack;
mod teams;
mod xmpp;

pub use irc::{IrcLine, IrcPerson};
#[cfg(feature = "people")]
pub use matrix::MatrixPerson;
#[cfg(feature = "people")]
pub use seen::Seen;
pub use slack::{SlackMessage, SlackPerson};
pub use teams::{TeamsMessage, TeamsPerson};
pub use xmpp::{XmppMessage, XmppPerson};

use std::time::Duration;

/// How long something said on one side may take to be heard on the other, on a busy machine.
pub const HEARD: Duration = Duration::from_secs(30);
