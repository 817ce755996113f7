//! People who speak and listen: what the conversations are carried by.

mod irc;
#[cfg(feature = "people")]
mod matrix;
mod slack;
mod xmpp;

pub use irc::{IrcLine, IrcPerson};
#[cfg(feature = "people")]
pub use matrix::{MatrixPerson, Seen};
pub use slack::{SlackMessage, SlackPerson};
pub use xmpp::{XmppMessage, XmppPerson};

use std::time::Duration;

/// How long something said on one side may take to be heard on the other, on a busy machine.
pub const HEARD: Duration = Duration::from_secs(30);
