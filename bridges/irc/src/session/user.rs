//! Somebody the reader sees, and what is known of them. Pure state.

use viaduct_model::PersonId;

/// Somebody the reader sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Their nick, in their spelling.
    pub nick: String,
    /// Their id for the hub.
    pub id: PersonId,
    /// What else is known.
    pub details: Details,
    /// How many of the mirrored channels they are in.
    pub(super) channels: usize,
}

/// What servers tell about somebody beside the nick, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Details {
    /// Their account.
    pub account: Option<String>,
    /// How they describe themselves.
    pub realname: Option<String>,
    /// The user in `nick!user@host`.
    pub user: Option<String>,
    /// The host in it.
    pub host: Option<String>,
    /// Why they are away; none while they are here.
    pub away: Option<String>,
    /// Whether they say that they are an automaton.
    pub bot: bool,
}

impl Details {
    /// Takes over what is newly known.
    pub fn add(&mut self, newer: Self) {
        let keep = |old: &mut Option<String>, new: Option<String>| {
            if new.is_some() {
                *old = new;
            }
        };
        keep(&mut self.account, newer.account);
        keep(&mut self.realname, newer.realname);
        keep(&mut self.user, newer.user);
        keep(&mut self.host, newer.host);
        keep(&mut self.away, newer.away);
        self.bot |= newer.bot;
    }
}
