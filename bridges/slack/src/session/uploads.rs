//! Files to Slack: an address for the bytes, the bytes, then sharing them in the channel. Only the last step shows anything,
//! and Slack does not say which message it made: that comes as an event, or is asked for by the file's id.

use std::time::Duration;

use slack_morphism::prelude::{SlackApiFilesComplete, SlackApiFilesCompleteUploadExternalRequest};
use slack_morphism::{SlackChannelId, SlackFileId, SlackTs};
use tokio::sync::oneshot;
use viaduct_bridge::{DeliveryError, Failure};
use viaduct_model::{Attachment, Outbound};

use super::outbound::{Aim, Spot, Voice, comment};
use super::{Slack, locked};
use crate::client::error::CallError;
use crate::client::files;
use crate::client::payload::File;
use crate::convert::ids::is_ts;

/// How long the message that a file becomes is waited for, in steps of this many milliseconds.
const STEPS: [u64; 6] = [500, 1_000, 2_000, 4_000, 8_000, 8_000];

impl Slack {
    /// Uploads and shares a file; gives its message.
    pub(super) async fn upload(
        &self,
        aim: &Aim,
        outbound: &Outbound,
        voice: &Voice,
        spot: &Spot,
        file: &Attachment,
    ) -> Result<String, DeliveryError> {
        let media = self.context.media.open(&file.media).await;
        let media = media?;
        let size = media.size.or(file.size);
        let size = size.ok_or_else(|| DeliveryError::permanent("the size of the file is not known"))?;
        if size > self.section.file_limit {
            return Err(DeliveryError::new(
                Failure::TooLarge,
                "the file is larger than file_limit",
            ));
        }
        let name = file_name(&file.name);
        let address = voice.api.upload_address(&name, size).await;
        let (address, id) = address.map_err(|error| self.failed_repeatable(outbound, voice, error))?;
        files::send(&self.http, &self.hosts, &address, media.stream, size).await?;
        // From here on a lost answer leaves the outcome open; the file's id finds it.
        self.begin_file(&outbound.to.channel, outbound.key.as_str(), &id)
            .await?;
        let (sender, shared) = oneshot::channel();
        let key = (id.clone(), aim.id.clone());
        locked(&self.uploads).insert(key.clone(), sender);
        let result = self.share(aim, outbound, voice, spot, &id, &name).await;
        let found = match result {
            Ok(()) => self.shared_as(aim, &id, shared).await,
            Err(error) => Err(error),
        };
        locked(&self.uploads).remove(&key);
        found
    }

    async fn share(
        &self,
        aim: &Aim,
        outbound: &Outbound,
        voice: &Voice,
        spot: &Spot,
        id: &str,
        name: &str,
    ) -> Result<(), DeliveryError> {
        let mut file = SlackApiFilesComplete::new(SlackFileId(id.to_owned()));
        file.title = Some(name.to_owned());
        let mut request = SlackApiFilesCompleteUploadExternalRequest::new(vec![file]);
        request.channel_id = Some(SlackChannelId(aim.id.clone()));
        request.thread_ts = spot.thread.clone().map(SlackTs);
        if !voice.own && self.section.customize {
            request.username = Some(voice.name.clone());
            request.icon_url = voice.picture.as_deref().and_then(|picture| picture.parse().ok());
        } else if !voice.own {
            // Whose file it is stands beside it.
            request.initial_comment = Some(comment(&voice.name));
        }
        let completed = voice.api.complete_upload(&request).await;
        completed.map_err(|error| self.failed(outbound, voice, error))
    }

    fn failed_repeatable(&self, outbound: &Outbound, voice: &Voice, error: CallError) -> DeliveryError {
        match error {
            CallError::Unknown(reason) => DeliveryError::retry(reason),
            other => self.failed(outbound, voice, other),
        }
    }

    /// The message that a file became: from its event, or else by asking.
    async fn shared_as(
        &self,
        aim: &Aim,
        id: &str,
        mut shared: oneshot::Receiver<String>,
    ) -> Result<String, DeliveryError> {
        for step in STEPS {
            tokio::select! {
                Ok(ts) = &mut shared => return Ok(ts),
                () = tokio::time::sleep(Duration::from_millis(step)) => {}
                () = self.context.stop.cancelled() => break,
            }
            if let Ok(file) = self.api.file(id).await
                && let Some(ts) = share_of(&file, &aim.id)
            {
                return Ok(ts);
            }
        }
        Err(DeliveryError::unknown(
            "Slack has not shown the file in the channel yet",
        ))
    }

    /// A file of ours has become a message.
    pub(super) fn uploaded(&self, file: &str, channel: &str, ts: &str) {
        let key = (file.to_owned(), channel.to_owned());
        if let Some(waiting) = locked(&self.uploads).remove(&key) {
            waiting.send(ts.to_owned()).ok();
        }
    }
}

/// The message that a file is in, in a channel.
pub(super) fn share_of(file: &File, channel: &str) -> Option<String> {
    let shares = file.shares.as_ref()?;
    let found = shares.public.get(channel).or_else(|| shares.private.get(channel))?;
    found.iter().map(|share| share.ts.clone()).find(|ts| is_ts(ts))
}

/// A file's name without what has no place in one.
fn file_name(name: &str) -> String {
    let name: String = name
        .chars()
        .filter(|c| !c.is_control() && !matches!(c, '/' | '\\' | '<' | '>' | '|'))
        .take(200)
        .collect();
    let name = name.trim().trim_start_matches('.').to_owned();
    if name.is_empty() { "file".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_harmless() {
        assert_eq!(file_name("../../etc/pass\nwd"), "etcpasswd");
        assert_eq!(file_name("a<b>|c.png"), "abc.png");
        assert_eq!(file_name(" \u{7} "), "file");
    }

    #[test]
    fn the_message_of_a_file_is_found_by_its_channel() {
        let file: File = serde_json::from_value(serde_json::json!({
            "id": "F1", "shares": {"private": {"C2": [{"ts": "2.000001"}]}, "public": {"C1": [{"ts": "1.000001"}]}},
        }))
        .unwrap();
        assert_eq!(share_of(&file, "C2").as_deref(), Some("2.000001"));
        assert_eq!(share_of(&file, "C3"), None);
    }
}
