//! Deliveries.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use url::Url;
use viaduct_bridge::{DeliveryError, Failure};
use viaduct_model::document::{Block, Inline};
use viaduct_model::{Content, Document, Message, MessageId, MessageStyle, Outbound, Receipt, Timestamp};

use super::channels::Channel;
use super::lookup::Begun;
use super::{TEXT, Teams, locked};
use crate::client::error::CallError;
use crate::convert::ids::{Spot, root_of, spot};
use crate::convert::render::{Rendered, render};
use crate::convert::split::split;

/// The longest name shown, in characters.
const NAME: usize = 80;

/// Where a delivery goes, in Teams' words.
pub(super) struct Aim {
    pub channel: Arc<Channel>,
    pub thread: String,
    pub service: Url,
}

/// A piece of a message, ready to be posted.
pub(super) struct Piece {
    pub rendered: Rendered,
    pub attachments: Vec<Value>,
}

impl Piece {
    fn activity(&self) -> Value {
        let mut activity = json!({"type": "message", "textFormat": "xml", "text": self.rendered.text});
        if !self.rendered.entities.is_empty() {
            activity["entities"] = Value::Array(self.rendered.entities.clone());
        }
        if !self.attachments.is_empty() {
            activity["attachments"] = Value::Array(self.attachments.clone());
        }
        activity
    }
}

pub(super) fn unsupported(reason: &str) -> DeliveryError {
    DeliveryError::new(Failure::Unsupported, reason)
}

impl Teams {
    /// Where the connector of a channel is.
    pub(super) fn service(&self, channel: &Channel) -> Url {
        let told = channel.known().location.service.clone();
        let told = told.and_then(|text| self.wire.hosts.service(&text));
        told.unwrap_or_else(|| self.wire.addresses.connector.clone())
    }

    /// Where a delivery to a channel goes.
    pub(super) fn aim(&self, channel: &viaduct_model::ChannelId) -> Result<Aim, DeliveryError> {
        let known = self.channel(channel);
        let known = known.ok_or_else(|| DeliveryError::permanent(format!("{channel} is not a mirrored channel")))?;
        let later = Failure::Retry(Some(Duration::from_secs(30)));
        Ok(Aim {
            thread: known.usable().map_err(|reason| DeliveryError::new(later, reason))?,
            service: self.service(known),
            channel: Arc::clone(known),
        })
    }

    pub(super) async fn deliver(&self, outbound: &Outbound) -> Result<Receipt, DeliveryError> {
        self.ready()?;
        let aim = self.aim(&outbound.to.channel)?;
        match &outbound.content {
            Content::Message(message) => self.post(&aim, outbound, message).await,
            Content::Edit { target, message } => self.edit(&aim, outbound, target, message).await,
            Content::Delete { target, .. } => self.delete(&aim, outbound, target).await,
            Content::React { target, reaction } if self.section.reactions => {
                self.react(&aim, outbound, target, &reaction.key, true).await
            }
            Content::Unreact { target, reaction } if self.section.reactions => {
                self.react(&aim, outbound, target, &reaction.key, false).await
            }
            _ => Err(unsupported("Teams has nothing for this")),
        }
    }

    /// The text of a message in pieces that fit, the author's name in front of the first.
    pub(super) fn pieces(&self, outbound: &Outbound, message: &Message, more: Vec<Block>) -> Vec<Piece> {
        let mut body = message.body.clone();
        if message.style == MessageStyle::Action {
            body.blocks = body.blocks.into_iter().map(slanted).collect();
        }
        body.blocks.extend(more);
        let name = Inline::Strong(vec![Inline::Text(format!("{}:", shown_name(outbound)))]);
        match body.blocks.first_mut() {
            Some(Block::Paragraph(content)) => {
                content.insert(0, Inline::Text(" ".to_owned()));
                content.insert(0, name);
            }
            _ => body.blocks.insert(0, Block::Paragraph(vec![name])),
        }
        let size = |document: &Document| render(document, self).text.len();
        let pieces = split(body, TEXT, &size).into_iter().map(|piece| Piece {
            rendered: render(&piece, self),
            attachments: Vec::new(),
        });
        pieces.collect()
    }

