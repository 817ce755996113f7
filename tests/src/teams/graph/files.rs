//! Files: the folder of a channel, upload in pieces, reading by the address that a message names.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_RANGE};
use serde_json::{Value, json};

use crate::teams::call::{Answer, Asked, Reply};
use crate::teams::state::{File, State, Token, Upload};

/// All pieces of an upload but the last are a multiple of this.
const PIECE: usize = 320 * 1024;

impl State {
    pub(super) fn folder(&self, asked: &Asked, token: &Token) -> Answer {
        let channel = self.asked_channel(asked, token)?;
        Ok(Reply::json(
            200,
            &json!({
                "id": format!("folder-{}", channel.id), "name": channel.name, "folder": { "childCount": 0 },
                "webUrl": format!("{}/sharepoint/folder/{}", self.base, channel.id),
                "parentReference": { "driveId": format!("drive-{}", channel.team), "driveType": "documentLibrary" },
            }),
        ))
    }

    /// `drives/{drive}/items/{folder}:/{name}:/createUploadSession`, or `…:/content` with all of it.
    pub(super) fn begin_upload(&mut self, asked: &Asked) -> Answer {
        let inner = asked.path.get(3..).unwrap_or_default().join("/");
        let bad = || Reply::error(400, "invalidRequest", "The path of the file cannot be read.");
        let (folder, rest) = inner.split_once(":/").ok_or_else(bad)?;
        let (name, action) = rest.rsplit_once(":/").ok_or_else(bad)?;
        if name.is_empty() || name.chars().any(|letter| "\"*:<>?/\\|".contains(letter)) {
            return Err(Reply::error(
                400,
                "invalidRequest",
                "The name of the file holds letters that are not allowed.",
            ));
        }
        let conflict = asked.body["item"]["@microsoft.graph.conflictBehavior"]
            .as_str()
            .unwrap_or("replace");
        let mut upload = Upload {
            drive: asked.part(1).to_owned(),
            folder: folder.to_owned(),
            name: name.to_owned(),
            conflict: conflict.to_owned(),
            size: None,
            content: Vec::new(),
        };
        if action == "content" {
            upload.content = asked.raw.to_vec();
            let file = self.finish(upload)?;
            return Ok(Reply::json(201, &Self::view_file(&file)));
        }
        let ticket = self.ids.hex();
        self.uploads.insert(ticket.clone(), upload);
        Ok(Reply::json(
            200,
            &json!({
                "uploadUrl": format!("{}/upload/{ticket}", self.base), "nextExpectedRanges": ["0-"],
                "expirationDateTime": crate::teams::ids::written(crate::teams::ids::now_millis() + 86_400_000),
            }),
        ))
    }

    fn finish(&mut self, upload: Upload) -> Result<File, Reply> {
        let taken = |name: &str| {
            self.files
                .values()
                .find(|file| file.drive == upload.drive && file.name == name)
        };
        let mut name = upload.name.clone();
        if let Some(old) = taken(&name) {
            match upload.conflict.as_str() {
                "fail" => return Err(Reply::error(409, "nameAlreadyExists", "The name is taken.")),
                "rename" => {
                    let (stem, end) = upload
                        .name
                        .rsplit_once('.')
                        .map_or((upload.name.as_str(), String::new()), |(stem, end)| {
                            (stem, format!(".{end}"))
                        });
                    let fresh = (1..10_000)
                        .map(|number| format!("{stem} {number}{end}"))
                        .find(|name| taken(name).is_none());
                    name = fresh.unwrap_or_default();
                }
                _ => {
                    let old = old.id.clone();
                    self.files.remove(&old);
                }
            }
        }
        let place = upload.folder.trim_start_matches("folder-").to_owned();
        let mut file = self.put_file(&place, &name, "application/octet-stream", upload.content.into());
        file.drive = upload.drive;
        self.files.insert(file.id.clone(), file.clone());
        Ok(file)
    }

