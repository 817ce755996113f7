//! XEP-0446 File metadata element.

use xso::{AsXml, FromXml};

/// The namespace.
pub const NS: &str = "urn:xmpp:file:metadata:0";

/// What is known about a file.
#[derive(FromXml, AsXml, Debug, Clone, PartialEq, Default)]
#[xml(namespace = NS, name = "file")]
pub struct FileMetadata {
    /// Its media type.
    #[xml(extract(default, name = "media-type", fields(text(type_ = String))))]
    pub media_type: Option<String>,
    /// Its name.
    #[xml(extract(default, name = "name", fields(text(type_ = String))))]
    pub name: Option<String>,
    /// Its size in bytes.
    #[xml(extract(default, name = "size", fields(text(type_ = u64))))]
    pub size: Option<u64>,
    /// Its width in pixels.
    #[xml(extract(default, name = "width", fields(text(type_ = u32))))]
    pub width: Option<u32>,
    /// Its height in pixels.
    #[xml(extract(default, name = "height", fields(text(type_ = u32))))]
    pub height: Option<u32>,
    /// Its length in milliseconds.
    #[xml(extract(default, name = "length", fields(text(type_ = u64))))]
    pub length: Option<u64>,
}
