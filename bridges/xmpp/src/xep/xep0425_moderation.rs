//! XEP-0425 Moderated Message Retraction, `:1` and `:0`.

use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;
use xso::{AsXml, FromXml};

use super::{xep0422_fastening, xep0424_retraction};

/// The namespace.
pub const NS: &str = "urn:xmpp:message-moderate:1";
/// The namespace of the first version.
pub const NS_0: &str = "urn:xmpp:message-moderate:0";

/// A message that a moderator withdrew, as the room announces it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moderated {
    /// Its stanza-id.
    pub target: String,
    /// The moderator's address in the room.
    pub by: Option<String>,
    /// The moderator's occupant-id (XEP-0421).
    pub occupant: Option<String>,
    /// The reason given.
    pub reason: Option<String>,
}

/// Reads an announcement in either version. Only to be believed when the room itself is the sender.
pub fn find(payloads: &[Element]) -> Option<Moderated> {
    if let Some(retract) = payloads
        .iter()
        .find(|element| element.is("retract", xep0424_retraction::NS))
    {
        let moderated = retract.get_child("moderated", NS)?;
        return Some(Moderated {
            target: retract.attr("id")?.to_owned(),
            by: moderated.attr("by").map(str::to_owned),
            occupant: occupant(moderated),
            reason: reason(retract),
        });
    }
    let (target, fastened) = xep0422_fastening::find(payloads)?;
    let moderated = fastened.iter().find(|element| element.is("moderated", NS_0))?;
    moderated.get_child("retract", xep0424_retraction::NS_0)?;
    Some(Moderated {
        target,
        by: moderated.attr("by").map(str::to_owned),
        occupant: occupant(moderated),
        reason: reason(moderated),
    })
}

/// The request to withdraw a message.
#[derive(FromXml, AsXml, Debug, Clone, PartialEq)]
#[xml(namespace = NS, name = "moderate")]
struct Moderate {
    #[xml(attribute)]
    id: String,
    #[xml(flag(namespace = xep0424_retraction::NS, name = "retract"))]
    retract: bool,
    #[xml(extract(default, name = "reason", fields(text(type_ = String))))]
    reason: Option<String>,
}

/// The request of the first version.
#[derive(FromXml, AsXml, Debug, Clone, PartialEq)]
#[xml(namespace = NS_0, name = "moderate")]
struct ModerateFirst {
    #[xml(flag(namespace = xep0424_retraction::NS_0, name = "retract"))]
    retract: bool,
    #[xml(extract(default, name = "reason", fields(text(type_ = String))))]
    reason: Option<String>,
}

/// What the first version wraps its request in.
#[derive(FromXml, AsXml, Debug, Clone, PartialEq)]
#[xml(namespace = xep0422_fastening::NS, name = "apply-to")]
struct ApplyTo {
    #[xml(attribute)]
    id: String,
    #[xml(child)]
    moderate: ModerateFirst,
}

/// Asks a room to withdraw a message, in the version it knows.
pub fn request(target: &str, reason: Option<&str>, first_version: bool) -> Element {
    let (id, reason) = (target.to_owned(), reason.map(str::to_owned));
    if first_version {
        return ApplyTo {
            id,
            moderate: ModerateFirst { retract: true, reason },
        }
        .into();
    }
    Moderate {
        id,
        retract: true,
        reason,
    }
    .into()
}

fn occupant(moderated: &Element) -> Option<String> {
    let id = moderated.get_child("occupant-id", ns::OID)?.attr("id")?;
    Some(id.to_owned())
}

fn reason(element: &Element) -> Option<String> {
    element
        .children()
        .find(|child| child.name() == "reason")
        .map(Element::text)
        .filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(xml: &str) -> Option<Moderated> {
        find(&[xml.parse().unwrap()])
    }

    #[test]
    fn requests_look_like_this() {
        insta::assert_snapshot!(String::from(&request("7", Some("spam"), false)), @"<moderate xmlns='urn:xmpp:message-moderate:1' id='7'><retract xmlns='urn:xmpp:message-retract:1'/><reason>spam</reason></moderate>");
        insta::assert_snapshot!(String::from(&request("7", None, true)), @"<apply-to xmlns='urn:xmpp:fasten:0' id='7'><moderate xmlns='urn:xmpp:message-moderate:0'><retract xmlns='urn:xmpp:message-retract:0'/></moderate></apply-to>");
    }

    #[test]
    fn both_versions_are_read() {
        let old = Moderated {
            target: "7".into(),
            by: Some("r@c.example/mod".into()),
            occupant: None,
            reason: Some("spam".into()),
        };
        let new = Moderated {
            occupant: Some("oc".into()),
            ..old.clone()
        };
        let in_new = "<retract xmlns='urn:xmpp:message-retract:1' id='7'><moderated xmlns='urn:xmpp:message-moderate:1' \
            by='r@c.example/mod'><occupant-id xmlns='urn:xmpp:occupant-id:0' id='oc'/></moderated><reason>spam</reason></retract>";
        let in_old = "<apply-to xmlns='urn:xmpp:fasten:0' id='7'><moderated xmlns='urn:xmpp:message-moderate:0' \
            by='r@c.example/mod'><retract xmlns='urn:xmpp:message-retract:0'/><reason>spam</reason></moderated></apply-to>";
        assert_eq!(read(in_new), Some(new));
        assert_eq!(read(in_old), Some(old));
        assert_eq!(read("<retract xmlns='urn:xmpp:message-retract:1' id='7'/>"), None);
        assert_eq!(xep0424_retraction::find(&[in_new.parse().unwrap()]), None);
    }
}