    /// One piece of an upload, at the address that was given for it.
    pub(in crate::teams) fn take_piece(&mut self, asked: &Asked) -> Answer {
        if !asked.header(AUTHORIZATION).is_empty() {
            self.violate(asked.operation, "a token was sent to an address that needs none");
        }
        let ticket = asked.part(0).to_owned();
        let missing = || Reply::error(404, "itemNotFound", "There is no such upload.");
        if asked.method == http::Method::DELETE {
            self.uploads.remove(&ticket);
            return Ok(Reply::empty(204));
        }
        let upload = self.uploads.get_mut(&ticket).ok_or_else(missing)?;
        if asked.method == http::Method::PUT {
            let range = asked.headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
            let Some((from, to, size)) = range.and_then(parse_range) else {
                return Err(Reply::error(
                    400,
                    "invalidRequest",
                    "The range of the piece cannot be read.",
                ));
            };
            if from != upload.content.len()
                || to + 1 - from != asked.raw.len()
                || upload.size.is_some_and(|one| one != size as u64)
            {
                return Err(Reply::error(
                    416,
                    "invalidRange",
                    "The piece does not follow what is there.",
                ));
            }
            upload.size = Some(size as u64);
            upload.content.extend_from_slice(&asked.raw);
            let is_last = to + 1 == size;
            if !is_last && !asked.raw.len().is_multiple_of(PIECE) {
                self.violate(asked.operation, "a piece is not a multiple of 320 KiB");
            }
            if is_last {
                let upload = self.uploads.remove(&ticket).ok_or_else(missing)?;
                let file = self.finish(upload)?;
                return Ok(Reply::json(201, &Self::view_file(&file)));
            }
        }
        let next = self.uploads.get(&ticket).map_or(0, |upload| upload.content.len());
        Ok(Reply::json(202, &json!({ "nextExpectedRanges": [format!("{next}-")] })))
    }

    pub(super) fn item(&mut self, asked: &Asked) -> Answer {
        let file = self
            .files
            .get(asked.part(3))
            .cloned()
            .ok_or_else(|| Reply::not_found("file"))?;
        match asked.part(4) {
            "content" => Ok(self.redirect(&file)),
            "createLink" => Ok(Reply::json(
                201,
                &json!({ "link": {
                "type": asked.body["type"], "scope": asked.body["scope"], "webUrl": file.address,
            } }),
            )),
            _ => Ok(Reply::json(200, &Self::view_file(&file))),
        }
    }

    /// `shares/u!{address in base64url}/driveItem`, or its content.
    pub(super) fn share(&mut self, asked: &Asked) -> Answer {
        let address = asked
            .part(1)
            .strip_prefix("u!")
            .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let file = self
            .files
            .values()
            .find(|file| Some(file.address.as_bytes()) == address.as_deref());
        let file = file
            .cloned()
            .ok_or_else(|| Reply::error(404, "itemNotFound", "The sharing link no longer exists."))?;
        if asked.path.last().is_some_and(|last| last == "content") {
            Ok(self.redirect(&file))
        } else {
            Ok(Reply::json(200, &Self::view_file(&file)))
        }
    }

    fn redirect(&mut self, file: &File) -> Reply {
        let ticket = self.ids.hex();
        self.downloads.insert(ticket.clone(), file.id.clone());
        let mut reply = Reply::empty(302);
        reply.location = Some(format!("{}/download/{ticket}", self.base));
        reply
    }

    /// A file at an address that needs no token.
    pub(in crate::teams) fn download(&mut self, asked: &Asked) -> Answer {
        if !asked.header(AUTHORIZATION).is_empty() {
            self.violate(asked.operation, "a token was sent to an address that needs none");
        }
        let ticket = asked.part(0);
        let id = self.downloads.get(ticket).map_or(ticket, String::as_str);
        let file = self.files.get(id).ok_or_else(|| Reply::not_found("file"))?;
        Ok(Reply::bytes(200, &file.mime, file.content.clone()))
    }

    /// All files of the channels, for tests.
    pub(in crate::teams) fn list_files(&self) -> Vec<(String, Bytes)> {
        self.files
            .values()
            .map(|file| (file.name.clone(), file.content.clone()))
            .collect()
    }
}

/// `bytes 0-25/128`
fn parse_range(text: &str) -> Option<(usize, usize, usize)> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (from, to) = range.split_once('-')?;
    let (from, to, size) = (from.parse().ok()?, to.parse().ok()?, size.parse().ok()?);
    (from <= to && to < size).then_some((from, to, size))
}

/// An attachment of a message that names a file.
pub(in crate::teams) fn reference(file: &File) -> Value {
    json!({
        "id": file.id, "contentType": "reference", "contentUrl": file.address, "content": null, "name": file.name,
        "thumbnailUrl": null,
    })
}

#[cfg(test)]
mod tests {
    use super::parse_range;

    #[test]
    fn ranges_are_read() {
        assert_eq!(parse_range("bytes 0-25/128"), Some((0, 25, 128)));
        for wrong in ["", "bytes 5-4/9", "bytes 0-9/9", "0-1/2", "bytes a-b/c"] {
            assert_eq!(parse_range(wrong), None, "{wrong}");
        }
    }
}
