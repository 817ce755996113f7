//! Reactions of other sides: the bot has one of each kind on a message, so those of many people are counted.

use viaduct_bridge::DeliveryError;
use viaduct_model::{MessageId, Outbound, Receipt};

use super::Teams;
use super::changes::named;
use super::logins::{Login, Voice};
use super::outbound::{Aim, addressed, unsupported};
use crate::convert::emoji;

/// How many people are counted for one reaction.
const COUNTED: usize = 200;

impl Teams {
    /// Puts a reaction on a message with the first who reacts so, and takes it back with the last.
    pub(super) async fn react(
        &self,
        aim: &Aim,
        outbound: &Outbound,
        target: &MessageId,
        key: &str,
        added: bool,
    ) -> Result<Receipt, DeliveryError> {
        let kind = emoji::to_kind(key).ok_or_else(|| unsupported("Teams has no such reaction"))?;
        let (conversation, spot) = addressed(aim, target)?;
        let _turn = self.counting.lock().await;
        let name = format!("react/{}/{target}/{kind}", outbound.to.channel);
        let lost = |error: viaduct_bridge::StateError| DeliveryError::retry(error.to_string());
        let kept = self.context.state.get(&name).await.map_err(lost)?;
        let mut people: Vec<String> = kept
            .and_then(|kept| serde_json::from_slice(&kept).ok())
            .unwrap_or_default();
        let author = &outbound.author.person;
        let author = format!("{}/{}", author.network, author.id);
        let counted = people.contains(&author);
        // What the bot put for somebody before they spoke as themselves, it takes back.
        if (!counted || added)
            && let Voice::Own(login, user) = self.voice(aim, outbound)
            && self.react_as(&login, &user, aim, target, key, added).await?
        {
            return Ok(Receipt::default());
        }
        people.retain(|known| *known != author);
        let others = !people.is_empty();
        if added && people.len() < COUNTED {
            people.push(author);
        }
        if !others {
            let done = self
                .wire
                .react(&aim.service, &conversation, spot.id, &kind, added)
                .await;
            done.map_err(|error| match error.status() {
                400 | 403 | 404 | 405 | 501 => unsupported("Teams does not take this reaction from the bot"),
                _ => error.for_repeatable(),
            })?;
        }
        let value = serde_json::to_vec(&people).ok().filter(|_| !people.is_empty());
        self.context.state.put(vec![(name, value)]).await.map_err(lost)?;
        Ok(Receipt::default())
    }

    /// Puts a reaction in its author's own name, or takes it back; false where the bot has to.
    async fn react_as(
        &self,
        login: &Login,
        user: &str,
        aim: &Aim,
        target: &MessageId,
        key: &str,
        added: bool,
    ) -> Result<bool, DeliveryError> {
        let Some(scope) = aim.channel.scope() else {
            return Ok(false);
        };
        self.reacting(&aim.channel, target, user, key, added);
        let done = self.wire.feel(&login.person, named(&scope, target)?, key, added).await;
        match done {
            Ok(()) => Ok(true),
            Err(error) if matches!(error.status(), 400 | 403 | 404) => Ok(false),
            Err(error) if error.status() == 401 => Err(self.own_voice_failed(login, aim, error)),
            Err(error) => Err(error.for_repeatable()),
        }
    }
}
