//! `files.*`: upload in three steps, and what a file is.

use bytes::Bytes;
use serde_json::{Value, json};

use super::chat::{dress, thread};
use crate::slack::call::{Answer, Caller, Refusal};
use crate::slack::emit::Audience;
use crate::slack::speech::Draft;
use crate::slack::state::{File, Stage, State};
use crate::slack::text::stored;

pub(super) fn upload_url(state: &mut State, caller: &Caller) -> Answer {
    let name = caller
        .text("filename")
        .ok_or_else(|| Refusal::from("invalid_arguments"))?
        .to_owned();
    let size = caller
        .number("length")
        .and_then(|length| usize::try_from(length).ok())
        .filter(|length| *length > 0);
    let size = size.ok_or_else(|| Refusal::from("invalid_arguments"))?;
    let file = state.new_file(&caller.team, &caller.user, &name, size);
    Ok(json!({ "upload_url": format!("{}/upload/v1/{}", state.base, file.ticket), "file_id": file.id }))
}

impl State {
    /// A file that is to come.
    pub(in crate::slack) fn new_file(&mut self, team: &str, user: &str, name: &str, size: usize) -> File {
        let file = File {
            id: self.ids.next("F"),
            team: team.to_owned(),
            user: user.to_owned(),
            name: name.to_owned(),
            title: name.to_owned(),
            mime: mime_of(name).to_owned(),
            size,
            content: None,
            created: self.ids.ts().seconds(),
            shares: Vec::new(),
            ticket: self.ids.secret("up"),
            stage: Stage::Awaited,
            expired: false,
            check_info: false,
        };
        self.files.insert(file.id.clone(), file.clone());
        file
    }
}

/// Takes the bytes of a file. The status that refuses them.
pub(in crate::slack) fn receive(state: &mut State, ticket: &str, content: Bytes) -> Result<String, u16> {
    let file = state
        .files
        .values_mut()
        .find(|file| file.ticket == ticket && file.stage == Stage::Awaited)
        .ok_or(404_u16)?;
    if file.expired {
        return Err(403);
    }
    if content.len() != file.size {
        return Err(400);
    }
    let size = content.len();
    file.content = Some(content);
    Ok(format!("OK - {size}"))
}

pub(super) fn complete(state: &mut State, caller: &Caller) -> Answer {
    let files = caller
        .json("files")
        .map_err(|()| Refusal::from("invalid_arguments"))?
        .unwrap_or_default();
    let files = files
        .as_array()
        .filter(|files| !files.is_empty())
        .ok_or_else(|| Refusal::from("invalid_arguments"))?;
    let mut ids = Vec::new();
    for file in files {
        let id = file["id"].as_str().unwrap_or_default();
        let known = state
            .files
            .get(id)
            .filter(|known| known.user == caller.user && known.stage == Stage::Awaited);
        if known.is_none_or(|known| known.content.is_none()) {
            return Err("file_not_found".into());
        }
        ids.push(id.to_owned());
    }
    let wanted = caller.text("channel_id").or(caller.text("channels"));
    let channels: Vec<String> = wanted
        .into_iter()
        .flat_map(|list| list.split(','))
        .map(|id| id.trim().to_owned())
        .collect();
    for channel in &channels {
        let place = caller.seen(state, channel)?;
        if !place.members.contains(&caller.user) {
            return Err("not_in_channel".into());
        }
        if place.archived {
            return Err("is_archived".into());
        }
    }
    let dressed = dress(caller)?;
    let root = match channels.first() {
        Some(channel) => thread(state, caller, channel)?,
        None => None,
    };
    for (given, id) in files.iter().zip(&ids) {
        if let Some(file) = state.files.get_mut(id) {
            file.stage = Stage::Complete;
            if let Some(title) = given["title"].as_str().filter(|title| !title.is_empty()) {
                title.clone_into(&mut file.title);
            }
        }
    }
    let mut more = serde_json::Map::new();
    if let Ok(Some(blocks)) = caller.json("blocks") {
        more.insert("blocks".to_owned(), blocks);
    }
    for channel in &channels {
        let draft = Draft {
            author: caller.user.clone(),
            install: Some(caller.install),
            dressed: dressed.clone(),
            text: stored(caller.text("initial_comment").unwrap_or_default()),
            more: more.clone(),
            thread: root,
            ..Draft::default()
        };
        state.share_files(channel, draft, &ids);
    }
    let shown: Vec<Value> = ids
        .iter()
        .filter_map(|id| state.files.get(id))
        .map(|file| state.view_shared_file(file))
        .collect();
    Ok(json!({ "files": shown }))
}

impl State {
    /// Says something that carries files. `None` if there is no such channel.
    pub(in crate::slack) fn share_files(
        &mut self,
        channel: &str,
        mut draft: Draft,
        files: &[String],
    ) -> Option<crate::slack::ids::Ts> {
        let author = draft.author.clone();
        draft.files = files.to_vec();
        draft.subtype = Some("file_share");
        draft.more.insert("upload".to_owned(), json!(true));
        draft.more.insert("display_as_bot".to_owned(), json!(false));
        let ts = self.say(channel, draft)?;
        for file in files {
            let event = json!({
                "type": "file_shared", "file_id": file, "user_id": author, "file": { "id": file }, "channel_id": channel,
                "event_ts": ts.to_string(),
            });
            self.emit(Audience::Members(channel), &event);
        }
        Some(ts)
    }
}

pub(super) fn info(state: &mut State, caller: &Caller) -> Answer {
    let file = state
        .files
        .get(caller.text("file").unwrap_or_default())
        .filter(|file| file.stage != Stage::Awaited);
    let file = file.ok_or_else(|| Refusal::from("file_not_found"))?;
    if file.stage == Stage::Deleted {
        return Err("file_deleted".into());
    }
    let visible = file.user == caller.user
        || file
            .shares
            .iter()
            .any(|(channel, ..)| caller.seen(state, channel).is_ok());
    if !visible {
        return Err("file_not_found".into());
    }
    Ok(json!({ "file": state.view_shared_file(file), "comments": [] }))
}

fn mime_of(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "txt" | "log" | "md" => "text/plain",
        "pdf" => "application/pdf",
        "mp4" => "video/mp4",
        "m4a" | "mp3" => "audio/mpeg",
        "zip" => "application/zip",
        _ => "application/octet-stream",
    }
}
