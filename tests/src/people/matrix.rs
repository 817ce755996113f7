//! A person on Matrix, on the matrix-sdk client.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use matrix_sdk::config::SyncSettings;
use matrix_sdk::media::{MediaFormat, MediaRequestParameters};
use matrix_sdk::room::Room;
use matrix_sdk::ruma::api::client::filter::FilterDefinition;
use matrix_sdk::ruma::api::client::room::create_room;
use matrix_sdk::ruma::events::room::MediaSource;
use matrix_sdk::ruma::events::{AnySyncStateEvent, AnySyncTimelineEvent};
use matrix_sdk::ruma::serde::Raw;
use matrix_sdk::ruma::{EventId, RoomId, RoomOrAliasId, UserId, uint};
use matrix_sdk::{Client, RoomState};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{HEARD, PASSWORD, Seen, numbered};
use crate::launch::{Synapse, install_tls};
use crate::wait::wait_for;

/// Somebody on Matrix. Remembers every event of every room.
#[derive(Debug)]
pub struct MatrixPerson {
    client: Client,
    seen: Arc<Mutex<Vec<Seen>>>,
    sync: JoinHandle<()>,
}

impl MatrixPerson {
    /// Creates somebody at a homeserver, who logs in and begins to listen.
    ///
    /// # Errors
    ///
    /// When the homeserver refuses.
    pub async fn new(synapse: &Synapse, name: &str) -> anyhow::Result<Self> {
        synapse.register(name, PASSWORD).await?;
        Self::login(&synapse.url(), name, PASSWORD).await
    }

