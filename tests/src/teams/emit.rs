//! Who is told of what: activities to bots, notifications to subscribers.

use serde_json::{Value, json};

use super::control::App;
use super::delivery::{Feed, Parcel};
use super::ids::{now_millis, now_seconds, written};
use super::speech::Change;
use super::state::{Author, Channel, Kind, Message, State};

/// How long a token of an activity is good for, in seconds.
const BEARER: u64 = 3600;

impl State {
    /// The claims in the token of an activity of an app.
    pub(super) fn claims(&self, app: &App) -> Value {
        let now = now_seconds();
        json!({
            "iss": "https://api.botframework.com", "aud": app.app_id, "serviceurl": self.service(&app.tenant),
            "nbf": now.saturating_sub(60), "iat": now, "exp": now + BEARER,
        })
    }

    /// A token for an app's activities; the same for some minutes, as long as the keys stay.
    pub(super) fn bearer(&mut self, index: usize) -> Option<String> {
        let (now, generation) = (now_seconds(), self.keys.generation());
        let registration = self.apps.get(index)?;
        if let Some((token, made_with, until)) = &registration.bearer
            && *made_with == generation
            && *until > now
        {
            return Some(token.clone());
        }
        let claims = self.claims(&registration.app);
        let token = self.keys.sign(&json!({}), &claims)?;
        if let Some(registration) = self.apps.get_mut(index) {
            registration.bearer = Some((token.clone(), generation, now + BEARER / 12));
        }
        Some(token)
    }

    /// Sends an activity to an app's bot, if it takes any.
    pub(super) fn post(&mut self, index: usize, place: &str, activity: &Value) {
        let bearer = self.bearer(index);
        let Some(registration) = self.apps.get(index) else {
            return;
        };
        let Some(url) = registration.endpoint.clone() else {
            return;
        };
        registration.postbox.put(Parcel {
            lane: place.to_owned(),
            feed: Feed::Activities,
            url,
            bearer,
            body: activity.to_string().into(),
            attempt: 0,
        });
    }

    /// Tells of a message.
    pub(super) fn tell(&mut self, place: &str, id: u64, change: Change<'_>) {
        for index in 0..self.apps.len() {
            if let Some(activity) = self.activity_for(index, place, id, change) {
                self.post(index, place, &activity);
            }
        }
        self.notify(place, id, change);
    }

    fn activity_for(&self, index: usize, place: &str, id: u64, change: Change<'_>) -> Option<Value> {
        let registration = self.apps.get(index).filter(|one| one.endpoint.is_some())?;
        let channel = self.channels.get(place)?;
        let message = channel.messages.get(&id)?;
        let app = &registration.app;
        if !self.is_in(&app.app_id, channel) || channel.tenant != app.tenant {
            return None;
        }
        if let Change::Reacted(what, who, set) = change {
            return (message.from == Author::App(app.app_id.clone()))
                .then(|| self.view_reaction(app, channel, message, (what, who, set)));
        }
        let reads_all = match channel.kind {
            Kind::Personal => true,
            Kind::Group => registration.consent.contains("ChatMessage.Read.Chat"),
            _ => registration.consent.contains("ChannelMessage.Read.Group"),
        };
        let is_addressed = message
            .mentions
            .iter()
            .any(|one| one.who == Author::App(app.app_id.clone()));
        if matches!(message.from, Author::App(_)) || !(reads_all || is_addressed) {
            return None;
        }
        let mut activity = self.view_activity(app, channel, message);
        let event = match change {
            Change::Written | Change::Reacted(..) => None,
            Change::Edited => Some(("messageUpdate", "editMessage")),
            Change::Undeleted => Some(("messageUpdate", "undeleteMessage")),
            Change::Deleted => Some(("messageDelete", "softDeleteMessage")),
        };
        if let Some((word, event)) = event {
            activity["type"] = json!(word);
            activity["channelData"]["eventType"] = json!(event);
        }
        if change == Change::Deleted
            && let Some(fields) = activity.as_object_mut()
        {
            for gone in ["text", "attachments", "entities", "textFormat"] {
                fields.remove(gone);
            }
        }
        Some(activity)
    }

    fn view_reaction(&self, app: &App, channel: &Channel, message: &Message, change: (&str, &str, bool)) -> Value {
        let (what, who, set) = change;
        let mut activity = self.view_frame(app, channel, Some(message), message.modified);
        let list = if set { "reactionsAdded" } else { "reactionsRemoved" };
        activity["type"] = json!("messageReaction");
        activity["id"] = json!(format!("f:{}", message.modified));
        activity["replyToId"] = json!(message.id.to_string());
        activity[list] = json!([{ "type": what }]);
        activity["from"] = match self.user_by_mri(who) {
            Some(user) => json!({ "id": who, "name": user.name, "aadObjectId": user.id }),
            None => json!({ "id": who }),
        };
        activity
    }

    /// Tells the bots in a team, channel or chat that something about it changed.
    pub(super) fn tell_update(&mut self, place: &str, event: &str, more: &Value) {
        let is_chat = self.channels.get(place).is_some_and(|channel| channel.kind.is_chat());
        for index in 0..self.apps.len() {
            let Some(mut activity) = self.update_frame(index, place) else {
                continue;
            };
            activity["type"] = json!("conversationUpdate");
            for (name, value) in more.as_object().into_iter().flatten() {
                activity[name] = value.clone();
            }
            if !is_chat {
                activity["channelData"]["eventType"] = json!(event);
            }
            self.post(index, place, &activity);
        }
    }

