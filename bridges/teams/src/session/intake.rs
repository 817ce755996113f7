//! One request: believed, told, stored, answered.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Bytes;
use axum::http::StatusCode;
use serde_json::Value;
use tokio::time::Instant;
use viaduct_model::Event;

use super::Teams;
use super::channels::Channel;
use super::direct::is_personal;
use crate::client::door::Take;
use crate::client::json;
use crate::client::keys::Unchecked;
use crate::client::token::{Refusal, check_activity};
use crate::telemetry;

/// Microsoft waits some fifteen seconds for an answer.
const PATIENCE: Duration = Duration::from_secs(12);
/// After how long it is asked again which group a team is.
const AGAIN: Duration = Duration::from_mins(1);
/// How many activities of unknown type are kept.
const KEPT: u64 = 64;
/// The largest that is kept, in bytes.
const KEPT_BYTES: usize = 15 * 1024;

/// The hub is stopping, or did not store it in time: Microsoft tries again, or the sweep finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotStored;

#[async_trait]
impl Take for Teams {
    async fn notice(&self, body: Bytes) -> StatusCode {
        let running = super::locked(&self.running).clone();
        let work = async {
            tokio::select! {
                status = self.take_notices(&body) => status,
                () = running.cancelled() => StatusCode::SERVICE_UNAVAILABLE,
            }
        };
        tokio::time::timeout(PATIENCE, work)
            .await
            .unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
    }

    async fn take(&self, token: &str, body: Bytes) -> StatusCode {
        let claims = match self.keys.check(token, self.context.clock.now()).await {
            Ok(claims) => claims,
            Err(Unchecked::Refused(refusal)) => return refuse(refusal, StatusCode::UNAUTHORIZED),
            Err(Unchecked::NoKeys(reason)) => {
                tracing::warn!(
                    reason,
                    "A request could not be checked, as Microsoft's keys cannot be had."
                );
                return StatusCode::SERVICE_UNAVAILABLE;
            }
        };
        let Ok(activity) = serde_json::from_slice::<Value>(&body) else {
            return StatusCode::BAD_REQUEST;
        };
        if let Err(refusal) = check_activity(&claims, &activity, self.keys.expected()) {
            return refuse(refusal, StatusCode::FORBIDDEN);
        }
        let service = json::text(&activity, &["serviceUrl"]).and_then(|text| self.wire.hosts.service(text));
        let Some(service) = service else {
            return refuse(Refusal::Host, StatusCode::FORBIDDEN);
        };
        let running = super::locked(&self.running).clone();
        let work = async {
            tokio::select! {
                result = self.hear(&activity, service.as_str()) => result,
                () = running.cancelled() => Err(NotStored),
            }
        };
        match tokio::time::timeout(PATIENCE, work).await {
            Ok(Ok(())) => StatusCode::OK,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

fn refuse(refusal: Refusal, status: StatusCode) -> StatusCode {
    telemetry::refused(refusal.as_str());
    tracing::debug!(%refusal, "A request was refused.");
    status
}

impl Teams {
    /// Tells of an activity, and returns when it is on stable storage. Whatever few activities need, such as asking Microsoft,
    /// is in boxes of its own here and below: otherwise every activity would make room for it.
    async fn hear(&self, activity: &Value, service: &str) -> Result<(), NotStored> {
        let channels = super::inbound::about(activity, &self.channels);
        for channel in &channels {
            self.locate(channel, activity, service).await;
        }
        if channels.is_empty() && self.section.direct && is_personal(activity) {
            return Box::pin(self.hear_directly(activity, service)).await;
        }
        if channels.is_empty() {
            return self.hear_elsewhere(activity).await;
        }
        let mut tickets = Vec::new();
        for channel in channels {
            let gate = channel.gate.lock().await;
            let Some(events) = self.tell(&channel, activity).await else {
                self.keep(activity).await?;
                continue;
            };
            let told = std::mem::take(&mut channel.known().fresh);
            if events.is_empty() {
                channel.known().settle(told, true);
            } else {
                let Ok(ticket) = self.context.inbox.push(events).await else {
                    channel.known().settle(told, false);
                    return Err(NotStored);
                };
                tickets.push((Arc::clone(&channel), told, ticket));
            }
            drop(gate);
        }
        let mut result = Ok(());
        for (channel, told, ticket) in tickets {
            let stored = ticket.await.is_ok();
            channel.known().settle(told, stored);
            if !stored {
                result = Err(NotStored);
            }
        }
        result
    }

    /// What concerns no mirrored channel: of no interest, unless it is of a type that is not known.
    async fn hear_elsewhere(&self, activity: &Value) -> Result<(), NotStored> {
        if super::inbound::is_known(json::text(activity, &["type"]).unwrap_or_default()) {
            return Ok(());
        }
        self.keep(activity).await
    }

    /// Keeps an activity that is not understood, for whoever teaches the bridge to.
    pub(super) async fn keep(&self, activity: &Value) -> Result<(), NotStored> {
        telemetry::unknown_activity();
        let number = self.kept.fetch_add(1, Ordering::Relaxed) % KEPT;
        let value = activity.to_string().into_bytes();
        if value.len() > KEPT_BYTES {
            return Ok(());
        }
        let kept = self
            .context
            .state
            .put(vec![(format!("kept/{number:03}"), Some(value))])
            .await;
        kept.map_err(|_| NotStored)
    }

    /// Learns where a channel is from an activity in it.
    async fn locate(&self, channel: &Channel, activity: &Value, service: &str) {
        let group = json::text(activity, &["channelData", "team", "aadGroupId"]);
        let team = json::text(activity, &["channelData", "team", "id"])
            .or_else(|| json::text(activity, &["channelData", "teamsTeamId"]));
        let (changed, groupless) = {
            let mut known = channel.known();
            let changed = known.location.learn(service, group, team);
            let asked_lately = known.asked.is_some_and(|at| at.elapsed() < AGAIN);
            let needed = known.location.group.is_none() && !asked_lately;
            let groupless = needed.then(|| known.location.team.clone()).flatten();
            if groupless.is_some() {
                known.asked = Some(Instant::now());
            }
            (changed, groupless)
        };
        if let Some(team) = groupless
            && let Some(url) = self.wire.hosts.service(service)
            && let Ok(found) = Box::pin(self.wire.team(&url, &team)).await
        {
            channel.known().location.group = json::text(&found, &["aadGroupId"]).map(str::to_owned);
        }
        if changed {
            self.keep_location(channel).await;
        }
    }

    /// Pushes events and waits until they are stored.
    pub(super) async fn store(&self, events: Vec<Event>) -> Result<(), NotStored> {
        if events.is_empty() {
            return Ok(());
        }
        let ticket = self.context.inbox.push(events).await.map_err(|_| NotStored)?;
        ticket.await.map_err(|_| NotStored)
    }
}
