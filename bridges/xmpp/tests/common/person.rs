use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_xmpp::Stanza;
use viaduct_xmpp::client::account;
use viaduct_xmpp::client::component::connect;
use viaduct_xmpp::client::link::{Ends, Link};
use viaduct_xmpp::config::{Account, Component, Secret, Timeouts};
use xmpp_parsers::iq::Iq;
use xmpp_parsers::message::Message;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;
use xmpp_parsers::presence::Presence;

use super::Server;
use super::prosody::{SECRET, secret_of};

const PATIENCE: Duration = Duration::from_secs(30);

/// A person who says exactly the stanzas they are told to.
pub struct Person {
    ends: Ends,
    pub address: String,
    pub room: String,
    pub nick: String,
}

impl Person {
    /// Comes into a room.
    pub async fn join(server: &dyn Server, room: &str, local: &str, nick: &str) -> Self {
        Self::join_from(server, "people.localhost", room, local, nick).await
    }

    /// Comes into a room from a component that is not in use yet.
    pub async fn join_from(server: &dyn Server, domain: &str, room: &str, local: &str, nick: &str) -> Self {
        let mut person = Self::connect(server, domain, room, local, nick).await;
        person.enter().await;
        person
    }

    /// Connects, and stays outside.
    pub async fn connect(server: &dyn Server, domain: &str, room: &str, local: &str, nick: &str) -> Self {
        let component: Component =
            serde_json::from_value(serde_json::json!({"port": server.port(domain), "domain": domain})).unwrap();
        let link = connect(&component, &Secret::new(secret_of(domain)), &Timeouts::default())
            .await
            .unwrap();
        Self::over(link, format!("{local}@{domain}/x"), room, nick)
    }

    /// Logs in as a client with an account on the server, and stays outside.
    pub async fn login(server: &dyn Server, user: &str, room: &str, nick: &str) -> Self {
        let address = format!("{user}@localhost");
        let account: Account = serde_json::from_value(serde_json::json!({
            "address": address, "host": "127.0.0.1", "port": server.client_port(), "ca_file": server.ca_file(),
        }))
        .unwrap();
        let link = account::connect(&account, &Secret::new(SECRET), &Timeouts::default())
            .await
            .unwrap();
        let person = Self::over(link, address, room, nick);
        person.send("<presence/>").await;
        person
    }

    fn over(link: Link, address: String, room: &str, nick: &str) -> Self {
        let (ends, outgoing, incoming) = Link::queues();
        tokio::spawn(link.run(outgoing, incoming, CancellationToken::new()));
        Self {
            ends,
            address,
            room: room.to_owned(),
            nick: nick.to_owned(),
        }
    }

    /// Says something to one person; `inner` is the message's content.
    pub async fn whisper(&self, to: &str, id: &str, inner: &str) {
        let from = &self.address;
        self.send(&format!(
            "<message type='chat' id='{id}' from='{from}' to='{to}'>{inner}</message>"
        ))
        .await;
    }

    pub async fn enter(&mut self) {
        let to = format!("{}/{}", self.room, self.nick);
        self.send(&format!(
            "<presence from='{}' to='{to}'><x xmlns='{}'/></presence>",
            self.address,
            ns::MUC
        ))
        .await;
        self.until("the own presence", |xml| {
            xml.starts_with("<presence") && xml.contains("code='110'")
        })
        .await;
    }

    /// Sends a stanza as it is.
    pub async fn send(&self, xml: &str) {
        let name_end = xml.find([' ', '>', '/']).unwrap();
        let (start, rest) = xml.split_at(name_end);
        let element: Element = format!("{start} xmlns='{}'{rest}", ns::DEFAULT_NS).parse().unwrap();
        let stanza = match element.name() {
            "message" => Stanza::from(Message::try_from(element).unwrap()),
            "presence" => Presence::try_from(element).unwrap().into(),
            _ => Iq::try_from(element).unwrap().into(),
        };
        self.ends.outgoing.send(stanza).await.unwrap();
    }

    /// Says something in the room; `inner` is the message's content.
    pub async fn say(&self, id: &str, inner: &str) {
        let (from, to) = (&self.address, &self.room);
        self.send(&format!(
            "<message type='groupchat' id='{id}' from='{from}' to='{to}'>{inner}</message>"
        ))
        .await;
    }

    /// Asks the room for something as its owner.
    pub async fn ask(&mut self, kind: &str, inner: &str) -> String {
        let (from, to) = (&self.address, &self.room);
        self.send(&format!(
            "<iq type='{kind}' id='ask' from='{from}' to='{to}'>{inner}</iq>"
        ))
        .await;
        self.until("an answer", |xml| xml.starts_with("<iq") && xml.contains("id='ask'"))
            .await
    }

    /// Asks anybody for something.
    pub async fn ask_of(&mut self, to: &str, kind: &str, inner: &str) -> String {
        let from = &self.address;
        self.send(&format!(
            "<iq type='{kind}' id='ask' from='{from}' to='{to}'>{inner}</iq>"
        ))
        .await;
        self.until("an answer", |xml| xml.starts_with("<iq") && xml.contains("id='ask'"))
            .await
    }

    /// The next stanza.
    pub async fn receive(&mut self) -> Option<Stanza> {
        self.ends.incoming.recv().await
    }

    /// The next stanza that is wanted.
    pub async fn until(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let mut seen = Vec::new();
        let wait = async {
            while let Some(stanza) = self.ends.incoming.recv().await {
                let xml = String::from(&match stanza {
                    Stanza::Message(message) => Element::from(message),
                    Stanza::Presence(presence) => presence.into(),
                    Stanza::Iq(iq) => iq.into(),
                });
                let xml = xml.replace(" xml:lang='en'", "");
                if wanted(&xml) {
                    return xml;
                }
                seen.push(xml);
            }
            panic!("the connection ended");
        };
        match timeout(PATIENCE, wait).await {
            Ok(xml) => xml,
            Err(_) => panic!("{what} did not come; seen {seen:#?}"),
        }
    }
}
