//! XEP-0334 Message Processing Hints.

use xmpp_parsers::message::MessagePayload;
use xso::{AsXml, FromXml};

/// The namespace.
pub const NS: &str = "urn:xmpp:hints";

/// Asks archives to keep a message that has no body.
#[derive(FromXml, AsXml, Debug, Clone, PartialEq)]
#[xml(namespace = NS, name = "store")]
pub struct Store;

impl MessagePayload for Store {}

/// Asks archives not to keep a message.
#[derive(FromXml, AsXml, Debug, Clone, PartialEq)]
#[xml(namespace = NS, name = "no-store")]
pub struct NoStore;

impl MessagePayload for NoStore {}
