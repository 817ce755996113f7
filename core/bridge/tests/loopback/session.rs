//! The session: reads the log from its cursor, and writes to it.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{TryStreamExt, stream};
use viaduct_bridge::{Connection, Context, DeliveryError, Failure, Media, MediaError, Probe, Session, SessionError};
use viaduct_compliance::Cleared;
use viaduct_model::document::MentionTarget;
use viaduct_model::{
    Attachment, AttachmentKind, Capabilities, ChannelId, Content, Document, Event, Inline, MediaRef, Membership,
    Message, MessageId, Outbound, Person, PersonId, Place, Reaction, Receipt, Support, Timestamp,
};

use super::Fault;
use super::server::{Act, Item, Refusal, Saying, Server};

pub struct Loop {
    server: Server,
    fault: Fault,
    capabilities: Capabilities,
    context: Context,
    /// How many messages were pushed, for faults that come now and then.
    pushed: Mutex<usize>,
}

impl Loop {
    pub fn new(server: Server, fault: Fault, capabilities: Capabilities, context: Context) -> Self {
        Self {
            server,
            fault,
            capabilities,
            context,
            pushed: Mutex::new(0),
        }
    }

    fn channel(&self) -> ChannelId {
        self.context.channels[0].clone()
    }

    async fn position(&self) -> usize {
        if self.capabilities.history == Support::None || self.fault == Fault::ForgetsHistory {
            return self.server.log().items.len();
        }
        if self.fault == Fault::AcksEarly {
            let stored = self.context.state.get("position").await.unwrap();
            return stored
                .and_then(|value| String::from_utf8(value).ok()?.parse().ok())
                .unwrap_or(0);
        }
        let cursor = self.context.inbox.cursor(&self.channel()).await;
        cursor.and_then(|cursor| cursor.parse().ok()).unwrap_or(0)
    }

    async fn read(&self) -> Result<(), SessionError> {
        let mut changes = self.server.changes();
        let mut position = self.position().await;
        let mut doubled = position.saturating_sub(2)..position;
        if self.fault != Fault::DoublesAfterReconnect {
            doubled = 0..0;
        }
        loop {
            let mut events = Vec::new();
            let connected = {
                let mut log = self.server.log();
                for (index, item) in log.items.iter().enumerate().skip(position) {
                    events.extend(self.event(item, Some(index + 1)));
                }
                for index in doubled.by_ref() {
                    let mut item = log.items[index].clone();
                    item.id.push_str("-again");
                    events.extend(self.event(&item, None));
                }
                for index in std::mem::take(&mut log.again) {
                    let mut item = log.items[index].clone();
                    if self.fault == Fault::NewIdOnRepeat {
                        item.id.push_str("-again");
                    }
                    events.extend(self.event(&item, None));
                }
                position = log.items.len();
                !log.cut
            };
            if self.fault == Fault::DiesOfBytes && self.server.log().items.iter().any(is_not_ascii) {
                return Err(SessionError::Connection("these bytes are not for me".to_owned()));
            }
            if !connected {
                self.context
                    .inbox
                    .report(None, Connection::Down("the log is out of reach".to_owned()));
                return Err(SessionError::Connection("the log is out of reach".to_owned()));
            }
            if events.is_empty() {
                changes.changed().await.unwrap();
            } else {
                self.push(events, position).await?;
            }
        }
    }

    async fn push(&self, mut events: Vec<Event>, position: usize) -> Result<(), SessionError> {
        if self.fault == Fault::SwapsOrder {
            events.reverse();
        }
        if self.fault == Fault::DropsMessages {
            let mut pushed = self.pushed.lock().unwrap();
            events.retain(|_| {
                *pushed += 1;
                !(*pushed).is_multiple_of(5)
            });
        }
        let pushing = self.context.inbox.push(events);
        let ticket = if self.fault == Fault::LosesOnFullInbox {
            match tokio::time::timeout(Duration::from_millis(500), pushing).await {
                Ok(ticket) => ticket,
                Err(_) => return Ok(()),
            }
        } else {
            pushing.await
        };
        let ticket = ticket.map_err(|_| SessionError::Stopping)?;
        if self.fault == Fault::AcksEarly {
            let change = ("position".to_owned(), Some(position.to_string().into_bytes()));
            self.context.state.put(vec![change]).await.unwrap();
        }
        ticket.await.map_err(|_| SessionError::Stopping)
    }

