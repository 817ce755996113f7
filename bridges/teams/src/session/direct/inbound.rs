//! What a person says to the bot, and to whom it is.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use viaduct_model::{Content, Event};

use super::{Chat, named_partner};
use crate::client::json;
use crate::convert::said::{Said, Who};
use crate::session::inbound::is_known;
use crate::session::intake::NotStored;
use crate::session::{Teams, locked};

/// How long a person is not asked again to whom they write.
const ASKED: Duration = Duration::from_secs(20);

/// To whom something is.
enum Routed {
    To(String),
    /// To one of several, and it does not say to whom.
    Unclear,
    /// It is about something that is nobody's.
    Nobodys,
}

/// Whether an activity is of a person's own conversation with the bot.
pub fn is_personal(activity: &Value) -> bool {
    json::text(activity, &["conversation", "conversationType"]) == Some("personal")
}

impl Teams {
    /// Takes an activity of a person's own conversation with the bot, and returns when it is on stable storage.
    pub(in crate::session) async fn hear_directly(&self, activity: &Value, service: &str) -> Result<(), NotStored> {
        let kind = json::text(activity, &["type"]).unwrap_or_default();
        if !is_known(kind) {
            return self.keep(activity).await;
        }
        let who = Who::account(json::at(activity, &["from"]));
        self.people.learn(&who);
        let person = self.people.id(&who).filter(|_| !self.is_own(&who));
        let Some(person) = person else { return Ok(()) };
        let chat = self.chat(person.as_str());
        let _gate = chat.gate.lock().await;
        let before = locked(&chat.known).clone();
        {
            let mut known = locked(&chat.known);
            known.thread = json::text(activity, &["conversation", "id"]).map(str::to_owned);
            known.service = Some(service.to_owned());
            known.address = who.teams.clone().or(known.address.take());
        }
        let mut outcome = Ok(());
        match kind {
            "installationUpdate" => {
                let added = json::text(activity, &["action"]).is_some_and(|action| action.starts_with("add"));
                outcome = self.app_comes_or_goes(&chat, activity, added).await;
            }
            "message" | "messageUpdate" | "messageDelete" | "messageReaction" => {
                outcome = self.hear_from(&chat, activity).await;
            }
            _ => {}
        }
        let changed = *locked(&chat.known) != before;
        if changed && self.keep_chat(&chat).await.is_err() {
            return Err(NotStored);
        }
        outcome
    }

    async fn hear_from(&self, chat: &Chat, activity: &Value) -> Result<(), NotStored> {
        let said = Said::of_activity(activity);
        let routed = match (&said, json::text(activity, &["replyToId"])) {
            (Some(said), _) => self.route(chat, said),
            (None, Some(target)) => {
                let known = locked(&chat.known);
                let whose = known.partner_of(target).or_else(|| known.sole_partner());
                whose.cloned().map_or(Routed::Nobodys, Routed::To)
            }
            (None, None) => Routed::Nobodys,
        };
        let partner = match routed {
            Routed::To(partner) => partner,
            Routed::Unclear => {
                self.ask_to_whom(chat).await;
                return Ok(());
            }
            Routed::Nobodys => return Ok(()),
        };
        let Some(pair) = self.pair(chat, &partner).await else {
            return Ok(());
        };
        let events = self.tell(&pair, activity).await.unwrap_or_default();
        self.store_of(&pair, events).await.then_some(()).ok_or(NotStored)
    }

    /// To whom a message is; whoever is named is taken in.
    fn route(&self, chat: &Chat, said: &Said) -> Routed {
        let mut known = locked(&chat.known);
        let at = said.modified.as_millis();
        known.active = known.active.max(at);
        known.swept = known.swept.or(Some(at.saturating_sub(1)));
        let own = known.partner_of(&said.id).cloned();
        let quoted = || said.answers().and_then(|id| known.partner_of(&id).cloned());
        let found = own.or_else(quoted);
        let named = || named_partner(&said.message(self).body.to_plain()).filter(|_| !said.deleted);
        let partner = found.or_else(named).or_else(|| known.sole_partner().cloned());
        match partner {
            Some(partner) if known.admit(&partner) => {
                known.note(&said.id, &partner);
                Routed::To(partner)
            }
            _ if said.deleted || said.edited => Routed::Nobodys,
            _ => Routed::Unclear,
        }
    }

    /// To whom a message is that was found later; where that is not clear, and it is `new`, the person is asked.
    pub(super) async fn whose(&self, chat: &Chat, said: &Said, new: bool) -> Option<String> {
        match self.route(chat, said) {
            Routed::To(partner) => return Some(partner),
            Routed::Unclear if new => self.ask_to_whom(chat).await,
            Routed::Unclear | Routed::Nobodys => {}
        }
        None
    }

    async fn ask_to_whom(&self, chat: &Chat) {
        {
            let mut asked = locked(&chat.asked);
            if asked.is_some_and(|at| at.elapsed() < ASKED) {
                return;
            }
            *asked = Some(Instant::now());
        }
        let text = self.context.language.pick(
            "This was sent to nobody, as it is not clear to whom it is. Please answer by quoting a message, or begin with the \
             Matrix address of the person you want to write to, such as @anna:example.org.",
            "Das wurde niemandem zugestellt, weil nicht klar ist, an wen es geht. Bitte eine Nachricht zitieren und darauf \
             antworten, oder mit der Matrix-Adresse der Person beginnen, etwa @anna:example.org.",
        );
        self.whisper(chat, text).await;
    }

    /// The person added or removed the app.
    async fn app_comes_or_goes(&self, chat: &Chat, activity: &Value, added: bool) -> Result<(), NotStored> {
        let (was_removed, partners) = {
            let mut known = locked(&chat.known);
            let was_removed = std::mem::replace(&mut known.removed, !added);
            (was_removed, known.present().cloned().collect::<Vec<_>>())
        };
        if added && partners.is_empty() {
            let text = self.context.language.pick(
                "People of the partner organisation can write to you here. To write to one of them, begin with their Matrix \
                 address, such as @anna:example.org.",
                "Hier können Ihnen Menschen der Partnerorganisation schreiben. Um jemandem von ihnen zu schreiben, beginnen \
                 Sie mit der Matrix-Adresse, etwa @anna:example.org.",
            );
            self.whisper(chat, text).await;
        }
        if added == was_removed || !added {
            let mut events: Vec<Event> = Vec::new();
            for partner in &partners {
                let content = if added {
                    Content::Opened
                } else {
                    Content::Closed {
                        reason: self.removed().to_owned(),
                    }
                };
                if let Some(pair) = self.pair(chat, partner).await {
                    events.extend(self.told_of_channel(&pair, activity, content));
                }
            }
            for event in events {
                self.store(vec![event]).await?;
            }
        }
        Ok(())
    }
}
