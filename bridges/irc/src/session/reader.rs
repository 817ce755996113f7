//! The reader: connects, logs in, joins, comes back.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use irc_proto::Message;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{info, instrument, warn};
use viaduct_bridge::{Connection as Standing, InboxClosed, SessionError};
use viaduct_model::ChannelId;

use super::identify::{self, Verdict};
use super::{Shared, incoming, locked};
use crate::client::line::message;
use crate::client::{ConnectError, Connection};
use crate::metrics;

/// How long lines may take to go out when the session ends.
const PATIENCE: Duration = Duration::from_secs(2);
/// A connection that held so long has earned a quick retry.
const STABLE: Duration = Duration::from_mins(1);
/// How often things are looked after.
const TICK: Duration = Duration::from_secs(1);
/// The longest pause between attempts to join a channel.
const REJOIN_LIMIT: Duration = Duration::from_mins(5);

/// Attempts to come back to channels.
#[derive(Default)]
pub(super) struct Rejoin {
    due: HashMap<ChannelId, (Instant, Duration)>,
}

impl Rejoin {
    /// A channel did not let us in, or put us out: again later, each time later.
    pub(super) fn later(&mut self, channel: &ChannelId) {
        let pause = self
            .due
            .get(channel)
            .map_or(Duration::from_secs(5), |(_, pause)| (*pause * 2).min(REJOIN_LIMIT));
        self.due.insert(channel.clone(), (Instant::now() + pause, pause));
    }

    /// We are in.
    pub(super) fn joined(&mut self, channel: &ChannelId) {
        self.due.remove(channel);
    }

    /// Something changed that may open closed doors: all are tried at once.
    fn all_now(&mut self) {
        for (at, _) in self.due.values_mut() {
            *at = Instant::now();
        }
    }

    /// Those that it is time for, of those still to be in.
    fn take_due(&mut self, channels: &[ChannelId]) -> Vec<ChannelId> {
        self.due.retain(|channel, _| channels.contains(channel));
        let now = Instant::now();
        let due = self.due.iter_mut().filter(|(_, (at, _))| *at <= now);
        due.map(|(channel, (at, pause))| {
            // Counts as tried; when no answer comes it is tried again.
            *at = now + *pause + Duration::from_secs(30);
            channel.clone()
        })
        .collect()
    }
}

