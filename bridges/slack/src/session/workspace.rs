//! What concerns the session itself or the whole workspace rather than one channel: tokens, profiles, names, ids, and events of
//! kinds that are not known here.

use std::sync::Arc;

use viaduct_bridge::Connection;
use viaduct_model::{Event, Membership};

use super::channels::{Channel, Spelled, spelled};
use super::intake::{Batch, Run, scene};
use super::{Slack, locked};
use crate::client::payload;
use crate::client::socket::Incoming;
use crate::telemetry;

/// How many events of unknown kinds are kept.
const KEPT: u64 = 64;
/// The largest event that is kept, in bytes.
const KEPT_BYTES: usize = 12 * 1024;

/// Events that need nothing to be done here: known, and of no interest to the other sides.
#[rustfmt::skip]
const QUIET: [&str; 68] = [
    "app_mention", "app_home_opened", "app_requested", "app_rate_limited", "call_rejected", "channel_archive",
    "channel_created", "channel_history_changed", "channel_unarchive", "dnd_updated", "dnd_updated_user",
    "email_domain_changed", "file_change", "file_created", "file_deleted", "file_public", "file_shared",
    "file_unshared", "goodbye", "grid_migration_finished", "grid_migration_started", "group_archive", "group_close",
    "group_history_changed", "group_open", "group_unarchive", "im_close", "im_created", "im_history_changed",
    "im_open", "invite_requested", "link_shared", "resources_added", "resources_removed", "scope_denied",
    "scope_granted", "star_added", "star_removed", "subteam_members_changed", "subteam_self_added",
    "subteam_self_removed", "team_access_granted", "team_access_revoked", "team_domain_change", "team_rename",
    "user_huddle_changed", "user_resource_denied", "user_resource_granted", "user_resource_removed",
    "user_status_changed", "workflow_deleted", "workflow_published", "workflow_step_deleted", "workflow_step_execute",
    "workflow_unpublished", "message_metadata_posted", "message_metadata_updated", "message_metadata_deleted",
    "shared_channel_invite_received", "shared_channel_invite_accepted", "shared_channel_invite_approved",
    "shared_channel_invite_declined", "shared_channel_invite_requested", "function_executed",
    "assistant_thread_started", "assistant_thread_context_changed", "app_installed", "app_deleted",
];

impl Slack {
    /// What concerns the session itself.
    pub(super) async fn for_session(self: &Arc<Self>, run: &Run, incoming: Incoming) {
        let Some(callback) = &incoming.callback else {
            self.keep(incoming).await;
            return;
        };
        let Some(event) = callback.event.as_deref() else {
            if callback.kind == "app_rate_limited" {
                self.review_all(run);
                incoming.ack.send();
            } else {
                self.keep(incoming).await;
            }
            return;
        };
        if event.kind == "member_joined_channel" {
            let id = event.place().map(str::to_owned);
            return self.app_joined(run, id.unwrap_or_default(), incoming).await;
        }
        let events = match event.kind.as_str() {
            "app_uninstalled" => {
                self.lose_auth("the app was uninstalled from the workspace");
                Vec::new()
            }
            "tokens_revoked" => {
                self.tokens_revoked(event);
                Vec::new()
            }
            "user_change" | "user_profile_changed" | "team_join" => self.tell_profile(event),
            "emoji_changed" => {
                let slack = Arc::clone(self);
                run.spawn(async move { slack.learn_emoji().await });
                Vec::new()
            }
            "subteam_created" | "subteam_updated" => {
                if let Some(group) = &event.subteam {
                    self.people.learn_group(group);
                }
                Vec::new()
            }
            "channel_rename" | "group_rename" => {
                if let (Some(channel), Some(named)) = (
                    event.place().and_then(|id| self.channels.with_id(id)),
                    event.channel.whole(),
                ) {
                    channel.known().name.clone_from(&named.name);
                }
                Vec::new()
            }
            "channel_id_changed" => {
                if let (Some(old), Some(new)) = (&event.old_channel_id, &event.new_channel_id)
                    && let Some(channel) = self.channels.with_id(old)
                {
                    channel.known().id = Some(new.clone());
                    self.channels.identify(&channel, new);
                    self.keep_ids(&channel).await;
                }
                Vec::new()
            }
            kind if QUIET.contains(&kind) => Vec::new(),
            _ => {
                self.keep(incoming).await;
                return;
            }
        };
        let batch = Batch {
            events,
            acks: vec![incoming.ack],
        };
        self.hand_over(run, batch).await.ok();
    }

