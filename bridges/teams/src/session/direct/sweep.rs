//! What was missed of people's conversations with the bot. Only a permission for the whole tenant lets an app read them; without it
//! there is what Microsoft sends, again for a while where it was not taken.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;
use viaduct_model::Timestamp;

use super::Chat;
use crate::client::error::CallError;
use crate::client::graph::Scope;
use crate::convert::said::Said;
use crate::session::history::{DAY, OVERLAP};
use crate::session::{Teams, locked};

impl Teams {
    /// The conversations in which something was said lately, closed until they are swept.
    pub(in crate::session) async fn close_chats(&self) -> Vec<(Arc<Chat>, OwnedMutexGuard<()>)> {
        let mut out = Vec::new();
        for chat in self.lively_chats() {
            let gate = Arc::clone(&chat.gate).lock_owned().await;
            out.push((chat, gate));
        }
        out
    }

    fn lively_chats(&self) -> Vec<Arc<Chat>> {
        let days = self.section.thread_days.saturating_mul(DAY);
        let since = self.context.clock.now().as_millis().saturating_sub(days);
        let chats = locked(&self.chats);
        let lively = chats.values().filter(|chat| {
            let known = locked(&chat.known);
            known.active >= since && !known.removed
        });
        lively.cloned().collect()
    }

    /// Sweeps all of these.
    pub(in crate::session) async fn sweep_closed(&self, chats: Vec<(Arc<Chat>, OwnedMutexGuard<()>)>) {
        for (chat, gate) in chats {
            if !self.sweep_chat(&chat).await {
                // Nor may the others be read.
                return;
            }
            drop(gate);
        }
    }

    /// Sweeps all in which something was said lately.
    pub(in crate::session) async fn sweep_chats(&self) {
        for chat in self.lively_chats() {
            let _gate = chat.gate.lock().await;
            if !self.sweep_chat(&chat).await {
                return;
            }
        }
    }

    /// Sweeps a conversation whose gate is held; says whether it is of use to go on with others.
    async fn sweep_chat(&self, chat: &Chat) -> bool {
        let Err(error) = self.sweep_chat_once(chat).await else {
            *locked(&self.chats_unread) = None;
            return true;
        };
        tracing::debug!(%error, "What was said in a direct chat could not be read.");
        let refused = matches!(error.status(), 401 | 403);
        if refused {
            *locked(&self.chats_unread) = Some(error.to_string());
        }
        !refused && !error.is_passing()
    }

    async fn sweep_chat_once(&self, chat: &Chat) -> Result<(), CallError> {
        let (Some(since), false) = ({
            let known = locked(&chat.known);
            (known.swept, known.removed)
        }) else {
            return Ok(());
        };
        let scope = Scope::Chat(format!("19:{}_{}@unq.gbl.spaces", chat.person, self.section.app_id));
        let from = Timestamp(since.saturating_sub(OVERLAP));
        let mut found: BTreeMap<(u64, String), Said> = BTreeMap::new();
        for said in self
            .wire
            .changed_since(&scope, from)
            .await?
            .iter()
            .filter_map(Said::of_graph)
        {
            found.insert((said.at.as_millis(), said.id.clone()), said);
        }
        let mut newest = since;
        for said in found.into_values() {
            newest = newest.max(said.modified.as_millis());
            if self.is_own(&said.who) && said.reactions.is_empty() {
                continue;
            }
            let is_new = said.at.as_millis() > since && !self.is_own(&said.who);
            let Some(partner) = self.whose(chat, &said, is_new).await else {
                continue;
            };
            let Some(pair) = self.pair(chat, &partner).await else {
                continue;
            };
            let events = self.tell_swept(&pair, &said, since);
            if !self.store_of(&pair, events).await {
                return Ok(());
            }
        }
        locked(&chat.known).swept = Some(newest);
        if let Err(error) = self.keep_chat(chat).await {
            tracing::warn!(%error, "How far a direct chat was read could not be remembered.");
        }
        Ok(())
    }
}
