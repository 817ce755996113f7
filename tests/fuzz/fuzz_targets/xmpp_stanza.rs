//! A message of a room, with whatever a stranger put into it: read within its bounds, and what it says can be written again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use viaduct_model::{Language, NetworkName};
use viaduct_xmpp::convert::incoming::{Reader, Said, Says};
use viaduct_xmpp::convert::outgoing::{self, Manner, Mentions};
use xmpp_parsers::jid::BareJid;
use xmpp_parsers::message::Message;
use xmpp_parsers::minidom::Element;

const FILES: usize = 32;
const REACTIONS: usize = 64;

fuzz_target!(|data: &[u8]| {
    let inner = String::from_utf8_lossy(data);
    let xml = format!(
        "<message xmlns='jabber:component:accept' type='groupchat' id='m' from='r@rooms.example/nick' \
         to='viaduct@hub.example/viaduct'>{inner}</message>"
    );
    // What is no XML, or no message, is turned away by the stream.
    let Some(stanza) = xml
        .parse::<Element>()
        .ok()
        .and_then(|element| Message::try_from(element).ok())
    else {
        return;
    };
    let room = BareJid::new("r@rooms.example").expect("a room");
    let network = NetworkName::new("xmpp").expect("a name");
    let reader = Reader {
        network: &network,
        allows_host: &|host| host == "files.example",
        language: Language::English,
    };
    match reader.read(&stanza, &room).map(|reading| reading.says) {
        Some(Says::Message(said) | Says::Edit(_, said)) => check(&said, &network, &room),
        Some(Says::Reactions(_, set)) => assert!(set.len() <= REACTIONS),
        _ => {}
    }
});

fn check(said: &Said, network: &NetworkName, room: &BareJid) {
    assert!(said.message.attachments.len() <= FILES);
    let mentions = Mentions { network, room };
    for stanza in outgoing::text(&said.message, &Manner::default(), &mentions) {
        let written = String::from(&Element::from(stanza));
        assert!(written.parse::<Element>().is_ok(), "{written}");
    }
}