    /// The app came into a channel that it did not see before: if it is mirrored, it begins to work.
    async fn app_joined(self: &Arc<Self>, run: &Run, id: String, incoming: Incoming) {
        let Ok(conversation) = self.api.conversation(&id).await else {
            return incoming.ack.send();
        };
        let found = self.channels.all.iter().find(|channel| {
            let is_meant = match spelled(&channel.spelling) {
                Spelled::Id(own) => own == id,
                Spelled::Name(name) => name == conversation.name,
            };
            is_meant && channel.usable().is_err() && !channel.known().ended
        });
        let Some(channel) = found.cloned() else {
            return incoming.ack.send();
        };
        channel.known().id = Some(id.clone());
        self.channels.identify(&channel, &id);
        if channel.shut(Some(incoming)) {
            run.spawn(Arc::clone(self).work_off(run.clone(), channel, false));
        }
    }

    /// Tokens were revoked: that of the app, or those of people who logged in.
    fn tokens_revoked(&self, event: &payload::Message) {
        let revoked = event.tokens.clone().unwrap_or_default();
        let own = self.me().is_some_and(|me| revoked.bot.contains(&me.user));
        if own || revoked.oauth.is_empty() {
            self.lose_auth("the app's tokens were revoked");
        }
        for login in locked(&self.logins).values_mut() {
            if login.user.as_ref().is_some_and(|user| revoked.oauth.contains(user)) {
                login.trouble = Some("the token was revoked".to_owned());
            }
        }
    }

    /// Somebody's profile changed: where they are known to be, their new name is told.
    fn tell_profile(&self, event: &payload::Message) -> Vec<Event> {
        let (Some(me), Some(user)) = (self.me(), event.user.whole()) else {
            return Vec::new();
        };
        let Some((before, now)) = self.people.learn(&me, user) else {
            return Vec::new();
        };
        if !self.section.membership {
            return Vec::new();
        }
        let at = event.event_ts.clone().unwrap_or_default();
        let there = self
            .channels
            .all
            .iter()
            .filter(|channel| channel.known().members.contains(&user.id));
        there
            .filter_map(|channel| {
                let change = Membership::Rename {
                    from: before.name.clone(),
                };
                self.membership(scene(channel, event), now.clone(), change, &at)
            })
            .collect()
    }

    /// Keeps an event of an unknown kind, as it came, before it is acknowledged.
    async fn keep(&self, incoming: Incoming) {
        telemetry::unknown_event();
        let number = self.kept.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % KEPT;
        let value: String = incoming.raw.chars().take(KEPT_BYTES / 4).collect();
        tracing::debug!(network = %self.context.network, "An event of an unknown kind was kept.");
        let kept = self
            .context
            .state
            .put(vec![(format!("unknown/{number:02}"), Some(value.into_bytes()))])
            .await;
        match kept {
            Ok(()) => incoming.ack.send(),
            Err(error) => tracing::warn!(%error, "An event of an unknown kind could not be kept."),
        }
    }

    /// Reads the history of all channels and direct chats once more.
    pub(super) fn review_all(self: &Arc<Self>, run: &Run) {
        for channel in &self.channels.all {
            if channel.usable().is_ok() && channel.review() {
                run.spawn(Arc::clone(self).work_off(run.clone(), Arc::clone(channel), false));
            }
        }
        if self.direct_gate.review() {
            run.spawn(Arc::clone(self).work_off(run.clone(), Arc::clone(&self.direct_gate), false));
        }
    }

    /// Tells the hub how a channel is.
    pub(super) fn report_channel(&self, channel: &Channel) {
        let connection = match channel.usable() {
            Ok(_) => Connection::Up,
            Err(reason) => Connection::AuthLost(reason),
        };
        self.context.inbox.report(Some(&channel.spelling), connection);
        telemetry::channels(
            self.context.network.as_str(),
            self.channels.usable(),
            self.channels.all.len(),
        );
    }
}

/// Whether an event of this kind concerns the session itself.
pub(super) fn is_for_session(kind: &str) -> bool {
    matches!(
        kind,
        "tokens_revoked"
            | "app_uninstalled"
            | "user_change"
            | "user_profile_changed"
            | "team_join"
            | "emoji_changed"
            | "subteam_created"
            | "subteam_updated"
            | "channel_rename"
            | "group_rename"
            | "channel_id_changed"
    ) || QUIET.contains(&kind)
}
