//! Graph's notifications: one subscription for each channel, whose content is sealed for us, renewed at half of its life.
//!
//! They tell what activities do not (reactions of people to each other) and what activities missed. Both feeds name messages
//! alike, and what one told the other does not tell again.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::body::Bytes;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use viaduct_bridge::secret::Secret;

use super::Teams;
use super::channels::{Channel, Subscription};
use super::intake::NotStored;
use crate::client::door::NOTICES;
use crate::client::error::CallError;
use crate::client::json;
use crate::client::keys::Unchecked;
use crate::client::sealed::Seal;
use crate::convert::said::Said;
use crate::telemetry;

/// How often it is looked whether a subscription has to be renewed.
const LOOK: Duration = Duration::from_secs(5);
/// For how long a subscription is made where Microsoft refuses a longer one, in milliseconds.
const SHORT: u64 = 55 * 60_000;
/// How many notifications of one request are taken.
const NOTICES_AT_ONCE: usize = 500;
/// How many tokens of one request are checked.
const TOKENS: usize = 16;
/// One minute, in milliseconds.
const MINUTE: u64 = 60_000;

impl Teams {
    /// Keeps a subscription for every channel until it is dropped.
    pub(super) async fn keep_subscribed(self: Arc<Self>, seal: Arc<Seal>) {
        let Some(address) = self.section.public_url.clone().filter(|_| self.section.subscriptions) else {
            return std::future::pending().await;
        };
        let address = format!("{address}{NOTICES}{}", self.section.app_id);
        for channel in &self.channels {
            channel.known().subscription = None;
        }
        loop {
            for channel in &self.channels {
                if let Err(error) = self.see_to(channel, &seal, &address).await {
                    tracing::warn!(channel = %channel.spelling, %error, "There is no subscription for a channel.");
                    channel.known().unsubscribed = Some(error.to_string());
                }
            }
            tokio::time::timeout(LOOK, self.subscribing.notified()).await.ok();
        }
    }

    /// Makes or renews the subscription of a channel where it is time to.
    async fn see_to(&self, channel: &Channel, seal: &Seal, address: &str) -> Result<(), CallError> {
        let now = self.context.clock.now();
        let known = channel.known().subscription.clone();
        let life = self.section.subscription_minutes.saturating_mul(MINUTE);
        if let Some(mut subscription) = known.filter(|known| known.until > now) {
            if subscription.renewed > now {
                return Ok(());
            }
            let until = now.plus_millis(life);
            match self.wire.renew(&subscription.id, until).await {
                Ok(answer) => {
                    subscription.until = json::time(&answer, &["expirationDateTime"]).unwrap_or(until);
                    subscription.renewed = now.plus_millis(subscription.until.millis_since(now) / 2);
                    let mut known = channel.known();
                    known.unsubscribed = None;
                    // It may have been told to be gone while the answer was on its way.
                    if let Some(own) = known.subscription.as_mut().filter(|own| own.id == subscription.id) {
                        *own = subscription;
                    }
                    return Ok(());
                }
                Err(error) if error.is_passing() => return Err(error),
                // It is gone: a new one is made.
                Err(_) => {}
            }
        }
        self.subscribe(channel, seal, address, life).await
    }

    async fn subscribe(&self, channel: &Channel, seal: &Seal, address: &str, life: u64) -> Result<(), CallError> {
        let Some(scope) = channel.scope().filter(|_| channel.usable().is_ok()) else {
            return Ok(());
        };
        // Microsoft allows one for each channel, and that of an earlier run is sealed for a key that is gone.
        let key = format!("subscription/{}", channel.spelling);
        if let Ok(Some(old)) = self.context.state.get(&key).await
            && let Ok(old) = String::from_utf8(old)
        {
            match self.wire.unsubscribe(&old).await {
                Err(error) if error.is_passing() => return Err(error),
                _ => {}
            }
        }
        let mut bytes = [0; 32];
        self.context.entropy.fill(&mut bytes);
        let secret = URL_SAFE_NO_PAD.encode(bytes);
        let now = self.context.clock.now();
        let mut wish = json!({
            "changeType": "created,updated,deleted", "notificationUrl": address, "lifecycleNotificationUrl": address,
            "includeResourceData": true, "encryptionCertificate": seal.certificate, "encryptionCertificateId": "viaduct",
            "expirationDateTime": json::rfc3339(now.plus_millis(life)), "clientState": secret,
        });
        // A notification that overtakes the answer is not known yet; what it tells is found by the next sweep.
        let answer = match self.wire.subscribe(&scope, &wish).await {
            Err(error) if error.status() == 400 && life > SHORT => {
                wish["expirationDateTime"] = Value::String(json::rfc3339(now.plus_millis(SHORT)));
                self.wire.subscribe(&scope, &wish).await?
            }
            other => other?,
        };
        let id =
            json::text(&answer, &["id"]).ok_or_else(|| CallError::Unknown("the subscription has no id".to_owned()))?;
        let until = json::time(&answer, &["expirationDateTime"]).unwrap_or(now.plus_millis(SHORT));
        {
            let mut known = channel.known();
            known.unsubscribed = None;
            known.subscription = Some(Subscription {
                id: id.to_owned(),
                secret: Secret::new(secret),
                until,
                renewed: now.plus_millis(until.millis_since(now) / 2),
            });
        }
        if let Err(error) = self.context.state.put(vec![(key, Some(id.as_bytes().to_vec()))]).await {
            tracing::warn!(%error, "A subscription could not be remembered.");
        }
        Ok(())
    }

