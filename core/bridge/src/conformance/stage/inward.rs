//! From the network to the hub: what the remote person says, and what the session pushes of it.

use viaduct_model::{Content, Event};

use super::Stage;
use crate::conformance::{Step, fail};

impl Stage<'_> {
    /// A point in what was pushed, for [`Stage::hear_since`].
    pub fn mark(&self) -> usize {
        self.hub.desk().heard.len()
    }

    /// Waits until the session pushes what is wanted, after a mark.
    pub async fn hear_since(&self, mark: usize, what: &str, wanted: impl Fn(&Event) -> bool) -> Step<Event> {
        self.hub
            .wait(self.options.patience, |desk| {
                desk.heard.iter().skip(mark).find(|event| wanted(event)).cloned()
            })
            .await
            .ok_or_else(|| {
                fail(format!(
                    "the session never pushed {what}; its last events were {}",
                    self.last_events()
                ))
            })
    }

    /// Waits until the session pushes a message of somebody else's that holds this word.
    pub async fn hear_text(&self, word: &str) -> Step<Event> {
        self.hear_since(0, &format!("a message with {word:?}"), |event| {
            said(std::slice::from_ref(event), word).is_some()
        })
        .await
    }

    /// The remote person says something after everything else; gives all messages that were pushed with one of these words.
    pub async fn heard_by_now(&mut self, words: &[String]) -> Step<Vec<String>> {
        let mark = self.word();
        self.remote.say(&format!("mark {mark}")).await?;
        self.hear_text(&mark).await?;
        let desk = self.hub.desk();
        Ok(desk
            .heard
            .iter()
            .filter_map(|event| {
                words
                    .iter()
                    .find(|word| said(std::slice::from_ref(event), word).is_some())
            })
            .cloned()
            .collect())
    }

    fn last_events(&self) -> String {
        let desk = self.hub.desk();
        let last: Vec<String> = desk
            .heard
            .iter()
            .rev()
            .take(3)
            .map(|event| format!("{:?}", event.content))
            .collect();
        if last.is_empty() {
            "none".to_owned()
        } else {
            last.join("; ")
        }
    }
}

/// The last new message with this word that is not the hub's own coming back.
pub(in crate::conformance) fn said<'e>(events: &'e [Event], word: &str) -> Option<&'e Event> {
    events.iter().rev().find(|event| {
        event.echo_of.is_none()
            && matches!(&event.content, Content::Message(message) if message.body.to_plain().contains(word))
    })
}
