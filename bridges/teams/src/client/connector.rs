//! The calls of the Bot Connector.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use super::error::CallError;
use super::json;
use super::pace;
use super::wire::{Audience, Wire};

/// What has to be encoded in a part of a path.
const PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// How many pages of members are read.
const PAGES: usize = 40;

/// A part of a path.
pub fn part(text: &str) -> String {
    utf8_percent_encode(text, PART).to_string()
}

impl Wire {
    async fn connect(
        &self,
        service: &Url,
        method: Method,
        path: &str,
        content: Option<&Value>,
        conversation: &str,
    ) -> Result<Value, CallError> {
        let url = service.join(path).map_err(|error| CallError::Refused {
            status: 400,
            code: error.to_string(),
        })?;
        // The windows count what is posted into a thread of messages, whichever reply chain it goes to.
        let key = format!(
            "conversation/{}",
            conversation.split(';').next().unwrap_or(conversation)
        );
        let rates = pace::conversation(&self.limits);
        self.call(Audience::Connector, method, url, content, (&key, &rates))
            .await
    }

    /// Posts the first message of a new reply chain in a channel; gives its id.
    pub async fn post_root(
        &self,
        service: &Url,
        channel: &str,
        app_id: &str,
        tenant: &str,
        activity: &Value,
    ) -> Result<String, CallError> {
        let content = json!({
            "isGroup": true, "tenantId": tenant, "bot": {"id": format!("28:{app_id}")},
            "channelData": {"channel": {"id": channel}, "tenant": {"id": tenant}}, "activity": activity,
        });
        let answer = self
            .connect(service, Method::POST, "v3/conversations", Some(&content), channel)
            .await?;
        let id = json::text(&answer, &["activityId"]).map(str::to_owned);
        let id = id.or_else(|| {
            json::text(&answer, &["id"])?
                .split_once(";messageid=")
                .map(|(_, id)| id.to_owned())
        });
        id.ok_or_else(|| CallError::Unknown("the answer names no message".to_owned()))
    }

    /// The conversation of the bot and one person (`29:…`), opened where there is none; gives its id.
    pub async fn open_direct(
        &self,
        service: &Url,
        person: &str,
        app_id: &str,
        tenant: &str,
    ) -> Result<String, CallError> {
        let content = json!({
            "isGroup": false, "tenantId": tenant, "bot": {"id": format!("28:{app_id}")}, "members": [{"id": person}],
            "channelData": {"tenant": {"id": tenant}},
        });
        let answer = self
            .connect(service, Method::POST, "v3/conversations", Some(&content), person)
            .await?;
        let id = json::text(&answer, &["id"]).map(str::to_owned);
        id.ok_or_else(|| CallError::Unsent("the answer names no conversation".to_owned()))
    }

    /// Posts into a conversation that exists; gives the message's id.
    pub async fn post(&self, service: &Url, conversation: &str, activity: &Value) -> Result<String, CallError> {
        let path = format!("v3/conversations/{}/activities", part(conversation));
        let answer = self
            .connect(service, Method::POST, &path, Some(activity), conversation)
            .await?;
        let id = json::text(&answer, &["id"]).map(str::to_owned);
        id.ok_or_else(|| CallError::Unknown("the answer names no message".to_owned()))
    }

    /// Replaces a message of ours.
    pub async fn edit(&self, service: &Url, conversation: &str, id: &str, activity: &Value) -> Result<(), CallError> {
        let path = format!("v3/conversations/{}/activities/{}", part(conversation), part(id));
        self.connect(service, Method::PUT, &path, Some(activity), conversation)
            .await
            .map(drop)
    }

    /// Withdraws a message of ours.
    pub async fn delete(&self, service: &Url, conversation: &str, id: &str) -> Result<(), CallError> {
        let path = format!("v3/conversations/{}/activities/{}", part(conversation), part(id));
        self.connect(service, Method::DELETE, &path, None, conversation)
            .await
            .map(drop)
    }

    /// Puts a reaction of the bot's on a message, or takes it back.
    pub async fn react(
        &self,
        service: &Url,
        conversation: &str,
        id: &str,
        kind: &str,
        added: bool,
    ) -> Result<(), CallError> {
        let (conversation_part, id, kind) = (part(conversation), part(id), part(kind));
        let path = format!("v3/conversations/{conversation_part}/activities/{id}/reactions/{kind}");
        let method = if added { Method::PUT } else { Method::DELETE };
        self.connect(service, method, &path, None, conversation).await.map(drop)
    }

    /// What a team is called and which group it is.
    pub async fn team(&self, service: &Url, team: &str) -> Result<Value, CallError> {
        let path = format!("v3/teams/{}", part(team));
        self.connect(service, Method::GET, &path, None, "teams").await
    }

    /// Somebody who is in a conversation, by their id in the directory.
    pub async fn member(&self, service: &Url, conversation: &str, person: &str) -> Result<Value, CallError> {
        let path = format!("v3/conversations/{}/members/{}", part(conversation), part(person));
        self.connect(service, Method::GET, &path, None, "members").await
    }

    /// Who is in a conversation, as far as some thousands.
    pub async fn members(&self, service: &Url, conversation: &str) -> Result<Vec<Value>, CallError> {
        let base = format!("v3/conversations/{}/pagedMembers?pageSize=200", part(conversation));
        let mut out = Vec::new();
        let mut next: Option<String> = None;
        for _ in 0..PAGES {
            let path = match &next {
                Some(token) => format!("{base}&continuationToken={}", part(token)),
                None => base.clone(),
            };
            let mut answer = self.connect(service, Method::GET, &path, None, "members").await?;
            if let Some(Value::Array(members)) = answer.get_mut("members").map(Value::take) {
                out.extend(members);
            }
            next = json::text(&answer, &["continuationToken"]).map(str::to_owned);
            if next.is_none() {
                break;
            }
        }
        Ok(out)
    }
}
