//! The calls of Microsoft Graph.

use reqwest::Method;
use serde_json::{Value, json};
use url::Url;
use viaduct_model::Timestamp;

use super::connector::part;
use super::error::CallError;
use super::json;
use super::pace;
use super::wire::{Audience, Wire};

/// How many pages of one list are read.
const PAGES: usize = 400;
/// How many of what changed lately.
const LATELY: usize = 6;

/// Where messages are: a channel of a team, or a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// A channel: the team's group and the channel's id.
    Channel(String, String),
    /// A chat.
    Chat(String),
}

impl Scope {
    pub(super) fn path(&self) -> String {
        match self {
            Self::Channel(group, channel) => format!("teams/{}/channels/{}", part(group), part(channel)),
            Self::Chat(chat) => format!("chats/{}", part(chat)),
        }
    }

    pub(super) fn key(&self) -> String {
        match self {
            Self::Channel(_, id) | Self::Chat(id) => format!("graph/{id}"),
        }
    }
}

impl Wire {
    pub(super) fn graph_url(&self, path: &str) -> Result<Url, CallError> {
        let url = self.addresses.graph.join("v1.0/").and_then(|base| base.join(path));
        url.map_err(|error| CallError::Refused {
            status: 400,
            code: error.to_string(),
        })
    }

    async fn ask(&self, method: Method, url: Url, content: Option<&Value>, key: &str) -> Result<Value, CallError> {
        let rates = pace::graph(&self.limits);
        self.call(Audience::Graph, method, url, content, (key, &rates)).await
    }

    /// One page at `url`: its values, and the address of the next.
    async fn page(&self, url: Url, key: &str) -> Result<(Vec<Value>, Option<Url>), CallError> {
        let mut answer = self.ask(Method::GET, url, None, key).await?;
        let values = match answer.get_mut("value").map(Value::take) {
            Some(Value::Array(values)) => values,
            _ => Vec::new(),
        };
        let next = json::text(&answer, &["@odata.nextLink"]).and_then(|text| Url::parse(text).ok());
        Ok((values, next))
    }

    /// Everything at `url`; `take` says whether it wants more.
    async fn every(&self, url: Url, key: &str, take: &mut (dyn FnMut(Value) -> bool + Send)) -> Result<(), CallError> {
        let mut next = Some(url);
        for _ in 0..PAGES {
            let Some(url) = next else { return Ok(()) };
            let (values, more) = self.page(url, key).await?;
            for value in values {
                if !take(value) {
                    return Ok(());
                }
            }
            next = more;
        }
        Err(CallError::Unsent("the list has no end".to_owned()))
    }

    /// The teams that the app may see.
    pub async fn teams(&self) -> Result<Vec<Value>, CallError> {
        let url = self.graph_url("teams?$select=id,displayName")?;
        let mut out = Vec::new();
        self.every(url, "graph/teams", &mut |team| {
            out.push(team);
            out.len() < 10_000
        })
        .await?;
        Ok(out)
    }

    /// The channels of a team.
    pub async fn channels(&self, group: &str) -> Result<Vec<Value>, CallError> {
        let url = self.graph_url(&format!("teams/{}/channels", part(group)))?;
        let mut out = Vec::new();
        self.every(url, "graph/teams", &mut |channel| {
            out.push(channel);
            out.len() < 10_000
        })
        .await?;
        Ok(out)
    }

    /// One message, or one reply below a message.
    pub async fn message(&self, scope: &Scope, root: Option<&str>, id: &str) -> Result<Value, CallError> {
        let path = match root {
            Some(root) => format!("{}/messages/{}/replies/{}", scope.path(), part(root), part(id)),
            None => format!("{}/messages/{}", scope.path(), part(id)),
        };
        self.ask(Method::GET, self.graph_url(&path)?, None, &scope.key()).await
    }

    fn changes(&self, scope: &Scope, since: Timestamp) -> Result<Url, CallError> {
        let since = json::rfc3339(since);
        let (path, order) = match scope {
            Scope::Channel(..) => ("messages/delta", ""),
            Scope::Chat(_) => ("messages", "&$orderby=lastModifiedDateTime desc"),
        };
        self.graph_url(&format!(
            "{}/{path}?$top=50&$filter=lastModifiedDateTime gt {since}{order}",
            scope.path()
        ))
    }

    /// The messages that were written or changed after a time: all pages.
    pub async fn changed_since(&self, scope: &Scope, since: Timestamp) -> Result<Vec<Value>, CallError> {
        let mut out = Vec::new();
        self.every(self.changes(scope, since)?, &scope.key(), &mut |message| {
            out.push(message);
            true
        })
        .await?;
        Ok(out)
    }

    /// The replies below a message, the newest first, as long as `take` wants them.
    pub async fn replies(
        &self,
        scope: &Scope,
        root: &str,
        take: &mut (dyn FnMut(Value) -> bool + Send),
    ) -> Result<(), CallError> {
        let path = format!("{}/messages/{}/replies?$top=50", scope.path(), part(root));
        self.every(self.graph_url(&path)?, &scope.key(), take).await
    }

