//! XEP-0428 Fallback Indication: which part of a body is only for clients that do not know an extension.

use xmpp_parsers::message::MessagePayload;
use xso::{AsXml, FromXml};

/// The namespace.
pub const NS: &str = "urn:xmpp:fallback:0";

/// A part of a body.
#[derive(FromXml, AsXml, Debug, Clone, PartialEq)]
#[xml(namespace = NS, name = "body")]
pub struct Part {
    /// Its first character, in code points from 0; none means the whole body.
    #[xml(attribute(default))]
    pub start: Option<usize>,
    /// The first character after it.
    #[xml(attribute(default))]
    pub end: Option<usize>,
}

/// What is a fallback for what.
#[derive(FromXml, AsXml, Debug, Clone, PartialEq)]
#[xml(namespace = NS, name = "fallback")]
pub struct Fallback {
    /// The namespace of the extension.
    #[xml(attribute(name = "for", default))]
    pub extension: Option<String>,
    /// The parts of the body concerned; none means the whole body.
    #[xml(child(n = ..))]
    pub parts: Vec<Part>,
}

impl MessagePayload for Fallback {}
