//! XEP-0424 Message Retraction, `:1`; `:0` (fastened) is read as well.

use xmpp_parsers::message::MessagePayload;
use xmpp_parsers::minidom::Element;
use xso::{AsXml, FromXml};

use super::xep0422_fastening;

/// The namespace.
pub const NS: &str = "urn:xmpp:message-retract:1";
/// The namespace of the first version.
pub const NS_0: &str = "urn:xmpp:message-retract:0";

/// The sender withdraws a message.
#[derive(FromXml, AsXml, Debug, Clone, PartialEq)]
#[xml(namespace = NS, name = "retract")]
pub struct Retract {
    /// The message: in a room its stanza-id.
    #[xml(attribute)]
    pub id: String,
}

impl MessagePayload for Retract {}

/// Takes the place of a withdrawn message in an archive.
pub fn is_tombstone(payloads: &[Element]) -> bool {
    payloads
        .iter()
        .any(|element| element.is("retracted", NS) || element.is("retracted", NS_0))
}

/// The message withdrawn by its own sender, in either version.
pub fn find(payloads: &[Element]) -> Option<String> {
    let plain = payloads
        .iter()
        .find(|element| element.is("retract", NS) && element.children().next().is_none());
    if let Some(id) = plain.and_then(|element| element.attr("id")) {
        return Some(id.to_owned());
    }
    let (id, fastened) = xep0422_fastening::find(payloads)?;
    fastened.iter().any(|element| element.is("retract", NS_0)).then_some(id)
}
