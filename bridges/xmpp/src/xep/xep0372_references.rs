//! XEP-0372 References: who is mentioned, and where in the text.

use xmpp_parsers::message::MessagePayload;
use xso::{AsXml, FromXml};

/// The namespace.
pub const NS: &str = "urn:xmpp:reference:0";

/// A reference from a part of the body to something else.
#[derive(FromXml, AsXml, Debug, Clone, PartialEq)]
#[xml(namespace = NS, name = "reference")]
pub struct Reference {
    /// `mention` or `data`.
    #[xml(attribute = "type")]
    pub kind: String,
    /// What is referred to, as a URI.
    #[xml(attribute(default))]
    pub uri: Option<String>,
    /// The first character of the body concerned, counted in code points from 0.
    #[xml(attribute(default))]
    pub begin: Option<usize>,
    /// The first character of the body after the part concerned.
    #[xml(attribute(default))]
    pub end: Option<usize>,
}

impl MessagePayload for Reference {}
