//! What may go wrong, on demand: faults of calls and of delivery, keys, consent, subscriptions; and forged requests.

use std::sync::Arc;

use anyhow::Context as _;
use serde_json::Value;

use super::control::Control;
use super::delivery::{Feed, Patience, Postbox};
use super::faults::Fault;
use super::limits::Limits;
use super::world::CONSENT;
use crate::launch::http_client;

impl Control {
    /// What is allowed how often.
    pub fn set_limits(&self, limits: Limits) {
        self.state().limits = limits;
    }

    /// The largest activity taken, in bytes of JSON without the pictures in it; 100 KiB at first.
    pub fn set_largest(&self, bytes: usize) {
        self.state().largest = bytes;
    }

    /// The next `count` calls of an operation (or of all that begin so, such as `connector`; of any, if it is empty)
    /// fail like this.
    pub fn fail_next(&self, operation: &str, fault: Fault, count: u64) {
        self.shared.faults().plan(operation, fault, count, 1);
    }

    /// Every `n`th call of an operation fails like this, until [`Control::heal`].
    pub fn fail_every(&self, operation: &str, fault: Fault, n: u64) {
        self.shared.faults().plan(operation, fault, u64::MAX, n);
    }

    /// No call fails any more.
    pub fn heal(&self) {
        self.shared.faults().clear();
    }

    fn with_postbox(&self, act: impl FnOnce(&Arc<Postbox>)) {
        if let Some(postbox) = self.postbox() {
            act(&postbox);
        }
    }

    /// When activities and notifications come again.
    pub fn set_patience(&self, patience: Patience) {
        self.with_postbox(|postbox| postbox.set_patience(patience));
    }

    /// The next `count` never come; history has what they told.
    pub fn lose_next(&self, feed: Feed, count: u64) {
        self.with_postbox(|postbox| postbox.lose_next(feed, count));
    }

    /// The next `count` come twice.
    pub fn double_next(&self, feed: Feed, count: u64) {
        self.with_postbox(|postbox| postbox.double_next(feed, count));
    }

    /// The next `count` come in reverse, once all are there.
    pub fn shuffle_next(&self, feed: Feed, count: usize) {
        self.with_postbox(|postbox| postbox.shuffle_next(feed, count));
    }

    /// From now on so many of a hundred are lost, and so many doubled, the same in every run; 0 and 0 end it.
    pub fn spoil(&self, feed: Feed, lost: u64, doubled: u64) {
        self.with_postbox(|postbox| postbox.spoil(feed, lost, doubled));
    }

    /// Nothing is sent to the app until this is taken back; then all of it is.
    pub fn pause(&self, paused: bool) {
        self.with_postbox(|postbox| postbox.pause(paused));
    }

    // ---- consent

    /// Gives or takes a permission, such as `ChannelMessage.Read.Group`.
    pub fn set_consent(&self, permission: &str, given: bool) {
        let id = &self.app.app_id;
        if let Some(one) = self.state().apps.iter_mut().find(|one| one.app.app_id == *id) {
            if given {
                one.consent.insert(permission.to_owned());
            } else {
                one.consent.remove(permission);
            }
        }
    }

    /// The permissions that an app begins with.
    pub fn usual_consent() -> &'static [&'static str] {
        CONSENT
    }

    /// All tokens that the app has are worth nothing from now on; it may ask for new ones.
    pub fn expire_tokens(&self) {
        self.state().tokens.values_mut().for_each(|token| token.until = 0);
    }

    /// The app has another secret from now on, which is returned. The stand-in's own [`Control::app`] keeps the old.
    pub fn renew_secret(&self) -> String {
        let mut state = self.state();
        let secret = state.ids.secret("secret");
        let id = &self.app.app_id;
        if let Some(one) = state.apps.iter_mut().find(|one| one.app.app_id == *id) {
            one.app.secret.clone_from(&secret);
        }
        secret
    }

    // ---- subscriptions

    /// All subscriptions end at once, without a word.
    pub fn expire_subscriptions(&self) {
        self.state().subscriptions.clear();
    }

    /// All subscribers are told `reauthorizationRequired`, and nothing else until they renew.
    pub fn ask_reauthorization(&self) {
        let mut state = self.state();
        state.tell_lifecycle("reauthorizationRequired");
        state.subscriptions.values_mut().for_each(|one| one.suspended = true);
    }

    /// All subscribers are told `subscriptionRemoved`, and it is so.
    pub fn remove_subscriptions(&self) {
        let mut state = self.state();
        state.tell_lifecycle("subscriptionRemoved");
        state.subscriptions.clear();
    }

    // ---- keys, tokens and forgeries

    /// Another key signs from now on; the last one stays published if `keep_old`, for tokens that are underway.
    ///
    /// # Errors
    ///
    /// When no key can be made.
    pub fn rotate_keys(&self, keep_old: bool) -> anyhow::Result<()> {
        self.state().keys.rotate(usize::from(keep_old))
    }

    /// For which channels the signing key vouches from now on; at first `msteams` is among them.
    pub fn endorse(&self, endorsements: &[&str]) {
        self.state().keys.endorse(endorsements);
    }

    /// The claims in the token of an activity for the app; as they are or changed, for [`Control::sign`].
    pub fn claims(&self) -> Value {
        self.state().claims(&self.app)
    }

    /// A token with these claims. `header` adds to or replaces what stands in its header.
    ///
    /// # Errors
    ///
    /// When it cannot be signed.
    pub fn sign(&self, header: &Value, claims: &Value) -> anyhow::Result<String> {
        self.state().keys.sign(header, claims).context("no key")
    }

    /// The same by a key that nobody can check.
    ///
    /// # Errors
    ///
    /// When it cannot be signed.
    pub fn sign_unpublished(&self, header: &Value, claims: &Value) -> anyhow::Result<String> {
        self.state().keys.sign_unpublished(header, claims).context("no key")
    }

    /// The activity by which the app's bot is told of a message.
    pub fn activity(&self, channel: &str, id: u64) -> Option<Value> {
        let state = self.state();
        let channel = state.channels.get(channel)?;
        Some(state.view_activity(&self.app, channel, channel.messages.get(&id)?))
    }

    /// Sends the bot any body with any value of `Authorization`, once: the status it answers.
    ///
    /// # Errors
    ///
    /// When it has no endpoint or does not answer.
    pub async fn send(&self, body: &Value, authorization: Option<&str>) -> anyhow::Result<u16> {
        let endpoint = self
            .state()
            .app_by_id(&self.app.app_id)
            .and_then(|one| one.endpoint.clone());
        let mut request = http_client()?.post(endpoint.context("the bot has no endpoint")?);
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        let request = request
            .header("content-type", "application/json; charset=utf-8")
            .body(body.to_string());
        Ok(request.send().await?.status().as_u16())
    }

    /// Tells the bot an activity of any shape, as all others.
    pub fn emit(&self, activity: &Value) {
        let mut state = self.state();
        let index = state.apps.iter().position(|one| one.app.app_id == self.app.app_id);
        let lane = activity["conversation"]["id"].as_str().unwrap_or_default().to_owned();
        if let Some(index) = index {
            state.post(index, &lane, activity);
        }
    }
}
