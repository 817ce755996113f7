//! XEP-0249 Direct MUC Invitations.

use xmpp_parsers::jid::BareJid;
use xmpp_parsers::message::MessagePayload;
use xso::{AsXml, FromXml};

/// The namespace.
pub const NS: &str = "jabber:x:conference";

/// An invitation into a room.
#[derive(FromXml, AsXml, Debug, Clone, PartialEq)]
#[xml(namespace = NS, name = "x")]
pub struct DirectInvite {
    /// The room.
    #[xml(attribute)]
    pub jid: BareJid,
    /// Its password.
    #[xml(attribute(default))]
    pub password: Option<String>,
    /// Why.
    #[xml(attribute(default))]
    pub reason: Option<String>,
}

impl MessagePayload for DirectInvite {}
