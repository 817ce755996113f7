//! XEP-0382 Spoiler Messages.

use xmpp_parsers::message::MessagePayload;
use xso::{AsXml, FromXml};

/// The namespace.
pub const NS: &str = "urn:xmpp:spoiler:0";

/// The message's body is to be covered.
#[derive(FromXml, AsXml, Debug, Clone, PartialEq)]
#[xml(namespace = NS, name = "spoiler")]
pub struct Spoiler {
    /// What it is about; may be empty.
    #[xml(text)]
    pub reason: String,
}

impl MessagePayload for Spoiler {}
