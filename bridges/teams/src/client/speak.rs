//! The calls of Graph in a person's name: to speak, change, take back and react, as themselves.

use reqwest::Method;
use serde_json::{Value, json};

use super::connector::part;
use super::error::CallError;
use super::graph::Scope;
use super::json;
use super::pace;
use super::person::Person;
use super::wire::{Audience, Wire};

/// A message in a channel: the first of its chain, and itself.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a> {
    /// Where it is.
    pub scope: &'a Scope,
    /// The first message of its chain, for a reply.
    pub root: Option<&'a str>,
    /// The message.
    pub id: &'a str,
}

impl Named<'_> {
    fn path(&self) -> String {
        let (scope, id) = (self.scope.path(), part(self.id));
        match self.root {
            Some(root) => format!("{scope}/messages/{}/replies/{id}", part(root)),
            None => format!("{scope}/messages/{id}"),
        }
    }
}

impl Wire {
    async fn act(
        &self,
        person: &Person,
        method: Method,
        path: &str,
        content: Option<&Value>,
        key: &str,
    ) -> Result<Value, CallError> {
        let rates = pace::graph(&self.limits);
        let url = self.graph_url(path)?;
        let audience = Audience::Person(person);
        self.call(audience, method, url, content, (key, &rates)).await
    }

    /// Who somebody is: their id in the directory.
    pub async fn me(&self, person: &Person) -> Result<String, CallError> {
        let me = self.act(person, Method::GET, "me?$select=id", None, "graph/me").await?;
        let id = json::text(&me, &["id"]).map(str::to_lowercase);
        id.ok_or_else(|| CallError::Unsent("Microsoft does not say who the person is".to_owned()))
    }

    /// Posts a message, or a reply below `root`; gives its id.
    pub async fn say(
        &self,
        person: &Person,
        scope: &Scope,
        root: Option<&str>,
        content: &Value,
    ) -> Result<String, CallError> {
        let path = match root {
            Some(root) => format!("{}/messages/{}/replies", scope.path(), part(root)),
            None => format!("{}/messages", scope.path()),
        };
        let answer = self
            .act(person, Method::POST, &path, Some(content), &scope.key())
            .await?;
        let id = json::text(&answer, &["id"]).map(str::to_owned);
        id.ok_or_else(|| CallError::Unknown("the answer names no message".to_owned()))
    }

    /// Gives a message of theirs another wording.
    pub async fn reword(&self, person: &Person, message: Named<'_>, content: &Value) -> Result<(), CallError> {
        let (path, key) = (message.path(), message.scope.key());
        let done = self.act(person, Method::PATCH, &path, Some(content), &key);
        done.await.map(drop)
    }

    /// Takes back a message of theirs.
    pub async fn withdraw(&self, person: &Person, message: Named<'_>) -> Result<(), CallError> {
        let path = format!("{}/softDelete", message.path());
        let key = message.scope.key();
        let done = self.act(person, Method::POST, &path, None, &key);
        done.await.map(drop)
    }

    /// Puts a reaction of theirs on a message, or takes it back.
    pub async fn feel(&self, person: &Person, message: Named<'_>, emoji: &str, added: bool) -> Result<(), CallError> {
        let verb = if added { "setReaction" } else { "unsetReaction" };
        let path = format!("{}/{verb}", message.path());
        let content = json!({"reactionType": emoji});
        let key = message.scope.key();
        let done = self.act(person, Method::POST, &path, Some(&content), &key);
        done.await.map(drop)
    }
}
