//! Deliveries.

use std::sync::Arc;

use slack_morphism::blocks::SlackBlock;
use slack_morphism::prelude::{SlackApiChatPostMessageRequest, SlackApiChatUpdateRequest};
use slack_morphism::{SlackChannelId, SlackMessageContent, SlackMessageMetadata, SlackTs};
use viaduct_bridge::{DeliveryError, Failure};
use viaduct_model::document::{Block, Inline};
use viaduct_model::{Content, Document, Message, MessageId, MessageStyle, Outbound, Receipt};

use super::channels::Channel;
use super::inbound::{METADATA, View};
use super::lookup::Begun;
use super::{Login, Slack, TEXT, direct, locked, unsupported};
use crate::client::calls::{Api, Span};
use crate::client::error::CallError;
use crate::config::Replies;
use crate::convert::ids::{is_ts, micros, time};
use crate::convert::mrkdwn::escape;
use crate::convert::render::render;
use crate::convert::split::split;

/// The longest name shown, in characters.
const NAME: usize = 80;
/// The longest topic, in characters.
const TOPIC: usize = 250;

/// Where a delivery goes, in Slack's words.
pub(super) struct Aim {
    /// The channel's id.
    pub id: String,
    /// The mirrored channel; none in direct chats.
    pub channel: Option<Arc<Channel>>,
    /// Of a direct chat that is one of several with the same person: the thread it is held in.
    pub thread: Option<String>,
}

/// In whose name something is posted.
pub(super) struct Voice {
    /// Slack, on behalf of the bot or of the author.
    pub api: Api,
    /// Whether it is the author's own account.
    pub own: bool,
    /// The name to show.
    pub name: String,
    /// The picture to show.
    pub picture: Option<String>,
}

/// Where in a channel something is posted.
#[derive(Debug, Clone, Default)]
pub(super) struct Spot {
    /// The first message of the thread.
    pub thread: Option<String>,
    /// Whether a reply is sent to the channel too.
    pub broadcast: bool,
}

impl Slack {
    pub(super) async fn deliver(&self, outbound: &Outbound) -> Result<Receipt, DeliveryError> {
        self.ready()?;
        let aim = self.aim(outbound).await?;
        match &outbound.content {
            Content::Message(message) => self.post(&aim, outbound, message).await,
            Content::Edit { message, .. } => self.edit(&aim, outbound, message).await,
            Content::Delete { .. } => self.delete(&aim, outbound).await,
            Content::React { target, reaction } => self.react(&aim, outbound, target, &reaction.key, true).await,
            Content::Unreact { target, reaction } => self.react(&aim, outbound, target, &reaction.key, false).await,
            Content::Topic { topic } if self.section.set_topic && aim.channel.is_some() => {
                let topic: String = topic.chars().filter(|c| !c.is_control()).take(TOPIC).collect();
                self.ours(format!("topic/{}", aim.id));
                let set = self.api.set_topic(&aim.id, &topic).await;
                set.map_err(CallError::for_repeatable)?;
                Ok(Receipt::default())
            }
            _ => Err(unsupported("Slack has nothing for this")),
        }
    }

    /// Where a delivery goes.
    async fn aim(&self, outbound: &Outbound) -> Result<Aim, DeliveryError> {
        if let Some(pair) = direct::Pair::read(&outbound.to.channel) {
            return self.aim_directly(&pair).await;
        }
        let channel = self.channels.spelled(&outbound.to.channel);
        let channel = channel
            .ok_or_else(|| DeliveryError::permanent(format!("{} is not a mirrored channel", outbound.to.channel)))?;
        let id = channel
            .usable()
            .map_err(|reason| DeliveryError::new(Failure::Retry(Some(std::time::Duration::from_mins(1))), reason))?;
        Ok(Aim {
            id,
            channel: Some(Arc::clone(channel)),
            thread: None,
        })
    }

    /// The login of the author of a delivery, if they have one that works.
    pub(super) fn login(&self, outbound: &Outbound) -> Option<Login> {
        let person = &outbound.author.person;
        if !person.network.is_matrix() {
            return None;
        }
        let login = locked(&self.logins).get(person.id.as_str())?.clone();
        (login.trouble.is_none() && login.user.is_some()).then_some(login)
    }

