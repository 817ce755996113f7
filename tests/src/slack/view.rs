//! How what is known looks on the wire. The shapes follow the published samples; fields a bridge has no use for are
//! left out where Slack marks them optional.

use serde_json::{Map, Value, json};

use super::grid::{Organisation, works_in};
use super::ids::Ts;
use super::state::{Channel, File, Group, Install, Kind, Message, Stage, State, User};

/// Who reads, as far as the answer depends on it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reader<'a> {
    pub(super) team: &'a str,
    /// Of an app that is installed for a whole organisation.
    pub(super) organisation: Option<&'a Organisation>,
    /// The user whose membership counts.
    pub(super) user: &'a str,
    /// The app whose own metadata is always shown.
    pub(super) app: &'a str,
    /// Whether the metadata of others is shown whole.
    pub(super) metadata: bool,
}

impl Reader<'_> {
    /// Whether a workspace is the reader's own, or one of their organisation.
    fn is_home(&self, team: &str) -> bool {
        works_in(self.team, self.organisation, team)
    }
}

impl State {
    pub(super) fn view_user(&self, user: &User, reader: Reader<'_>) -> Value {
        let image = |size: u32| json!(format!("{}/avatars/{}_{size}.png", self.base, user.id));
        let mut profile = json!({
            "title": "", "phone": "", "skype": "",
            "real_name": user.real_name, "real_name_normalized": user.real_name,
            "display_name": user.display_name, "display_name_normalized": user.display_name,
            "status_text": "", "status_emoji": "", "status_expiration": 0,
            "avatar_hash": format!("{:012x}", user.updated), "team": user.team, "is_custom_image": true,
            "image_24": image(24), "image_32": image(32), "image_48": image(48), "image_72": image(72),
            "image_192": image(192), "image_512": image(512), "image_1024": image(1024), "image_original": image(0),
        });
        if let Some(bot) = &user.bot {
            profile["bot_id"] = json!(bot.id);
            profile["api_app_id"] = json!(bot.app);
        }
        let mut view = json!({
            "id": user.id, "team_id": user.team, "name": user.name, "deleted": user.deleted,
            "is_bot": user.bot.is_some(), "is_app_user": false, "updated": user.updated, "profile": profile,
        });
        if user.deleted {
            return view;
        }
        let living = json!({
            "color": "9f69e7", "real_name": user.real_name,
            "tz": "Europe/Berlin", "tz_label": "Central European Time", "tz_offset": 3600,
            "is_admin": false, "is_owner": false, "is_primary_owner": false,
            "is_restricted": false, "is_ultra_restricted": false, "is_email_confirmed": true,
            "who_can_share_contact_card": "EVERYONE",
        });
        extend(&mut view, living);
        if !reader.is_home(&user.team) {
            // Somebody of another workspace, met only in shared channels.
            let met = self
                .channels
                .values()
                .any(|channel| channel.is_home(reader) && channel.members.contains(&user.id));
            view["is_stranger"] = json!(!met);
        }
        view
    }
}

impl Channel {
    fn is_home(&self, reader: Reader<'_>) -> bool {
        self.teams.iter().any(|team| reader.is_home(team))
    }

    /// Whether it is shared with another organisation than the reader's.
    pub(super) fn is_strange(&self, reader: Reader<'_>) -> bool {
        self.teams.iter().any(|team| !reader.is_home(team))
    }

    pub(super) fn view(&self, reader: Reader<'_>) -> Value {
        if self.kind == Kind::Im {
            let other = self.members.iter().find(|member| *member != reader.user);
            return json!({
                "id": self.id, "created": self.created, "is_archived": self.archived, "is_im": true,
                "is_org_shared": false, "user": other, "is_user_deleted": false, "context_team_id": reader.team,
                "updated": self.created * 1000, "priority": 0,
            });
        }
        let told = |text: &str| {
            let (creator, set) = if text.is_empty() {
                ("", 0)
            } else {
                (self.creator.as_str(), self.created)
            };
            json!({ "value": text, "creator": creator, "last_set": set })
        };
        let mut view = json!({
            "id": self.id, "name": self.name, "name_normalized": self.name,
            "is_channel": self.kind == Kind::Public, "is_group": self.kind == Kind::Private, "is_im": false,
            "is_mpim": self.kind == Kind::Mpim, "is_private": self.kind != Kind::Public,
            "created": self.created, "is_archived": self.archived, "is_general": self.name == "general",
            "unlinked": 0, "is_shared": self.is_shared(), "is_ext_shared": self.is_strange(reader),
            "is_org_shared": self.is_shared() && !self.is_strange(reader),
            "is_pending_ext_shared": false, "pending_shared": [], "pending_connected_team_ids": [],
            "creator": self.creator, "is_member": self.members.contains(reader.user),
            "context_team_id": reader.team, "shared_team_ids": self.teams, "internal_team_ids": [],
            "updated": self.created * 1000, "previous_names": self.previous_names,
            "topic": told(&self.topic), "purpose": told(&self.purpose),
        });
        if self.is_shared() {
            view["conversation_host_id"] = json!(self.team);
            view["connected_team_ids"] = self.teams.iter().filter(|team| *team != reader.team).cloned().collect();
        }
        view
    }
}

