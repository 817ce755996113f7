//! Rooms: found, made, labelled, spoken in by the bot.

use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use viaduct_bridge::DeliveryError;
use viaduct_model::{ChannelId, NetworkName, Person};

use crate::Homeserver;
use crate::client::{As, segment};
use crate::crypto::rooms::{ENCRYPTION, encryption_content};
use crate::error::ApiError;

/// Which room a mirror wants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RoomSpec {
    /// A room id (`!…`) or alias (`#name:domain`).
    pub room: String,
    /// Whether a room is made when the alias leads nowhere.
    pub create: bool,
    /// The name of a room that is made.
    pub name: Option<String>,
    /// The topic of a room that is made.
    pub topic: Option<String>,
    /// The room version of a room that is made; none means the homeserver's default.
    pub version: Option<String>,
    /// Whether anybody may join a room that is made; otherwise only who is invited.
    pub public: bool,
    /// Who is invited into a room that is made.
    pub invite: Vec<String>,
    /// Whether its mirror is to be end-to-end encrypted; a room that is made is.
    pub encrypted: bool,
}

/// One channel a room is mirrored with, for the room's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BridgeInfo {
    /// The configured network.
    pub network: NetworkName,
    /// The kind of network, such as `irc`.
    pub protocol: String,
    /// The channel.
    pub channel: ChannelId,
    /// The channel's name, for people.
    pub channel_name: String,
    /// A link to the channel, where there is one.
    pub url: Option<String>,
}

/// Beside what an encrypted room is mirrored with: that the bridge decrypts what is said there and passes it on.
const DECRYPTS: &str = "eu.viaduct.decrypts";

/// The state type that marks a room we made, so that it is found again after a crash.
const MARK: &str = "eu.viaduct.room";

#[derive(Deserialize)]
struct RoomId {
    room_id: String,
}

impl Homeserver {
    /// The room of a mirror: found by id or alias, or made, with the bot in it. May be called again at any time.
    ///
    /// # Errors
    ///
    /// [`viaduct_bridge::Failure::Permanent`] if the room is not there and may not be made, or the bot may not come in.
    pub async fn ensure_room(&self, spec: &RoomSpec) -> Result<String, DeliveryError> {
        let room = if spec.room.starts_with('!') {
            spec.room.clone()
        } else if spec.room.starts_with('#') {
            match self.resolve_alias(&spec.room).await? {
                Some(room) => room,
                None if spec.create && spec.room.ends_with(&format!(":{}", self.config.domain)) => {
                    return self.create_room(spec).await;
                }
                None => {
                    let reason = format!("the room {} does not exist, and it is not to be created", spec.room);
                    return Err(DeliveryError::permanent(reason));
                }
            }
        } else {
            return Err(DeliveryError::permanent(format!(
                "{:?} is neither a room id nor an alias",
                spec.room
            )));
        };
        self.join(&room, self.names.bot()).await?;
        Ok(room)
    }

