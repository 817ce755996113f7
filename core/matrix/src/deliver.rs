//! What is sent into rooms on behalf of remote people.

use std::sync::Arc;

use http::Method;
use serde_json::{Map, Value, json};
use viaduct_bridge::{DeliveryError, Failure};
use viaduct_model::document::inline_text;
use viaduct_model::{
    Attachment, Content, Document, Inline, Language, Message, MessageId, NetworkName, Outbound, Person, PersonId,
    Reaction, Receipt,
};

use crate::Homeserver;
use crate::client::{As, segment};
use crate::convert::outbound::{self, References, Uploaded};
use crate::convert::render::Users;
use crate::crypto::rooms::Standing;
use crate::error::ApiError;
use crate::ghosts::Ghost;
use crate::media::UploadError;
use crate::speaker::Speaker;

/// How long a typing notification holds, in milliseconds.
const TYPING_MILLIS: u32 = 30_000;

impl Users for Homeserver {
    fn user(&self, network: &NetworkName, id: &PersonId) -> Option<String> {
        Some(if network.is_matrix() {
            id.as_str().to_owned()
        } else {
            self.names.ghost(network, id).mxid
        })
    }
}

/// The ids under which the homeserver took something.
pub(crate) fn receipt(ids: Vec<String>) -> Receipt {
    Receipt {
        ids: ids.into_iter().filter_map(|id| MessageId::new(id).ok()).collect(),
        ..Receipt::default()
    }
}

impl Homeserver {
    /// Sends one event to its room.
    pub(crate) async fn send_outbound(&self, out: &Outbound) -> Result<Receipt, DeliveryError> {
        let room = out.to.channel.as_str();
        self.check_fit(room).await?;
        match &out.content {
            Content::Message(message) => self.send_message(out, message).await,
            Content::Edit { target, message } => self.send_edit(out, target, message).await,
            Content::Delete { target, reason } => self.redact(out, target, reason.as_deref()).await,
            Content::React { target, reaction } => self.react(out, target, reaction).await,
            Content::Unreact { target, reaction } => self.unreact(out, target, reaction).await,
            Content::Membership { person, change, reason } => {
                self.change_member(out, person, change, reason.as_deref()).await
            }
            Content::Role { person, role } => {
                Ok(self.set_role(room, person, *role).await.map(|()| Receipt::default())?)
            }
            Content::Topic { topic } => self.set_room(room, "m.room.topic", &json!({ "topic": topic })).await,
            Content::Name { name } => self.set_room(room, "m.room.name", &json!({ "name": name })).await,
            Content::Picture { picture } => {
                let content = match picture {
                    Some(picture) => json!({ "url": self.picture_url(picture).await? }),
                    None => json!({}),
                };
                self.set_room(room, "m.room.avatar", &content).await
            }
            Content::Pins { pinned } => {
                let ids: Vec<_> = pinned.iter().map(MessageId::as_str).collect();
                self.set_room(room, "m.room.pinned_events", &json!({ "pinned": ids }))
                    .await
            }
            Content::Typing { active } => self.show_typing(out, *active).await,
            Content::Read { target } => self.show_read(out, target).await,
            Content::Closed { reason } => {
                let text = match self.context.language {
                    Language::English => format!("{} is closed: {reason}", out.from),
                    Language::German => format!("{} ist geschlossen: {reason}", out.from),
                };
                self.bot_says(out, &text).await
            }
            Content::Opened => {
                let text = match self.context.language {
                    Language::English => format!("{} is open again.", out.from),
                    Language::German => format!("{} ist wieder offen.", out.from),
                };
                self.bot_says(out, &text).await
            }
        }
    }