    /// Somebody's own token is no longer good: from now on they are spoken for.
    pub(super) fn login_lost(&self, outbound: &Outbound, error: &CallError) {
        if let Some(login) = locked(&self.logins).get_mut(outbound.author.person.id.as_str()) {
            login.trouble = Some(error.to_string());
        }
    }

    pub(super) fn voice(&self, outbound: &Outbound) -> Voice {
        if let Some(login) = self.login(outbound) {
            return Voice {
                api: login.api,
                own: true,
                name: String::new(),
                picture: None,
            };
        }
        let picture = outbound.author.person.avatar.as_ref().filter(|_| self.section.avatars);
        Voice {
            api: self.api.clone(),
            own: false,
            name: outbound.author.shown(NAME),
            picture: picture.and_then(|picture| self.context.media.link(picture, "avatar")),
        }
    }

    /// The text of a message in pieces that fit, with the author's name in front where it cannot be shown otherwise.
    fn pieces(&self, message: &Message, voice: &Voice) -> Vec<Document> {
        let mut body = message.body.clone();
        if message.style == MessageStyle::Action {
            body = Document {
                blocks: body.blocks.into_iter().map(Block::slanted).collect(),
            };
        }
        let nothing = body.is_empty();
        if !voice.own && !self.section.customize && !nothing {
            let name = Inline::Strong(vec![Inline::Text(format!("{}:", voice.name))]);
            match body.blocks.first_mut() {
                Some(Block::Paragraph(content)) => {
                    content.insert(0, Inline::Text(" ".to_owned()));
                    content.insert(0, name);
                }
                _ => body.blocks.insert(0, Block::Paragraph(vec![name])),
            }
        }
        if nothing {
            Vec::new()
        } else {
            split(body.normal(), TEXT)
        }
    }

    /// Where in the channel a message belongs.
    async fn spot(&self, aim: &Aim, message: &Message) -> Result<Spot, DeliveryError> {
        if let Some(thread) = &aim.thread {
            return Ok(Spot {
                thread: Some(thread.clone()),
                broadcast: false,
            });
        }
        if let Some(root) = &message.thread {
            return Ok(Spot {
                thread: Some(self.root_of(aim, root).await?),
                broadcast: false,
            });
        }
        let Some(target) = message.reply_to.as_ref().filter(|target| is_ts(target.as_str())) else {
            return Ok(Spot::default());
        };
        Ok(Spot {
            thread: Some(self.root_of(aim, target).await?),
            broadcast: self.section.replies == Replies::Broadcast && aim.channel.is_some(),
        })
    }

    /// The first message of the thread that a message is in, or would begin.
    async fn root_of(&self, aim: &Aim, target: &MessageId) -> Result<String, DeliveryError> {
        let ts = target.as_str();
        if !is_ts(ts) {
            return Err(DeliveryError::permanent("what is answered is no message of Slack's"));
        }
        if let Some(channel) = &aim.channel {
            let known = channel.known();
            if let Some(root) = known.replies.thread_of(ts) {
                return Ok(root);
            }
            // One of the channel's own messages.
            if known.memory.recent.contains(&micros(ts)) {
                return Ok(ts.to_owned());
            }
        }
        let span = Span {
            channel: aim.id.clone(),
            thread: Some(ts.to_owned()),
            ..Span::default()
        };
        match self.api.messages(&span, None).await {
            Ok(page) => {
                let root = page.messages.iter().find_map(|message| message.thread_ts.clone());
                Ok(root.filter(|root| is_ts(root)).unwrap_or_else(|| ts.to_owned()))
            }
            Err(error) if error.code() == Some("thread_not_found") => Ok(ts.to_owned()),
            Err(error) => Err(error.for_repeatable()),
        }
    }

