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

    fn take_due(&mut self) -> Vec<ChannelId> {
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
        let settings = shared.settings(shared.reader_identity(), false);
        let opened = tokio::select! {
            () = stop.cancelled() => break Ok(()),
            opened = Connection::open(settings) => opened,
        };
        let reason = match opened {
            Ok((connection, lines)) => {
                metrics::connected("reader", "ok");
                let since = Instant::now();
                let reason = match work(shared, connection, lines).await {
                    Ok(Some(reason)) => reason,
                    Ok(None) => break Ok(()),
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
    if let Standing::Down(reason) | Standing::AuthLost(reason) = &standing {
        reason.clone_into(&mut locked(&shared.down));
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

/// Works until the connection ends, and says why; none if the session is to end.
async fn work(
    shared: &Arc<Shared>,
    connection: Connection,
    mut lines: mpsc::Receiver<Vec<Message>>,
) -> Result<Option<String>, InboxClosed> {
    let connection = Arc::new(connection);
    locked(&shared.roster).set_casemapping(connection.isupport().casemapping);
    locked(&shared.roster).leave_all();
    shared.prune_nicks();
    *locked(&shared.reader) = Some(Arc::clone(&connection));
    info!(nick = connection.nick(), "Connected to the IRC server.");
    // Whatever is being waited for, be it room in the inbox, the session ends when it is asked to.
    let outcome = tokio::select! {
        () = shared.context.stop.cancelled() => Ok(None),
        attended = attend(shared, &connection, &mut lines) => attended.map(Some),
    };
    if !matches!(outcome, Ok(Some(_))) {
        connection.quit(&shared.section.quit_message, PATIENCE).await;
    }
    *locked(&shared.reader) = None;
    locked(&shared.roster).leave_all();
    outcome
}

/// Joins, listens and looks after what time changes until the connection ends; says why it did.
async fn attend(
    shared: &Arc<Shared>,
    connection: &Arc<Connection>,
    lines: &mut mpsc::Receiver<Vec<Message>>,
) -> Result<String, InboxClosed> {
    identify(shared, connection).await;
    report(shared, Standing::Up);
    join(shared, connection, &shared.context.channels).await;
    let mut handler = incoming::Incoming::new(Arc::clone(shared), Arc::clone(connection));
    let mut tick = tokio::time::interval(TICK);
    let mut ticks = 0_u64;
    loop {
        tokio::select! {
            batch = lines.recv() => match batch {
                Some(batch) => handler.take(batch).await?,
                None => return Ok(connection.ended().unwrap_or_else(|| "the connection ended".to_owned())),
            },
            _ = tick.tick() => {
                ticks += 1;
                let due = handler.rejoin.take_due();
                join(shared, connection, &due).await;
                handler.tick().await?;
                shared.retire_idle();
                shared.pool.expire();
                if ticks.is_multiple_of(60) {
                    keep_nick(shared, connection).await;
                }
            }
        }
    }
}

/// Logs in by a message to the service, where there is no SASL.
async fn identify(shared: &Shared, connection: &Connection) {
    if let (Some(nickserv), Some(secret)) = (&shared.section.nickserv, &shared.secrets.nickserv) {
        let text = match &nickserv.account {
            Some(account) => format!("IDENTIFY {account} {}", secret.reveal()),
            None => format!("IDENTIFY {}", secret.reveal()),
        };
        connection.send(message("PRIVMSG", &[&nickserv.service, &text])).await;
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
