//! Deliveries.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use url::Url;
use viaduct_bridge::{DeliveryError, Failure};
use viaduct_model::{Content, Message, MessageId, Outbound, Receipt, Timestamp};

use super::channels::Channel;
use super::logins::{Login, Voice};
use super::lookup::Begun;
use super::pieces::Piece;
use super::{Teams, locked};
use crate::client::error::CallError;
use crate::convert::ids::{Spot, root_of, spot};

/// Where a delivery goes, in Teams' words.
pub(super) struct Aim {
    pub channel: Arc<Channel>,
    pub thread: String,
    pub service: Url,
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
    pub(super) async fn aim(&self, channel: &viaduct_model::ChannelId) -> Result<Aim, DeliveryError> {
        let later = Failure::Retry(Some(Duration::from_secs(30)));
        let known = match super::direct::Pair::read(channel) {
            Some(pair) if self.section.direct => self.chat_with(&pair).await?,
            _ => {
                let known = self.channel(channel);
                Arc::clone(
                    known.ok_or_else(|| DeliveryError::permanent(format!("{channel} is not a mirrored channel")))?,
                )
            }
        };
        Ok(Aim {
            thread: known.usable().map_err(|reason| DeliveryError::new(later, reason))?,
            service: self.service(&known),
            channel: known,
        })
    }

    pub(super) async fn deliver(&self, outbound: &Outbound) -> Result<Receipt, DeliveryError> {
        self.ready()?;
        let aim = self.aim(&outbound.to.channel).await?;
        match &outbound.content {
            Content::Message(message) => self.post(&aim, outbound, message).await,
            Content::Edit { target, message } => self.edit(&aim, outbound, target, message).await,
            Content::Delete { .. } => self.delete(&aim, outbound).await,
            Content::React { target, reaction } if self.section.reactions => {
                self.react(&aim, outbound, target, &reaction.key, true).await
            }
            Content::Unreact { target, reaction } if self.section.reactions => {
                self.react(&aim, outbound, target, &reaction.key, false).await
            }
            _ => Err(unsupported("Teams has nothing for this")),
        }
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

    pub(super) async fn post(
        &self,
        aim: &Aim,
        outbound: &Outbound,
        message: &Message,
    ) -> Result<Receipt, DeliveryError> {
        let root = Self::root(aim, message)?;
        let voice = self.voice(aim, outbound);
        let mut losses = Vec::new();
        let files = self.files_for(aim, message, &mut losses).await?;
        if message.body.is_empty() && files.links.is_empty() && files.pictures.is_empty() {
            return Err(unsupported("there is nothing to say"));
        }
        let pieces = self.pieces(&voice, outbound, message, files.links, &files.pictures);
        self.begin(outbound, &voice, root.as_deref(), &pieces).await?;
        let mut ids = Vec::new();
        for part in Part::all(&voice, root.as_deref(), &pieces) {
            ids.push(self.post_piece(aim, outbound, part).await?);
        }
        locked(&self.partial).pop(outbound.key.as_str());
        self.arrived(&outbound.to.channel, outbound.key.as_str(), &ids);
        self.spoken(&outbound.to.channel, &ids).await;
        let mut receipt = receipt(&ids);
        receipt.losses = losses;
        Ok(receipt)
    }

    /// Posts one piece, unless it arrived in an earlier attempt; gives the hub's id of it.
    pub(super) async fn post_piece(
        &self,
        aim: &Aim,
        outbound: &Outbound,
        part: Part<'_>,
    ) -> Result<String, DeliveryError> {
        let (key, root, number) = (outbound.key.as_str(), part.root, part.number);
        let arrived = locked(&self.partial)
            .get(key)
            .and_then(|parts| parts.get(&number).cloned());
        if let Some(id) = arrived {
            return Ok(id);
        }
        let id = match part.voice {
            Voice::Own(login, _) => self.post_as(login, aim, root, &part.piece.content).await?,
            Voice::Bot => self.post_as_bot(aim, root, &part.piece.content).await?,
        };
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
            if matches!(part.voice, Voice::Own(..)) {
                known.memory.speaks(&id);
            }
            known.memory.goes_on(&chain, self.context.clock.now().as_millis());
            known.changed = true;
        }
        Ok(id)
    }

    async fn post_as(
        &self,
        login: &Login,
        aim: &Aim,
        root: Option<&str>,
        content: &Value,
    ) -> Result<String, DeliveryError> {
        let scope = aim.channel.scope();
        let scope = scope.ok_or_else(|| DeliveryError::retry("Teams has not told yet which team the channel is in"))?;
        let posted = self.wire.say(&login.person, &scope, root, content).await;
        posted.map_err(|error| self.own_voice_failed(login, aim, error))
    }

    async fn post_as_bot(&self, aim: &Aim, root: Option<&str>, content: &Value) -> Result<String, DeliveryError> {
        let (app, tenant) = (&self.section.app_id, &self.section.tenant);
        let posted = match root {
            Some(root) => {
                let conversation = format!("{};messageid={root}", aim.thread);
                self.wire.post(&aim.service, &conversation, content).await
            }
            None if aim.channel.is_chat() => self.wire.post(&aim.service, &aim.thread, content).await,
            None => {
                self.wire
                    .post_root(&aim.service, &aim.thread, app, tenant, content)
                    .await
            }
        };
        posted.map_err(|error| Self::failed(aim, error))
    }

    /// What an error means; that the bot is not let into a channel is shown.
    fn failed(aim: &Aim, error: CallError) -> DeliveryError {
        if matches!(error.status(), 403 | 404) {
            if aim.channel.direct_to.is_some() {
                return DeliveryError::permanent(
                    "the person does not have the app in Teams, so that it cannot write to them",
                );
            }
            tracing::warn!(channel = %aim.channel.spelling, %error, "A channel cannot be used.");
        }
        error.for_delivery()
    }

    /// Remembers that a delivery begins.
    pub(super) async fn begin(
        &self,
        outbound: &Outbound,
        voice: &Voice,
        root: Option<&str>,
        pieces: &[Piece],
    ) -> Result<(), DeliveryError> {
        let wordings = pieces.iter().map(|piece| piece.wording.clone());
        let author = match voice {
            Voice::Own(_, user) => Some(user.clone()),
            Voice::Bot => None,
        };
        let begun = Begun::new(outbound.key.as_str(), self.context.clock.now(), root, wordings, author);
        self.remember(&outbound.to.channel, begun).await
    }
}

/// One piece, and where it goes.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub voice: &'a Voice,
    /// The first message of the chain.
    pub root: Option<&'a str>,
    pub number: usize,
    pub piece: &'a Piece,
}

impl<'a> Part<'a> {
    /// All pieces of a message, which go to the same place.
    pub fn all(voice: &'a Voice, root: Option<&'a str>, pieces: &'a [Piece]) -> impl Iterator<Item = Self> {
        pieces.iter().enumerate().map(move |(number, piece)| Self {
            voice,
            root,
            number,
            piece,
        })
    }
}

/// The message that a name stands for: one that was withdrawn and came back has another name.
fn origin(id: &MessageId) -> Option<MessageId> {
    let Some(rest) = id.as_str().strip_prefix("again/") else {
        return Some(id.clone());
    };
    MessageId::new(rest.rsplit_once('/')?.0).ok()
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