    /// Takes a request with notifications.
    pub(super) async fn take_notices(&self, body: &Bytes) -> StatusCode {
        let Ok(request) = serde_json::from_slice::<Value>(body) else {
            return StatusCode::BAD_REQUEST;
        };
        let notices = json::list(&request, &["value"]);
        if notices
            .iter()
            .any(|notice| notice.get("encryptedContent").is_some_and(|content| !content.is_null()))
            && let Err(status) = self.check_tokens(&request).await
        {
            return status;
        }
        for notice in notices.iter().take(NOTICES_AT_ONCE) {
            let Some(channel) = self.subscribed(notice) else {
                telemetry::refused("subscription");
                continue;
            };
            if self.take_notice(&channel, notice).await.is_err() {
                return StatusCode::SERVICE_UNAVAILABLE;
            }
        }
        StatusCode::ACCEPTED
    }

    /// Whether the request comes from Graph, for this app and tenant.
    async fn check_tokens(&self, request: &Value) -> Result<(), StatusCode> {
        let tokens = json::list(request, &["validationTokens"]);
        if tokens.is_empty() || tokens.len() > TOKENS {
            telemetry::refused("missing");
            return Err(StatusCode::UNAUTHORIZED);
        }
        let now = self.context.clock.now();
        for token in tokens {
            let token = token.as_str().unwrap_or_default();
            match self.graph_keys.check(token, now).await {
                Ok(_) => {}
                Err(Unchecked::Refused(refusal)) => {
                    telemetry::refused(refusal.as_str());
                    return Err(StatusCode::UNAUTHORIZED);
                }
                Err(Unchecked::NoKeys(_)) => return Err(StatusCode::SERVICE_UNAVAILABLE),
            }
        }
        Ok(())
    }

    /// The channel whose subscription a notification is of: it has to know the subscription's secret.
    fn subscribed(&self, notice: &Value) -> Option<Arc<Channel>> {
        let id = json::text(notice, &["subscriptionId"])?;
        let given = json::text(notice, &["clientState"])?;
        let found = self.channels.iter().find(|channel| {
            let known = channel.known();
            known.subscription.as_ref().is_some_and(|own| {
                own.id == id && verify_slices_are_equal(own.secret.reveal().as_bytes(), given.as_bytes()).is_ok()
            })
        });
        found.cloned()
    }

    async fn take_notice(&self, channel: &Channel, notice: &Value) -> Result<(), NotStored> {
        match json::text(notice, &["lifecycleEvent"]) {
            Some("reauthorizationRequired") => {
                if let Some(subscription) = &mut channel.known().subscription {
                    subscription.renewed = self.context.clock.now();
                }
                self.subscribing.notify_one();
                return Ok(());
            }
            Some("subscriptionRemoved") => {
                channel.known().subscription = None;
                self.subscribing.notify_one();
                self.suspicion.notify_one();
                return Ok(());
            }
            // Something was lost: it is looked for.
            Some(_) => {
                self.suspicion.notify_one();
                return Ok(());
            }
            None => {}
        }
        let seal = super::locked(&self.seal).clone();
        let content = seal.and_then(|seal| seal.open(json::at(notice, &["encryptedContent"])));
        let Some(said) = content.as_ref().and_then(Said::of_graph) else {
            telemetry::refused("sealed");
            self.suspicion.notify_one();
            return Ok(());
        };
        telemetry::activity("notification");
        let gate = channel.gate.lock().await;
        let since = channel.known().memory.swept.unwrap_or(0);
        let around = self.around(channel, &said).await;
        let events = around.with(self.tell_swept(channel, &said, since));
        let told = std::mem::take(&mut channel.known().fresh);
        let pushed = if events.is_empty() {
            None
        } else {
            Some(self.context.inbox.push(events).await)
        };
        drop(gate);
        let stored = match pushed {
            None => true,
            Some(Ok(ticket)) => ticket.await.is_ok(),
            Some(Err(_)) => false,
        };
        channel.known().settle(told, stored);
        if stored { Ok(()) } else { Err(NotStored) }
    }
}