    /// Logs in and begins to listen.
    ///
    /// # Errors
    ///
    /// When the homeserver refuses.
    pub async fn login(homeserver: &str, user: &str, password: &str) -> anyhow::Result<Self> {
        install_tls();
        let client = Client::builder().homeserver_url(homeserver).build().await?;
        client
            .matrix_auth()
            .login_username(user, password)
            .initial_device_display_name("test")
            .send()
            .await?;
        let seen = Arc::new(Mutex::new(Vec::new()));
        remember(&client, &seen);
        // Once to the end, so that what is said from now on is heard.
        client.sync_once(settings()).await?;
        let syncing = client.clone();
        let sync = tokio::spawn(async move {
            let settings = settings().timeout(Duration::from_secs(10));
            // It ends only with an error, such as a homeserver that is away; then it begins again.
            loop {
                drop(syncing.sync(settings.clone()).await);
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
        Ok(Self { client, seen, sync })
    }

    /// Their Matrix id.
    pub fn id(&self) -> String {
        self.client.user_id().map(ToString::to_string).unwrap_or_default()
    }

    /// Makes a public room with an alias, and says its id.
    ///
    /// # Errors
    ///
    /// When the homeserver refuses.
    pub async fn create_room(&self, alias: &str, invite: &[&str]) -> anyhow::Result<String> {
        let mut request = create_room::v3::Request::new();
        request.room_alias_name = Some(alias.to_owned());
        request.preset = Some(create_room::v3::RoomPreset::PublicChat);
        request.invite = invite.iter().map(UserId::parse).collect::<Result<_, _>>()?;
        Ok(self.client.create_room(request).await?.room_id().to_string())
    }

    /// Joins a room by id or alias, waiting until there is one, and says its id.
    ///
    /// # Errors
    ///
    /// When it does not become possible.
    pub async fn join(&self, room: &str) -> anyhow::Result<String> {
        let target = <&RoomOrAliasId>::try_from(room)?;
        let joined = wait_for(format!("joining {room}"), HEARD, || async move {
            self.client.join_room_by_id_or_alias(target, &[]).await.ok()
        });
        Ok(joined.await?.room_id().to_string())
    }

    /// Leaves a room.
    ///
    /// # Errors
    ///
    /// When the homeserver refuses.
    pub async fn leave(&self, room: &str) -> anyhow::Result<()> {
        Ok(self.room(room).await?.leave().await?)
    }

    /// Waits for an invitation by `sender`, accepts it, and says the room.
    ///
    /// # Errors
    ///
    /// When none comes.
    pub async fn accept_invitation(&self, sender: &str) -> anyhow::Result<String> {
        let invited = wait_for(format!("an invitation by {sender}"), HEARD, || async move {
            for room in self.client.invited_rooms() {
                let details = room.invite_details().await.ok()?;
                if details
                    .inviter
                    .is_some_and(|inviter| inviter.user_id().as_str() == sender)
                {
                    return Some(room);
                }
            }
            None
        });
        let room = invited.await?;
        room.join().await?;
        Ok(room.room_id().to_string())
    }

    /// Waits for an invitation by anybody, accepts it, and says the room.
    ///
    /// # Errors
    ///
    /// When none comes.
    pub async fn accept_any_invitation(&self) -> anyhow::Result<String> {
        let invited = wait_for("an invitation", HEARD, || async move {
            self.client.invited_rooms().into_iter().next()
        });
        let room = invited.await?;
        room.join().await?;
        Ok(room.room_id().to_string())
    }

    /// Opens a direct chat with somebody, unencrypted, and says the room.
    ///
    /// # Errors
    ///
    /// When the homeserver refuses.
    pub async fn direct(&self, with: &str) -> anyhow::Result<String> {
        let mut request = create_room::v3::Request::new();
        request.is_direct = true;
        request.preset = Some(create_room::v3::RoomPreset::TrustedPrivateChat);
        request.invite = vec![UserId::parse(with)?];
        Ok(self.client.create_room(request).await?.room_id().to_string())
    }

    /// Sends an event of any kind, and says its id.
    ///
    /// # Errors
    ///
    /// When the homeserver refuses.
    pub async fn send(&self, room: &str, kind: &str, content: Value) -> anyhow::Result<String> {
        Ok(self
            .room(room)
            .await?
            .send_raw(kind, content)
            .await?
            .response
            .event_id
            .to_string())
    }

    /// Says something.
    ///
    /// # Errors
    ///
    /// When the homeserver refuses.
    pub async fn say(&self, room: &str, text: &str) -> anyhow::Result<String> {
        self.send(room, "m.room.message", json!({ "msgtype": "m.text", "body": text }))
            .await
    }

    /// Turns a room's encryption on.
    ///
    /// # Errors
    ///
    /// When the homeserver refuses.
    pub async fn encrypt(&self, room: &str) -> anyhow::Result<()> {
        Ok(self.room(room).await?.enable_encryption().await?)
    }

    /// An event as the homeserver has it: of an encrypted one, what anybody can see who has no key.
    ///
    /// # Errors
    ///
    /// When the homeserver does not give it.
    pub async fn as_kept(&self, room: &str, event: &str) -> anyhow::Result<Value> {
        self.ask(http::Method::GET, &format!("rooms/{room}/event/{event}"), None)
            .await
    }

    /// Sends an event exactly as it is, encrypted or not, and says its id.
    ///
    /// # Errors
    ///
    /// When the homeserver refuses.
    pub async fn send_as_is(&self, room: &str, kind: &str, content: &Value) -> anyhow::Result<String> {
        let transaction = format!("{}-{}", self.guard().len(), content.to_string().len());
        let path = format!("rooms/{room}/send/{kind}/{transaction}");
        let sent = self.ask(http::Method::PUT, &path, Some(content)).await?;
        Ok(sent
            .get("event_id")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned())
    }

    /// The contents of a room's state events of one type.
    ///
    /// # Errors
    ///
    /// When the homeserver does not give them.
    pub async fn ask_state(&self, room: &str, kind: &str) -> anyhow::Result<Vec<Value>> {
        let state = self
            .ask(http::Method::GET, &format!("rooms/{room}/state"), None)
            .await?;
        let events = state.as_array().cloned().unwrap_or_default().into_iter();
        let wanted = events.filter(|event| event.get("type").and_then(Value::as_str) == Some(kind));
        Ok(wanted.filter_map(|event| event.get("content").cloned()).collect())
    }

    async fn ask(&self, method: http::Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let base = self.client.homeserver();
        let mut url = base.join("/_matrix/client/v3/")?;
        url.path_segments_mut()
            .map_err(|()| anyhow::anyhow!("{base} cannot be asked"))?
            .pop_if_empty()
            .extend(path.split('/'));
        let token = self.client.access_token().context("not logged in")?;
        let mut request = crate::launch::http_client()?.request(method, url).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(body);
        }
        Ok(request.send().await?.error_for_status()?.json().await?)
    }

    /// Says something with formatting.
    ///
    /// # Errors
    ///
    /// When the homeserver refuses.
    pub async fn say_html(&self, room: &str, text: &str, html: &str) -> anyhow::Result<String> {
        let content = json!({
            "msgtype": "m.text", "body": text, "format": "org.matrix.custom.html", "formatted_body": html,
        });
        self.send(room, "m.room.message", content).await
    }

    /// Answers a message.
    ///
    /// # Errors
    ///
    /// When the homeserver refuses.
    pub async fn reply(&self, room: &str, to: &str, text: &str) -> anyhow::Result<String> {
        let content = json!({
            "msgtype": "m.text", "body": text, "m.relates_to": { "m.in_reply_to": { "event_id": to } },
        });
        self.send(room, "m.room.message", content).await
    }

    /// Gives a message another wording.
    ///
    /// # Errors
    ///
    /// When the homeserver refuses.
    pub async fn edit(&self, room: &str, event: &str, text: &str) -> anyhow::Result<String> {
        let content = json!({
            "msgtype": "m.text", "body": format!("* {text}"),
            "m.new_content": { "msgtype": "m.text", "body": text },
            "m.relates_to": { "rel_type": "m.replace", "event_id": event },
        });
        self.send(room, "m.room.message", content).await
    }

    /// Reacts to a message.
    ///
    /// # Errors
    ///
    /// When the homeserver refuses.
    pub async fn react(&self, room: &str, event: &str, key: &str) -> anyhow::Result<String> {
        let content = json!({ "m.relates_to": { "rel_type": "m.annotation", "event_id": event, "key": key } });
        self.send(room, "m.reaction", content).await
    }

    /// Withdraws a message.
    ///
    /// # Errors
    ///
    /// When the homeserver refuses.
    pub async fn redact(&self, room: &str, event: &str) -> anyhow::Result<()> {
        self.room(room)
            .await?
            .redact(<&EventId>::try_from(event)?, None, None)
            .await?;
        Ok(())
    }

    /// Sends a file of text.
    ///
    /// # Errors
    ///
    /// When the homeserver refuses.
    pub async fn send_file(&self, room: &str, name: &str, bytes: &[u8]) -> anyhow::Result<String> {
        self.send_media(room, ("m.file", "text/plain"), name, bytes).await
    }

    /// Sends a picture (PNG).
    ///
    /// # Errors
    ///
    /// When the homeserver refuses.
    pub async fn send_picture(&self, room: &str, name: &str, bytes: &[u8]) -> anyhow::Result<String> {
        self.send_media(room, ("m.image", "image/png"), name, bytes).await
    }

    async fn send_media(
        &self,
        room: &str,
        (kind, mime): (&str, &str),
        name: &str,
        bytes: &[u8],
    ) -> anyhow::Result<String> {
        let mut content = json!({
            "msgtype": kind, "body": name, "filename": name, "info": { "mimetype": mime, "size": bytes.len() },
        });
        if self.room(room).await?.latest_encryption_state().await?.is_encrypted() {
            let mut source = bytes;
            let file = self.client.upload_encrypted_file(&mut source).await?;
            content["file"] = serde_json::to_value(file)?;
        } else {
            let uploaded = self.client.media().upload(&mime.parse()?, bytes.to_vec(), None).await?;
            content["url"] = serde_json::to_value(uploaded.content_uri)?;
        }
        self.send(room, "m.room.message", content).await
    }

    /// What is behind an `mxc:` address.
    ///
    /// # Errors
    ///
    /// When the homeserver does not have it.
    pub async fn download(&self, uri: &str) -> anyhow::Result<Vec<u8>> {
        self.open(MediaSource::Plain(uri.into())).await
    }

    /// What is in an encrypted file, as the `file` of a message says where it is and how to read it.
    ///
    /// # Errors
    ///
    /// When the homeserver does not have it, or it is not the one that was sent.
    pub async fn decrypt(&self, file: &Value) -> anyhow::Result<Vec<u8>> {
        self.open(MediaSource::Encrypted(Box::new(serde_json::from_value(file.clone())?)))
            .await
    }

    async fn open(&self, source: MediaSource) -> anyhow::Result<Vec<u8>> {
        let request = MediaRequestParameters {
            source,
            format: MediaFormat::File,
        };
        Ok(self.client.media().get_media_content(&request, false).await?)
    }

    /// Waits for a file with this in its name that somebody of a network shares in a room, and gives what is in it.
    ///
    /// # Errors
    ///
    /// When none comes, or the homeserver does not have it.
    pub async fn receives_file(&self, room: &str, network: &str, name: &str) -> anyhow::Result<Vec<u8>> {
        let ghost = format!("@_via_{network}_");
        let file = self
            .expect(name, room, |seen| {
                let is_file = seen.text("/content/url").starts_with("mxc://");
                is_file && seen.sender().starts_with(&ghost) && seen.body().contains(name)
            })
            .await?;
        self.download(file.text("/content/url")).await
    }

    /// Changes the topic.
    ///
    /// # Errors
    ///
    /// When the homeserver refuses.
    pub async fn set_topic(&self, room: &str, topic: &str) -> anyhow::Result<()> {
        self.room(room).await?.set_room_topic(topic).await?;
        Ok(())
    }

    /// Removes somebody from a room.
    ///
    /// # Errors
    ///
    /// When the homeserver refuses.
    pub async fn kick(&self, room: &str, person: &str, reason: &str) -> anyhow::Result<()> {
        self.room(room)
            .await?
            .kick_user(<&UserId>::try_from(person)?, Some(reason))
            .await?;
        Ok(())
    }

    /// Whether somebody is in a room, as the homeserver says now.
    ///
    /// # Errors
    ///
    /// When the homeserver does not answer.
    pub async fn is_joined(&self, room: &str, person: &str) -> anyhow::Result<bool> {
        Ok(self.members(room).await?.iter().any(|member| member == person))
    }

    /// Who is in a room, as the homeserver says now.
    ///
    /// # Errors
    ///
    /// When the homeserver does not answer.
    pub async fn members(&self, room: &str) -> anyhow::Result<Vec<String>> {
        let room = self.room(room).await?;
        let members = room.members(matrix_sdk::RoomMemberships::JOIN).await?;
        Ok(members.iter().map(|member| member.user_id().to_string()).collect())
    }

    /// Everything seen in a room so far, in order.
    pub fn seen(&self, room: &str) -> Vec<Seen> {
        self.guard().iter().filter(|seen| seen.room == room).cloned().collect()
    }

    /// How many events like this a room has had so far.
    pub fn count_of(&self, room: &str, like: impl Fn(&Seen) -> bool) -> usize {
        self.guard()
            .iter()
            .filter(|seen| seen.room == room && like(seen))
            .count()
    }

    /// Checks that a room has what a side said by [`numbered`] once and in order, and nothing else with such words.
    ///
    /// # Errors
    ///
    /// With what it has.
    pub fn check_numbered(&self, room: &str, side: &str) -> anyhow::Result<()> {
        let words = format!("from {side}");
        let seen = self.seen(room);
        let said = seen.iter().map(Seen::body).filter(|body| body.contains(&words));
        let said: Vec<&str> = said.collect();
        ensure!(said == numbered(side), "the room has {said:?}");
        Ok(())
    }

    /// Waits for an event like this in a room, whether it came before or comes now.
    ///
    /// # Errors
    ///
    /// When none came in time; with the last events there were.
    pub async fn expect(&self, what: &str, room: &str, like: impl Fn(&Seen) -> bool) -> anyhow::Result<Seen> {
        let found = wait_for(what, HEARD, || {
            let found = self
                .guard()
                .iter()
                .find(|seen| seen.room == room && like(seen))
                .cloned();
            async move { found }
        });
        found
            .await
            .with_context(|| format!("{} saw only: {}", self.id(), self.last_events(room)))
    }

    /// Waits until somebody says this in a room.
    ///
    /// # Errors
    ///
    /// As [`MatrixPerson::expect`].
    pub async fn hears(&self, room: &str, text: &str) -> anyhow::Result<Seen> {
        self.expect(text, room, |seen| {
            seen.kind() == "m.room.message" && seen.body().contains(text)
        })
        .await
    }

    async fn room(&self, id: &str) -> anyhow::Result<Room> {
        let id = <&RoomId>::try_from(id)?;
        wait_for(format!("{id} in the room list"), HEARD, || async move {
            self.client
                .get_room(id)
                .filter(|room| room.state() == RoomState::Joined)
        })
        .await
    }

    fn last_events(&self, room: &str) -> String {
        let events = self.guard();
        let last: Vec<&Seen> = events.iter().filter(|seen| seen.room == room).rev().take(15).collect();
        let shown = last.iter().rev().map(|seen| {
            let content = seen.event.get("content").map(ToString::to_string).unwrap_or_default();
            format!("\n  {} {} {content}", seen.sender(), seen.kind())
        });
        shown.collect()
    }

    fn guard(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for MatrixPerson {
    fn drop(&mut self) {
        self.sync.abort();
    }
}

/// How to listen: without gaps, however much is said between two answers of the homeserver.
fn settings() -> SyncSettings {
    let mut filter = FilterDefinition::empty();
    filter.room.timeline.limit = Some(uint!(1000));
    SyncSettings::default().filter(filter.into())
}

fn remember(client: &Client, seen: &Arc<Mutex<Vec<Seen>>>) {
    let timeline = Arc::clone(seen);
    client.add_event_handler(move |event: Raw<AnySyncTimelineEvent>, room: Room| {
        note(&timeline, room.room_id(), event.json().get());
        std::future::ready(())
    });
    let state = Arc::clone(seen);
    client.add_event_handler(move |event: Raw<AnySyncStateEvent>, room: Room| {
        note(&state, room.room_id(), event.json().get());
        std::future::ready(())
    });
}

/// Remembers an event once: state events reach both handlers.
fn note(seen: &Mutex<Vec<Seen>>, room: &RoomId, json: &str) {
    let Ok(event) = serde_json::from_str::<Value>(json) else {
        return;
    };
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let id = event.get("event_id");
    if !seen
        .iter()
        .any(|other| other.room == room.as_str() && other.event.get("event_id") == id)
    {
        seen.push(Seen {
            room: room.to_string(),
            event,
        });
    }
}
