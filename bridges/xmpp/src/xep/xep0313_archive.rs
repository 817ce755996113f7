//! XEP-0313 Message Archive Management: results of a query.
//!
//! Read by hand: one archived message that cannot be read must not hide its id.

use xmpp_parsers::delay::Delay;
use xmpp_parsers::message::Message;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;

/// One archived message.
#[derive(Debug, Clone, PartialEq)]
pub struct Archived {
    /// Its id in the archive.
    pub id: String,
    /// The query that asked for it.
    pub query: String,
    /// When it was archived.
    pub delay: Option<Delay>,
    /// The message as archived; none if it cannot be read.
    pub message: Option<Message>,
}

impl Archived {
    /// Reads a result among a stanza's payloads.
    pub fn find(payloads: &[Element]) -> Option<Self> {
        let result = payloads.iter().find(|element| element.is("result", ns::MAM))?;
        let forwarded = result.get_child("forwarded", ns::FORWARD)?;
        let delay = forwarded
            .get_child("delay", ns::DELAY)
            .and_then(|delay| Delay::try_from(delay.clone()).ok());
        let message = forwarded
            .children()
            .find(|child| child.name() == "message")
            .and_then(|message| Message::try_from(message.clone()).ok());
        Some(Self {
            id: result.attr("id")?.to_owned(),
            query: result.attr("queryid").unwrap_or_default().to_owned(),
            delay,
            message,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archived_message_is_read() {
        let xml = "<result xmlns='urn:xmpp:mam:2' queryid='q' id='7'><forwarded xmlns='urn:xmpp:forward:0'>\
            <delay xmlns='urn:xmpp:delay' stamp='2026-01-02T03:04:05Z'/>\
            <message xmlns='NS' from='room@c.example/alice' type='groupchat' id='m'><body>hi</body>\
            <origin-id xmlns='urn:xmpp:sid:0' id='o'/></message></forwarded></result>";
        let element: Element = xml.replace("NS", ns::DEFAULT_NS).parse().unwrap();
        let found = Archived::find(&[element]).unwrap();
        let message = found.message.unwrap();
        assert_eq!((found.id.as_str(), found.query.as_str()), ("7", "q"));
        assert_eq!(message.bodies.values().next().map(String::as_str), Some("hi"));
        assert_eq!(message.payloads.len(), 1);
        assert!(found.delay.is_some());
    }
}