    /// One page of a channel's reply chains, each with as many replies as Microsoft puts into it (`replies`, and where the others
    /// are in `replies@odata.nextLink`); and the address of the next page.
    pub async fn chains(&self, scope: &Scope, next: Option<Url>) -> Result<(Vec<Value>, Option<Url>), CallError> {
        let first = || self.graph_url(&format!("{}/messages?$top=20&$expand=replies", scope.path()));
        self.page(next.map_or_else(first, Ok)?, &scope.key()).await
    }

    /// The further replies below a message in a page of [`Wire::chains`], as long as `take` wants them.
    pub async fn further_replies(
        &self,
        scope: &Scope,
        address: &str,
        take: &mut (dyn FnMut(Value) -> bool + Send),
    ) -> Result<(), CallError> {
        let url = Url::parse(address).map_err(|error| CallError::Unknown(error.to_string()))?;
        self.every(url, &scope.key(), take).await
    }

    /// The newest messages, as long as `take` wants them.
    pub async fn newest(&self, scope: &Scope, take: &mut (dyn FnMut(Value) -> bool + Send)) -> Result<(), CallError> {
        let path = format!("{}/messages?$top=50", scope.path());
        self.every(self.graph_url(&path)?, &scope.key(), take).await
    }

    /// What was written or changed after a time, as far as some pages and, in a channel, the one with a message; whether that is
    /// all.
    pub async fn changed_lately(
        &self,
        scope: &Scope,
        since: Timestamp,
        id: &str,
    ) -> Result<(Vec<Value>, bool), CallError> {
        let (mut out, mut next) = (Vec::new(), Some(self.changes(scope, since)?));
        for _ in 0..LATELY {
            let Some(url) = next.take() else { break };
            let (values, more) = self.page(url, &scope.key()).await?;
            // A channel's changes come in the order of their times.
            let reached = matches!(scope, Scope::Channel(..))
                && values.iter().any(|value| json::text(value, &["id"]) == Some(id));
            out.extend(values);
            next = more;
            if reached {
                break;
            }
        }
        Ok((out, next.is_none()))
    }

    /// The newest replies below a message: one page; whether that is all.
    pub async fn latest_replies(&self, scope: &Scope, root: &str) -> Result<(Vec<Value>, bool), CallError> {
        let path = format!("{}/messages/{}/replies?$top=50", scope.path(), part(root));
        let (values, next) = self.page(self.graph_url(&path)?, &scope.key()).await?;
        Ok((values, next.is_none()))
    }

    /// The folder of a channel's files: its drive and its id.
    pub async fn folder(&self, scope: &Scope) -> Result<(String, String), CallError> {
        let url = self.graph_url(&format!("{}/filesFolder", scope.path()))?;
        let answer = self.ask(Method::GET, url, None, &scope.key()).await?;
        let drive = json::text(&answer, &["parentReference", "driveId"]);
        match (drive, json::text(&answer, &["id"])) {
            (Some(drive), Some(id)) => Ok((drive.to_owned(), id.to_owned())),
            _ => Err(CallError::Unsent(
                "Microsoft does not say where the channel's files are".to_owned(),
            )),
        }
    }

    /// Begins an upload; gives the address for the bytes. An existing file of the same name is kept.
    pub async fn begin_upload(&self, (drive, folder): &(String, String), name: &str) -> Result<Url, CallError> {
        let path = format!(
            "drives/{}/items/{}:/{}:/createUploadSession",
            part(drive),
            part(folder),
            part(name)
        );
        let content = json!({"item": {"@microsoft.graph.conflictBehavior": "rename", "name": name}});
        let answer = self
            .ask(Method::POST, self.graph_url(&path)?, Some(&content), "graph/files")
            .await?;
        let url = json::text(&answer, &["uploadUrl"]).and_then(|text| Url::parse(text).ok());
        url.ok_or_else(|| CallError::Unsent("Microsoft gives no address for the upload".to_owned()))
    }

    /// A person's picture, or the content of a shared file, as an address of Graph's.
    pub fn content_url(&self, path: &str) -> Option<Url> {
        self.graph_url(path).ok()
    }

    /// Asks to be notified of a channel's messages; gives the subscription.
    pub async fn subscribe(&self, scope: &Scope, wish: &Value) -> Result<Value, CallError> {
        let mut wish = wish.clone();
        let raw = match scope {
            Scope::Channel(group, channel) => format!("/teams/{group}/channels/{channel}/messages"),
            Scope::Chat(chat) => format!("/chats/{chat}/messages"),
        };
        wish["resource"] = Value::String(raw);
        self.ask(
            Method::POST,
            self.graph_url("subscriptions")?,
            Some(&wish),
            "graph/subscriptions",
        )
        .await
    }

    /// Makes a subscription good until later.
    pub async fn renew(&self, id: &str, until: Timestamp) -> Result<Value, CallError> {
        let content = json!({"expirationDateTime": json::rfc3339(until)});
        let url = self.graph_url(&format!("subscriptions/{}", part(id)))?;
        self.ask(Method::PATCH, url, Some(&content), "graph/subscriptions")
            .await
    }

    /// Ends a subscription.
    pub async fn unsubscribe(&self, id: &str) -> Result<(), CallError> {
        let url = self.graph_url(&format!("subscriptions/{}", part(id)))?;
        self.ask(Method::DELETE, url, None, "graph/subscriptions")
            .await
            .map(drop)
    }
}