/// Runs until told to stop.
#[instrument(skip_all, fields(network = %shared.context.network))]
pub(super) async fn run(shared: &Arc<Shared>) -> Result<(), SessionError> {
    let stop = shared.context.stop.clone();
    let ident = shared
        .ident
        .serve(shared.section.ident.as_ref(), &stop)
        .await
        .map_err(SessionError::Connection)?;
    shared.recall_nicks().await;
    let mut failures = 0_u32;
    let outcome = loop {
        report(shared, Standing::Connecting);
        let settings = shared.settings(shared.reader_identity(), shared.words_of_puppets());
        let opened = tokio::select! {
            () = stop.cancelled() => break Ok(()),
            opened = Connection::open(settings) => opened,
        };
        let reason = match opened {
            Ok((connection, lines)) => {
                metrics::connected("reader", "ok");
                let since = Instant::now();
                let reason = match work(shared, connection, lines).await {
                    Ok(End::Lost(reason)) => reason,
                    Ok(End::Refused(reason)) => {
                        report(shared, Standing::AuthLost(reason.clone()));
                        break Err(SessionError::Auth(reason));
                    }
                    Ok(End::Stopped) => break Ok(()),
                    Err(InboxClosed) => break Err(SessionError::Stopping),
                };
                if since.elapsed() >= STABLE {
                    failures = 0;
                }
                reason
            }
            Err(ConnectError::Auth(reason)) => {
                metrics::connected("reader", "auth");
                report(shared, Standing::AuthLost(reason.clone()));
                return Err(SessionError::Auth(reason));
            }
            Err(ConnectError::Failed(reason)) => {
                metrics::connected("reader", "failed");
                reason
            }
        };
        warn!(reason, "The connection to the IRC server was lost or not made.");
        report(shared, Standing::Down(reason));
        let pause = pause(shared, failures);
        failures = failures.saturating_add(1);
        tokio::select! {
            () = stop.cancelled() => break Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
    };
    shared.retire_all(PATIENCE).await;
    drop(ident);
    outcome
}

fn report(shared: &Shared, standing: Standing) {
    match &standing {
        Standing::Down(reason) => *locked(&shared.down) = Some(ConnectError::Failed(reason.clone())),
        Standing::AuthLost(reason) => *locked(&shared.down) = Some(ConnectError::Auth(reason.clone())),
        Standing::Connecting | Standing::Up => {}
    }
    shared.context.inbox.report(None, standing);
}

/// Doubles with each failure, and lies between half and the whole of that by chance.
fn pause(shared: &Shared, failures: u32) -> Duration {
    let connect = shared.section.connect;
    let doubled = connect.retry.max(1).saturating_mul(1 << failures.min(16));
    let millis = doubled.min(connect.retry_limit.max(1)).saturating_mul(1000);
    Duration::from_millis(millis / 2 + shared.context.entropy.below(millis / 2 + 1))
}

/// How work on a connection ended.
enum End {
    /// The connection was lost.
    Lost(String),
    /// The service refused our password.
    Refused(String),
    /// The session is to end.
    Stopped,
}

/// Works until the connection ends, and says why.
async fn work(
    shared: &Arc<Shared>,
    connection: Connection,
    mut lines: mpsc::Receiver<Vec<Message>>,
) -> Result<End, InboxClosed> {
    let connection = Arc::new(connection);
    locked(&shared.roster).set_casemapping(connection.isupport().casemapping);
    locked(&shared.roster).leave_all();
    shared.pool.prune_nicks();
    *locked(&shared.reader) = Some(Arc::clone(&connection));
    info!(nick = connection.nick(), "Connected to the IRC server.");
    // Whatever is being waited for, be it room in the inbox, the session ends when it is asked to.
    let outcome = tokio::select! {
        () = shared.context.stop.cancelled() => Ok(End::Stopped),
        attended = attend(shared, &connection, &mut lines) => attended,
    };
    if !matches!(outcome, Ok(End::Lost(_))) {
        connection.quit(&shared.section.quit_message, PATIENCE).await;
    }
    *locked(&shared.reader) = None;
    locked(&shared.roster).leave_all();
    outcome
}

/// Logs in at the service, joins, listens and looks after what time changes until the connection ends.
async fn attend(
    shared: &Arc<Shared>,
    connection: &Arc<Connection>,
    lines: &mut mpsc::Receiver<Vec<Message>>,
) -> Result<End, InboxClosed> {
    let mut handler = incoming::Incoming::new(Arc::clone(shared), Arc::clone(connection));
    let verdict = identify::log_in(shared, connection, lines, Some(&mut handler)).await?;
    let mut login = Login::default();
    if let Some(reason) = verdict.and_then(|verdict| login.judge(shared, verdict)) {
        return Ok(End::Refused(reason));
    }
    report(shared, Standing::Up);
    join(shared, connection, &shared.channels()).await;
    let mut tick = tokio::time::interval(TICK);
    let mut ticks = 0_u64;
    loop {
        tokio::select! {
            batch = lines.recv() => {
                let Some(batch) = batch else {
                    let reason = connection.ended().unwrap_or_else(|| "the connection ended".to_owned());
                    return Ok(End::Lost(reason));
                };
                let reason = login.listen(shared, connection, &mut handler.rejoin, &batch);
                handler.take(batch).await?;
                if let Some(reason) = reason {
                    return Ok(End::Refused(reason));
                }
            }
            _ = tick.tick() => {
                ticks += 1;
                let due = handler.rejoin.take_due(&shared.channels());
                join(shared, connection, &due).await;
                handler.tick().await?;
                shared.pool.retire_idle(&shared.section.puppets, shared.context.clock.now().as_millis());
                shared.pool.expire();
                login.ask_again(shared, connection).await;
                if ticks.is_multiple_of(60) {
                    keep_nick(shared, connection).await;
                    shared.keep_nicks(None);
                }
            }
        }
    }
}

/// How the reader stands with the service, once it has been asked.
#[derive(Default)]
struct Login {
    ask_at: Option<Instant>,
}

impl Login {
    /// Takes what the service said; the reason if nothing can go on.
    fn judge(&mut self, shared: &Shared, verdict: Verdict) -> Option<String> {
        let service = shared
            .section
            .nickserv
            .as_ref()
            .map_or("", |nickserv| &nickserv.service);
        let trouble = match verdict {
            Verdict::Accepted => {
                info!("Logged in at the service.");
                String::new()
            }
            Verdict::Refused(words) => return Some(format!("{service} refused the login: {words}")),
            Verdict::Silent(why) => format!("{service} could not be asked to log in: {why}"),
            Verdict::LoggedOut => format!("{service} logged the hub out"),
        };
        self.ask_at = (!trouble.is_empty()).then(|| Instant::now() + identify::AGAIN);
        if !trouble.is_empty() {
            warn!(reason = trouble, "The hub is not logged in; it will be tried again.");
        }
        *locked(&shared.account) = trouble;
        None
    }

    /// Looks for what the service says later; the reason if nothing can go on.
    fn listen(
        &mut self,
        shared: &Shared,
        connection: &Connection,
        rejoin: &mut Rejoin,
        batch: &[Message],
    ) -> Option<String> {
        let nickserv = shared.section.nickserv.as_ref()?;
        let told = |line| identify::verdict(nickserv, connection, line);
        for verdict in batch.iter().filter_map(told) {
            match verdict {
                Verdict::Accepted if self.ask_at.is_some() => rejoin.all_now(),
                Verdict::Accepted => continue,
                _ => {}
            }
            if let Some(reason) = self.judge(shared, verdict) {
                return Some(reason);
            }
        }
        None
    }

    async fn ask_again(&mut self, shared: &Shared, connection: &Connection) {
        if self.ask_at.is_some_and(|at| at <= Instant::now())
            && let Some(introduction) = identify::introduction(shared, connection)
        {
            self.ask_at = Some(Instant::now() + identify::AGAIN);
            connection.send(introduction).await;
        }
    }
}

/// Asks for the nick that is ours, while we have another.
pub(super) async fn keep_nick(shared: &Shared, connection: &Connection) {
    if !connection.is_own(&shared.section.nick) {
        connection.send(message("NICK", &[&shared.section.nick])).await;
    }
}

/// Joins channels, several with one line where they have no key.
async fn join(shared: &Shared, connection: &Connection, channels: &[ChannelId]) {
    let mut names = String::new();
    for channel in channels {
        if let Some(key) = shared.secrets.keys.get(&channel.as_str().to_lowercase()) {
            connection
                .send(message("JOIN", &[channel.as_str(), key.reveal()]))
                .await;
            continue;
        }
        if names.len() + channel.as_str().len() > 380 {
            connection.send(message("JOIN", &[&std::mem::take(&mut names)])).await;
        }
        if !names.is_empty() {
            names.push(',');
        }
        names.push_str(channel.as_str());
    }
    if !names.is_empty() {
        connection.send(message("JOIN", &[&names])).await;
    }
}
