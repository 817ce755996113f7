//! The methods of the Web API that the bridge uses, each called no more often than it may be.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use slack_morphism::errors::SlackClientError;
use slack_morphism::prelude::{
    SlackApiChatDeleteRequest, SlackApiConversationsJoinRequest, SlackApiConversationsLeaveRequest,
    SlackApiFilesCompleteUploadExternalRequest, SlackApiReactionsAddRequest, SlackApiReactionsRemoveRequest,
};
use slack_morphism::{
    SlackApiToken, SlackApiTokenType, SlackApiTokenValue, SlackChannelId, SlackClient, SlackReactionName, SlackTs,
};
use tokio_util::sync::CancellationToken;
use viaduct_bridge::secret::Secret;
use viaduct_bridge::{Pacer, Rate, Turn};

pub use super::answers::{Conversation, Identity, Messages, Posted, Span, Valued};
use super::answers::{Done, Page};
use super::error::CallError;
use super::loose;
use super::pace::{into_all, into_one, rate};
use super::payload::{File, Item, Named};
use super::web::Connector;
use crate::config::Limits;
use crate::telemetry;

/// How many entries a page is asked to have.
const PAGE: &str = "200";
/// How many pages of a list are read.
const PAGES: usize = 500;

/// Slack, on behalf of one token.
#[derive(Clone)]
pub struct Api {
    client: Arc<SlackClient<Connector>>,
    token: Arc<SlackApiToken>,
    pacer: Arc<Pacer>,
    limits: Arc<Limits>,
    stop: CancellationToken,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api")
            .field("kind", &self.token.token_type)
            .finish_non_exhaustive()
    }
}

/// Parameters of a method that is asked with GET.
type Params<'a> = Vec<(&'a str, Option<&'a String>)>;

impl Api {
    /// Slack, on behalf of this token.
    pub fn new(
        client: Arc<SlackClient<Connector>>,
        token: &Secret,
        kind: SlackApiTokenType,
        limits: Arc<Limits>,
        pacer: Arc<Pacer>,
        stop: CancellationToken,
    ) -> Self {
        let mut value = SlackApiToken::new(SlackApiTokenValue(token.reveal().to_owned()));
        value.token_type = Some(kind);
        Self {
            client,
            token: Arc::new(value),
            pacer,
            limits,
            stop,
        }
    }

    /// The same for another token of the app; they share its rates.
    #[must_use]
    pub fn with_token(&self, token: &Secret, kind: SlackApiTokenType) -> Self {
        let (limits, pacer) = (Arc::clone(&self.limits), Arc::clone(&self.pacer));
        Self::new(Arc::clone(&self.client), token, kind, limits, pacer, self.stop.clone())
    }

    /// What the bot's token may do, as far as Slack has said.
    pub fn scopes(&self) -> Option<Vec<String>> {
        self.client.http_api.connector.scopes()
    }

    /// The token, to fetch files with.
    pub fn bearer(&self) -> &str {
        &self.token.token_value.0
    }

    async fn turn(&self, keys: &[(&str, &[Rate])]) -> Result<Turn, CallError> {
        tokio::select! {
            turn = self.pacer.turn(keys) => Ok(turn),
            () = self.stop.cancelled() => Err(CallError::Stopped),
        }
    }

    /// Waits until another message may be posted into a channel, and posts it; by a method whose own rate counts too, where one
    /// is given.
    async fn paced<T>(
        &self,
        channel: &str,
        method: Option<&str>,
        post: impl Future<Output = Result<T, SlackClientError>>,
    ) -> Result<T, CallError> {
        let (key, limits) = (format!("post/{channel}"), &self.limits);
        let (here, all) = ([into_one(limits)], [into_all(limits)]);
        let own = method.map(|method| (method, [rate(method, limits)]));
        let mut keys: Vec<(&str, &[Rate])> = vec![(&key, &here), ("post", &all)];
        keys.extend(own.as_ref().map(|(method, rates)| (*method, &rates[..])));
        let _turn = self.turn(&keys).await?;
        self.note(&key, post.await)
    }

    fn note<T>(&self, key: &str, result: Result<T, SlackClientError>) -> Result<T, CallError> {
        let result = result.map_err(CallError::of);
        if let Err(error) = &result {
            telemetry::call_failed(error);
            if let CallError::Limited(wait) = error {
                self.pacer.block(key, *wait);
            }
        }
        result
    }

