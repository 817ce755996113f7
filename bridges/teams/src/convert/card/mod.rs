//! Cards: those of others as text, and those of ours, which show who speaks.

mod read;
mod write;

pub use read::text;
pub use write::{Sender, card};

/// The type of an adaptive card among the attachments of a message.
pub const ADAPTIVE: &str = "application/vnd.microsoft.card.adaptive";