    fn event(&self, item: &Item, cursor: Option<usize>) -> Option<Event> {
        if item.by_hub && self.fault != Fault::PushesEcho {
            return None;
        }
        let network = self.context.network.clone();
        let kim = |id: &str, name: &str| Person {
            network: network.clone(),
            id: PersonId::new(id).unwrap(),
            name: name.to_owned(),
            avatar: None,
            organisation: None,
            bot: false,
        };
        let name = if self.fault == Fault::ForgetsName {
            "Kim"
        } else {
            &item.author
        };
        let content = self.content(item, &kim)?;
        Some(Event {
            place: Place::new(network.clone(), self.channel()),
            id: MessageId::new(&item.id).unwrap(),
            sender: kim("kim", name),
            at: Timestamp::from_secs(1),
            content,
            cursor: cursor.map(|cursor| cursor.to_string()),
            echo_of: None,
            direct_to: None,
        })
    }

    fn content(&self, item: &Item, person: &dyn Fn(&str, &str) -> Person) -> Option<Content> {
        let id = |id: &String| MessageId::new(id).unwrap();
        let reaction = |emoji: &String| Reaction {
            key: emoji.clone(),
            image: None,
        };
        let membership = |who: Person, change| {
            Some(Content::Membership {
                person: who,
                change,
                reason: None,
            })
        };
        match &item.act {
            Act::Say(saying) => {
                let mut body = saying.body.clone();
                if self.fault == Fault::ForgetsFormatting {
                    body = Document::plain(&body.to_plain());
                }
                let attachments = saying.file.as_ref().map(|(name, _)| self.attachment(&item.id, name));
                let reply_to = saying
                    .reply_to
                    .as_ref()
                    .map(id)
                    .filter(|_| self.fault != Fault::LosesReply);
                let thread = saying.thread.as_ref().map(id);
                let attachments = attachments.into_iter().collect();
                Some(Content::Message(Message {
                    body,
                    attachments,
                    reply_to,
                    thread,
                    ..Message::default()
                }))
            }
            Act::Edit { target, body } => {
                let target = if self.fault == Fault::WrongEditTarget {
                    &item.id
                } else {
                    target
                };
                Some(Content::Edit {
                    target: id(target),
                    message: Message {
                        body: body.clone(),
                        ..Message::default()
                    },
                })
            }
            Act::Delete { target } => {
                let target = if self.fault == Fault::WrongDelete {
                    &item.id
                } else {
                    target
                };
                Some(Content::Delete {
                    target: id(target),
                    reason: None,
                })
            }
            Act::React { target, emoji } => Some(Content::React {
                target: id(target),
                reaction: reaction(emoji),
            }),
            Act::Unreact { .. } if self.fault == Fault::ForgetsUnreact => None,
            Act::Unreact { target, emoji } => Some(Content::Unreact {
                target: id(target),
                reaction: reaction(emoji),
            }),
            Act::Topic(_) if self.fault == Fault::LosesTopic => None,
            Act::Topic(topic) => Some(Content::Topic { topic: topic.clone() }),
            Act::Join => membership(person("kim", &item.author), Membership::Join),
            Act::Leave if self.fault == Fault::HidesLeave => None,
            Act::Leave => membership(person("kim", &item.author), Membership::Leave),
            Act::Kick(_) if self.fault == Fault::HidesKicks => None,
            Act::Kick(who) => membership(person(who, who), Membership::Kick),
            Act::Noise(_) => None,
        }
    }