    /// The room an alias leads to.
    async fn resolve_alias(&self, alias: &str) -> Result<Option<String>, ApiError> {
        let path = format!("/_matrix/client/v3/directory/room/{}", segment(alias));
        match self.api.get::<RoomId>(&path, As::BOT).await {
            Ok(found) => Ok(Some(found.room_id)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn create_room(&self, spec: &RoomSpec) -> Result<String, DeliveryError> {
        let mut body = Map::new();
        body.insert(
            "preset".to_owned(),
            if spec.public { "public_chat" } else { "private_chat" }.into(),
        );
        body.insert("visibility".to_owned(), "private".into());
        body.insert("invite".to_owned(), json!(spec.invite));
        for (key, value) in [
            ("name", &spec.name),
            ("topic", &spec.topic),
            ("room_version", &spec.version),
        ] {
            if let Some(value) = value {
                body.insert(key.to_owned(), value.as_str().into());
            }
        }
        if spec.encrypted {
            let state = json!([{ "type": ENCRYPTION, "state_key": "", "content": encryption_content() }]);
            body.insert("initial_state".to_owned(), state);
        }
        let room = self.create_once(&spec.room, None, body).await?;
        // The alias comes after the room: a homeserver that refuses the alias would leave a room nobody finds.
        let path = format!("/_matrix/client/v3/directory/room/{}", segment(&spec.room));
        let Err(error) = self.api.put(&path, As::BOT, &json!({ "room_id": room })).await else {
            return Ok(room);
        };
        if let Some(room) = self.resolve_alias(&spec.room).await? {
            // Another was faster, or ours from before a crash.
            self.join(&room, self.names.bot()).await?;
            return Ok(room);
        }
        tracing::warn!(
            alias = %spec.room, %error,
            "The room was made, but without its alias: let the registration file cover it, or add it by hand."
        );
        Ok(room)
    }

    /// Makes a room once: what was begun before a crash is found again by its mark instead of made anew.
    async fn create_once(
        &self,
        key: &str,
        creator: Option<&str>,
        mut body: Map<String, Value>,
    ) -> Result<String, DeliveryError> {
        let who = As {
            user: creator,
            at: None,
        };
        let state_key = format!("room/{key}");
        let stored = |error: viaduct_bridge::StateError| DeliveryError::retry(error.to_string());
        let known = self.context.state.get(&state_key).await.map_err(stored)?;
        if let Some(known) = known {
            let known = String::from_utf8(known).unwrap_or_default();
            if known.starts_with('!') {
                return Ok(known);
            }
            if let Some(found) = self.marked_room(key, who).await? {
                self.context
                    .state
                    .put(vec![(state_key, Some(found.clone().into_bytes()))])
                    .await
                    .map_err(stored)?;
                return Ok(found);
            }
        }
        self.context
            .state
            .put(vec![(state_key.clone(), Some(b"begun".to_vec()))])
            .await
            .map_err(stored)?;
        let mark = json!({ "type": MARK, "state_key": "", "content": { "key": key } });
        let state = body.entry("initial_state").or_insert_with(|| json!([]));
        if let Some(state) = state.as_array_mut() {
            state.push(mark);
        }
        let made: RoomId = self
            .api
            .call(
                Method::POST,
                "/_matrix/client/v3/createRoom",
                who,
                Some(&Value::Object(body)),
            )
            .await?;
        self.context
            .state
            .put(vec![(state_key, Some(made.room_id.clone().into_bytes()))])
            .await
            .map_err(stored)?;
        Ok(made.room_id)
    }

    /// Looks among a user's rooms for the one we marked with a key.
    async fn marked_room(&self, key: &str, who: As<'_>) -> Result<Option<String>, ApiError> {
        #[derive(Deserialize)]
        struct Joined {
            joined_rooms: Vec<String>,
        }
        let joined: Joined = self.api.get("/_matrix/client/v3/joined_rooms", who).await?;
        for room in joined.joined_rooms {
            match self.api.state(&room, MARK, "", who).await {
                Ok(mark) if mark.get("key").and_then(Value::as_str) == Some(key) => return Ok(Some(room)),
                Err(error) if !error.is_missing() && !error.is("M_FORBIDDEN") => return Err(error),
                _ => {}
            }
        }
        Ok(None)
    }

    /// States in a room what it is mirrored with, for clients that show it. Nothing is sent unless it changed.
    ///
    /// # Errors
    ///
    /// As of any delivery; without the power to set the state, [`viaduct_bridge::Failure::Permanent`].
    pub async fn announce(&self, room: &str, places: &[BridgeInfo]) -> Result<(), DeliveryError> {
        let key = format!("announced/{room}");
        let encrypted = self.observer.is_encrypted(room);
        let shown = places.iter().map(|place| self.bridge_state(place, encrypted));
        let mut shown: Vec<(String, Value)> = shown.collect();
        let before: Vec<String> = self
            .notebook
            .read(&key)
            .await
            .and_then(|value| serde_json::from_slice(&value).ok())
            .unwrap_or_default();
        let marks: Vec<String> = shown
            .iter()
            .map(|(state_key, content)| mark(state_key, content))
            .collect();
        if before == marks {
            return Ok(());
        }
        // A channel that is no longer mirrored is taken out again.
        for gone in before
            .iter()
            .filter_map(|mark| mark.split_once(' ').map(|(_, state_key)| state_key))
        {
            if !shown.iter().any(|(state_key, _)| state_key == gone) {
                shown.push((gone.to_owned(), json!({})));
            }
        }
        for (state_key, content) in &shown {
            if content.as_object().is_some_and(|content| !content.is_empty())
                && before.contains(&mark(state_key, content))
            {
                continue;
            }
            for kind in ["m.bridge", "uk.half-shot.bridge"] {
                self.api.set_state(room, kind, state_key, As::BOT, content).await?;
            }
        }
        self.notebook.note(key, serde_json::to_vec(&marks).ok());
        Ok(())
    }

    fn bridge_state(&self, place: &BridgeInfo, encrypted: bool) -> (String, Value) {
        let state_key = format!("viaduct://{}/{}", place.network, segment(place.channel.as_str()));
        let mut channel = Map::new();
        channel.insert("id".to_owned(), place.channel.as_str().into());
        channel.insert("displayname".to_owned(), place.channel_name.as_str().into());
        if let Some(url) = &place.url {
            channel.insert("external_url".to_owned(), url.as_str().into());
        }
        let mut content = json!({
            "bridgebot": self.names.bot(),
            "protocol": { "id": place.protocol, "displayname": place.protocol },
            "network": { "id": place.network.as_str(), "displayname": place.network.as_str() },
            "channel": channel,
        });
        if let Some(content) = content.as_object_mut().filter(|_| encrypted) {
            content.insert(DECRYPTS.to_owned(), true.into());
        }
        (state_key, content)
    }

    /// The room for a conversation between a remote person's ghost and a Matrix user, made by the ghost on first use.
    ///
    /// # Errors
    ///
    /// As of any delivery.
    pub async fn direct_room(&self, person: &Person, with: &str) -> Result<String, DeliveryError> {
        let ghost = self.made_ghost(person).await?;
        let body = json!({
            "preset": "trusted_private_chat",
            "visibility": "private",
            "is_direct": true,
            "invite": [with],
        });
        let body = body.as_object().cloned().unwrap_or_default();
        let room = self
            .create_once(&format!("direct/{}/{with}", ghost.mxid), Some(&ghost.mxid), body)
            .await?;
        self.note_room(&ghost, &room).await;
        self.note_direct(&room, &ghost.mxid);
        // Who has left meanwhile is asked again; whoever is there already cannot be, and need not.
        let invite = format!("/_matrix/client/v3/rooms/{}/invite", segment(&room));
        let body = json!({ "user_id": with });
        self.api.post(&invite, As::user(&ghost.mxid), &body).await.ok();
        Ok(room)
    }

    /// Notes whose direct chat a room is: the bot is not in it, its ghost speaks for the bot.
    pub(crate) fn note_direct(&self, room: &str, ghost: &str) {
        self.notebook.note(direct_key(room), Some(ghost.as_bytes().to_vec()));
    }

    /// Says something in a room as the bot, as a notice; in a direct chat, where the bot is not, as its ghost. The same `key`
    /// is said once.
    ///
    /// # Errors
    ///
    /// As of any delivery.
    pub async fn notice(&self, room: &str, text: &str, reply_to: Option<&str>, key: &str) -> Result<(), DeliveryError> {
        let mut content = json!({ "msgtype": "m.notice", "body": text, "m.mentions": {} });
        if let (Some(to), Some(content)) = (reply_to, content.as_object_mut()) {
            content.insert(
                "m.relates_to".to_owned(),
                json!({ "m.in_reply_to": { "event_id": to } }),
            );
        }
        self.bot_event(room, "m.room.message", &format!("notice-{key}"), &content)
            .await?;
        Ok(())
    }

    /// Says something as the bot that everybody has to be able to read, whoever comes when: never encrypted.
    ///
    /// # Errors
    ///
    /// As of any delivery.
    pub async fn disclose(&self, room: &str, text: &str, key: &str) -> Result<(), DeliveryError> {
        let content = json!({ "msgtype": "m.notice", "body": text, "m.mentions": {} });
        let transaction = format!("notice-{key}");
        let ghost = self.ghost_of_direct(room).await;
        let who = As {
            user: ghost.as_deref(),
            at: None,
        };
        let say = || self.api.send_event(room, "m.room.message", &transaction, who, &content);
        match say().await {
            Err(error) if error.is("M_FORBIDDEN") => {
                self.join(room, who.user.unwrap_or(self.names.bot())).await?;
                say().await?;
            }
            said => drop(said?),
        }
        Ok(())
    }

    /// The ghost that is in a direct chat instead of the bot.
    pub(crate) async fn ghost_of_direct(&self, room: &str) -> Option<String> {
        let ghost = self.notebook.read(&direct_key(room)).await?;
        String::from_utf8(ghost).ok()
    }

    /// Sends an event as the bot, or as the ghost of a direct chat.
    pub(crate) async fn bot_event(
        &self,
        room: &str,
        kind: &str,
        transaction: &str,
        content: &Value,
    ) -> Result<String, ApiError> {
        let ghost = self.ghost_of_direct(room).await;
        let who = As {
            user: ghost.as_deref(),
            at: None,
        };
        match self.send_as_bot(room, kind, transaction, who, content).await {
            // Invited only so far, or removed by somebody: it comes in by its own power or an open door.
            Err(error) if error.is("M_FORBIDDEN") => {
                self.join(room, who.user.unwrap_or(self.names.bot())).await?;
                self.send_as_bot(room, kind, transaction, who, content).await
            }
            other => other,
        }
    }

    /// Sends an event, encrypted where it can be. What the bot says has nothing of what others say in it, so that a room where
    /// nothing can be encrypted is told so.
    async fn send_as_bot(
        &self,
        room: &str,
        kind: &str,
        transaction: &str,
        who: As<'_>,
        content: &Value,
    ) -> Result<String, ApiError> {
        match self.send_into(room, kind, transaction, who, content).await {
            Err(ApiError::Unfit(_)) => self.api.send_event(room, kind, transaction, who, content).await,
            other => other,
        }
    }

    /// Accepts an invitation on behalf of the bot or a ghost.
    ///
    /// # Errors
    ///
    /// As of any delivery.
    pub async fn accept(&self, room: &str, invitee: &str) -> Result<(), DeliveryError> {
        if invitee == self.names.bot() {
            return Ok(self.join(room, invitee).await?);
        }
        let ghost = self.ghosts.get(invitee);
        if !self.is_made(&ghost).await {
            self.register(invitee).await?;
        }
        Ok(self.enter(&ghost, room).await?)
    }

    /// Leaves a room on behalf of the bot or a ghost, which also declines an invitation.
    ///
    /// # Errors
    ///
    /// As of any delivery.
    pub async fn leave(&self, room: &str, who: &str, reason: Option<&str>) -> Result<(), DeliveryError> {
        if who != self.names.bot() {
            let ghost = self.ghosts.get(who);
            self.forget_room(&ghost, room).await;
        }
        let path = format!("/_matrix/client/v3/rooms/{}/leave", segment(room));
        let body = reason.map_or_else(|| json!({}), |reason| json!({ "reason": reason }));
        self.api.post(&path, As::user(who), &body).await?;
        Ok(())
    }
}

fn direct_key(room: &str) -> String {
    format!("direct/{room}")
}

/// What is remembered of an announcement: enough to see that it changed.
fn mark(state_key: &str, content: &Value) -> String {
    let digest = Sha256::digest(content.to_string().as_bytes());
    let head = digest
        .iter()
        .take(8)
        .fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    format!("{head:016x} {state_key}")
}
