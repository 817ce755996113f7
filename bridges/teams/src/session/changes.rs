//! Deliveries that change what is there: edits and deletions. What was posted in its author's own name is changed so, the rest
//! by the bot; whose a message is, Microsoft says by refusing.

use viaduct_bridge::DeliveryError;
use viaduct_model::{Message, MessageId, Outbound, Receipt};

use super::Teams;
use super::logins::{Login, Voice};
use super::outbound::{Aim, Part, addressed, receipt, unsupported};
use super::pieces::Piece;
use crate::client::error::CallError;
use crate::client::speak::Named;
use crate::convert::ids::spot;

/// What became of something in the author's own name.
enum Own {
    Done,
    /// It is not theirs: the bot's, perhaps.
    NotTheirs,
}

impl Teams {
    pub(super) async fn edit(
        &self,
        aim: &Aim,
        outbound: &Outbound,
        target: &MessageId,
        message: &Message,
    ) -> Result<Receipt, DeliveryError> {
        let targets = outbound.targets();
        let mut voice = self.voice(aim, outbound);
        let mut pieces = self.pieces(&voice, outbound, message, Vec::new(), &[]);
        if let (Voice::Own(login, _), Some(first), Some(piece)) = (voice.clone(), targets.first(), pieces.first())
            && let Own::NotTheirs = self.reword_as(&login, aim, first, piece).await?
        {
            voice = Voice::Bot;
            pieces = self.pieces(&voice, outbound, message, Vec::new(), &[]);
        }
        let mut left = targets.iter();
        let mut ids: Vec<String> = Vec::new();
        let root = spot(target).and_then(|spot| spot.root).map(str::to_owned);
        for part in Part::all(&voice, root.as_deref(), &pieces) {
            if let Some(id) = left.next() {
                if !self.reword(aim, id, part).await? {
                    return self.correct(aim, outbound, target, message).await;
                }
                ids.push(id.to_string());
            } else {
                // The new wording is longer: the rest is posted behind it.
                if part.number == targets.len() {
                    self.begin(outbound, &voice, root.as_deref(), &pieces).await?;
                }
                ids.push(self.post_piece(aim, outbound, part).await?);
            }
        }
        for id in left {
            self.delete_one(aim, outbound, id).await?;
        }
        super::locked(&self.partial).pop(outbound.key.as_str());
        self.spoken(&outbound.to.channel, &ids).await;
        Ok(receipt(&ids))
    }

    /// Gives one message another wording; false where it is one that its author posted in their own name, as which we cannot
    /// speak any more.
    async fn reword(&self, aim: &Aim, id: &MessageId, part: Part<'_>) -> Result<bool, DeliveryError> {
        if let Voice::Own(login, _) = part.voice {
            // The first was done to find out whose it is.
            if part.number > 0 {
                self.reword_as(login, aim, id, part.piece).await?;
            }
            return Ok(true);
        }
        let (conversation, spot) = addressed(aim, id)?;
        let edited = self
            .wire
            .edit(&aim.service, &conversation, spot.id, &part.piece.content);
        match edited.await {
            Ok(()) => Ok(true),
            Err(error) if error.status() == 403 && !self.logins.is_empty() => Ok(false),
            Err(error) => Err(match error.status() {
                403 | 404 => unsupported("Teams lets the bot change only what it posted itself, while it is there"),
                _ => error.for_repeatable(),
            }),
        }
    }

    /// Says a new wording by the bot, below what can no longer be changed.
    async fn correct(
        &self,
        aim: &Aim,
        outbound: &Outbound,
        target: &MessageId,
        message: &Message,
    ) -> Result<Receipt, DeliveryError> {
        let mut outbound = outbound.clone();
        let word = self.context.language.pick("corrected", "berichtigt");
        outbound.author.display = format!("{} ({word})", Self::shown(&outbound));
        let mut message = message.clone();
        message.thread = Some(target.clone());
        self.post(aim, &outbound, &message).await
    }

    pub(super) async fn delete(&self, aim: &Aim, outbound: &Outbound) -> Result<Receipt, DeliveryError> {
        for id in outbound.targets() {
            self.delete_one(aim, outbound, id).await?;
        }
        Ok(Receipt::default())
    }

    async fn delete_one(&self, aim: &Aim, outbound: &Outbound, id: &MessageId) -> Result<(), DeliveryError> {
        if let Voice::Own(login, _) = self.voice(aim, outbound)
            && let Own::Done = self.withdraw_as(&login, aim, id).await?
        {
            return Ok(());
        }
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

    async fn reword_as(&self, login: &Login, aim: &Aim, id: &MessageId, piece: &Piece) -> Result<Own, DeliveryError> {
        self.rewording(&aim.channel, id, &piece.wording);
        let Some(scope) = aim.channel.scope() else {
            return Ok(Own::NotTheirs);
        };
        let message = named(&scope, id)?;
        let done = self.wire.reword(&login.person, message, &piece.content).await;
        self.own_change(login, aim, done)
    }

    async fn withdraw_as(&self, login: &Login, aim: &Aim, id: &MessageId) -> Result<Own, DeliveryError> {
        let Some(scope) = aim.channel.scope() else {
            return Ok(Own::NotTheirs);
        };
        let before = Self::withdrawing(&aim.channel, id);
        let done = self.wire.withdraw(&login.person, named(&scope, id)?).await;
        if done.is_err() {
            Self::not_withdrawn(&aim.channel, id, before);
        }
        self.own_change(login, aim, done)
    }

    fn own_change(&self, login: &Login, aim: &Aim, done: Result<(), CallError>) -> Result<Own, DeliveryError> {
        match done {
            Ok(()) => Ok(Own::Done),
            Err(error) if matches!(error.status(), 403 | 404) => Ok(Own::NotTheirs),
            Err(error) if error.status() == 401 => Err(self.own_voice_failed(login, aim, error)),
            Err(error) => Err(error.for_repeatable()),
        }
    }
}

/// A message as Graph names it.
pub(super) fn named<'a>(scope: &'a crate::client::graph::Scope, id: &'a MessageId) -> Result<Named<'a>, DeliveryError> {
    let spot = spot(id).ok_or_else(|| DeliveryError::permanent("this is no message of Teams'"))?;
    Ok(Named {
        scope,
        root: spot.root,
        id: spot.id,
    })
}