    /// The first message of the chain that a message belongs to, in channels.
    fn root(aim: &Aim, message: &Message) -> Result<Option<String>, DeliveryError> {
        let Some(target) = message.thread.as_ref().or(message.reply_to.as_ref()) else {
            return Ok(None);
        };
        if aim.channel.is_chat() {
            return Ok(None);
        }
        let Some(spot) = origin(target)
            .as_ref()
            .and_then(spot)
            .map(|spot| root_of(&spot).to_owned())
        else {
            return Err(DeliveryError::permanent("what is answered is no message of Teams'"));
        };
        Ok(Some(spot))
    }

    async fn post(&self, aim: &Aim, outbound: &Outbound, message: &Message) -> Result<Receipt, DeliveryError> {
        let root = Self::root(aim, message)?;
        let mut losses = Vec::new();
        let files = self.files_for(aim, message, &mut losses).await?;
        if message.body.is_empty() && files.links.is_empty() && files.pictures.is_empty() {
            return Err(unsupported("there is nothing to say"));
        }
        let mut pieces = self.pieces(outbound, message, files.links);
        if let Some(last) = pieces.last_mut() {
            last.attachments = files.pictures;
        }
        self.begin(outbound, root.as_deref(), &pieces).await?;
        let mut ids = Vec::new();
        for (number, piece) in pieces.iter().enumerate() {
            let id = self.post_piece(aim, outbound, root.as_deref(), number, piece).await?;
            ids.push(id);
        }
        locked(&self.partial).pop(outbound.key.as_str());
        self.arrived(&outbound.to.channel, outbound.key.as_str(), &ids).await;
        let mut receipt = receipt(&ids);
        receipt.losses = losses;
        Ok(receipt)
    }

    /// Posts one piece, unless it arrived in an earlier attempt; gives the hub's id of it.
    async fn post_piece(
        &self,
        aim: &Aim,
        outbound: &Outbound,
        root: Option<&str>,
        number: usize,
        piece: &Piece,
    ) -> Result<String, DeliveryError> {
        let key = outbound.key.as_str();
        let arrived = locked(&self.partial)
            .get(key)
            .and_then(|parts| parts.get(&number).cloned());
        if let Some(id) = arrived {
            return Ok(id);
        }
        let activity = piece.activity();
        let (app, tenant) = (&self.section.app_id, &self.section.tenant);
        let posted = match root {
            Some(root) => {
                let conversation = format!("{};messageid={root}", aim.thread);
                self.wire.post(&aim.service, &conversation, &activity).await
            }
            None if aim.channel.is_chat() => self.wire.post(&aim.service, &aim.thread, &activity).await,
            None => {
                self.wire
                    .post_root(&aim.service, &aim.thread, app, tenant, &activity)
                    .await
            }
        };
        let id = posted.map_err(|error| Self::failed(aim, error))?;
        let id = match root.filter(|root| *root != id) {
            Some(root) => format!("{root}/{id}"),
            None => id,
        };
        locked(&self.partial)
            .get_or_insert_mut(key.to_owned(), Default::default)
            .insert(number, id.clone());
        let chain = root.map_or_else(|| id.clone(), str::to_owned);
        if !aim.channel.is_chat() {
            let mut known = aim.channel.known();
            known.memory.goes_on(&chain, self.context.clock.now().as_millis());
            known.changed = true;
        }
        Ok(id)
    }

    /// What an error means; that the bot is not let into a channel is shown.
    fn failed(aim: &Aim, error: CallError) -> DeliveryError {
        if matches!(error.status(), 403 | 404) {
            tracing::warn!(channel = %aim.channel.spelling, %error, "A channel cannot be used.");
        }
        error.for_delivery()
    }

