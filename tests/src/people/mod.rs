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

/// The password of every person.
pub const PASSWORD: &str = "correct horse battery staple";

/// How many lines [`numbered`] gives.
const LINES: usize = 10;

/// What a side says when everything of it is to arrive once and in order; see [`MatrixPerson::check_numbered`].
pub fn numbered(side: &str) -> Vec<String> {
    (0..LINES).map(|number| format!("from {side} {number}")).collect()
}

/// What is behind a link, as a browser gets it.
///
/// # Errors
///
/// When nobody answers, or with anything but 200.
pub async fn fetch(link: &str) -> anyhow::Result<Vec<u8>> {
    let response = crate::launch::http_client()?.get(link).send().await?;
    anyhow::ensure!(response.status().as_u16() == 200, "{link}: {}", response.status());
    Ok(response.bytes().await?.to_vec())
}

/// How long something said on one side may take to be heard on the other, on a busy machine.
pub const HEARD: Duration = Duration::from_secs(30);
