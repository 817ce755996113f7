//! XEP-0045 Multi-User Chat: what a room says about an occupant.
//!
//! Read by hand rather than derived: rooms send status codes and JIDs that no list is complete about, and one unknown code
//! must not hide the others.

use xmpp_parsers::jid::{BareJid, Jid};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;
use xso::{AsXml, FromXml};

/// At most so many status codes and items of one element are looked at.
const BOUND: usize = 64;

/// Status code: the room's name, picture or rules changed.
pub const CONFIGURATION_CHANGED: u16 = 104;
/// Status code: this presence is about yourself.
pub const SELF_PRESENCE: u16 = 110;
/// Status code: the room changed the nick you asked for.
pub const ASSIGNED_NICK: u16 = 210;
/// Status code: banned.
pub const BANNED: u16 = 301;
/// Status code: the occupant changes their nick.
pub const NEW_NICK: u16 = 303;
/// Status code: kicked.
pub const KICKED: u16 = 307;
/// Status code: removed because of an affiliation change.
pub const AFFILIATION_LOST: u16 = 321;
/// Status code: removed because the room became members-only.
pub const MEMBERS_ONLY: u16 = 322;
/// Status code: removed because of a technical problem, such as an unreachable server.
pub const TECHNICAL: u16 = 333;

/// One `<item/>`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Item {
    /// `owner`, `admin`, `member`, `outcast` or `none`.
    pub affiliation: String,
    /// `moderator`, `participant`, `visitor` or `none`.
    pub role: String,
    /// The real address, if the room shows it to us.
    pub jid: Option<Jid>,
    /// The new nick of an occupant who changes it.
    pub nick: Option<String>,
    /// The reason given.
    pub reason: Option<String>,
}

/// `<x xmlns='http://jabber.org/protocol/muc#user'/>`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MucUser {
    /// The status codes.
    pub codes: Vec<u16>,
    /// The first item.
    pub item: Option<Item>,
    /// The room was destroyed: the reason, and where it moved.
    pub destroyed: Option<(Option<String>, Option<Jid>)>,
    /// A mediated invitation: who invites.
    pub invited_by: Option<Jid>,
    /// The room's password, with an invitation.
    pub password: Option<String>,
}

impl MucUser {
    /// Reads the element among a stanza's payloads.
    pub fn find(payloads: &[Element]) -> Option<Self> {
        payloads
            .iter()
            .find(|element| element.is("x", ns::MUC_USER))
            .map(Self::read)
    }

    /// Whether this status code was given.
    pub fn has(&self, code: u16) -> bool {
        self.codes.contains(&code)
    }

    fn read(element: &Element) -> Self {
        let mut found = Self::default();
        for child in element.children().take(BOUND) {
            match child.name() {
                "status" => found
                    .codes
                    .extend(child.attr("code").and_then(|code| code.parse::<u16>().ok())),
                "item" if found.item.is_none() => found.item = Some(read_item(child)),
                "destroy" => {
                    let moved = child.attr("jid").and_then(|jid| Jid::new(jid).ok());
                    found.destroyed = Some((child_text(child, "reason"), moved));
                }
                "password" => found.password = Some(child.text()).filter(|text| !text.is_empty()),
                "invite" => found.invited_by = child.attr("from").and_then(|jid| Jid::new(jid).ok()),
                _ => {}
            }
        }
        found
    }
}

fn read_item(element: &Element) -> Item {
    let attribute = |name: &str| element.attr(name).map(str::to_owned);
    Item {
        affiliation: attribute("affiliation").unwrap_or_default(),
        role: attribute("role").unwrap_or_default(),
        jid: element.attr("jid").and_then(|jid| Jid::new(jid).ok()),
        nick: attribute("nick"),
        reason: child_text(element, "reason"),
    }
}

fn child_text(element: &Element, name: &str) -> Option<String> {
    element
        .get_child(name, ns::MUC_USER)
        .map(Element::text)
        .filter(|text| !text.is_empty())
}

/// Somebody invited through the room.
#[derive(FromXml, AsXml, Debug, Clone, PartialEq)]
#[xml(namespace = ns::MUC_USER, name = "invite")]
struct Invite {
    #[xml(attribute)]
    to: BareJid,
    #[xml(extract(default, name = "reason", fields(text(type_ = String))))]
    reason: Option<String>,
}

/// The request to invite somebody.
#[derive(FromXml, AsXml, Debug, Clone, PartialEq)]
#[xml(namespace = ns::MUC_USER, name = "x")]
struct Invitation {
    #[xml(child)]
    invite: Invite,
}

/// The request to a room to invite somebody.
pub fn invitation(to: &BareJid, reason: Option<&str>) -> Element {
    let invite = Invite {
        to: to.clone(),
        reason: reason.map(str::to_owned),
    };
    Invitation { invite }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_codes_and_bad_addresses_do_not_hide_the_rest() {
        let element: Element =
            "<x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/><status code='999'/>\
            <status code='no'/><item affiliation='member' role='participant' jid='@@'><reason>why</reason></item></x>"
                .parse()
                .unwrap();
        let found = MucUser::find(&[element]).unwrap();
        assert!(found.has(SELF_PRESENCE));
        assert_eq!(found.codes, [110, 999]);
        let item = found.item.unwrap();
        assert_eq!((item.jid, item.reason.as_deref()), (None, Some("why")));
    }
}
