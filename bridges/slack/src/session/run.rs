//! One run of the session: who we are, which channels there are, sockets, what was missed, until it ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use slack_morphism::SlackApiTokenType;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::task::TaskTracker;
use viaduct_bridge::{Connection, SessionError};

use super::channels::Channel;
use super::intake::Run;
use super::{Me, Slack, locked};
use crate::client::error::CallError;
use crate::client::events::{Door, serve};
use crate::client::socket::{Arrival, Sockets, Status};
use crate::telemetry;

/// How many events wait between the sockets and the intake.
const INCOMING: usize = 512;
/// How long the first socket may take.
const FIRST_SOCKET: Duration = Duration::from_mins(1);
/// How often what is remembered of the channels is kept.
const KEEP: Duration = Duration::from_secs(20);
/// How long the tasks of a run may take to end.
const ENDING: Duration = Duration::from_secs(3);
fn ended(error: &CallError, what: &str) -> SessionError {
    let reason = format!("{what}: {error}");
    if error.is_auth() || matches!(error.code(), Some("missing_scope")) {
        SessionError::Auth(reason)
    } else {
        SessionError::Connection(reason)
    }
}

impl Slack {
    pub(super) async fn run_once(self: Arc<Self>) -> Result<(), SessionError> {
        let stop = self.context.stop.child_token();
        let run = Run {
            stop: stop.clone(),
            tasks: TaskTracker::new(),
        };
        let result = tokio::select! {
            result = self.work(&run) => result,
            () = self.context.stop.cancelled() => Ok(()),
        };
        stop.cancel();
        run.tasks.close();
        tokio::time::timeout(ENDING, run.tasks.wait()).await.ok();
        self.keep_memories().await;
        telemetry::usable(self.context.network.as_str(), false);
        // Whatever fell over while the session was ending is no trouble.
        if self.context.stop.is_cancelled() {
            Ok(())
        } else {
            result
        }
    }

    async fn work(self: &Arc<Self>, run: &Run) -> Result<(), SessionError> {
        self.began.store(
            self.context.clock.now().as_millis().saturating_mul(1000),
            Ordering::Relaxed,
        );
        let me = self
            .introduce()
            .await
            .map_err(|error| ended(&error, "the bot's token"))?;
        *locked(&self.auth_lost) = None;
        *locked(&self.me) = Some(Arc::new(me));
        self.log_people_in().await;
        self.load_directs().await;
        for channel in self.channels.all.iter().chain([&self.direct_gate]) {
            channel.reset();
        }
        self.find_channels()
            .await
            .map_err(|error| ended(&error, "the list of channels"))?;
        for channel in self.channels.all.iter().filter(|channel| channel.usable().is_err()) {
            channel.open();
        }
        let (sender, receiver) = mpsc::channel(INCOMING);
        let (status, mut sockets) = watch::channel(Status::default());
        let (asked, questions) = watch::channel(0);
        let mut listener = self.listen(run, sender, status, questions).await?;
        self.first_socket(&mut sockets).await?;
        if let Some(app) = sockets.borrow().app.clone()
            && let Some(me) = self.me()
        {
            *locked(&self.me) = Some(Arc::new(Me {
                app: Some(app),
                ..Me::clone(&me)
            }));
        }
        run.spawn(Arc::clone(self).take(run.clone(), receiver, sockets.clone(), asked));
        // What was lost up to here is read now.
        let mut losses = sockets.borrow().losses;
        for channel in &self.channels.all {
            self.report_channel(channel);
            if channel.usable().is_ok() {
                run.spawn(Arc::clone(self).work_off(run.clone(), Arc::clone(channel), true));
            }
        }
        run.spawn(Arc::clone(self).work_off(run.clone(), Arc::clone(&self.direct_gate), true));
        let slack = Arc::clone(self);
        run.spawn(async move { slack.get_to_know().await });
        self.context.inbox.report(None, Connection::Up);
        telemetry::usable(self.context.network.as_str(), true);
        let mut keep = tokio::time::interval(KEEP);
        loop {
            tokio::select! {
                () = self.auth_changed.notified() => {
                    if let Some(reason) = locked(&self.auth_lost).clone() {
                        return Err(SessionError::Auth(reason));
                    }
                }
                changed = sockets.changed(), if self.section.events.is_none() => {
                    if changed.is_err() {
                        return Err(SessionError::Connection("the sockets ended".to_owned()));
                    }
                    let status = sockets.borrow_and_update().clone();
                    if let Some(reason) = status.refused {
                        return Err(SessionError::Auth(reason));
                    }
                    // Nothing is kept for us while no socket is open: what is missed is read when one is.
                    if status.open == 0 {
                        return Err(SessionError::Connection(format!("no socket is open: {}", status.trouble)));
                    }
                    if status.losses != losses {
                        losses = status.losses;
                        tracing::info!(losses, reason = status.trouble, "Events may be lost: the history is read again.");
                        self.review_all(run);
                    }
                }
                ended = &mut listener, if self.section.events.is_some() => {
                    let reason = ended.ok().and_then(Result::err).unwrap_or_else(|| "it ended".to_owned());
                    return Err(SessionError::Connection(reason));
                }
                _ = keep.tick() => self.keep_memories().await,
            }
        }
    }

