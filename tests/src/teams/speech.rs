//! What is said, changed, taken back and felt.

use bytes::Bytes;
use serde_json::{Value, json};

use super::html;
use super::state::{Author, Channel, File, Hosted, Mention, Message, State};

/// What somebody writes, apart from its text.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// As Graph has it: whoever is addressed stands in it as `<at id="0">Name</at>`, by the place in `mentions`.
    pub html: String,
    /// The people (ids of the directory) or bots (`28:…`) that are addressed.
    pub mentions: Vec<String>,
    /// The first message of the reply chain that it belongs to.
    pub thread: Option<u64>,
    /// A message that it quotes.
    pub quotes: Option<u64>,
    /// The line above a post.
    pub subject: Option<String>,
    /// Attachments as Graph has them.
    pub attachments: Vec<Value>,
    /// Pictures in the text: type and content. The text shows each by an `img`, added at its end.
    pub pictures: Vec<(String, Bytes)>,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change<'a> {
    Written,
    Edited,
    Deleted,
    Undeleted,
    /// What, by whom (`29:…` of a person), and whether it was set.
    Reacted(&'a str, &'a str, bool),
}

impl State {
    /// Puts a message into a channel and tells of it: its id. None where there is no such channel or reply chain.
    pub(super) fn write(&mut self, place: &str, from: Author, draft: Draft) -> Option<u64> {
        let id = self.ids.time();
        let channel = self.channels.get(place)?;
        let thread = draft.thread.filter(|_| !channel.kind.is_chat());
        if thread.is_some_and(|root| channel.messages.get(&root).is_none_or(|root| root.root.is_some())) {
            return None;
        }
        let mut message = Message {
            id,
            root: thread,
            from,
            html: draft.html,
            mentions: draft.mentions.iter().map(|who| self.mention(who)).collect(),
            attachments: draft.attachments,
            hosted: Vec::new(),
            quotes: draft.quotes,
            subject: draft.subject,
            modified: id,
            edited: None,
            deleted: None,
            reactions: Vec::new(),
        };
        self.host(place, &mut message, draft.pictures);
        self.channels.get_mut(place)?.messages.insert(id, message);
        self.tell(place, id, Change::Written);
        Some(id)
    }

    fn mention(&self, who: &str) -> Mention {
        let who = match who.strip_prefix("28:") {
            Some(app) => Author::App(app.to_owned()),
            None => Author::User(who.to_owned()),
        };
        Mention {
            name: self.name_of(&who),
            who,
        }
    }

    fn host(&mut self, place: &str, message: &mut Message, pictures: Vec<(String, Bytes)>) {
        for (mime, content) in pictures {
            let id = self.ids.hex();
            if let Some(channel) = self.channels.get(place) {
                let address = format!("{}/hostedContents/{id}/$value", self.message_path(channel, message));
                message.html.push_str(&html::picture(&address));
            }
            message.hosted.push(Hosted { id, mime, content });
        }
    }

    /// A message's address in Graph.
    pub(super) fn message_path(&self, channel: &Channel, message: &Message) -> String {
        let scope = match self.team_of(channel) {
            Some(team) => format!("teams/{}/channels/{}", team.group, channel.id),
            None => format!("chats/{}", Self::graph_chat(channel)),
        };
        let message = match message.root {
            Some(root) => format!("messages/{root}/replies/{}", message.id),
            None => format!("messages/{}", message.id),
        };
        format!("{}/{scope}/{message}", self.graph())
    }

    /// Changes a message and tells of it. False where there is none.
    pub(super) fn change(
        &mut self,
        place: &str,
        id: u64,
        what: Change<'_>,
        change: impl FnOnce(&mut Message, u64),
    ) -> bool {
        let now = self.ids.time();
        let Some(message) = self
            .channels
            .get_mut(place)
            .and_then(|channel| channel.messages.get_mut(&id))
        else {
            return false;
        };
        change(message, now);
        message.modified = now;
        self.tell(place, id, what);
        true
    }

    pub(super) fn edit(&mut self, place: &str, id: u64, draft: Draft) -> bool {
        let mentions = draft.mentions.iter().map(|who| self.mention(who)).collect();
        self.change(place, id, Change::Edited, |message, now| {
            message.html = draft.html;
            message.mentions = mentions;
            message.attachments = draft.attachments;
            message.edited = Some(now);
        })
    }