    /// Asks something. Waits where Slack asks to, and tries again.
    async fn get<RS: DeserializeOwned + Send>(&self, method: &str, params: Params<'_>) -> Result<RS, CallError> {
        loop {
            let turn = self.turn(&[(method, &[rate(method, &self.limits)])]).await?;
            let session = self.client.open_session(&self.token);
            let call = session.http_session_api.http_get(method, &params, None);
            let result = tokio::select! {
                result = call => result,
                () = self.stop.cancelled() => return Err(CallError::Stopped),
            };
            drop(turn);
            match self.note(method, result) {
                Err(CallError::Limited(_)) => {}
                other => return other,
            }
        }
    }

    /// Does something.
    async fn post<RQ: Serialize + Send + Sync, RS: DeserializeOwned + Send>(
        &self,
        method: &str,
        request: &RQ,
    ) -> Result<RS, CallError> {
        let _turn = self.turn(&[(method, &[rate(method, &self.limits)])]).await?;
        let session = self.client.open_session(&self.token);
        let result = session.http_session_api.http_post(method, request, None).await;
        self.note(method, result)
    }

    /// Who the token is.
    pub async fn identity(&self) -> Result<Identity, CallError> {
        self.get("auth.test", Vec::new()).await
    }

    /// Where a socket can be opened.
    pub async fn open_socket(&self) -> Result<String, CallError> {
        #[derive(Deserialize)]
        struct Opened {
            url: String,
        }
        #[derive(Serialize)]
        struct Nothing {}
        let opened: Opened = self.post("apps.connections.open", &Nothing {}).await?;
        Ok(opened.url)
    }

    /// Posts a message: one a channel and second, and so many a minute in all.
    pub async fn post_message<RQ: Serialize + Send + Sync>(
        &self,
        channel: &str,
        request: &RQ,
    ) -> Result<Posted, CallError> {
        let session = self.client.open_session(&self.token);
        let post = session.http_session_api.http_post("chat.postMessage", request, None);
        let posted: Posted = self.paced(channel, None, post).await?;
        if posted.ts.is_empty() {
            return Err(CallError::Unknown("it has no timestamp".to_owned()));
        }
        Ok(posted)
    }

    /// Shows a message to one person only.
    pub async fn whisper(&self, channel: &str, user: &str, text: &str) -> Result<(), CallError> {
        let request = serde_json::json!({"channel": channel, "user": user, "text": text});
        self.post::<_, Done>("chat.postEphemeral", &request).await.map(drop)
    }

    /// Replaces a message's wording.
    pub async fn update<RQ: Serialize + Send + Sync>(&self, request: &RQ) -> Result<(), CallError> {
        self.post::<_, Done>("chat.update", request).await.map(drop)
    }

    /// Deletes a message.
    pub async fn delete(&self, channel: &str, ts: &str) -> Result<(), CallError> {
        let request = SlackApiChatDeleteRequest::new(SlackChannelId(channel.to_owned()), SlackTs(ts.to_owned()));
        self.post::<_, Done>("chat.delete", &request).await.map(drop)
    }

    /// Reacts.
    pub async fn react(&self, channel: &str, ts: &str, name: &str) -> Result<(), CallError> {
        let request = SlackApiReactionsAddRequest::new(
            SlackChannelId(channel.to_owned()),
            SlackReactionName(name.to_owned()),
            SlackTs(ts.to_owned()),
        );
        self.post::<_, Done>("reactions.add", &request).await.map(drop)
    }

    /// Takes a reaction back.
    pub async fn unreact(&self, channel: &str, ts: &str, name: &str) -> Result<(), CallError> {
        let mut request = SlackApiReactionsRemoveRequest::new(SlackReactionName(name.to_owned()));
        request.channel = Some(SlackChannelId(channel.to_owned()));
        request.timestamp = Some(SlackTs(ts.to_owned()));
        self.post::<_, Done>("reactions.remove", &request).await.map(drop)
    }

    /// Sets the topic.
    pub async fn set_topic(&self, channel: &str, topic: &str) -> Result<(), CallError> {
        let request = serde_json::json!({"channel": channel, "topic": topic});
        self.post::<_, Done>("conversations.setTopic", &request).await.map(drop)
    }

