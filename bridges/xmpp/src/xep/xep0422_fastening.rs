//! XEP-0422 Message Fastening: how retraction and moderation were wrapped in their first versions. Read only.

use xmpp_parsers::minidom::Element;

/// The namespace.
pub const NS: &str = "urn:xmpp:fasten:0";

/// The message fastened to, and what is fastened.
pub fn find(payloads: &[Element]) -> Option<(String, Vec<Element>)> {
    let element = payloads.iter().find(|element| element.is("apply-to", NS))?;
    Some((
        element.attr("id")?.to_owned(),
        element.children().take(16).cloned().collect(),
    ))
}
