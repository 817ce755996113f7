//! One run of the session: credentials, channels, the listener, sweeps, until it ends.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio_util::task::TaskTracker;
use viaduct_bridge::{Connection, SessionError};

use super::channels::{Channel, Location, Memory, Spelled, spelled};
use super::direct::Chat;
use super::sweep::Swept;
use super::{Teams, locked};
use crate::client::error::CallError;
use crate::client::json;
use crate::client::sealed::Seal;
use crate::client::wire::Audience;
use crate::telemetry;

/// How long the tasks of a run may take to end.
const ENDING: Duration = Duration::from_secs(3);
/// After how long a sweep that failed is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// In how many teams a channel is searched that is spelled by its id.
const SEARCHED: usize = 200;

fn ended(error: &CallError, what: &str) -> SessionError {
    let reason = format!("{what}: {error}");
    if error.is_auth() {
        SessionError::Auth(reason)
    } else {
        SessionError::Connection(reason)
    }
}

impl Teams {
    pub(super) async fn run_once(self: Arc<Self>) -> Result<(), SessionError> {
        let tasks = TaskTracker::new();
        let stop = self.context.stop.child_token();
        *locked(&self.running) = stop.clone();
        // Also when the run is thrown away, its tasks end.
        let _ended = stop.clone().drop_guard();
        let result = tokio::select! {
            result = self.work(&tasks, &stop) => result,
            () = self.context.stop.cancelled() => Ok(()),
        };
        stop.cancel();
        tasks.close();
        tokio::time::timeout(ENDING, tasks.wait()).await.ok();
        self.keep_memories().await;
        telemetry::usable(self.context.network.as_str(), false);
        result
    }