    /// Tells a bot that it was installed or taken away.
    pub(super) fn tell_installation(&mut self, app: &App, place: &str, action: &str) {
        let index = self.apps.iter().position(|one| one.app.app_id == app.app_id);
        let Some(index) = index else { return };
        let Some(mut activity) = self.update_frame(index, place) else {
            return;
        };
        activity["type"] = json!("installationUpdate");
        activity["action"] = json!(action);
        activity["channelData"]["settings"] = json!({ "selectedChannel": { "id": place } });
        activity["channelData"]["source"] = json!({ "name": "message" });
        self.post(index, place, &activity);
    }

    fn update_frame(&mut self, index: usize, place: &str) -> Option<Value> {
        let at = self.ids.time();
        let registration = self.apps.get(index).filter(|one| one.endpoint.is_some())?;
        let channel = self.channels.get(place)?;
        if !self.is_in(&registration.app.app_id, channel) || channel.tenant != registration.app.tenant {
            return None;
        }
        let mut activity = self.view_frame(&registration.app, channel, None, at);
        activity["id"] = json!(format!("f:{at}"));
        let actor = self
            .people(channel)
            .first()
            .map(|user| json!({ "id": user.mri, "aadObjectId": user.id }));
        activity["from"] = actor.unwrap_or_else(|| json!({ "id": "29:nobody" }));
        if let Some(team) = self.team_of(channel) {
            activity["channelData"]["channel"]["name"] = json!(channel.name);
            activity["channelData"]["team"] = json!({ "id": team.id, "name": team.name, "aadGroupId": team.group });
        }
        Some(activity)
    }

    /// Tells the subscribers of a channel of a change of a message.
    fn notify(&mut self, place: &str, id: u64, change: Change<'_>) {
        let now = now_millis();
        self.subscriptions.retain(|_, one| one.until > now);
        let word = match change {
            Change::Written => "created",
            Change::Deleted => "deleted",
            Change::Edited | Change::Undeleted | Change::Reacted(..) => "updated",
        };
        let wanted = self.subscriptions.values().filter(|one| {
            let asked = one.asked["changeType"].as_str().unwrap_or_default();
            one.channel == place && !one.suspended && asked.split(',').any(|asked| asked.trim() == word)
        });
        let parcels: Vec<(usize, Option<Parcel>)> = wanted
            .map(|one| (one.app, self.notification(one, place, id, word)))
            .collect();
        for (index, parcel) in parcels {
            if let (Some(registration), Some(parcel)) = (self.apps.get(index), parcel) {
                registration.postbox.put(parcel);
            }
        }
    }

    fn notification(&self, one: &super::state::Subscription, place: &str, id: u64, word: &str) -> Option<Parcel> {
        let channel = self.channels.get(place)?;
        let message = channel.messages.get(&id)?;
        let scope = match self.team_of(channel) {
            Some(team) => format!("teams('{}')/channels('{}')", team.group, channel.id),
            None => format!("chats('{}')", Self::graph_chat(channel)),
        };
        let resource = match message.root {
            Some(root) => format!("{scope}/messages('{root}')/replies('{id}')"),
            None => format!("{scope}/messages('{id}')"),
        };
        let mut value = json!({
            "subscriptionId": one.id, "subscriptionExpirationDateTime": written(one.until), "changeType": word,
            "clientState": one.asked["clientState"], "tenantId": channel.tenant, "resource": resource,
            "resourceData": {
                "id": id.to_string(), "@odata.type": "#Microsoft.Graph.chatMessage", "@odata.id": resource,
            },
        });
        let mut tokens = None;
        if let Some(envelope) = &one.envelope {
            value["encryptedContent"] = envelope.seal(&self.view_message(channel, message))?;
            tokens = Some(json!([self.validation_token(one.app)?]));
        }
        Self::parcel(one, place, "notificationUrl", &value, tokens)
    }

    fn parcel(
        one: &super::state::Subscription,
        lane: &str,
        address: &str,
        value: &Value,
        tokens: Option<Value>,
    ) -> Option<Parcel> {
        let mut body = json!({ "value": [value] });
        if let Some(tokens) = tokens {
            body["validationTokens"] = tokens;
        }
        Some(Parcel {
            lane: lane.to_owned(),
            feed: Feed::Notifications,
            url: one.asked[address].as_str()?.to_owned(),
            bearer: None,
            body: body.to_string().into(),
            attempt: 0,
        })
    }

    /// The token by which a subscriber knows that notifications come from Graph.
    pub(super) fn validation_token(&self, index: usize) -> Option<String> {
        let app = &self.apps.get(index)?.app;
        let now = now_seconds();
        let claims = json!({
            "iss": format!("https://login.microsoftonline.com/{}/v2.0", app.tenant), "aud": app.app_id,
            "azp": "0bf30f3b-4a52-48df-9a82-234910c4a086", "tid": app.tenant, "ver": "2.0",
            "nbf": now.saturating_sub(60), "iat": now, "exp": now + BEARER,
        });
        self.keys.sign(&json!({}), &claims)
    }

    /// Tells all subscribers of something about their subscription.
    pub(super) fn tell_lifecycle(&mut self, event: &str) {
        for one in self.subscriptions.values() {
            let Some(registration) = self.apps.get(one.app) else {
                continue;
            };
            let value = json!({
                "lifecycleEvent": event, "subscriptionId": one.id, "subscriptionExpirationDateTime": written(one.until),
                "resource": one.asked["resource"], "clientState": one.asked["clientState"],
                "tenantId": registration.app.tenant,
            });
            if let Some(parcel) = Self::parcel(one, &one.channel, "lifecycleNotificationUrl", &value, None) {
                registration.postbox.put(parcel);
            }
        }
    }
}
