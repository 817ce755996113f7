//! XEP-0461 Message Replies.

use xmpp_parsers::message::MessagePayload;
use xso::{AsXml, FromXml};

/// The namespace.
pub const NS: &str = "urn:xmpp:reply:0";

/// The message answers another one.
#[derive(FromXml, AsXml, Debug, Clone, PartialEq)]
#[xml(namespace = NS, name = "reply")]
pub struct Reply {
    /// Who wrote the other one.
    #[xml(attribute(default))]
    pub to: Option<String>,
    /// The other one: in a room its stanza-id.
    #[xml(attribute)]
    pub id: String,
}

impl MessagePayload for Reply {}