    /// Opens sockets, or the address for signed requests.
    async fn listen(
        self: &Arc<Self>,
        run: &Run,
        incoming: mpsc::Sender<Arrival>,
        status: watch::Sender<Status>,
        asked: watch::Receiver<u64>,
    ) -> Result<tokio::task::JoinHandle<Result<(), String>>, SessionError> {
        if let (Some(events), Some(secret)) = (&self.section.events, &self.secrets.signing) {
            let listener = TcpListener::bind(events.listen).await;
            let listener = listener
                .map_err(|error| SessionError::Connection(format!("cannot listen on {}: {error}", events.listen)))?;
            let door = Door {
                secret: secret.clone(),
                incoming,
                clock: Arc::clone(&self.context.clock),
            };
            let (path, stop) = (events.path.clone(), run.stop.clone());
            status.send_modify(|status| status.open = 1);
            return Ok(run.tasks.spawn(async move { serve(listener, &path, door, stop).await }));
        }
        let token = self.secrets.app.as_ref();
        let token = token.ok_or_else(|| SessionError::Auth("there is no app token".to_owned()))?;
        let sockets = Arc::new(Sockets {
            api: self.api.with_token(token, SlackApiTokenType::App),
            dialer: self.dialer.clone(),
            hosts: self.hosts.clone(),
            incoming,
            asked,
            status,
            entropy: Arc::clone(&self.context.entropy),
            stop: run.stop.clone(),
            network: self.context.network.to_string(),
        });
        for _ in 0..self.section.sockets {
            run.spawn(Arc::clone(&sockets).keep());
        }
        let stop = run.stop.clone();
        Ok(run.tasks.spawn(async move {
            stop.cancelled().await;
            Ok(())
        }))
    }

    async fn first_socket(&self, sockets: &mut watch::Receiver<Status>) -> Result<(), SessionError> {
        let wait = sockets.wait_for(|status| status.open > 0 || status.refused.is_some() || !status.trouble.is_empty());
        let status = match tokio::time::timeout(FIRST_SOCKET, wait).await {
            Ok(Ok(status)) => status.clone(),
            _ => return Err(SessionError::Connection("no socket could be opened in time".to_owned())),
        };
        match status.refused {
            Some(reason) => Err(SessionError::Auth(reason)),
            None if status.open > 0 => Ok(()),
            None => Err(SessionError::Connection(status.trouble)),
        }
    }

    /// Finds out who has which token.
    async fn log_people_in(&self) {
        let logins: Vec<_> = locked(&self.logins)
            .iter()
            .map(|(user, login)| (user.clone(), login.api.clone()))
            .collect();
        for (user, api) in logins {
            let identity = api.identity().await;
            if let Some(login) = locked(&self.logins).get_mut(&user) {
                match identity {
                    Ok(identity) => {
                        login.user = Some(identity.user_id);
                        login.trouble = None;
                    }
                    Err(error) => {
                        tracing::warn!(user, %error, "Somebody's own token cannot be used.");
                        login.trouble = Some(error.to_string());
                    }
                }
            }
        }
    }

    /// Remembers a channel's id.
    pub(super) async fn keep_ids(&self, channel: &Channel) {
        let id = channel.known().id.clone();
        let key = format!("id/{}", channel.spelling);
        if let Err(error) = self.context.state.put(vec![(key, id.map(String::into_bytes))]).await {
            tracing::warn!(%error, "A channel's id could not be remembered.");
        }
    }

    /// Remembers what was seen lately in channels where that changed.
    pub(super) async fn keep_memories(&self) {
        let mut changes = Vec::new();
        for channel in &self.channels.all {
            let rows = channel.known().to_keep();
            let rows = rows
                .into_iter()
                .map(|(name, row)| (format!("{name}/{}", channel.spelling), Some(row)));
            changes.extend(rows);
        }
        if !changes.is_empty()
            && let Err(error) = self.context.state.put(changes).await
        {
            tracing::warn!(%error, "What was seen lately could not be remembered.");
        }
    }
}
