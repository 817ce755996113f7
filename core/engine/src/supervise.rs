//! Keeping sessions alive: each runs in a task of its own, and is started again with backoff when it ends or panics.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use viaduct_bridge::{Connection, Context, Factory, Session, SessionError};
use viaduct_model::{ChannelId, NetworkName};

use crate::backoff::Backoff;
use crate::core::{Core, Side};
use crate::intake::SideInbox;
use crate::media::Files;
use crate::settings::{NetworkSpec, Settings};
use crate::state::NetworkState;
use crate::{EngineError, channels, leaving, telemetry};

/// A session that ran so long has recovered: its backoff starts again.
const RECOVERED: Duration = Duration::from_mins(1);

/// What a session is given.
pub(crate) fn context(core: &Arc<Core>, network: NetworkName, settings: &Settings, stop: CancellationToken) -> Context {
    Context {
        channels: leaving::channels(core, settings, &network).into_iter().collect(),
        inbox: SideInbox::open(core, network.clone()),
        state: Arc::new(NetworkState {
            network: network.clone(),
            store: core.store.clone(),
        }),
        media: Arc::new(Files(core.clone())),
        clock: core.clock.clone(),
        entropy: core.entropy.clone(),
        language: settings.language,
        stop,
        network,
    }
}

/// Opens a network's session and keeps it running.
pub(crate) async fn start(
    core: &Arc<Core>,
    spec: &NetworkSpec,
    settings: &Settings,
    factories: &[Arc<dyn Factory>],
) -> Result<(), EngineError> {
    let factory = factories
        .iter()
        .find(|factory| factory.kind() == spec.kind)
        .ok_or_else(|| EngineError::Kind {
            network: spec.name.clone(),
            kind: spec.kind.clone(),
        })?;
    let stop = core.stop.child_token();
    let context = context(core, spec.name.clone(), settings, stop.clone());
    let channels = context.channels.iter().cloned().collect();
    let session = factory
        .open(spec.section.clone(), context)
        .await
        .map_err(|error| EngineError::Open {
            network: spec.name.clone(),
            reason: error.to_string(),
        })?;
    run(core, spec.name.clone(), session, channels, stop);
    Ok(())
}

/// Puts a session to work; `channels` are those it was given.
pub(crate) fn run(
    core: &Arc<Core>,
    name: NetworkName,
    session: Arc<dyn Session>,
    channels: BTreeSet<ChannelId>,
    stop: CancellationToken,
) {
    let side = Arc::new(Side {
        meters: telemetry::Meters::of(&name),
        name,
        session,
        connection: watch::Sender::new(Connection::Connecting),
        channels: Mutex::new(channels),
        ended: CancellationToken::new(),
        stop,
    });
    core.add_side(side.clone());
    core.tasks.spawn(supervise(core.clone(), side));
}

async fn supervise(core: Arc<Core>, side: Arc<Side>) {
    let _ended = side.ended.clone().drop_guard();
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_mins(5));
    while !side.stop.is_cancelled() {
        let started = tokio::time::Instant::now();
        let session = side.session.clone();
        // A task of its own: a panic inside ends that task and nothing else.
        let ended = tokio::spawn(async move { session.run().await }).await;
        if side.stop.is_cancelled() {
            return;
        }
        let connection = match ended {
            Ok(Ok(())) => Connection::Down("the session ended".to_owned()),
            Ok(Err(SessionError::Auth(reason))) => Connection::AuthLost(reason),
            Ok(Err(error)) => Connection::Down(error.to_string()),
            Err(_) => Connection::Down("the bridge panicked".to_owned()),
        };
        channels::report(&core, &side.name, None, connection);
        telemetry::restarted(&side.name);
        if started.elapsed() >= RECOVERED {
            backoff.reset();
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.next(None, &*core.entropy)) => {}
            () = side.stop.cancelled() => return,
        }
    }
}

/// Ends one network's session; its lanes wait until there is another of the same name.
pub(crate) fn stop(core: &Arc<Core>, network: &NetworkName) -> Option<Arc<Side>> {
    let side = core.remove_side(network)?;
    side.stop.cancel();
    Some(side)
}

/// The same, and waits until it runs no longer: two sessions with one account would push each other out.
pub(crate) async fn replace(core: &Arc<Core>, network: &NetworkName) {
    let Some(side) = stop(core, network) else { return };
    if tokio::time::timeout(crate::DRAIN, side.ended.cancelled())
        .await
        .is_err()
    {
        tracing::warn!(%network, "The network's session does not end in time; another one begins.");
    }
}