    /// Sends an event as its author. A ghost that was removed from the room comes back, unless banned. People on the homeserver
    /// are not brought anywhere: for one who is not in the room, or whose registration is not loaded, a ghost stands in.
    async fn say(
        &self,
        out: &Outbound,
        kind: &str,
        transaction: &str,
        content: Map<String, Value>,
    ) -> Result<String, ApiError> {
        let speaker = self.speaker(out).await?;
        let stands_by = matches!(speaker, Speaker::Own(_)).then(|| content.clone());
        match (self.say_as(&speaker, out, kind, transaction, content).await, stands_by) {
            (Err(error), Some(content)) if error.is("M_FORBIDDEN") => {
                tracing::info!(%error, "Somebody could not be spoken for; a ghost stands in.");
                let stand_in = self.stand_in(out).await?;
                self.say_as(&stand_in, out, kind, transaction, content).await
            }
            (result, _) => result,
        }
    }

    async fn say_as(
        &self,
        speaker: &Speaker,
        out: &Outbound,
        kind: &str,
        transaction: &str,
        mut content: Map<String, Value>,
    ) -> Result<String, ApiError> {
        let room = out.to.channel.as_str();
        speaker.mark(out, &mut content);
        let content = Value::Object(content);
        let who = As {
            user: speaker.user(),
            at: Some(out.at),
        };
        let sent = self.send_into(room, kind, transaction, who, &content).await;
        if !sent.as_ref().is_err_and(|error| error.is("M_FORBIDDEN")) {
            return sent;
        }
        match speaker {
            Speaker::Ghost(ghost) => {
                self.forget_room(ghost, room).await;
                self.enter(ghost, room).await?;
            }
            Speaker::Bot => self.join(room, self.names.bot()).await?,
            Speaker::Own(_) => return sent,
        }
        self.send_into(room, kind, transaction, who, &content).await
    }

    async fn send_message(&self, out: &Outbound, message: &Message) -> Result<Receipt, DeliveryError> {
        let mut sent = Receipt::default();
        let mut number = 0_usize;
        // A text with one file is its caption; with several it goes first, on its own.
        let captioned = message.attachments.len() == 1 && message.style != viaduct_model::MessageStyle::Action;
        if message.attachments.is_empty() || (!captioned && !message.body.is_empty()) {
            for content in outbound::texts(message, self) {
                let id = self
                    .say(out, "m.room.message", &transaction(out, number), content)
                    .await?;
                note_id(&mut sent, id);
                number += 1;
            }
        }
        for attachment in &message.attachments {
            let caption = captioned.then_some(&message.body);
            let references = References {
                reply_to: message.reply_to.as_ref().filter(|_| number == 0),
                thread: message.thread.as_ref(),
            };
            let (kind, content) = self
                .file_content(out, attachment, caption, references, &mut sent)
                .await?;
            let id = self.say(out, kind, &transaction(out, number), content).await?;
            note_id(&mut sent, id);
            number += 1;
        }
        Ok(sent)
    }

    /// The event that shows a file; if the file cannot be had, one that names it and links to it where there is a link.
    async fn file_content(
        &self,
        out: &Outbound,
        attachment: &Attachment,
        caption: Option<&Document>,
        references: References<'_>,
        sent: &mut Receipt,
    ) -> Result<(&'static str, Map<String, Value>), DeliveryError> {
        let sealed_for = match self.standing(out.to.channel.as_str()).await? {
            Standing::Sealed(_) => Some(out.to.channel.as_str()),
            Standing::Plain | Standing::Unfit(_) => None,
        };
        let reason = match self.upload(&attachment.media, &attachment.name, sealed_for).await {
            Ok(stored) => {
                let mime = stored.mime.as_deref().or(attachment.mime.as_deref());
                let uploaded = Uploaded {
                    url: &stored.url,
                    key: stored.key.as_ref(),
                    mime,
                    size: stored.size,
                };
                return Ok(outbound::file(attachment, &uploaded, caption, references, self));
            }
            Err(UploadError::Source(reason)) => reason,
            Err(UploadError::Delivery(error)) if error.failure == Failure::TooLarge => error.reason,
            Err(UploadError::Delivery(error)) => return Err(error),
        };
        tracing::info!(%reason, "A file could not be brought to the homeserver; it is named instead.");
        let name = Inline::Text(attachment.name.clone());
        let shown = match self.context.media.link(&attachment.media, &attachment.name) {
            Some(url) => Inline::Link {
                url,
                content: vec![name],
            },
            None => Inline::Text(format!("[{}]", inline_text(&[name]))),
        };
        sent.losses.push(format!("{}: {reason}", attachment.name));
        let mut body = Document::paragraph(vec![shown]);
        body.blocks
            .extend(caption.into_iter().flat_map(|caption| caption.blocks.clone()));
        let message = Message {
            body,
            reply_to: references.reply_to.cloned(),
            thread: references.thread.cloned(),
            ..Message::default()
        };
        let content = outbound::texts(&message, self).into_iter().next().unwrap_or_default();
        Ok(("m.room.message", content))
    }

