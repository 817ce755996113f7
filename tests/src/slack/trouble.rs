//! What may go wrong, on demand: faults of calls and of delivery, tokens that die, floods.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use super::control::Control;
use super::delivery::{self, Delivery, Endpoint, Patience, Which};
use super::emit::Audience;
use super::faults::Fault;
use super::limits::Limits;
use super::speech::Draft;
use super::world::SCOPES;

/// How a flood went.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Flood {
    /// Events emitted.
    pub events: u64,
    /// From the first until the last was acknowledged.
    pub elapsed: Duration,
}

impl Flood {
    /// Events a second.
    pub fn rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a figure to be read")]
        let events = self.events as f64;
        events / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }
}

impl Control {
    /// What is allowed how often.
    pub fn set_limits(&self, limits: Limits) {
        self.state().limits = limits;
    }

    /// The next `count` calls of a method (of any, if it is empty) fail like this. `upload` and `download` are the
    /// places of files, `link` that of sockets.
    pub fn fail_next(&self, method: &str, fault: Fault, count: u64) {
        self.shared.faults().next(method, fault, count);
    }

    /// Every `n`th call of a method (of any, if it is empty) fails like this, until [`Control::heal`].
    pub fn fail_every(&self, method: &str, fault: Fault, n: u64) {
        self.shared.faults().every(method, fault, n);
    }

    /// No call fails any more.
    pub fn heal(&self) {
        self.shared.faults().clear();
    }

    fn with_delivery(&self, act: impl FnOnce(&Arc<Delivery>)) {
        if let Some(delivery) = self.delivery() {
            act(&delivery);
        }
    }

    /// When events come again.
    pub fn set_patience(&self, patience: Patience) {
        self.with_delivery(|delivery| delivery.set_patience(patience));
    }

    /// The next `count` events come twice.
    pub fn duplicate_next(&self, count: u64) {
        self.with_delivery(|delivery| delivery.duplicate_next(count));
    }

    /// The next `count` events never come; history has what they told.
    pub fn lose_next(&self, count: u64) {
        self.with_delivery(|delivery| delivery.lose_next(count));
    }

    /// The next `count` acknowledgements are not heard.
    pub fn ignore_acks(&self, count: u64) {
        self.with_delivery(|delivery| delivery.ignore_acks(count));
    }

    /// The next `count` events come in reverse, once all are there.
    pub fn shuffle_next(&self, count: usize) {
        self.with_delivery(|delivery| delivery.shuffle_next(count));
    }

    /// Sockets are told that they will be renewed, and closed after `grace`.
    pub fn refresh(&self, which: Which, grace: Duration) {
        self.with_delivery(|delivery| delivery.refresh(which, "refresh_requested", grace));
    }

    /// Socket Mode is turned off: sockets are told so and closed.
    pub fn disable_link(&self) {
        self.with_delivery(|delivery| delivery.refresh(Which::All, "link_disabled", Duration::ZERO));
    }

    /// Sockets break, without a word.
    pub fn break_sockets(&self, which: Which) {
        self.with_delivery(|delivery| delivery.break_sockets(which));
    }

    /// Sockets stay open but fall silent, as behind a router that forgot them: no events, no pongs.
    pub fn freeze_sockets(&self, which: Which) {
        self.with_delivery(|delivery| delivery.freeze_sockets(which));
    }

    /// From now on the stand-in gives out addresses below this one, such as `https://localhost:4400`, where something
    /// stands that passes all on to [`Control::url`].
    pub fn behind(&self, base: &str) {
        base.trim_end_matches('/').clone_into(&mut self.state().base);
    }

    /// All addresses of files given out so far answer no more.
    pub fn expire_addresses(&self) {
        self.state().files.values_mut().for_each(|file| file.expired = true);
    }

    /// A token is worth nothing from now on.
    pub fn revoke(&self, token: &str) {
        self.state().revoke(token);
    }

    /// The workspace removes the app: it is told, its tokens die, its sockets close.
    pub fn uninstall(&self) {
        self.state().uninstall(0);
    }

    /// What the bot's token may do from now on.
    pub fn set_scopes(&self, scopes: &[&str]) {
        self.state().set_scopes(&self.app.bot_token, scopes);
    }

    /// The scopes that the app begins with.
    pub fn usual_scopes() -> &'static [&'static str] {
        SCOPES
    }

    /// The events that the app is told from now on, such as `message.channels`.
    pub fn subscribe(&self, events: &[&str]) {
        if let Some(install) = self.state().installs.first_mut() {
            install.subscribed = Some(events.iter().map(|event| (*event).to_owned()).collect());
        }
    }

    /// Tells the app an event of any shape.
    pub fn emit(&self, event: &Value) {
        self.state().emit(Audience::App(0), event);
    }

    /// Tells the app a whole payload as it is, such as one of the published samples.
    pub fn emit_payload(&self, payload: &Value) {
        self.with_delivery(|delivery| delivery.push(payload.to_string().into()));
    }

    /// From now on events are posted to this address, `skew` seconds wrong in the signed time, after it echoed a
    /// challenge.
    ///
    /// # Errors
    ///
    /// When it does not echo the challenge; events go on as before.
    pub async fn deliver_to(&self, url: &str, skew: i64) -> anyhow::Result<()> {
        let endpoint = Endpoint {
            url: url.to_owned(),
            secret: self.app.signing_secret.clone(),
            skew: 0,
        };
        delivery::verify(&endpoint, &self.app.verification_token).await?;
        self.with_delivery(|delivery| delivery.set_endpoint(Some(Endpoint { skew, ..endpoint })));
        Ok(())
    }

    /// Events go to sockets again.
    pub fn deliver_to_sockets(&self) {
        self.with_delivery(|delivery| delivery.set_endpoint(None));
    }

    /// `count` messages as fast as they are acknowledged, with at most `window` underway, by `users` in turn. The
    /// texts are `PREFIX 0`, `PREFIX 1` and so on, and history has them.
    ///
    /// # Errors
    ///
    /// When nothing is acknowledged for a minute.
    pub async fn flood(
        &self,
        channel: &str,
        users: &[&str],
        prefix: &str,
        count: u64,
        window: usize,
    ) -> anyhow::Result<Flood> {
        let Some(delivery) = self.delivery() else {
            anyhow::bail!("there is no app")
        };
        let begun = Instant::now();
        let mut said = 0;
        let chunk = u64::try_from(window / 2).unwrap_or_default().clamp(1, 128);
        while said < count {
            tokio::time::timeout(Duration::from_mins(1), delivery.room(window)).await?;
            let mut state = self.state();
            for number in said..count.min(said + chunk) {
                let turn = usize::try_from(number).unwrap_or_default() % users.len().max(1);
                let user = users.get(turn).copied().unwrap_or_default();
                state.person_says(
                    channel,
                    user,
                    &format!("{prefix} {number}"),
                    Draft {
                        plain: true,
                        ..Draft::default()
                    },
                );
            }
            said = count.min(said + chunk);
        }
        tokio::time::timeout(Duration::from_mins(1), delivery.room(1)).await?;
        Ok(Flood {
            events: count,
            elapsed: begun.elapsed(),
        })
    }
}