impl State {
    /// A message as history and answers have it.
    pub(super) fn view_message(&self, channel: &Channel, message: &Message, reader: Reader<'_>) -> Map<String, Value> {
        let mut view = message.body.clone();
        let root = message.thread.or((!message.replies.is_empty()).then_some(message.ts));
        if let Some(root) = root {
            view.insert("thread_ts".to_owned(), json!(root.to_string()));
        }
        if let Some(parent) = message.thread.and_then(|thread| channel.messages.get(&thread)) {
            view.insert("parent_user_id".to_owned(), json!(parent.author));
        }
        if let Some((latest, _)) = message.replies.last() {
            let mut users: Vec<&str> = Vec::new();
            for (_, user) in &message.replies {
                if !users.contains(&user.as_str()) {
                    users.push(user);
                }
            }
            view.insert("reply_count".to_owned(), json!(message.replies.len()));
            view.insert("reply_users_count".to_owned(), json!(users.len()));
            view.insert("latest_reply".to_owned(), json!(latest.to_string()));
            users.truncate(5);
            view.insert("reply_users".to_owned(), json!(users));
            view.insert("is_locked".to_owned(), json!(false));
            view.insert("subscribed".to_owned(), json!(false));
        }
        if !message.reactions.is_empty() {
            let reactions: Value = message
                .reactions
                .iter()
                .map(|(name, users)| json!({ "name": name, "users": users, "count": users.len() }))
                .collect();
            view.insert("reactions".to_owned(), reactions);
        }
        let files: Vec<Value> = message
            .files
            .iter()
            .filter_map(|id| self.files.get(id))
            .map(|file| self.view_file(file))
            .collect();
        if !files.is_empty() {
            view.insert("files".to_owned(), json!(files));
        }
        if channel.pins.iter().any(|(ts, ..)| *ts == message.ts) {
            view.insert("pinned_to".to_owned(), json!([channel.id]));
        }
        if let Some(metadata) = &message.metadata {
            let shown = if reader.metadata || message.app.as_deref() == Some(reader.app) && !reader.app.is_empty() {
                metadata.clone()
            } else {
                json!({ "event_type": metadata["event_type"] })
            };
            view.insert("metadata".to_owned(), shown);
        }
        view
    }

    /// A message as an event has it.
    pub(super) fn event_message(&self, channel: &Channel, message: &Message, reader: Reader<'_>) -> Map<String, Value> {
        let mut view = self.view_message(channel, message, reader);
        // A fresh message has neither answers nor reactions; an event about it shows none.
        for later in [
            "reply_count",
            "reply_users",
            "reply_users_count",
            "latest_reply",
            "is_locked",
            "subscribed",
            "reactions",
        ] {
            view.remove(later);
        }
        let root = message
            .thread
            .filter(|_| message.broadcast)
            .and_then(|thread| channel.messages.get(&thread));
        if let Some(root) = root {
            view.insert(
                "root".to_owned(),
                Value::Object(self.view_message(channel, root, reader)),
            );
        }
        view.insert("channel".to_owned(), json!(channel.id));
        view.insert("channel_type".to_owned(), json!(channel.kind.word()));
        view.insert("event_ts".to_owned(), json!(message.ts.to_string()));
        view
    }

    /// A file as messages have it; one that has to be asked for is only named.
    pub(super) fn view_file(&self, file: &File) -> Value {
        if file.stage == Stage::Deleted {
            return json!({ "id": file.id, "mode": "tombstone" });
        }
        if file.check_info {
            return json!({
                "id": file.id, "mode": "file_access", "file_access": "check_file_info", "created": 0, "timestamp": 0,
                "user": "",
            });
        }
        self.view_whole_file(file)
    }

