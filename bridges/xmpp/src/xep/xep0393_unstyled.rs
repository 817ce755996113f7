//! XEP-0393 Message Styling: the element that switches it off. The styling itself is in [`crate::convert::styling`].

use xmpp_parsers::message::MessagePayload;
use xso::{AsXml, FromXml};

/// The namespace.
pub const NS: &str = "urn:xmpp:styling:0";

/// The body is not to be styled.
#[derive(FromXml, AsXml, Debug, Clone, PartialEq)]
#[xml(namespace = NS, name = "unstyled")]
pub struct Unstyled;

impl MessagePayload for Unstyled {}
