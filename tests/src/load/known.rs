//! What a load server on top of a stand-in keeps in mind: the stand-in's names for what the load calls by names of its own.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
struct Names {
    /// Ids of channels by the name that a mirror has.
    channels: HashMap<String, String>,
    /// Ids of people by nick.
    people: HashMap<String, String>,
    /// How many messages of each channel, by name, are forgotten.
    forgotten: HashMap<String, usize>,
}

/// Names, and what of each channel is forgotten.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<Names>);

impl Known {
    fn names(&self) -> MutexGuard<'_, Names> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A channel was made.
    pub(super) fn add_channel(&self, name: String, id: String) {
        self.names().channels.insert(name, id);
    }

    /// The id of a channel; empty if it was not made.
    pub(super) fn channel(&self, name: &str) -> String {
        self.names().channels.get(name).cloned().unwrap_or_default()
    }

    /// All channels, by name and id.
    pub(super) fn channels(&self) -> Vec<(String, String)> {
        self.names().channels.clone().into_iter().collect()
    }

    /// The id of somebody, made with `make` the first time.
    pub(super) fn person(&self, nick: &str, make: impl FnOnce() -> String) -> String {
        self.names().people.entry(nick.to_owned()).or_insert_with(make).clone()
    }

    /// How many messages of a channel are forgotten.
    pub(super) fn forgotten(&self, name: &str) -> usize {
        self.names().forgotten.get(name).copied().unwrap_or_default()
    }

    /// Forgets all but what comes after the first `messages` of a channel.
    pub(super) fn forget(&self, name: String, messages: usize) {
        self.names().forgotten.insert(name, messages);
    }
}
