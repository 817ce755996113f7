//! Subscriptions: asked for, checked by a handshake, renewed, ended.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::launch::http_client;
use crate::teams::call::{Answer, Asked, Reply};
use crate::teams::ids::{now_millis, read, written};
use crate::teams::sealed::Envelope;
use crate::teams::server::Shared;
use crate::teams::state::{State, Subscription, Token};

const MINUTE: u64 = 60_000;
/// Three days.
const LONGEST: u64 = 4320 * MINUTE;

fn refused(what: &str) -> Reply {
    Reply::error(400, "ValidationError", what)
}

/// Answers `POST /subscriptions`: what was asked for is checked, both addresses are asked, and only then it is there.
pub(in crate::teams) async fn subscribe(shared: &Arc<Shared>, asked: &Asked) -> Answer {
    let (mut subscription, addresses) = shared.state().check_subscription(asked)?;
    for address in addresses {
        let token = format!(
            "Validation: Testing client application reachability & {}",
            subscription.id
        );
        let answered = handshake(&address, &token).await;
        answered.map_err(|error| refused(&format!("Subscription validation request failed: {error:#}")))?;
    }
    let mut state = shared.state();
    subscription.id = state.ids.guid();
    let view = view(&subscription);
    state.subscriptions.insert(subscription.id.clone(), subscription);
    Ok(Reply::json(201, &view))
}

/// Asks an address whether it takes notifications.
async fn handshake(address: &str, token: &str) -> anyhow::Result<()> {
    let mut url = url::Url::parse(address).context("the address cannot be read")?;
    url.query_pairs_mut().append_pair("validationToken", token);
    let request = http_client()?
        .post(url)
        .header(CONTENT_TYPE, "text/plain; charset=utf-8");
    let response = request.timeout(Duration::from_secs(10)).send().await?;
    ensure!(response.status() == 200, "{address} answered {}", response.status());
    let mime = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    ensure!(
        mime.starts_with("text/plain"),
        "{address} answered {mime} and not text/plain"
    );
    let text = response.text().await?;
    ensure!(text == token, "{address} did not echo the token, but said: {text}");
    Ok(())
}

fn view(one: &Subscription) -> Value {
    let mut view = one.asked.clone();
    view["id"] = json!(one.id);
    view["expirationDateTime"] = json!(written(one.until));
    view["encryptionCertificate"] = Value::Null;
    view
}

impl State {
    /// What is to be subscribed to, and the addresses to ask.
    fn check_subscription(&mut self, asked: &Asked) -> Result<(Subscription, Vec<String>), Reply> {
        let token = self.authorize(asked, true)?;
        self.limit_graph(asked, &token)?;
        let body = &asked.body;
        let resource = body["resource"]
            .as_str()
            .unwrap_or_default()
            .trim_matches('/')
            .to_owned();
        let path: Vec<String> = resource.split(['/', '?']).map(str::to_owned).collect();
        let scope = Asked {
            operation: "graph.messages",
            method: http::Method::GET,
            path,
            query: Vec::new(),
            headers: http::HeaderMap::new(),
            raw: bytes::Bytes::new(),
            body: Value::Null,
        };
        let last = if scope.part(0) == "teams" {
            scope.part(4)
        } else {
            scope.part(2)
        };
        if last != "messages" {
            return Err(refused("The resource is not the messages of a channel or a chat."));
        }
        self.allow(&scope, &token)?;
        let channel = self.asked_channel(&scope, &token)?.id.clone();
        let kinds = body["changeType"].as_str().unwrap_or_default();
        if kinds.is_empty()
            || !kinds
                .split(',')
                .all(|kind| ["created", "updated", "deleted"].contains(&kind.trim()))
        {
            return Err(refused("changeType is none of created, updated, deleted."));
        }
        if body["clientState"].as_str().is_some_and(|state| state.len() > 128) {
            return Err(refused("clientState is longer than 128 characters."));
        }
        let until = Self::expiry(body, body["lifecycleNotificationUrl"].is_string())?;
        let mut envelope = None;
        if body["includeResourceData"] == true {
            let (certificate, id) = (
                body["encryptionCertificate"].as_str(),
                body["encryptionCertificateId"].as_str(),
            );
            let sealed = certificate
                .zip(id)
                .and_then(|(certificate, id)| Envelope::new(certificate, id));
            envelope =
                Some(sealed.ok_or_else(|| refused("encryptionCertificate or its id is missing or cannot be used."))?);
        }
        let now = now_millis();
        self.subscriptions.retain(|_, one| one.until > now);
        if self
            .subscriptions
            .values()
            .any(|one| one.app == token.app && one.channel == channel && one.asked["changeType"] == body["changeType"])
        {
            return Err(Reply::error(
                409,
                "Conflict",
                "The app has a subscription for this resource.",
            ));
        }
        let mut addresses = Vec::new();
        for name in ["notificationUrl", "lifecycleNotificationUrl"] {
            match body[name].as_str() {
                Some(address) => addresses.push(address.to_owned()),
                None if name == "notificationUrl" => return Err(refused("notificationUrl is missing.")),
                None => {}
            }
        }
        let subscription = Subscription {
            id: self.ids.guid(),
            app: token.app,
            channel,
            asked: body.clone(),
            envelope: envelope.map(Arc::new),
            until,
            suspended: false,
        };
        Ok((subscription, addresses))
    }

    fn expiry(body: &Value, has_lifecycle: bool) -> Result<u64, Reply> {
        let until = body["expirationDateTime"].as_str().and_then(read);
        let until = until.ok_or_else(|| refused("expirationDateTime is missing or no time."))?;
        let now = now_millis();
        if until <= now || until > now + LONGEST {
            return Err(refused(
                "Subscription expiration can only be 4320 minutes in the future.",
            ));
        }
        if until > now + 60 * MINUTE && !has_lifecycle {
            return Err(refused("lifecycleNotificationUrl is required for more than 1 hour."));
        }
        Ok(until)
    }

    pub(super) fn subscription(&mut self, asked: &Asked, token: &Token) -> Answer {
        let now = now_millis();
        self.subscriptions.retain(|_, one| one.until > now);
        if asked.operation == "graph.subscriptions" {
            let own = self.subscriptions.values().filter(|one| one.app == token.app);
            return Ok(Reply::list(&own.map(view).collect::<Vec<_>>()));
        }
        let id = asked.part(1).to_owned();
        let missing = || Reply::error(404, "ResourceNotFound", "The subscription does not exist.");
        let one = self
            .subscriptions
            .get(&id)
            .filter(|one| one.app == token.app)
            .ok_or_else(missing)?;
        let has_lifecycle = one.asked["lifecycleNotificationUrl"].is_string();
        match asked.method.as_str() {
            "GET" => Ok(Reply::json(200, &view(one))),
            "DELETE" => {
                self.subscriptions.remove(&id);
                Ok(Reply::empty(204))
            }
            "PATCH" => {
                let until = Self::expiry(&asked.body, has_lifecycle)?;
                let one = self.subscriptions.get_mut(&id).ok_or_else(missing)?;
                (one.until, one.suspended) = (until, false);
                Ok(Reply::json(200, &view(one)))
            }
            // `reauthorize`
            _ => {
                self.subscriptions.get_mut(&id).ok_or_else(missing)?.suspended = false;
                Ok(Reply::empty(204))
            }
        }
    }
}