    async fn post(&self, aim: &Aim, outbound: &Outbound, message: &Message) -> Result<Receipt, DeliveryError> {
        let voice = self.voice(outbound);
        let pieces = self.pieces(message, &voice);
        if pieces.is_empty() && message.attachments.is_empty() {
            return Err(unsupported("there is nothing to say"));
        }
        let spot = self.spot(aim, message).await?;
        let key = outbound.key.as_str();
        let begun = Begun::new(key, self.context.clock.now(), spot.thread.as_deref());
        self.begin(&outbound.to.channel, begun).await?;
        let mut ids = Vec::new();
        let total = pieces.len() + message.attachments.len();
        for (number, piece) in pieces.into_iter().enumerate() {
            let part = Part {
                number,
                total,
                document: piece,
            };
            ids.push(self.post_part(aim, outbound, &voice, &spot, part).await?);
        }
        for (number, file) in message.attachments.iter().enumerate() {
            let number = total - message.attachments.len() + number;
            if let Some(ts) = self.arrived(key, number) {
                ids.push(ts);
                continue;
            }
            let ts = self.upload(aim, outbound, &voice, &spot, file).await?;
            self.arrived_now(key, number, &ts);
            ids.push(ts);
        }
        locked(&self.partial).pop(key);
        self.spoken(aim, outbound, &ids).await;
        Ok(receipt(&ids))
    }

    /// The part of a delivery that arrived in an earlier attempt.
    pub(super) fn arrived(&self, key: &str, number: usize) -> Option<String> {
        locked(&self.partial).get(key)?.get(&(number as u64)).cloned()
    }

    pub(super) fn arrived_now(&self, key: &str, number: usize, ts: &str) {
        let mut partial = locked(&self.partial);
        let parts = partial.get_or_insert_mut(key.to_owned(), Default::default);
        parts.insert(number as u64, ts.to_owned());
    }

    async fn post_part(
        &self,
        aim: &Aim,
        outbound: &Outbound,
        voice: &Voice,
        spot: &Spot,
        part: Part,
    ) -> Result<String, DeliveryError> {
        let key = outbound.key.as_str();
        if let Some(ts) = self.arrived(key, part.number) {
            return Ok(ts);
        }
        let rendered = render(&part.document, &View(self));
        let mut content = content_of(rendered.text, rendered.blocks);
        content.metadata = Some(metadata(key, part.number, part.total));
        let mut request = SlackApiChatPostMessageRequest::new(SlackChannelId(aim.id.clone()), content);
        request.thread_ts = spot.thread.clone().map(SlackTs);
        request.reply_broadcast = (spot.broadcast && part.number == 0).then_some(true);
        request.unfurl_links = Some(false);
        request.unfurl_media = Some(false);
        if !voice.own && self.section.customize {
            request.username = Some(voice.name.clone());
            request.icon_url.clone_from(&voice.picture);
        }
        let posted = voice.api.post_message(&aim.id, &request).await;
        let posted = posted.map_err(|error| self.failed(outbound, voice, error))?;
        self.arrived_now(key, part.number, &posted.ts);
        if let Some(channel) = &aim.channel {
            channel.known().note(&posted.ts, spot.thread.as_deref());
        }
        Ok(posted.ts)
    }

    /// What an error means; that of somebody's own token concerns only them.
    pub(super) fn failed(&self, outbound: &Outbound, voice: &Voice, error: CallError) -> DeliveryError {
        if voice.own && (error.is_auth() || matches!(error.code(), Some("missing_scope" | "not_in_channel"))) {
            self.login_lost(outbound, &error);
            return DeliveryError::retry(format!("the author's own token: {error}"));
        }
        if matches!(
            error.code(),
            Some("not_in_channel" | "channel_not_found" | "is_archived")
        ) && let Some(channel) = self.channels.spelled(&outbound.to.channel)
        {
            tracing::warn!(channel = %channel.spelling, %error, "A channel cannot be used.");
        }
        error.for_delivery()
    }

