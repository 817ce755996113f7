//! The two namespaces of stanzas.
//!
//! The parser library is built for one of them: that of component streams. A client's stream carries the same stanzas in the
//! namespace `jabber:client`, and so do archives and forwarded messages inside a component's stream. Both are moved while they
//! are read, and moved back while a client's are written, so that nothing else in the bridge has to know.

use tokio_xmpp::xmlstream::XmppStreamElement;
use xmpp_parsers::ns;
use xso::exports::rxml::{Event, Namespace};
use xso::{AsXml, Item};

/// The event with its element moved into the namespace that the stanza types are built for.
pub fn incoming(event: Event) -> Event {
    match event {
        Event::StartElement(metrics, (namespace, name), attributes) if namespace == ns::JABBER_CLIENT => {
            Event::StartElement(metrics, (Namespace::from(ns::DEFAULT_NS), name), attributes)
        }
        other => other,
    }
}

/// An element to be written into a client's stream.
pub struct ForClients<'a>(pub &'a XmppStreamElement);

type Written<'x> = Result<Item<'x>, xso::error::Error>;

impl AsXml for ForClients<'_> {
    type ItemIter<'x>
        = std::iter::Map<<XmppStreamElement as AsXml>::ItemIter<'x>, fn(Written<'x>) -> Written<'x>>
    where
        Self: 'x;

    fn as_xml_iter(&self) -> Result<Self::ItemIter<'_>, xso::error::Error> {
        Ok(AsXml::as_xml_iter(self.0)?.map(outgoing))
    }
}

fn outgoing(item: Written<'_>) -> Written<'_> {
    item.map(|item| match item {
        Item::ElementHeadStart(namespace, name) if namespace == ns::DEFAULT_NS => {
            Item::ElementHeadStart(Namespace::from(ns::JABBER_CLIENT), name)
        }
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use xmpp_parsers::message::{Lang, Message};

    use super::*;

    #[test]
    fn a_stanza_is_written_as_clients_write_it() {
        let message = Message::chat(None).with_body(Lang::new(), "<hi>".to_owned());
        let element = XmppStreamElement::Stanza(message.into());
        let bytes = xso::to_vec(&ForClients(&element)).unwrap();
        insta::assert_snapshot!(String::from_utf8(bytes).unwrap(), @"<message xmlns='jabber:client' type='chat'><body>&lt;hi&gt;</body></message>");
    }
}
