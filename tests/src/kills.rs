//! A hub that ends at any step of an event's way, between the stub homeserver and a network under load.

use std::time::Duration;

use anyhow::ensure;

use crate::launch::Process;
use crate::load::LoadServer;
use crate::people::HEARD;
use crate::stub_world::{LoadWorld, StubSpec, matrix_message};
use crate::wait::wait_until;

/// The steps of an event's way at which the hub can be made to end.
pub const STEPS: [&str; 7] = [
    "accept-before",
    "accept-after",
    "begin-after",
    "deliver-before",
    "deliver-after",
    "settle-before",
    "settle-after",
];

/// The steps of an event's way to Matrix: a transaction id may be sent again, so nothing is noted before sending begins.
pub fn steps_to_matrix() -> impl Iterator<Item = &'static str> {
    STEPS.into_iter().filter(|step| *step != "begin-after")
}

/// How long the hub is waited for to end; some steps come only with the next message.
const ENDS: Duration = Duration::from_secs(3);

impl<N: LoadServer> LoadWorld<N> {
    /// Starts a hub that will end when it comes to `step` with the next message. Starting may pass the step by itself, as it
    /// settles what was left; then it is to end one passing later.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub async fn launch_to_crash(&mut self, step: &str) -> anyhow::Result<()> {
        for passing in 1..=5 {
            self.hub.launch(&[("VIADUCT_CRASH_AT", &format!("{step}:{passing}"))])?;
            let Self { hub, server, .. } = &mut *self;
            let started = || !hub.process().is_some_and(Process::is_running) || server.members(&N::channel(0)) > 0;
            wait_until("the hub connected or gone", HEARD, started).await?;
            if self.hub.ready().await.is_ok() {
                return Ok(());
            }
        }
        anyhow::bail!("the hub passes {step} again and again by itself")
    }

    /// Whether the hub ends soon.
    pub async fn ends_soon(&mut self) -> bool {
        let ended = || !self.hub.process().is_some_and(Process::is_running);
        wait_until("the end", ENDS, ended).await.is_ok()
    }

    /// Starts a hub that has ended again, and waits until it is in every channel.
    ///
    /// # Errors
    ///
    /// When it does not get there.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        self.disconnected().await?;
        self.hub.start().await?;
        self.connected().await
    }
}

/// Ends the hub at a step with a message from a network that keeps a history. Everything is on Matrix once and in order:
/// nothing is lost even before the hub had it on its disk, since it was not acknowledged, and the history has it.
///
/// # Errors
///
/// [`crate::launch::Missing`], or what is not as it should be.
pub async fn on_the_way_to_matrix<N: LoadServer>(step: &str) -> anyhow::Result<()> {
    let mut world = LoadWorld::<N>::start(StubSpec::default()).await?;
    // The ghosts exist, so that the message is the only event on its way.
    world.speak(0, 0..3).await;
    world.in_room(0, 2).await?;
    ensure!(world.hub.stop(), "the hub does not end when asked to");
    world.disconnected().await?;

    world.launch_to_crash(step).await?;
    let mut said = 3;
    loop {
        world.speak(0, said..said + 1).await;
        said += 1;
        if world.ends_soon().await {
            break;
        }
        ensure!(said < 6, "the hub did not end at {step}");
    }
    world.start_again().await?;
    world.speak(0, said..said + 1).await;
    world.in_room(0, said).await?;
    world.check_rooms(said + 1, step)
}

/// Ends the hub at a step with a message to a network that can be asked for what arrived. Everything is there once and in
/// order, and no sender is told of a failure.
///
/// # Errors
///
/// [`crate::launch::Missing`], or what is not as it should be.
pub async fn on_the_way_from_matrix<N: LoadServer>(step: &str) -> anyhow::Result<()> {
    let mut world = LoadWorld::<N>::start(StubSpec::default()).await?;
    world.push(0, 0..3).await?;
    world.in_channel(0, 2).await?;
    ensure!(world.hub.stop(), "the hub does not end when asked to");
    world.disconnected().await?;

    world.launch_to_crash(step).await?;
    let (mut said, mut unacknowledged) = (3, Vec::new());
    loop {
        let body = format!(r#"{{"events":[{}]}}"#, matrix_message(0, said));
        let id = format!("{step}{said}");
        if !matches!(world.pusher.attempt(&id, body.clone()).await, Ok(200)) {
            unacknowledged.push((id, body));
        }
        said += 1;
        if world.ends_soon().await {
            break;
        }
        ensure!(said < 6, "the hub did not end at {step}");
    }
    world.start_again().await?;
    // As a homeserver does, with the same transaction id.
    for (id, body) in unacknowledged {
        let status = world.pusher.attempt(id, body).await?;
        ensure!(status == 200, "{step}: {status}");
    }
    world.push(0, said..said + 1).await?;
    world.in_channel(0, said).await?;
    world.check_channels(said + 1, step)
}