    async fn send_edit(&self, out: &Outbound, target: &MessageId, message: &Message) -> Result<Receipt, DeliveryError> {
        let content = match message.attachments.as_slice() {
            // A file's caption changes; the file stays.
            [file] => {
                let references = References::default();
                let (_, new) = self
                    .file_content(out, file, Some(&message.body), references, &mut Receipt::default())
                    .await?;
                outbound::replacement(target, new)
            }
            _ => outbound::edit(target, message, self),
        };
        let id = self.say(out, "m.room.message", &transaction(out, 0), content).await?;
        Ok(receipt(vec![id]))
    }

    /// Withdraws a message, all its parts, by its author or else by the bot.
    async fn redact(&self, out: &Outbound, target: &MessageId, reason: Option<&str>) -> Result<Receipt, DeliveryError> {
        let parts = if out.parts.is_empty() {
            std::slice::from_ref(target)
        } else {
            out.parts.as_slice()
        };
        let mut ids = Vec::new();
        for (number, part) in parts.iter().enumerate() {
            ids.extend(self.redact_one(out, part, &transaction(out, number), reason).await?);
        }
        Ok(receipt(ids))
    }

    async fn redact_one(
        &self,
        out: &Outbound,
        target: &MessageId,
        transaction: &str,
        reason: Option<&str>,
    ) -> Result<Option<String>, ApiError> {
        let path = format!(
            "/_matrix/client/v3/rooms/{}/redact/{}/{}",
            segment(out.to.channel.as_str()),
            segment(target.as_str()),
            segment(transaction)
        );
        let body: Map<_, _> = reason
            .map(|reason| ("reason".to_owned(), reason.into()))
            .into_iter()
            .collect();
        let speaker = self.speaker(out).await?;
        let mut marked = body.clone();
        speaker.mark(out, &mut marked);
        let who = As {
            user: speaker.user(),
            at: Some(out.at),
        };
        let mut result = self.api.put(&path, who, &Value::Object(marked)).await;
        if who.user.is_some() && result.as_ref().is_err_and(|error| error.is("M_FORBIDDEN")) {
            // Somebody else's message: a moderator there. The bot has the power to.
            result = self.api.put(&path, As::BOT.at(out.at), &Value::Object(body)).await;
        }
        match result {
            Err(error) if error.is_missing() => Ok(None),
            other => other.map(|answer| answer.get("event_id").and_then(Value::as_str).map(str::to_owned)),
        }
    }

    async fn react(&self, out: &Outbound, target: &MessageId, reaction: &Reaction) -> Result<Receipt, DeliveryError> {
        let image = match &reaction.image {
            // A reaction without its picture is still one.
            Some(image) => self.picture_url(image).await.ok(),
            None => None,
        };
        let content = outbound::reaction(target, reaction, image.as_deref());
        match self.say(out, "m.reaction", &transaction(out, 0), content).await {
            Err(error) if error.is("M_DUPLICATE_ANNOTATION") => Ok(Receipt::default()),
            other => Ok(receipt(vec![other?])),
        }
    }

