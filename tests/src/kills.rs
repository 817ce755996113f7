//! A hub that ends at any step of an event's way, between the stub homeserver and a network under load.

use std::time::Duration;

use anyhow::ensure;

use crate::launch::{Hub, Process};
use crate::load::LoadServer;
use crate::stub::Pusher;
use crate::stub_world::{BACKLOG, LoadWorld, StubSpec, matrix_message};
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
/// How many messages it may take at most until the hub ends.
const MESSAGES: usize = 3;

/// Starts a hub that will end when it comes to `step` with the next message. Starting may pass the step by itself, as it
/// settles what was left; then it is to end one passing later. By what it has logged since its start, `is_inside` says
/// whether it is in its channel.
///
/// # Errors
///
/// When it does not start.
pub async fn launch_to_crash(hub: &mut Hub, step: &str, is_inside: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    for passing in 1..=5 {
        let before = hub.log().len();
        hub.launch(&[("VIADUCT_CRASH_AT", &format!("{step}:{passing}"))])?;
        let started = || !is_running(hub) || is_inside(hub.log().get(before..).unwrap_or_default());
        wait_until("the hub connected or gone", BACKLOG, started).await?;
        if hub.ready().await.is_ok() {
            return Ok(());
        }
    }
    anyhow::bail!("the hub passes {step} again and again by itself")
}

fn is_running(hub: &mut Hub) -> bool {
    hub.process().is_some_and(Process::is_running)
}

/// Whether the hub ends soon.
pub async fn ends_soon(hub: &mut Hub) -> bool {
    wait_until("the end", ENDS, || !is_running(hub)).await.is_ok()
}

/// What was handed over to a hub that ended meanwhile.
#[derive(Debug)]
pub struct HandedOver {
    /// The number of the next message.
    pub next: usize,
    /// The transactions that were not acknowledged, each with its id.
    unacknowledged: Vec<(String, String)>,
}

impl HandedOver {
    /// Hands over messages from Matrix, from number `first` on and each in a transaction of its own, until the hub ends as it
    /// was launched to at `step`.
    ///
    /// # Errors
    ///
    /// When it does not end.
    pub async fn until_the_end(hub: &mut Hub, pusher: &Pusher, first: usize, step: &str) -> anyhow::Result<Self> {
        let mut unacknowledged = Vec::new();
        for number in first..first + MESSAGES {
            let body = format!(r#"{{"events":[{}]}}"#, matrix_message(0, number));
            let id = format!("{step}{number}");
            if !matches!(pusher.attempt(&id, body.clone()).await, Ok(200)) {
                unacknowledged.push((id, body));
            }
            if ends_soon(hub).await {
                let next = number + 1;
                return Ok(Self { next, unacknowledged });
            }
        }
        anyhow::bail!("the hub did not end at {step}")
    }

    /// Repeats what was not acknowledged, as a homeserver does: with the same transaction ids.
    ///
    /// # Errors
    ///
    /// When it is not acknowledged now.
    pub async fn repeat(self, pusher: &Pusher) -> anyhow::Result<()> {
        for (id, body) in self.unacknowledged {
            let status = pusher.attempt(&id, body).await?;
            ensure!(status == 200, "{id}: {status}");
        }
        Ok(())
    }
}

impl<N: LoadServer> LoadWorld<N> {
    /// Starts a hub that will end when it comes to `step` with the next message; see [`launch_to_crash`].
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub async fn launch_to_crash(&mut self, step: &str) -> anyhow::Result<()> {
        let Self { hub, server, .. } = self;
        launch_to_crash(hub, step, |_| server.members(&N::channel(0)) > 0).await
    }

    /// Whether the hub ends soon.
    pub async fn ends_soon(&mut self) -> bool {
        ends_soon(&mut self.hub).await
    }

    /// Hands over messages until the hub ends; see [`HandedOver::until_the_end`].
    ///
    /// # Errors
    ///
    /// When it does not end.
    pub async fn push_until_the_end(&mut self, first: usize, step: &str) -> anyhow::Result<HandedOver> {
        HandedOver::until_the_end(&mut self.hub, &self.pusher, first, step).await
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
    let handed_over = world.push_until_the_end(3, step).await?;
    let said = handed_over.next;
    world.start_again().await?;
    handed_over.repeat(&world.pusher).await?;
    world.push(0, said..said + 1).await?;
    world.in_channel(0, said).await?;
    world.check_channels(said + 1, step)
}
