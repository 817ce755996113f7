//! Reactions to Slack. The bot has one reaction an emoji and message, so those who react are counted: the first puts it, the
//! last takes it back. Both may be repeated without harm.

use viaduct_bridge::DeliveryError;
use viaduct_model::{MessageId, Outbound, Receipt};

use super::outbound::Aim;
use super::{Slack, unsupported};
use crate::client::error::CallError;
use crate::convert::emoji;
use crate::convert::ids::is_ts;

/// How many people are counted for one reaction.
const COUNTED: usize = 200;

impl Slack {
    pub(super) async fn react(
        &self,
        aim: &Aim,
        outbound: &Outbound,
        target: &MessageId,
        key: &str,
        added: bool,
    ) -> Result<Receipt, DeliveryError> {
        let name = self
            .reaction_name(key)
            .ok_or_else(|| unsupported("Slack has no such emoji"))?;
        let ts = target.as_str();
        if !is_ts(ts) {
            return Err(unsupported("Slack has reactions to messages only"));
        }
        if let Some(login) = self.login(outbound) {
            let verb = if added { "react" } else { "unreact" };
            let user = login.user.unwrap_or_default();
            self.ours(format!("{verb}/{user}/{}/{ts}/{name}", aim.id));
            let result = if added {
                login.api.react(&aim.id, ts, &name).await
            } else {
                login.api.unreact(&aim.id, ts, &name).await
            };
            let receipt = done(result)?;
            if let Some(channel) = &aim.channel {
                let mut known = channel.known();
                known.changed = true;
                if added {
                    known.reactions.added(ts, &name, &user);
                } else {
                    known.reactions.removed(ts, &name, &user);
                }
            }
            return Ok(receipt);
        }
        // One after the other, so that no count is lost.
        let _turn = self.counted.lock().await;
        let row = format!("react/{}/{ts}/{name}", aim.id);
        let mut who = self.who_reacts(&row).await?;
        let author = format!("{}/{}", outbound.author.person.network, outbound.author.person.id);
        let before = who.len();
        who.retain(|other| *other != author);
        if added && who.len() < COUNTED {
            who.push(author);
        }
        let receipt = match (added, before, who.len()) {
            // Also when it was counted before: the answer to the first attempt may have been lost.
            (true, 0 | 1, 1) => done(self.api.react(&aim.id, ts, &name).await)?,
            (false, _, 0) => done(self.api.unreact(&aim.id, ts, &name).await)?,
            _ => Receipt::default(),
        };
        let value = if who.is_empty() {
            None
        } else {
            serde_json::to_vec(&who).ok()
        };
        let kept = self.context.state.put(vec![(row, value)]).await;
        kept.map_err(|error| DeliveryError::retry(error.to_string()))?;
        Ok(receipt)
    }

    async fn who_reacts(&self, row: &str) -> Result<Vec<String>, DeliveryError> {
        let value = self.context.state.get(row).await;
        let value = value.map_err(|error| DeliveryError::retry(error.to_string()))?;
        Ok(value
            .and_then(|value| serde_json::from_slice(&value).ok())
            .unwrap_or_default())
    }

    /// Slack's name of a reaction: of a Unicode emoji, or of one of the workspace's own.
    fn reaction_name(&self, key: &str) -> Option<String> {
        if let Some(name) = key.strip_prefix(':').and_then(|key| key.strip_suffix(':')) {
            let known = self.people.emoji_url(name).is_some() || emoji::to_unicode(name).is_some();
            return (emoji::is_name(name) && known).then(|| name.to_owned());
        }
        emoji::to_name(key)
    }
}

fn done(result: Result<(), CallError>) -> Result<Receipt, DeliveryError> {
    match result {
        Ok(()) => Ok(Receipt::default()),
        Err(error) => match error.code() {
            // It is already as wanted.
            Some("already_reacted" | "no_reaction") => Ok(Receipt::default()),
            Some("invalid_name" | "too_many_emoji" | "too_many_reactions") => {
                Err(unsupported("Slack takes no such reaction here"))
            }
            Some("message_not_found" | "thread_locked" | "not_reactable") => {
                Err(DeliveryError::permanent(error.to_string()))
            }
            _ => Err(error.for_repeatable()),
        },
    }
}
