//! XEP-0045 Multi-User Chat: what moderators and admins ask of a room.

use xmpp_parsers::jid::BareJid;
use xmpp_parsers::minidom::Element;
use xso::{AsXml, FromXml};

/// The namespace.
pub const NS: &str = "http://jabber.org/protocol/muc#admin";

/// Whose role or affiliation is to change.
#[derive(FromXml, AsXml, Debug, Clone, PartialEq, Default)]
#[xml(namespace = NS, name = "item")]
pub struct Item {
    /// By their nick, for a role.
    #[xml(attribute(default))]
    pub nick: Option<String>,
    /// The new role.
    #[xml(attribute(default))]
    pub role: Option<String>,
    /// By their address, for an affiliation.
    #[xml(attribute(default))]
    pub jid: Option<BareJid>,
    /// The new affiliation.
    #[xml(attribute(default))]
    pub affiliation: Option<String>,
    /// The reason given.
    #[xml(extract(default, name = "reason", fields(text(type_ = String))))]
    pub reason: Option<String>,
}

/// The request.
#[derive(FromXml, AsXml, Debug, Clone, PartialEq)]
#[xml(namespace = NS, name = "query")]
pub struct Query {
    /// What is to change.
    #[xml(child)]
    pub item: Item,
}

/// The request to change somebody's role.
pub fn role(nick: String, role: &str, reason: Option<&str>) -> Element {
    let item = Item {
        nick: Some(nick),
        role: Some(role.to_owned()),
        reason: reason.map(str::to_owned),
        ..Item::default()
    };
    Query { item }.into()
}

/// The request to change somebody's affiliation.
pub fn affiliation(jid: BareJid, affiliation: &str, reason: Option<&str>) -> Element {
    let item = Item {
        jid: Some(jid),
        affiliation: Some(affiliation.to_owned()),
        reason: reason.map(str::to_owned),
        ..Item::default()
    };
    Query { item }.into()
}