    async fn work(
        self: &Arc<Self>,
        tasks: &TaskTracker,
        stop: &tokio_util::sync::CancellationToken,
    ) -> Result<(), SessionError> {
        let token = self.wire.token(Audience::Connector).await;
        token.map_err(|error| ended(&error, "the token for the connector"))?;
        *locked(&self.auth_lost) = None;
        self.find_channels()
            .await
            .map_err(|error| ended(&error, "the list of channels"))?;
        self.forgive_logins();
        self.log_people_in().await;
        self.load_chats().await;
        for channel in &self.channels {
            let recalled = self.recall(&channel.spelling).await;
            recalled.map_err(|error| SessionError::Connection(error.reason))?;
        }
        if let Some(first) = self.channels.first() {
            self.reach(first).await.map_err(SessionError::Connection)?;
        }
        // What is live waits behind what was missed.
        let chats = self.close_chats().await;
        let mut gates = Vec::new();
        for channel in &self.channels {
            gates.push((Arc::clone(channel), Arc::clone(&channel.gate).lock_owned().await));
        }
        let take = Arc::clone(self) as Arc<dyn crate::client::door::Take>;
        let section = &self.section;
        let entered = self
            .doors
            .enter(section.listen, &section.path, &section.app_id, take)
            .await;
        let _entry = entered.map_err(SessionError::Connection)?;
        *locked(&self.down) = None;
        self.context.inbox.report(None, Connection::Up);
        telemetry::usable(self.context.network.as_str(), true);
        let (teams, stopped) = (Arc::clone(self), stop.clone());
        let mut sweeping = tasks.spawn(async move {
            tokio::select! {
                reason = teams.keep_sweeping(gates, chats) => reason,
                () = stopped.cancelled() => "the session is ending".to_owned(),
            }
        });
        let seal = Arc::new(Seal::new().map_err(SessionError::Connection)?);
        *locked(&self.seal) = Some(Arc::clone(&seal));
        let (teams, stopped) = (Arc::clone(self), stop.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = teams.keep_subscribed(seal) => {}
                () = stopped.cancelled() => {}
            }
        });
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                ended = &mut sweeping => {
                    if stop.is_cancelled() {
                        return Ok(());
                    }
                    return Err(SessionError::Connection(ended.unwrap_or_else(|error| error.to_string())));
                }
                () = self.auth_changed.notified() => {
                    if let Some(reason) = locked(&self.auth_lost).clone() {
                        return Err(SessionError::Auth(reason));
                    }
                }
            }
        }
    }

    /// Catches up with every channel, then sweeps them at intervals, and sooner where a delivery met silence. Ends with the
    /// reason when Microsoft cannot be reached.
    async fn keep_sweeping(
        self: Arc<Self>,
        gates: Vec<(Arc<Channel>, OwnedMutexGuard<()>)>,
        chats: Vec<(Arc<Chat>, OwnedMutexGuard<()>)>,
    ) -> String {
        let mut good = true;
        self.sweep_closed(chats).await;
        for (channel, gate) in gates {
            good &= match self.catch_up(&channel).await {
                Swept::Unreachable => match self.reach(&channel).await {
                    Ok(()) => false,
                    Err(reason) => return reason,
                },
                swept => swept == Swept::Done,
            };
            drop(gate);
            self.report_channel(&channel);
            if let Err(error) = self.tell_members(&channel).await {
                tracing::debug!(%error, "Teams does not tell who is in a channel.");
            }
        }
        loop {
            self.keep_memories().await;
            let pause = Duration::from_secs(self.section.sweep_seconds);
            let pause = if good { pause } else { AGAIN.min(pause) };
            tokio::time::timeout(pause, self.suspicion.notified()).await.ok();
            good = true;
            self.log_people_in().await;
            self.sweep_chats().await;
            for channel in &self.channels {
                if channel.known().location.thread.is_none() && self.find_channel(channel).await.is_err() {
                    good = false;
                    continue;
                }
                self.look_in(channel).await;
                let swept = self.sweep_beside(channel).await;
                if swept == Swept::Unreachable
                    && let Err(reason) = self.reach(channel).await
                {
                    return reason;
                }
                good &= swept == Swept::Done;
            }
        }
    }

    /// Whether the connector can be reached; Graph alone may be away for a while.
    async fn reach(&self, channel: &Channel) -> Result<(), String> {
        let Ok(thread) = channel.usable() else { return Ok(()) };
        match self.wire.members(&self.service(channel), &thread).await {
            Err(error @ (CallError::Unsent(_) | CallError::Unknown(_))) => Err(error.to_string()),
            _ => Ok(()),
        }
    }

    /// Reports how a channel stands.
    pub(super) fn report_channel(&self, channel: &Channel) {
        let connection = match channel.usable() {
            Ok(_) => Connection::Up,
            Err(reason) => Connection::Down(reason),
        };
        self.context.inbox.report(Some(&channel.spelling), connection);
    }

    async fn find_channels(self: &Arc<Self>) -> Result<(), CallError> {
        for channel in &self.channels {
            match self.find_channel(channel).await {
                Ok(()) => {}
                // A missing consent concerns this channel only; the login concerns all.
                Err(error) if error.is_auth() => return Err(error),
                Err(error) => channel.known().trouble = Some(format!("the channel cannot be looked up: {error}")),
            }
        }
        Ok(())
    }

    /// Finds the ids of a channel: remembered, spelled, or searched by the names.
    async fn find_channel(&self, channel: &Channel) -> Result<(), CallError> {
        let key = format!("at/{}", channel.spelling);
        let kept = self.context.state.get(&key).await.ok().flatten();
        let mut location: Location = kept
            .and_then(|kept| serde_json::from_slice(&kept).ok())
            .unwrap_or_default();
        let memory = self
            .context
            .state
            .get(&format!("memory/{}", channel.spelling))
            .await
            .ok()
            .flatten();
        if let Some(memory) = memory.and_then(|memory| serde_json::from_slice::<Memory>(&memory).ok()) {
            let mut known = channel.known();
            if known.memory.told.is_empty() && known.memory.swept.is_none() {
                known.memory = memory;
            }
        }
        let mut searched = Ok(());
        match spelled(&channel.spelling) {
            Some(Spelled::Id(id)) => {
                location.thread = Some(id.to_owned());
                if location.group.is_none() && id.contains("@thread.tacv2") {
                    // Without it the channel is mirrored live; the first activity may tell it too.
                    searched = self.search(None, id, &mut location).await;
                    if searched
                        .as_ref()
                        .is_err_and(|error| matches!(error.status(), 403 | 404))
                    {
                        searched = Ok(());
                    }
                }
            }
            Some(Spelled::Names(team, name)) if location.thread.is_none() => {
                searched = self.search(Some(team), name, &mut location).await;
            }
            _ => {}
        }
        {
            let mut known = channel.known();
            known.trouble = location.thread.is_none().then(|| {
                "there is no such channel, or the app is not installed in its team (or lacks ChannelSettings.Read.Group)"
                    .to_owned()
            });
            known.location = location;
        }
        self.keep_location(channel).await;
        searched
    }

    /// Searches a channel, by its name or id, in the teams that the app may see.
    async fn search(&self, team: Option<&str>, name: &str, location: &mut Location) -> Result<(), CallError> {
        let same = |value: &serde_json::Value, text: &str| {
            [&["displayName"], &["id"]]
                .iter()
                .any(|key| json::text(value, *key).is_some_and(|known| known.eq_ignore_ascii_case(text)))
        };
        let groups: Vec<String> = if let Some(group) = team.filter(|team| crate::config::is_guid(team)) {
            vec![group.to_owned()]
        } else {
            let teams = self.wire.teams().await?;
            let wanted = teams.iter().filter(|found| team.is_none_or(|team| same(found, team)));
            let ids = wanted.filter_map(|found| json::text(found, &["id"]).map(str::to_owned));
            ids.take(SEARCHED).collect()
        };
        for group in groups {
            let channels = match self.wire.channels(&group).await {
                Ok(channels) => channels,
                Err(error) if matches!(error.status(), 403 | 404) => continue,
                Err(error) => return Err(error),
            };
            if let Some(found) = channels.iter().find(|found| same(found, name)) {
                location.thread = json::text(found, &["id"]).map(str::to_owned);
                let name = json::text(found, &["displayName"]).unwrap_or_default();
                name.clone_into(&mut location.name);
                location.group = Some(group);
                return Ok(());
            }
        }
        Ok(())
    }

    /// Remembers where a channel is.
    pub(super) async fn keep_location(&self, channel: &Channel) {
        let value = serde_json::to_vec(&channel.known().location).ok();
        let kept = self
            .context
            .state
            .put(vec![(format!("at/{}", channel.spelling), value)])
            .await;
        if let Err(error) = kept {
            tracing::warn!(%error, "Where a channel is could not be remembered.");
        }
    }

    /// Remembers what was seen lately in channels where that changed.
    pub(super) async fn keep_memories(&self) {
        let mut changes = Vec::new();
        for channel in self.channels.iter().cloned().chain(self.pairs()) {
            let mut known = channel.known();
            if std::mem::take(&mut known.changed)
                && let Ok(value) = serde_json::to_vec(&known.memory)
            {
                changes.push((format!("memory/{}", channel.spelling), Some(value)));
            }
        }
        if !changes.is_empty()
            && let Err(error) = self.context.state.put(changes).await
        {
            tracing::warn!(%error, "What was seen lately could not be remembered.");
        }
    }
}
