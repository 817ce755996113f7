//! XEP-0482 Call Invites. Only told of: a call is joined with an XMPP client.

use xmpp_parsers::minidom::Element;

/// The namespace.
pub const NS: &str = "urn:xmpp:call-invites:0";

/// Whether a message invites to a call, and whether that has pictures.
pub fn find(payloads: &[Element]) -> Option<bool> {
    let invite = payloads.iter().find(|element| element.is("invite", NS))?;
    Some(matches!(invite.attr("video"), Some("true" | "1")))
}