    /// Takes a reaction back: its event is redacted. Where the hub does not know it (any more), it is looked for: the author's
    /// reaction with this key.
    async fn unreact(&self, out: &Outbound, target: &MessageId, reaction: &Reaction) -> Result<Receipt, DeliveryError> {
        if !out.parts.is_empty() {
            return self.redact(out, target, None).await;
        }
        let mxid = self.speaker_id(out);
        let path = format!(
            "/_matrix/client/v1/rooms/{}/relations/{}/m.annotation/m.reaction?limit=100",
            segment(out.to.channel.as_str()),
            segment(target.as_str())
        );
        let found: Value = match self.api.get(&path, As::user(&mxid)).await {
            Err(error) if error.is_missing() => return Ok(Receipt::default()),
            other => other?,
        };
        let chunk = found
            .get("chunk")
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let Some(event) = chunk.iter().find(|event| is_reaction(event, &mxid, reaction)) else {
            return Ok(Receipt::default());
        };
        let id = event
            .get("event_id")
            .and_then(Value::as_str)
            .and_then(|id| MessageId::new(id).ok());
        match id {
            Some(id) => Ok(receipt(
                self.redact_one(out, &id, &transaction(out, 0), None)
                    .await?
                    .into_iter()
                    .collect(),
            )),
            None => Ok(Receipt::default()),
        }
    }

    async fn show_typing(&self, out: &Outbound, active: bool) -> Result<Receipt, DeliveryError> {
        let Some(ghost) = self.present(out).await else {
            return Ok(Receipt::default());
        };
        let room = segment(out.to.channel.as_str());
        let path = format!("/_matrix/client/v3/rooms/{room}/typing/{}", segment(&ghost.mxid));
        let body = if active {
            json!({ "typing": true, "timeout": TYPING_MILLIS })
        } else {
            json!({ "typing": false })
        };
        self.api.put(&path, As::user(&ghost.mxid), &body).await?;
        Ok(Receipt::default())
    }

    async fn show_read(&self, out: &Outbound, target: &MessageId) -> Result<Receipt, DeliveryError> {
        let Some(ghost) = self.present(out).await else {
            return Ok(Receipt::default());
        };
        let room = segment(out.to.channel.as_str());
        let path = format!(
            "/_matrix/client/v3/rooms/{room}/receipt/m.read/{}",
            segment(target.as_str())
        );
        self.api
            .call::<Value>(Method::POST, &path, As::user(&ghost.mxid), Some(&json!({})))
            .await?;
        Ok(Receipt::default())
    }

    /// The author's ghost, if it is in the room already. What is only for the moment makes no ghosts.
    async fn present(&self, out: &Outbound) -> Option<Arc<Ghost>> {
        let person: &Person = &out.author.person;
        if person.network.is_matrix() {
            return None;
        }
        let ghost = self.ghosts.get(&self.ghost_id(person));
        self.is_inside(&ghost, out.to.channel.as_str()).await.then_some(ghost)
    }

    async fn bot_says(&self, out: &Outbound, text: &str) -> Result<Receipt, DeliveryError> {
        self.notice(out.to.channel.as_str(), text, None, out.key.as_str())
            .await
            .map(|()| Receipt::default())
    }
}

/// The transaction id of one part of a delivery: the same at each attempt.
fn transaction(out: &Outbound, number: usize) -> String {
    if number == 0 {
        out.key.as_str().to_owned()
    } else {
        format!("{}.{number}", out.key)
    }
}

fn note_id(sent: &mut Receipt, id: String) {
    sent.ids.extend(MessageId::new(id));
}

/// Whether an event is this user's reaction with this key (or, of a picture, this short code).
fn is_reaction(event: &Value, mxid: &str, reaction: &Reaction) -> bool {
    let content = event.get("content");
    let key = content.and_then(|content| content.get("m.relates_to")?.get("key")?.as_str());
    let code = content.and_then(|content| content.get("com.beeper.reaction.shortcode")?.as_str());
    event.get("sender").and_then(Value::as_str) == Some(mxid)
        && (key == Some(reaction.key.as_str()) || (reaction.image.is_some() && code == Some(reaction.key.as_str())))
}
