//! XEP-0447 Stateless file sharing.

use xmpp_parsers::message::MessagePayload;
use xso::{AsXml, FromXml};

use super::xep0446_file_metadata::FileMetadata;

/// The namespace.
pub const NS: &str = "urn:xmpp:sfs:0";
const NS_URL_DATA: &str = "http://jabber.org/protocol/url-data";

/// A place where the file can be fetched.
#[derive(FromXml, AsXml, Debug, Clone, PartialEq)]
#[xml(namespace = NS_URL_DATA, name = "url-data")]
pub struct UrlData {
    /// Its address.
    #[xml(attribute)]
    pub target: String,
}

/// Where the file can be fetched; sources of other kinds are not kept.
#[derive(FromXml, AsXml, Debug, Clone, PartialEq)]
#[xml(namespace = NS, name = "sources")]
pub struct Sources {
    /// The addresses.
    #[xml(child(n = ..))]
    pub urls: Vec<UrlData>,
}

/// A file offered with a message.
#[derive(FromXml, AsXml, Debug, Clone, PartialEq)]
#[xml(namespace = NS, name = "file-sharing")]
pub struct FileSharing {
    /// `inline` or `attachment`.
    #[xml(attribute(default))]
    pub disposition: Option<String>,
    /// What is known about it.
    #[xml(child)]
    pub file: FileMetadata,
    /// Where it is.
    #[xml(child)]
    pub sources: Sources,
}

impl MessagePayload for FileSharing {}

#[cfg(test)]
mod tests {
    use xmpp_parsers::minidom::Element;

    use super::*;

    #[test]
    fn a_file_round_trips_and_unknown_parts_do_not_matter() {
        let element: Element = "<file-sharing xmlns='urn:xmpp:sfs:0' disposition='inline'>\
            <file xmlns='urn:xmpp:file:metadata:0'><media-type>image/png</media-type><name>a.png</name><size>12</size>\
            <hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>AAAA</hash></file>\
            <sources><url-data xmlns='http://jabber.org/protocol/url-data' target='https://u.example/a.png'/>\
            <other xmlns='x'/></sources></file-sharing>"
            .parse()
            .unwrap();
        let sharing = FileSharing::try_from(element).unwrap();
        assert_eq!(sharing.file.size, Some(12));
        assert_eq!(sharing.sources.urls.len(), 1);
        let again = FileSharing::try_from(Element::from(sharing.clone())).unwrap();
        assert_eq!(again, sharing);
    }
}