    fn attachment(&self, id: &str, name: &str) -> Attachment {
        Attachment {
            media: MediaRef {
                network: self.context.network.clone(),
                locator: id.to_owned(),
            },
            name: name.to_owned(),
            mime: None,
            size: None,
            kind: AttachmentKind::File,
            dimensions: None,
            duration: None,
            spoiler: false,
        }
    }

    fn submit(&self, key: Option<String>, author: &str, act: Act) -> Result<String, DeliveryError> {
        let key = key.filter(|_| self.fault != Fault::IgnoresKey);
        match self.server.submit(key, author, act) {
            Err(Refusal::Down) if self.fault == Fault::ClaimsDelivered => Ok("m0".to_owned()),
            Err(Refusal::AnswerLost) if self.fault != Fault::RetriesUnknown => {
                Err(DeliveryError::unknown("the answer was lost"))
            }
            Err(Refusal::TooFast) if self.fault == Fault::PermanentOnLimit => Err(DeliveryError::permanent("too fast")),
            Err(refusal) => Err(DeliveryError::retry(format!("{refusal:?}"))),
            Ok(id) => Ok(id),
        }
    }

    async fn say(&self, author: &str, key: &str, message: &Message) -> Result<Receipt, DeliveryError> {
        let file = match message.attachments.first() {
            Some(attachment) => {
                let media = self.context.media.open(&attachment.media).await;
                let media = media.map_err(|error| DeliveryError::retry(error.to_string()))?;
                let pieces: Vec<Bytes> = media
                    .stream
                    .try_collect()
                    .await
                    .map_err(|error| DeliveryError::retry(error.to_string()))?;
                let mut bytes = pieces.concat();
                if self.fault == Fault::LosesFileEnd {
                    bytes.pop();
                }
                Some((attachment.name.clone(), bytes))
            }
            None => None,
        };
        let mut notify = Vec::new();
        for mention in message.body.mentions() {
            match &mention.target {
                MentionTarget::Person { id, .. } => notify.push(id.as_str().to_owned()),
                MentionTarget::Everyone if self.fault == Fault::CallsEverybody => notify.push("*".to_owned()),
                _ => {}
            }
        }
        let mut receipt = Receipt::default();
        for (number, body) in self.pieces(&message.body).into_iter().enumerate() {
            let part = Some(format!("{key}/{number}"));
            let leaked = body.to_plain();
            let saying = Saying {
                body,
                reply_to: message.reply_to.as_ref().map(ToString::to_string),
                thread: message
                    .thread
                    .as_ref()
                    .map(ToString::to_string)
                    .filter(|_| self.fault != Fault::LosesThread),
                file: file.clone().filter(|_| number == 0),
                notify: notify.clone(),
            };
            let id = self.submit(part, author, Act::Say(saying))?;
            receipt.ids.push(MessageId::new(id).unwrap());
            if self.fault == Fault::LeaksLines && leaked.contains("\nQUIT") {
                self.submit(None, author, Act::Leave)?;
            }
        }
        Ok(receipt)
    }

    /// The text in pieces within the bound.
    fn pieces(&self, body: &Document) -> Vec<Document> {
        let plain = body.to_plain();
        let limit = usize::try_from(self.capabilities.text_limit.unwrap_or(u64::MAX)).unwrap();
        if self.fault == Fault::BreaksUnicode {
            return vec![Document::plain(&plain.replace(|c: char| !c.is_ascii(), "?"))];
        }
        if plain.len() <= limit {
            return vec![body.clone()];
        }
        let mut pieces = vec![String::new()];
        for word in plain.split_inclusive(' ') {
            let fits = word.len() <= limit;
            for part in if fits {
                vec![word.to_owned()]
            } else {
                word.chars().map(String::from).collect()
            } {
                if pieces.last().unwrap().len() + part.len() > limit {
                    pieces.push(String::new());
                }
                pieces.last_mut().unwrap().push_str(&part);
            }
        }
        if self.fault == Fault::Truncates {
            pieces.truncate(1);
        }
        pieces
            .iter()
            .map(|piece| Document::paragraph(vec![Inline::Text(piece.clone())]))
            .collect()
    }

