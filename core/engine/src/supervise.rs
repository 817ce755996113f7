//! Keeping sessions alive: each runs in a task of its own, and is started again with backoff when it ends or panics.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use viaduct_bridge::{Connection, Context, Factory, Session, SessionError};
use viaduct_model::NetworkName;

use crate::backoff::Backoff;
use crate::core::{Core, Side};
use crate::intake::SideInbox;
use crate::media::Files;
use crate::settings::{NetworkSpec, Settings};
use crate::state::NetworkState;
use crate::{EngineError, telemetry};

/// A session that ran so long has recovered: its backoff starts again.
const RECOVERED: Duration = Duration::from_mins(1);

/// What a session is given.
pub(crate) fn context(core: &Arc<Core>, network: NetworkName, settings: &Settings, stop: CancellationToken) -> Context {
    let channels = settings
        .mirrors
        .iter()
        .flat_map(|mirror| &mirror.members)
        .filter(|member| member.place.network == network)
        .map(|member| member.place.channel.clone())
        .collect();
    Context {
        channels,
        inbox: SideInbox::open(core, network.clone()),
        state: Arc::new(NetworkState {
            network: network.clone(),
            store: core.store.clone(),
        }),
        media: Arc::new(Files(core.clone())),
        clock: core.clock.clone(),
        entropy: core.entropy.clone(),
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
    let session = factory
        .open(spec.section.clone(), context)
        .await
        .map_err(|error| EngineError::Open {
            network: spec.name.clone(),
            reason: error.to_string(),
        })?;
    run(core, spec.name.clone(), session, stop);
    Ok(())
}

/// Puts a session to work.
pub(crate) fn run(core: &Arc<Core>, name: NetworkName, session: Arc<dyn Session>, stop: CancellationToken) {
    let side = Arc::new(Side {
        meters: telemetry::Meters::of(&name),
        name,
        session,
        connection: watch::Sender::new(Connection::Connecting),
        stop,
    });
    core.add_side(side.clone());
    core.tasks.spawn(supervise(core.clone(), side));
}

async fn supervise(core: Arc<Core>, side: Arc<Side>) {
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
        core.report(&side.name, connection);
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
pub(crate) fn stop(core: &Arc<Core>, network: &NetworkName) {
    if let Some(side) = core.remove_side(network) {
        side.stop.cancel();
    }
}
