//! The network: one channel that is a log.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::watch;
use viaduct_model::Document;

/// Something in the channel.
#[derive(Debug, Clone)]
pub struct Item {
    pub id: String,
    pub author: String,
    pub by_hub: bool,
    pub act: Act,
}

#[derive(Debug, Clone)]
pub enum Act {
    Say(Saying),
    Edit {
        target: String,
        body: Document,
    },
    Delete {
        target: String,
    },
    React {
        target: String,
        emoji: String,
    },
    Unreact {
        target: String,
        emoji: String,
    },
    Topic(String),
    Join,
    Leave,
    Kick(String),
    /// Bytes that are no item at all.
    Noise(Vec<u8>),
}

#[derive(Debug, Clone, Default)]
pub struct Saying {
    pub body: Document,
    pub reply_to: Option<String>,
    pub thread: Option<String>,
    pub file: Option<(String, Vec<u8>)>,
    /// Ids of those who are addressed; `*` is everybody.
    pub notify: Vec<String>,
}

/// Why the server did not answer well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    Down,
    TooFast,
    AnswerLost,
}

#[derive(Default)]
pub struct Log {
    pub items: Vec<Item>,
    pub cut: bool,
    pub limited: u32,
    pub lose_answer: bool,
    /// Items to be told once more.
    pub again: Vec<usize>,
    keys: HashMap<String, String>,
}

#[derive(Clone)]
pub struct Server(Arc<(Mutex<Log>, watch::Sender<u64>)>);

impl Server {
    pub fn new() -> Self {
        Self(Arc::new((Mutex::default(), watch::Sender::new(0))))
    }

    pub fn log(&self) -> MutexGuard<'_, Log> {
        self.0.0.lock().unwrap()
    }

    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.1.subscribe()
    }

    pub fn change<T>(&self, change: impl FnOnce(&mut Log) -> T) -> T {
        let result = change(&mut self.log());
        self.0.1.send_modify(|count| *count += 1);
        result
    }

    /// Puts something into the channel and gives its id.
    pub fn post(&self, author: &str, by_hub: bool, act: Act) -> String {
        self.change(|log| {
            let id = format!("m{}", log.items.len());
            log.items.push(Item {
                id: id.clone(),
                author: author.to_owned(),
                by_hub,
                act,
            });
            id
        })
    }

    /// The session's way in: may be down, limited or without an answer; a key counts once.
    pub fn submit(&self, key: Option<String>, author: &str, act: Act) -> Result<String, Refusal> {
        let lost = self.change(|log| {
            if log.cut {
                return Err(Refusal::Down);
            }
            if log.limited > 0 {
                log.limited -= 1;
                return Err(Refusal::TooFast);
            }
            let lost = std::mem::take(&mut log.lose_answer);
            log.cut |= lost;
            Ok(lost)
        })?;
        let known = key.as_ref().and_then(|key| self.log().keys.get(key).cloned());
        let id = known.unwrap_or_else(|| self.post(author, true, act));
        if let Some(key) = key {
            self.log().keys.insert(key, id.clone());
        }
        if lost { Err(Refusal::AnswerLost) } else { Ok(id) }
    }
}