    fn author(&self, outbound: &Outbound) -> String {
        if self.fault == Fault::TrustsNames {
            return outbound.author.display.clone();
        }
        if self.fault == Fault::Anonymous {
            return "the hub".to_owned();
        }
        outbound.author.display.chars().filter(|c| !c.is_control()).collect()
    }
}

fn is_not_ascii(item: &Item) -> bool {
    matches!(&item.act, Act::Noise(bytes) if !bytes.is_ascii())
}

#[async_trait]
impl Session for Loop {
    async fn run(&self) -> Result<(), SessionError> {
        if self.server.log().cut {
            return Err(SessionError::Connection("the log is out of reach".to_owned()));
        }
        self.context.inbox.report(None, Connection::Up);
        if self.fault == Fault::IgnoresStop {
            return self.read().await;
        }
        tokio::select! {
            () = self.context.stop.cancelled() => Ok(()),
            ended = self.read() => ended,
        }
    }

    fn capabilities(&self, _channel: &ChannelId) -> Capabilities {
        self.capabilities.clone()
    }

    async fn deliver(&self, outbound: &Cleared<Outbound>) -> Result<Receipt, DeliveryError> {
        if self.context.stop.is_cancelled() {
            return Err(DeliveryError::retry("the session has ended"));
        }
        let has = &self.capabilities;
        let unsupported = || DeliveryError::new(Failure::Unsupported, "the log has no such thing");
        let author = self.author(outbound);
        let needs = match &outbound.content {
            Content::Message(message) => return self.say(&author, outbound.key.as_str(), message).await,
            Content::Edit { .. } => has.edit,
            Content::Delete { .. } => has.delete,
            Content::React { .. } | Content::Unreact { .. } => has.reaction,
            Content::Topic { .. } => has.topic,
            Content::Membership {
                change: Membership::Kick,
                ..
            } => has.moderation,
            Content::Typing { .. } if self.fault == Fault::PretendsTyping => return Ok(Receipt::default()),
            _ => Support::None,
        };
        if needs == Support::None {
            return Err(unsupported());
        }
        let target = outbound.content.target().map(ToString::to_string).unwrap_or_default();
        let act = match outbound.content.clone() {
            Content::Edit { message, .. } => Act::Edit {
                target,
                body: message.body,
            },
            Content::Delete { .. } => Act::Delete { target },
            Content::React { reaction, .. } => Act::React {
                target,
                emoji: reaction.key,
            },
            Content::Unreact { reaction, .. } => Act::Unreact {
                target,
                emoji: reaction.key,
            },
            Content::Topic { topic } => Act::Topic(topic),
            Content::Membership { person, .. } => Act::Kick(person.id.to_string()),
            _ => return Err(unsupported()),
        };
        let id = self.submit(Some(outbound.key.to_string()), &author, act)?;
        Ok(Receipt {
            ids: vec![MessageId::new(id).unwrap()],
            ..Receipt::default()
        })
    }

    async fn open_media(&self, locator: &str) -> Result<Media, MediaError> {
        let log = self.server.log();
        let bytes = log
            .items
            .iter()
            .find(|item| item.id == locator)
            .and_then(|item| match &item.act {
                Act::Say(Saying {
                    file: Some((_, bytes)), ..
                }) => Some(bytes.clone()),
                _ => None,
            });
        let stream = stream::iter([Ok(Bytes::from(bytes.ok_or(MediaError::Gone)?))]);
        Ok(Media {
            mime: None,
            size: None,
            name: None,
            stream: Box::pin(stream),
        })
    }

    async fn probe(&self) -> Vec<Probe> {
        if self.fault == Fault::ProbeFails {
            return vec![Probe::error("log", "out of reach", "restart the network")];
        }
        vec![Probe::ok("log", "within reach")]
    }
}