    /// Joins a public channel.
    pub async fn join(&self, channel: &str) -> Result<(), CallError> {
        let request = SlackApiConversationsJoinRequest::new(SlackChannelId(channel.to_owned()));
        self.post::<_, Done>("conversations.join", &request).await.map(drop)
    }

    /// Leaves a channel.
    pub async fn leave(&self, channel: &str) -> Result<(), CallError> {
        let request = SlackApiConversationsLeaveRequest::new(SlackChannelId(channel.to_owned()));
        self.post::<_, Done>("conversations.leave", &request).await.map(drop)
    }

    /// The conversation with one person.
    pub async fn open_direct(&self, user: &str) -> Result<String, CallError> {
        #[derive(Deserialize)]
        struct Opened {
            channel: Conversation,
        }
        let request = serde_json::json!({"users": user, "prevent_creation": false});
        let opened: Opened = self.post("conversations.open", &request).await?;
        Ok(opened.channel.id)
    }

    /// A conversation.
    pub async fn conversation(&self, channel: &str) -> Result<Conversation, CallError> {
        #[derive(Deserialize)]
        struct Info {
            channel: Conversation,
        }
        let channel = channel.to_owned();
        let info: Info = self
            .get("conversations.info", vec![("channel", Some(&channel))])
            .await?;
        Ok(info.channel)
    }

    /// The workspaces of an organisation that the app was added to.
    pub async fn workspaces(&self) -> Result<Vec<Named>, CallError> {
        let limit = PAGE.to_owned();
        let mut out = Vec::new();
        let mut cursor = None;
        for _ in 0..PAGES {
            let params = vec![("limit", Some(&limit)), ("cursor", cursor.as_ref())];
            let page: Page = self.get("auth.teams.list", params).await?;
            out.extend(page.teams);
            cursor = page.response_metadata.and_then(|next| next.next_cursor);
            if cursor.is_none() {
                break;
            }
        }
        Ok(out)
    }