    async fn edit(&self, aim: &Aim, outbound: &Outbound, message: &Message) -> Result<Receipt, DeliveryError> {
        let voice = self.voice(outbound);
        let pieces = self.pieces(message, &voice);
        if pieces.is_empty() {
            return Err(unsupported("there is nothing to say"));
        }
        let total = pieces.len();
        let mut ids = Vec::new();
        let mut left = outbound.targets().iter().map(ToString::to_string);
        for (number, piece) in pieces.into_iter().enumerate() {
            if let Some(ts) = left.next() {
                let rendered = render(&piece, &View(self));
                let mut request = SlackApiChatUpdateRequest::new(
                    SlackChannelId(aim.id.clone()),
                    content_of(rendered.text, rendered.blocks),
                    SlackTs(ts.clone()),
                );
                if spot_is_broadcast(message, self.section.replies) && number == 0 {
                    request.reply_broadcast = Some(true);
                }
                voice
                    .api
                    .update(&request)
                    .await
                    .map_err(|error| self.changed(outbound, &voice, error))?;
                ids.push(ts);
            } else {
                // The new wording is longer: the rest is posted behind it.
                let spot = self.spot(aim, message).await?;
                let begun = Begun::new(outbound.key.as_str(), self.context.clock.now(), spot.thread.as_deref());
                self.begin(&outbound.to.channel, begun).await?;
                let part = Part {
                    number,
                    total,
                    document: piece,
                };
                ids.push(self.post_part(aim, outbound, &voice, &spot, part).await?);
            }
        }
        for ts in left {
            self.delete_one(aim, outbound, &ts).await?;
        }
        locked(&self.partial).pop(outbound.key.as_str());
        Ok(receipt(&ids))
    }

    /// What it means that a message could not be changed.
    fn changed(&self, outbound: &Outbound, voice: &Voice, error: CallError) -> DeliveryError {
        match error.code() {
            Some("cant_update_message" | "edit_window_closed" | "message_not_found" | "cant_edit_message") => {
                DeliveryError::permanent(format!("the message can no longer be changed: {error}"))
            }
            Some(_) => self.failed(outbound, voice, error),
            None => error.for_repeatable(),
        }
    }

    async fn delete(&self, aim: &Aim, outbound: &Outbound) -> Result<Receipt, DeliveryError> {
        for ts in outbound.targets() {
            self.delete_one(aim, outbound, ts.as_str()).await?;
        }
        Ok(Receipt::default())
    }

    async fn delete_one(&self, aim: &Aim, outbound: &Outbound, ts: &str) -> Result<(), DeliveryError> {
        let note = format!("delete/{}/{ts}", aim.id);
        self.ours(note.clone());
        let own = self.login(outbound).map(|login| login.api);
        let mut result = Ok(());
        for api in own.into_iter().chain([self.api.clone()]) {
            result = api.delete(&aim.id, ts).await;
            if !matches!(&result, Err(error) if error.code() == Some("cant_delete_message")) {
                break;
            }
        }
        match result {
            Ok(()) => {
                if let Some(channel) = &aim.channel {
                    channel.known().forget(ts);
                }
                Ok(())
            }
            Err(error) if error.code() == Some("message_not_found") => Ok(()),
            Err(error) => {
                self.not_ours(&note);
                Err(if error.code() == Some("cant_delete_message") {
                    unsupported("Slack lets the app delete only what it posted itself")
                } else {
                    error.for_repeatable()
                })
            }
        }
    }
}

/// A piece of a message.
struct Part {
    number: usize,
    total: usize,
    document: Document,
}

fn spot_is_broadcast(message: &Message, replies: Replies) -> bool {
    message.thread.is_none() && message.reply_to.is_some() && replies == Replies::Broadcast
}

/// A text, and the same in blocks.
pub(super) fn content_of(text: String, blocks: Vec<SlackBlock>) -> SlackMessageContent {
    let mut content = SlackMessageContent::new();
    content.text = Some(text);
    content.blocks = Some(blocks).filter(|blocks| !blocks.is_empty());
    content
}

/// What travels beside a message: the delivery's key, and nothing about anybody.
fn metadata(key: &str, number: usize, total: usize) -> SlackMessageMetadata {
    let payload = [
        ("key", key.to_owned()),
        ("part", number.to_string()),
        ("parts", total.to_string()),
    ];
    let mut metadata = SlackMessageMetadata::new(METADATA.to_owned());
    metadata.event_payload = Some(payload.map(|(name, value)| (name.to_owned(), value)).into());
    metadata
}

fn receipt(ids: &[String]) -> Receipt {
    Receipt {
        ids: ids.iter().filter_map(|id| MessageId::new(id).ok()).collect(),
        at: ids.first().map(|id| time(id)),
        losses: Vec::new(),
    }
}

/// A text for the `initial_comment` of a file: escaped, and cut to what Slack takes.
pub(super) fn comment(text: &str) -> String {
    escape(&text.chars().take(TEXT).collect::<String>())
}
