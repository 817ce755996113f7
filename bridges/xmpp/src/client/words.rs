//! Errors of streams in words.

use xmpp_parsers::stream_error::StreamError;

/// Says a stream error in words.
pub trait ConditionText {
    /// What the server says.
    fn condition_text(&self) -> String;
}

impl ConditionText for StreamError {
    fn condition_text(&self) -> String {
        match self.texts.values().next() {
            Some(text) => format!("{:?} ({})", self.condition, text.chars().take(200).collect::<String>()),
            None => format!("{:?}", self.condition),
        }
    }
}