    /// All conversations of these types that can be seen, page by page, until `enough` of them were seen; of one workspace
    /// where the token is that of an organisation.
    pub async fn conversations(
        &self,
        types: &str,
        team: Option<&String>,
        enough: &mut (dyn FnMut(Conversation) -> bool + Send),
    ) -> Result<(), CallError> {
        let (types, limit, without) = (types.to_owned(), "1000".to_owned(), "false".to_owned());
        let mut cursor = None;
        for _ in 0..PAGES {
            let params = vec![
                ("types", Some(&types)),
                ("limit", Some(&limit)),
                ("exclude_archived", Some(&without)),
                ("team_id", team),
                ("cursor", cursor.as_ref()),
            ];
            let page: Page = self.get("conversations.list", params).await?;
            for channel in page.channels {
                if enough(channel) {
                    return Ok(());
                }
            }
            cursor = page.response_metadata.and_then(|next| next.next_cursor);
            if cursor.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// The ids of those who are in a channel, so many at most.
    pub async fn members(&self, channel: &str, bound: usize) -> Result<Vec<String>, CallError> {
        let (channel, limit) = (channel.to_owned(), "1000".to_owned());
        let mut out = Vec::new();
        let mut cursor = None;
        while out.len() < bound {
            let params = vec![
                ("channel", Some(&channel)),
                ("limit", Some(&limit)),
                ("cursor", cursor.as_ref()),
            ];
            let page: Page = self.get("conversations.members", params).await?;
            out.extend(page.members.ids);
            cursor = page.response_metadata.and_then(|next| next.next_cursor);
            if cursor.is_none() {
                break;
            }
        }
        out.truncate(bound);
        Ok(out)
    }

    /// A page of messages.
    pub async fn messages(&self, span: &Span, cursor: Option<&String>) -> Result<Messages, CallError> {
        let (limit, yes) = (PAGE.to_owned(), "true".to_owned());
        let mut params = vec![
            ("channel", Some(&span.channel)),
            ("limit", Some(&limit)),
            ("oldest", span.oldest.as_ref()),
            ("latest", span.latest.as_ref()),
            ("cursor", cursor),
        ];
        if span.latest.is_some() {
            params.push(("inclusive", Some(&yes)));
        }
        if span.metadata {
            params.push(("include_all_metadata", Some(&yes)));
        }
        let method = match &span.thread {
            Some(thread) => {
                params.push(("ts", Some(thread)));
                "conversations.replies"
            }
            None => "conversations.history",
        };
        let page: Page = self.get(method, params).await?;
        Ok(Messages {
            messages: page.messages,
            next: page.response_metadata.and_then(|next| next.next_cursor),
        })
    }

    /// A person.
    pub async fn person(&self, user: &str) -> Result<Named, CallError> {
        #[derive(Deserialize)]
        struct Info {
            user: Named,
        }
        let user = user.to_owned();
        let info: Info = self.get("users.info", vec![("user", Some(&user))]).await?;
        Ok(info.user)
    }

    /// People of the workspace, so many at most.
    pub async fn people(&self, team: Option<&String>, bound: usize) -> Result<Vec<Named>, CallError> {
        let limit = "500".to_owned();
        let mut out = Vec::new();
        let mut cursor = None;
        while out.len() < bound {
            let params = vec![("limit", Some(&limit)), ("team_id", team), ("cursor", cursor.as_ref())];
            let page: Page = self.get("users.list", params).await?;
            out.extend(page.members.people);
            cursor = page.response_metadata.and_then(|next| next.next_cursor);
            if cursor.is_none() {
                break;
            }
        }
        Ok(out)
    }

    /// The name of an organisation.
    pub async fn team(&self, team: &str) -> Result<String, CallError> {
        #[derive(Deserialize)]
        struct Info {
            team: Named,
        }
        let team = team.to_owned();
        let info: Info = self.get("team.info", vec![("team", Some(&team))]).await?;
        Ok(info.team.name)
    }

    /// The workspace's own emoji: names to addresses or to `alias:NAME`.
    pub async fn emoji(&self) -> Result<std::collections::HashMap<String, String>, CallError> {
        #[derive(Deserialize)]
        struct List {
            #[serde(default)]
            emoji: std::collections::HashMap<String, String>,
        }
        let list: List = self.get("emoji.list", Vec::new()).await?;
        Ok(list.emoji)
    }

    /// The user groups.
    pub async fn groups(&self, team: Option<&String>) -> Result<Vec<Named>, CallError> {
        #[derive(Deserialize)]
        struct List {
            #[serde(default, deserialize_with = "loose::list")]
            usergroups: Vec<Named>,
        }
        let list: List = self.get("usergroups.list", vec![("team_id", team)]).await?;
        Ok(list.usergroups)
    }

    /// What is pinned in a channel.
    pub async fn pins(&self, channel: &str) -> Result<Vec<Item>, CallError> {
        #[derive(Deserialize)]
        struct List {
            #[serde(default, deserialize_with = "loose::list")]
            items: Vec<Item>,
        }
        let channel = channel.to_owned();
        let list: List = self.get("pins.list", vec![("channel", Some(&channel))]).await?;
        Ok(list.items)
    }

    /// A file.
    pub async fn file(&self, id: &str) -> Result<File, CallError> {
        #[derive(Deserialize)]
        struct Info {
            file: File,
        }
        let id = id.to_owned();
        let info: Info = self.get("files.info", vec![("file", Some(&id))]).await?;
        Ok(info.file)
    }

    /// Where the bytes of a new file go, and the file's id.
    pub async fn upload_address(&self, name: &str, length: u64) -> Result<(String, String), CallError> {
        #[derive(Deserialize)]
        struct Address {
            upload_url: String,
            file_id: String,
        }
        let (name, length) = (name.to_owned(), length.to_string());
        let params = vec![("filename", Some(&name)), ("length", Some(&length))];
        let address: Address = self.get("files.getUploadURLExternal", params).await?;
        Ok((address.upload_url, address.file_id))
    }

    /// Shares files whose bytes have been sent.
    pub async fn complete_upload(&self, request: &SlackApiFilesCompleteUploadExternalRequest) -> Result<(), CallError> {
        let channel = request.channel_id.as_ref().map(|id| id.0.clone()).unwrap_or_default();
        let method = "files.completeUploadExternal";
        let session = self.client.open_session(&self.token);
        let post = session.http_session_api.http_post(method, request, None);
        self.paced::<Done>(&channel, Some(method), post).await.map(drop)
    }
}