    pub(super) fn delete(&mut self, place: &str, id: u64, deleted: bool) -> bool {
        let what = if deleted { Change::Deleted } else { Change::Undeleted };
        self.change(place, id, what, |message, now| message.deleted = deleted.then_some(now))
    }

    /// Sets or takes back a reaction. False if there was nothing to do.
    pub(super) fn react(&mut self, place: &str, id: u64, who: &Author, name: &str, set: bool) -> bool {
        let message = self.channels.get(place).and_then(|channel| channel.messages.get(&id));
        let Some(message) = message else { return false };
        let is = |(what, by, _): &(String, Author, u64)| what == name && by == who;
        if message.reactions.iter().any(is) == set {
            return false;
        }
        let mri = match who {
            Author::User(user) => self.users.get(user).map(|user| user.mri.clone()),
            Author::App(app) => Some(format!("28:{app}")),
        };
        let mri = mri.unwrap_or_default();
        self.change(place, id, Change::Reacted(name, &mri, set), |message, now| {
            if set {
                message.reactions.push((name.to_owned(), who.clone(), now));
            } else {
                message.reactions.retain(|reaction| !is(reaction));
            }
        })
    }

    /// Puts a file into a channel's folder.
    pub(super) fn put_file(&mut self, place: &str, name: &str, mime: &str, content: Bytes) -> File {
        let id = self.ids.guid();
        let file = File {
            drive: format!(
                "drive-{}",
                self.channels
                    .get(place)
                    .map(|one| one.team.as_str())
                    .unwrap_or_default()
            ),
            name: name.to_owned(),
            mime: mime.to_owned(),
            content,
            address: format!(
                "{}/sharepoint/{id}/{}",
                self.base,
                percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC)
            ),
            id: id.clone(),
        };
        self.files.insert(id, file.clone());
        file
    }

    /// What a bot sent, as a message.
    pub(super) fn draft_of(&self, activity: &Value) -> Draft {
        let text = activity["text"].as_str().unwrap_or_default();
        let format = activity["textFormat"].as_str().unwrap_or("markdown");
        let mut named = Vec::new();
        for entity in activity["entities"].as_array().into_iter().flatten() {
            let who = entity["mentioned"]["id"].as_str().unwrap_or_default();
            let id = self
                .user_by_mri(who)
                .map_or_else(|| who.to_owned(), |user| user.id.clone());
            if entity["type"] == "mention"
                && let Some(mark) = entity["text"].as_str()
            {
                let mut mention = self.mention(&id);
                if let Some(name) = entity["mentioned"]["name"].as_str() {
                    name.clone_into(&mut mention.name);
                }
                named.push((mark.to_owned(), mention));
            }
        }
        let mut draft = Draft {
            html: html::from_bot(text, format, &named),
            mentions: named
                .iter()
                .map(|(_, mention)| match &mention.who {
                    Author::User(id) => id.clone(),
                    Author::App(id) => format!("28:{id}"),
                })
                .collect(),
            ..Draft::default()
        };
        for attachment in activity["attachments"].as_array().into_iter().flatten() {
            let mime = attachment["contentType"].as_str().unwrap_or_default();
            let address = attachment["contentUrl"].as_str().unwrap_or_default();
            if let Some(data) = address
                .strip_prefix("data:")
                .and_then(|rest| rest.split_once(";base64,"))
            {
                use base64::Engine as _;
                let content = base64::engine::general_purpose::STANDARD
                    .decode(data.1)
                    .unwrap_or_default();
                draft.pictures.push((data.0.to_owned(), content.into()));
            } else if mime.starts_with("image/") {
                draft.html.push_str(&html::picture(address));
            } else {
                draft.attachments.push(json!({
                    "id": format!("{}", draft.attachments.len()), "contentType": mime, "contentUrl": attachment["contentUrl"],
                    "content": if attachment["content"].is_object() { json!(attachment["content"].to_string()) } else { Value::Null },
                    "name": attachment["name"], "thumbnailUrl": null,
                }));
            }
        }
        draft
    }
}