    async fn edit(
        &self,
        aim: &Aim,
        outbound: &Outbound,
        target: &MessageId,
        message: &Message,
    ) -> Result<Receipt, DeliveryError> {
        let pieces = self.pieces(outbound, message, Vec::new());
        let targets = targets(outbound, target);
        let mut left = targets.iter();
        let mut ids: Vec<String> = Vec::new();
        for (number, piece) in pieces.iter().enumerate() {
            if let Some(id) = left.next() {
                let (conversation, spot) = addressed(aim, id)?;
                let edited = self
                    .wire
                    .edit(&aim.service, &conversation, spot.id, &piece.activity())
                    .await;
                edited.map_err(|error| match error.status() {
                    403 | 404 => unsupported("Teams lets the bot change only what it posted itself, while it is there"),
                    _ => error.for_repeatable(),
                })?;
                ids.push(id.to_string());
            } else {
                // The new wording is longer: the rest is posted behind it.
                let root = spot(target).and_then(|spot| spot.root).map(str::to_owned);
                if number == targets.len() {
                    self.begin(outbound, root.as_deref(), &pieces).await?;
                }
                ids.push(self.post_piece(aim, outbound, root.as_deref(), number, piece).await?);
            }
        }
        for id in left {
            self.delete_one(aim, id).await?;
        }
        locked(&self.partial).pop(outbound.key.as_str());
        Ok(receipt(&ids))
    }

    async fn delete(&self, aim: &Aim, outbound: &Outbound, target: &MessageId) -> Result<Receipt, DeliveryError> {
        for id in targets(outbound, target) {
            self.delete_one(aim, &id).await?;
        }
        Ok(Receipt::default())
    }

    async fn delete_one(&self, aim: &Aim, id: &MessageId) -> Result<(), DeliveryError> {
        let (conversation, spot) = addressed(aim, id)?;
        match self.wire.delete(&aim.service, &conversation, spot.id).await {
            Ok(()) => Ok(()),
            Err(error) if matches!(error.status(), 404 | 410) => Ok(()),
            Err(error) if error.status() == 403 => {
                Err(unsupported("Teams lets the bot delete only what it posted itself"))
            }
            Err(error) => Err(error.for_repeatable()),
        }
    }

    /// Remembers that a delivery begins.
    async fn begin(&self, outbound: &Outbound, root: Option<&str>, pieces: &[Piece]) -> Result<(), DeliveryError> {
        let texts = pieces.iter().map(|piece| piece.rendered.text.as_str());
        let begun = Begun::new(outbound.key.as_str(), self.context.clock.now(), root, texts);
        self.remember(&outbound.to.channel, begun).await
    }
}

/// The message that a name stands for: one that was withdrawn and came back has another name.
fn origin(id: &MessageId) -> Option<MessageId> {
    let Some(rest) = id.as_str().strip_prefix("again/") else {
        return Some(id.clone());
    };
    MessageId::new(rest.rsplit_once('/')?.0).ok()
}

fn targets(outbound: &Outbound, target: &MessageId) -> Vec<MessageId> {
    if outbound.parts.is_empty() {
        vec![target.clone()]
    } else {
        outbound.parts.clone()
    }
}

/// The conversation in which a message is addressed.
pub(super) fn addressed<'a>(aim: &Aim, id: &'a MessageId) -> Result<(String, Spot<'a>), DeliveryError> {
    let spot = spot(id).ok_or_else(|| DeliveryError::permanent("this is no message of Teams'"))?;
    let conversation = if aim.channel.is_chat() {
        aim.thread.clone()
    } else {
        format!("{};messageid={}", aim.thread, root_of(&spot))
    };
    Ok((conversation, spot))
}

/// The receipt of these messages.
pub(super) fn receipt(ids: &[String]) -> Receipt {
    let ids: Vec<MessageId> = ids.iter().filter_map(|id| MessageId::new(id).ok()).collect();
    let at = ids.first().and_then(spot).and_then(|spot| spot.id.parse().ok());
    Receipt {
        at: at.map(Timestamp),
        ids,
        losses: Vec::new(),
    }
}

/// A name that Teams shows as it is.
fn shown_name(outbound: &Outbound) -> String {
    let clean = |text: &str| -> String {
        let visible = |c: &char| !c.is_control() && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        text.chars()
            .filter(visible)
            .take(NAME)
            .collect::<String>()
            .trim()
            .to_owned()
    };
    let name = clean(&outbound.author.display);
    if name.is_empty() {
        clean(outbound.author.person.id.as_str())
    } else {
        name
    }
}

/// What somebody does rather than says.
fn slanted(block: Block) -> Block {
    match block {
        Block::Paragraph(content) => Block::Paragraph(vec![Inline::Emphasis(content)]),
        other => other,
    }
}