    fn view_whole_file(&self, file: &File) -> Value {
        let extension = file.name.rsplit_once('.').map_or("", |(_, extension)| extension);
        let place = format!("{}/files-pri/{}-{}", self.base, file.team, file.id);
        let name = path_segment(&file.name);
        json!({
            "id": file.id, "created": file.created, "timestamp": file.created, "name": file.name, "title": file.title,
            "mimetype": file.mime, "filetype": extension, "pretty_type": extension.to_uppercase(), "user": file.user,
            "user_team": file.team, "editable": false, "size": file.size, "mode": "hosted", "is_external": false,
            "external_type": "", "is_public": self.is_public(file), "public_url_shared": false, "display_as_bot": false,
            "username": "", "url_private": format!("{place}/{name}"),
            "url_private_download": format!("{place}/download/{name}"),
            "permalink": format!("{}/files/{}/{}/{name}", self.base, file.user, file.id),
            "media_display_type": "unknown", "has_rich_preview": false, "file_access": "visible",
        })
    }

    fn is_public(&self, file: &File) -> bool {
        let mut places = file
            .shares
            .iter()
            .filter_map(|(channel, ..)| self.channels.get(channel));
        places.any(|channel| channel.kind == Kind::Public)
    }

    /// A file as `files.*` answer: whole, and where it was shared.
    pub(super) fn view_shared_file(&self, file: &File) -> Value {
        let mut view = self.view_whole_file(file);
        let mut lists = json!({ "channels": [], "groups": [], "ims": [] });
        let mut shares = json!({});
        for (channel, ts, thread) in &file.shares {
            let Some(channel) = self.channels.get(channel) else {
                continue;
            };
            let (list, word) = match channel.kind {
                Kind::Public => ("channels", "public"),
                Kind::Private | Kind::Mpim => ("groups", "private"),
                Kind::Im => ("ims", "private"),
            };
            append_new(&mut lists[list], json!(channel.id));
            let mut share = json!({
                "reply_users": [], "reply_users_count": 0, "reply_count": 0, "ts": ts.to_string(),
                "channel_name": channel.name, "team_id": file.team, "share_user_id": file.user, "source": "UNKNOWN",
            });
            if let Some(thread) = thread {
                share["thread_ts"] = json!(thread.to_string());
            }
            append_new(&mut shares[word][&channel.id], share);
        }
        extend(&mut view, lists);
        extend(&mut view, json!({ "shares": shares, "has_more_shares": false }));
        view
    }

    pub(super) fn view_bot_profile(&self, install: &Install) -> Value {
        json!({
            "id": install.bot, "deleted": !install.live, "name": install.name, "updated": 1_700_000_000,
            "app_id": install.app, "icons": self.view_icons(&install.user), "team_id": install.team,
        })
    }

    pub(super) fn view_icons(&self, user: &str) -> Value {
        let image = |size: u32| format!("{}/avatars/{user}_{size}.png", self.base);
        json!({ "image_36": image(36), "image_48": image(48), "image_72": image(72) })
    }

    pub(super) fn permalink(&self, channel: &str, ts: Ts, thread: Option<Ts>) -> String {
        let thread = thread.map_or_else(String::new, |thread| format!("?thread_ts={thread}&cid={channel}"));
        format!("{}/archives/{channel}/p{:016}{thread}", self.base, ts.micros())
    }
}

/// A user group as lists and events have it.
pub(super) fn view_group(group: &Group, team: &str, users: bool) -> Value {
    let mut view = json!({
        "id": group.id, "team_id": team, "is_usergroup": true, "is_subteam": true, "name": group.name, "description": "",
        "handle": group.handle, "is_external": false, "date_create": group.created, "date_update": group.created,
        "date_delete": 0, "auto_provision": false, "enterprise_subteam_id": "", "created_by": "", "updated_by": "",
        "prefs": { "channels": [], "groups": [] }, "user_count": group.users.len(), "channel_count": 0,
    });
    if users {
        view["users"] = json!(group.users);
    }
    view
}

/// Adds the fields of `more` to `view`.
pub(super) fn extend(view: &mut Value, more: Value) {
    if let (Some(view), Value::Object(more)) = (view.as_object_mut(), more) {
        view.extend(more);
    }
}

/// Adds to a list, which begins with its first item, what it does not have.
fn append_new(list: &mut Value, item: Value) {
    if list.is_null() {
        *list = json!([]);
    }
    if let Some(list) = list.as_array_mut().filter(|list| !list.contains(&item)) {
        list.push(item);
    }
}

fn path_segment(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
}
