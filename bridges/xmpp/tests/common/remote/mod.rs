//! The conformance kit's person in a room.

mod heard;

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_xmpp::Stanza;
use viaduct_bridge::conformance::{Done, Handle, Remote, RemoteError, Seen};
use viaduct_model::ChannelId;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;

use super::Server;
use super::person::Person;
use super::proxy::Proxy;

const PATIENCE: Duration = Duration::from_secs(20);

/// The kit's person in a room.
pub struct RoomPerson {
    server: Box<dyn Server>,
    proxy: Proxy,
    room: String,
    relayed: bool,
    person: Mutex<Option<Person>>,
    owner: Mutex<Option<Person>>,
    state: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    seen: std::collections::VecDeque<Seen>,
    next: u32,
    nick: String,
    /// The new nick of somebody who is about to be shown under it.
    renamed: Option<String>,
    /// The sets of reactions by author and message.
    reactions: std::collections::HashMap<(String, String), Vec<String>>,
    /// The texts of messages: what is reacted to is shown by its handle only.
    own: std::collections::HashMap<String, String>,
    /// The first message of each thread.
    threads: std::collections::HashMap<String, String>,
    /// Own stanza ids by their room's id.
    named: std::collections::HashMap<String, String>,
}

fn failed(reason: impl Into<String>) -> RemoteError {
    RemoteError::Failed(reason.into())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

impl RoomPerson {
    /// `relayed` says whether the bridge puts names before texts.
    pub fn new(server: Box<dyn Server>, proxy: Proxy, room: &str, relayed: bool) -> Self {
        let state = Memory {
            nick: "robin".into(),
            ..Memory::default()
        };
        Self {
            server,
            proxy,
            room: room.to_owned(),
            relayed,
            person: Mutex::new(None),
            owner: Mutex::new(None),
            state: Mutex::new(state),
        }
    }

    async fn fresh(&self) -> String {
        let mut state = self.state.lock().await;
        state.next += 1;
        format!("robin-{}", state.next)
    }

    /// Sends a message and waits until the room shows it; gives the room's id.
    async fn speak(&self, id: &str, inner: &str) -> Done<Handle> {
        self.person
            .lock()
            .await
            .as_ref()
            .ok_or_else(|| failed("not connected"))?
            .say(id, inner)
            .await;
        let wait = async {
            loop {
                let element = self.next().await?;
                let own = element.attr("id") == Some(id) && element.name() == "message";
                if own {
                    if element.attr("type") == Some("error") {
                        return Err(failed(String::from(&element)));
                    }
                    let name = stanza_id(&element).unwrap_or_default();
                    let mut state = self.state.lock().await;
                    state.named.insert(name.clone(), id.to_owned());
                    return Ok(Handle(name));
                }
                self.note(&element).await;
            }
        };
        timeout(PATIENCE, wait)
            .await
            .map_err(|_| failed("the room did not show the message"))?
    }

    async fn next(&self) -> Done<Element> {
        let mut person = self.person.lock().await;
        let person = person.as_mut().ok_or_else(|| failed("not connected"))?;
        match person.receive().await {
            Some(Stanza::Message(message)) => Ok(message.into()),
            Some(Stanza::Presence(presence)) => Ok(presence.into()),
            Some(Stanza::Iq(iq)) => Ok(iq.into()),
            None => Err(failed("the connection ended")),
        }
    }

    async fn own_name(&self, handle: &Handle) -> Done<String> {
        self.state
            .lock()
            .await
            .named
            .get(&handle.0)
            .cloned()
            .ok_or_else(|| failed("an unknown message"))
    }

    async fn presence(&self, inner: &str) -> Done {
        let person = self.person.lock().await;
        person
            .as_ref()
            .ok_or_else(|| failed("not connected"))?
            .send(inner)
            .await;
        Ok(())
    }

    async fn react_with(&self, target: &Handle, change: impl FnOnce(&mut Vec<String>)) -> Done {
        let set = {
            let mut state = self.state.lock().await;
            let set = state.reactions.entry((String::new(), target.0.clone())).or_default();
            change(set);
            set.clone()
        };
        let inner: String = set.iter().map(|one| format!("<reaction>{one}</reaction>")).collect();
        let id = self.fresh().await;
        let xml = format!(
            "<reactions xmlns='{}' id='{}'>{inner}</reactions><store xmlns='urn:xmpp:hints'/>",
            ns::REACTIONS,
            target.0
        );
        self.speak(&id, &xml).await.map(drop)
    }
}

fn stanza_id(element: &Element) -> Option<String> {
    element.get_child("stanza-id", ns::SID)?.attr("id").map(str::to_owned)
}

#[async_trait]
impl Remote for RoomPerson {
    fn channel(&self) -> ChannelId {
        ChannelId::new(&self.room).unwrap()
    }

    async fn connect(&self) -> Done {
        // The room's maker lets the bridge and the person do what the kit asks of them.
        let mut owner = Person::join_from(self.server.as_ref(), "others.localhost", &self.room, "owner", "owner").await;
        for (address, affiliation) in [
            ("viaduct@bridge.localhost", "owner"),
            ("bridge@localhost", "owner"),
            ("robin@people.localhost", "admin"),
        ] {
            let item = format!("<item jid='{address}' affiliation='{affiliation}'/>");
            owner
                .ask(
                    "set",
                    &format!("<query xmlns='http://jabber.org/protocol/muc#admin'>{item}</query>"),
                )
                .await;
        }
        *self.person.lock().await = Some(Person::join(self.server.as_ref(), &self.room, "robin", "robin").await);
        *self.owner.lock().await = Some(owner);
        Ok(())
    }

    async fn say(&self, text: &str) -> Done<Handle> {
        let id = self.fresh().await;
        self.speak(
            &id,
            &format!("<body>{}</body><unstyled xmlns='urn:xmpp:styling:0'/>", escape(text)),
        )
        .await
    }

    async fn expect_next(&self, bound: Duration) -> Done<Option<Seen>> {
        let wait = async {
            loop {
                if let Some(seen) = self.state.lock().await.seen.pop_front() {
                    return Ok(Some(seen));
                }
                let element = self.next().await?;
                self.note(&element).await;
            }
        };
        timeout(bound, wait).await.unwrap_or(Ok(None))
    }

    async fn say_raw(&self, _bytes: &[u8]) -> Done {
        Err(RemoteError::Absent(
            "the server takes well-formed XML only, and ends the stream of whoever sends anything else".into(),
        ))
    }

    async fn say_bold(&self, text: &str) -> Done<Handle> {
        let id = self.fresh().await;
        self.speak(&id, &format!("<body>*{}*</body>", escape(text))).await
    }

    async fn say_mention(&self, author: &str, text: &str) -> Done<Handle> {
        let id = self.fresh().await;
        let end = author.chars().count();
        let body = escape(&format!("{author}: {text}"));
        let uri = escape(&format!("xmpp:{}/{author}", self.room));
        let reference =
            format!("<reference xmlns='urn:xmpp:reference:0' type='mention' begin='0' end='{end}' uri='{uri}'/>");
        self.speak(&id, &format!("<body>{body}</body>{reference}")).await
    }

    async fn edit(&self, target: &Handle, text: &str) -> Done {
        let (id, original) = (self.fresh().await, self.own_name(target).await?);
        let xml = format!(
            "<body>{}</body><replace xmlns='{}' id='{original}'/>",
            escape(text),
            ns::MESSAGE_CORRECT
        );
        self.speak(&id, &xml).await.map(drop)
    }

    async fn delete(&self, target: &Handle) -> Done {
        let id = self.fresh().await;
        let xml = format!(
            "<retract xmlns='urn:xmpp:message-retract:1' id='{}'/><store xmlns='urn:xmpp:hints'/>",
            target.0
        );
        self.speak(&id, &xml).await.map(drop)
    }

    async fn reply(&self, target: &Handle, text: &str) -> Done<Handle> {
        let id = self.fresh().await;
        self.speak(
            &id,
            &format!(
                "<body>{}</body><reply xmlns='urn:xmpp:reply:0' id='{}'/>",
                escape(text),
                target.0
            ),
        )
        .await
    }

    async fn say_in_thread(&self, root: &Handle, text: &str) -> Done<Handle> {
        let id = self.fresh().await;
        self.speak(
            &id,
            &format!("<thread>{}</thread><body>{}</body>", root.0, escape(text)),
        )
        .await
    }

    async fn react(&self, target: &Handle, emoji: &str) -> Done {
        self.react_with(target, |set| set.push(emoji.to_owned())).await
    }

    async fn unreact(&self, target: &Handle, emoji: &str) -> Done {
        self.react_with(target, |set| set.retain(|one| one != emoji)).await
    }

    async fn upload(&self, name: &str, bytes: &[u8]) -> Done<Handle> {
        let slot = format!(
            "<iq type='get' id='slot' from='robin@people.localhost/x' to='upload.localhost'>\
             <request xmlns='{}' filename='{name}' size='{}' content-type='application/octet-stream'/></iq>",
            ns::HTTP_UPLOAD,
            bytes.len()
        );
        self.presence(&slot).await?;
        let answer = loop {
            let element = self.next().await?;
            if element.attr("id") == Some("slot") {
                break element;
            }
            self.note(&element).await;
        };
        let slot = answer
            .get_child("slot", ns::HTTP_UPLOAD)
            .ok_or_else(|| failed("no slot"))?;
        let put = slot
            .get_child("put", ns::HTTP_UPLOAD)
            .ok_or_else(|| failed("no slot"))?;
        let get = slot
            .get_child("get", ns::HTTP_UPLOAD)
            .and_then(|get| get.attr("url"))
            .ok_or_else(|| failed("no slot"))?;
        let mut request = reqwest::Client::new()
            .put(put.attr("url").unwrap_or_default())
            .body(bytes.to_vec());
        request = request.header("content-type", "application/octet-stream");
        for header in put.children() {
            request = request.header(header.attr("name").unwrap_or_default(), header.text());
        }
        let response = request.send().await.map_err(|error| failed(error.to_string()))?;
        if !response.status().is_success() {
            return Err(failed(response.status().to_string()));
        }
        let id = self.fresh().await;
        self.speak(
            &id,
            &format!("<body>{get}</body><x xmlns='{}'><url>{get}</url></x>", ns::OOB),
        )
        .await
    }

    async fn set_topic(&self, topic: &str) -> Done {
        let id = self.fresh().await;
        let person = self.person.lock().await;
        person
            .as_ref()
            .ok_or_else(|| failed("not connected"))?
            .say(&id, &format!("<subject>{}</subject>", escape(topic)))
            .await;
        Ok(())
    }

    async fn rename(&self, name: &str) -> Done {
        self.state.lock().await.nick = name.to_owned();
        if let Some(person) = self.person.lock().await.as_mut() {
            person.nick = name.to_owned();
        }
        self.presence(&format!(
            "<presence from='robin@people.localhost/x' to='{}/{name}'/>",
            self.room
        ))
        .await
    }

    async fn leave(&self) -> Done {
        let nick = self.state.lock().await.nick.clone();
        self.presence(&format!(
            "<presence type='unavailable' from='robin@people.localhost/x' to='{}/{nick}'/>",
            self.room
        ))
        .await
    }

    async fn join(&self) -> Done {
        let mut person = self.person.lock().await;
        person.as_mut().ok_or_else(|| failed("not connected"))?.enter().await;
        Ok(())
    }

    async fn kick(&self, author: &str) -> Done {
        let kick = format!(
            "<iq type='set' id='kick' from='robin@people.localhost/x' to='{}'>\
             <query xmlns='http://jabber.org/protocol/muc#admin'><item nick='{}' role='none'/></query></iq>",
            self.room,
            escape(author)
        );
        self.presence(&kick).await
    }

    async fn cut_connection(&self) -> Done {
        self.proxy.close();
        Ok(())
    }

    async fn restore(&self) -> Done {
        self.proxy.open();
        Ok(())
    }

    async fn limit_rate(&self, _times: u32) -> Done {
        Err(RemoteError::Absent(
            "servers slow a component down, they do not refuse its messages".into(),
        ))
    }

    async fn lose_answer(&self) -> Done {
        // Where the stream is encrypted, every packet may be the one.
        self.proxy.lose_answer(self.relayed);
        Ok(())
    }

    async fn repeat(&self, _message: &Handle) -> Done {
        Err(RemoteError::Absent(
            "a server gives every stanza it sends an id of its own".into(),
        ))
    }
}
