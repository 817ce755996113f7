//! A message on XMPP, as whoever it came to looks at it.

use serde::Deserialize;

/// A message as it came.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct XmppMessage {
    /// `groupchat`, `chat`, `error`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Who it is from: in rooms the room with the nick.
    pub from: String,
    /// Whom it was sent to.
    pub to: String,
    /// The id its sender gave it.
    pub id: String,
    /// Its text.
    pub body: Option<String>,
    /// A room's subject.
    pub subject: Option<String>,
    /// The id its room gave it.
    pub stanza_id: Option<String>,
    /// Which message it corrects, by its sender's id.
    pub replaces: Option<String>,
    /// Which message it answers.
    pub answers: Option<String>,
    /// Which message it withdraws.
    pub retracts: Option<String>,
    /// The address of a file.
    pub link: Option<String>,
    /// To which message it reacts.
    pub reacts_to: Option<String>,
    /// With what: all reactions of its sender.
    pub reactions: Vec<String>,
    /// Whether it was said earlier.
    pub late: bool,
}

impl XmppMessage {
    /// The nick in the room it was said in, or the resource of who said it.
    pub fn nick(&self) -> &str {
        self.from.split_once('/').map_or("", |(_, nick)| nick)
    }

    /// The room, or whoever it is from.
    pub fn bare(&self) -> &str {
        self.from.split_once('/').map_or(self.from.as_str(), |(bare, _)| bare)
    }

    /// Its text; empty without one.
    pub fn text(&self) -> &str {
        self.body.as_deref().unwrap_or_default()
    }

    /// What a room calls it, else what its sender called it.
    pub fn name(&self) -> &str {
        self.stanza_id.as_deref().unwrap_or(&self.id)
    }

    /// Whether it was said in `room` (or by this person) and contains `text`.
    pub fn says(&self, from: &str, text: &str) -> bool {
        self.kind != "error" && self.bare() == from && self.text().contains(text)
    }
}
