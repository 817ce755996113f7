//! From the sockets to the hub: events in the order in which they came, each channel for itself.
//!
//! What can be told at once goes to the hub in batches, and is acknowledged when the hub has it. What has to be asked for
//! first shuts the channel's gate; a task of the channel works off what waits there.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use viaduct_bridge::InboxClosed;
use viaduct_model::{Content, Event};

use super::Slack;
use super::channels::{Channel, Passage, Work};
use super::inbound::{Scene, View};
use super::order::Order;
use super::workspace::is_for_session;
use crate::client::payload;
use crate::client::socket::{Ack, Arrival, Incoming, Status};
use crate::convert::ids::{event_id, is_channel, time};
use crate::convert::message::needs_info;
use crate::convert::mrkdwn::Reader;

/// How many events are told in one go.
const BATCH: usize = 256;

/// One run of the session: what its tasks share.
#[derive(Clone)]
pub struct Run {
    /// Ends the run's tasks.
    pub stop: CancellationToken,
    /// The run's tasks.
    pub tasks: TaskTracker,
}

impl Run {
    /// Starts a task that ends with the run.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            stop.run_until_cancelled(work).await;
        });
    }
}

/// What is about to be handed to the hub.
#[derive(Default)]
pub(super) struct Batch {
    pub events: Vec<Event>,
    pub acks: Vec<Ack>,
}

/// What is to be done with an event.
enum Route {
    /// It was told; acknowledge it with the batch.
    Told(Vec<Event>, Ack),
    /// It waits at a gate.
    Waits,
    /// It waits at a gate for which there is no task yet.
    Task(Arc<Channel>),
    /// It concerns the session itself.
    Session(Incoming),
}

impl Slack {
    /// Takes events until there are no more.
    pub(super) async fn take(
        self: Arc<Self>,
        run: Run,
        mut incoming: mpsc::Receiver<Arrival>,
        sockets: watch::Receiver<Status>,
        asked: watch::Sender<u64>,
    ) {
        // Requests come side by side: none says what else is on its way.
        let expected = match self.section.events {
            Some(_) => usize::MAX,
            None => usize::try_from(self.section.sockets).unwrap_or(usize::MAX),
        };
        let mut arrived = Vec::with_capacity(BATCH);
        let mut order = Order::new(expected);
        loop {
            let received = match order.next() {
                None => Some(incoming.recv_many(&mut arrived, BATCH).await),
                Some(until) => timeout_at(until, incoming.recv_many(&mut arrived, BATCH)).await.ok(),
            };
            if received == Some(0) {
                return;
            }
            let now = Instant::now();
            {
                let status = sockets.borrow();
                order.join(&status.ways);
                for arrival in arrived.drain(..) {
                    match arrival {
                        Arrival::Event(event) => order.take(event, now),
                        Arrival::Answer { way, question } => order.answered(way, question),
                    }
                }
                // A socket passes all on before it leaves: nothing of those that left is still to come.
                if incoming.is_empty() {
                    order.leave(&status.ways);
                }
            }
            if let Some(question) = order.ask(now) {
                asked.send_replace(question);
            }
            let ready = order.ready(now);
            let mut batch = Batch::default();
            for event in ready {
                match self.route(event) {
                    Route::Told(events, ack) => {
                        batch.events.extend(events);
                        batch.acks.push(ack);
                    }
                    Route::Waits => {}
                    Route::Task(channel) => {
                        // What was told before comes first.
                        if self.hand_over(&run, std::mem::take(&mut batch)).await.is_err() {
                            return;
                        }
                        run.spawn(Arc::clone(&self).work_off(run.clone(), channel, false));
                    }
                    Route::Session(event) => {
                        if self.hand_over(&run, std::mem::take(&mut batch)).await.is_err() {
                            return;
                        }
                        self.for_session(&run, event).await;
                    }
                }
            }
            if self.hand_over(&run, batch).await.is_err() {
                return;
            }
        }
    }

    /// Gives a batch to the hub, and acknowledges it when it is stored.
    pub(super) async fn hand_over(&self, run: &Run, batch: Batch) -> Result<(), InboxClosed> {
        let Batch { events, acks } = batch;
        if events.is_empty() {
            acks.into_iter().for_each(Ack::send);
            return Ok(());
        }
        let ticket = self.context.inbox.push(events).await?;
        run.spawn(async move {
            if ticket.await.is_ok() {
                acks.into_iter().for_each(Ack::send);
            }
        });
        Ok(())
    }

    fn route(&self, incoming: Incoming) -> Route {
        let Some(event) = incoming
            .callback
            .as_ref()
            .and_then(|callback| callback.event.as_deref())
        else {
            return Route::Session(incoming);
        };
        if is_for_session(&event.kind) {
            return Route::Session(incoming);
        }
        let Some(id) = event.place() else {
            return Route::Session(incoming);
        };
        let channel = match self.channels.with_id(id) {
            Some(channel) => channel,
            None if self.is_direct(id, event) => {
                let gate = Arc::clone(&self.direct_gate);
                return match gate.admit(incoming) {
                    Passage::Free(incoming) => {
                        if gate.shut(Some(incoming)) {
                            Route::Task(gate)
                        } else {
                            Route::Waits
                        }
                    }
                    Passage::Waits => Route::Waits,
                };
            }
            // Perhaps a mirrored channel that the app has not seen before.
            None if self.own_membership(event) == Some(true) => return Route::Session(incoming),
            // Not mirrored, or of a kind that is of no interest.
            None if is_channel(id) => return Route::Told(Vec::new(), incoming.ack),
            None => return Route::Session(incoming),
        };
        let incoming = match channel.admit(incoming) {
            Passage::Free(incoming) => incoming,
            Passage::Waits => return Route::Waits,
        };
        match self.try_tell(&channel, &incoming) {
            Some(events) => Route::Told(events, incoming.ack),
            None => {
                if channel.shut(Some(incoming)) {
                    Route::Task(channel)
                } else {
                    Route::Waits
                }
            }
        }
    }

    /// What an event says, if nothing has to be asked for.
    fn try_tell(&self, channel: &Arc<Channel>, incoming: &Incoming) -> Option<Vec<Event>> {
        let event = incoming.callback.as_ref()?.event.as_deref()?;
        if is_pin(event) || self.own_membership(event).is_some() || event.files.iter().any(needs_info) {
            return None;
        }
        let view = View(self);
        let mut reader = Reader::new(&view);
        let events = self.tell(scene(channel, event), event, &mut reader);
        reader
            .missing
            .iter()
            .all(|user| self.people.is_settled(user))
            .then_some(events)
    }

    /// Whether the app itself came into a channel (true) or is no longer in it (false).
    fn own_membership(&self, event: &payload::Message) -> Option<bool> {
        let me = self.me()?;
        match event.kind.as_str() {
            "member_joined_channel" if event.user.id() == Some(&me.user) => Some(true),
            "member_left_channel" if event.user.id() == Some(&me.user) => Some(false),
            "channel_left" | "group_left" => Some(false),
            _ => None,
        }
    }

    /// Works off what waits at a channel's gate, until it is open again; after an absence, the history first.
    pub(super) async fn work_off(self: Arc<Self>, run: Run, channel: Arc<Channel>, absent: bool) {
        let is_direct = Arc::ptr_eq(&channel, &self.direct_gate);
        if absent && self.review(&run, &channel, is_direct).await.is_err() {
            return;
        }
        loop {
            let incoming = match channel.next() {
                Work::Event(incoming) => incoming,
                Work::History => {
                    if self.review(&run, &channel, is_direct).await.is_err() {
                        return;
                    }
                    continue;
                }
                Work::Done => return,
            };
            let Some(callback) = incoming.callback else { continue };
            let Some(mut event) = callback.event else { continue };
            let events = if is_direct {
                self.tell_direct(&mut event).await
            } else {
                self.tell_slowly(&run, &channel, &mut event).await
            };
            let batch = Batch {
                events,
                acks: vec![incoming.ack],
            };
            if self.hand_over(&run, batch).await.is_err() {
                return;
            }
        }
    }

    async fn review(self: &Arc<Self>, run: &Run, channel: &Arc<Channel>, is_direct: bool) -> Result<(), InboxClosed> {
        if is_direct {
            self.catch_up_directs().await
        } else {
            self.catch_up(run, channel).await
        }
    }

    /// What an event says, asking for whatever is not known.
    pub(super) async fn tell_slowly(
        self: &Arc<Self>,
        run: &Run,
        channel: &Arc<Channel>,
        event: &mut payload::Message,
    ) -> Vec<Event> {
        if let Some(joined) = self.own_membership(event) {
            return self.app_moved(run, channel, event, joined).await;
        }
        if is_pin(event) {
            return self.tell_pins(channel, event).await;
        }
        self.tell_asking(scene(channel, &event.clone()), event).await
    }

    /// What an event says, asking for whoever and whatever is not known.
    pub(super) async fn tell_asking(&self, scene: Scene<'_>, event: &mut payload::Message) -> Vec<Event> {
        self.ask_for_files(event).await;
        // Those who speak and those who are mentioned: two rounds show them all.
        for _ in 0..3 {
            let missing = {
                let view = View(self);
                let mut reader = Reader::new(&view);
                let events = self.tell(scene, event, &mut reader);
                reader.missing.retain(|user| !self.people.is_settled(user));
                if reader.missing.is_empty() {
                    return events;
                }
                reader.missing
            };
            self.ask_for_people(missing).await;
        }
        Vec::new()
    }

    async fn ask_for_people(&self, mut missing: Vec<String>) {
        let Some(me) = self.me() else { return };
        missing.sort_unstable();
        missing.dedup();
        for user in missing {
            self.people.ask(&self.api, &me, &user).await;
        }
    }

    /// Files of other organisations come without anything but their id.
    async fn ask_for_files(&self, event: &mut payload::Message) {
        let changed = event.message.as_deref_mut().map(|message| &mut message.files);
        for files in [Some(&mut event.files), changed].into_iter().flatten() {
            for file in files.iter_mut().filter(|file| needs_info(file)).take(20) {
                match self.api.file(&file.id).await {
                    Ok(found) => *file = found,
                    Err(error) => tracing::debug!(%error, "Slack does not tell of a file."),
                }
            }
        }
    }

    /// The app came into a channel, or is no longer in it.
    async fn app_moved(
        self: &Arc<Self>,
        run: &Run,
        channel: &Arc<Channel>,
        event: &payload::Message,
        joined: bool,
    ) -> Vec<Event> {
        let at = event.event_ts.clone().unwrap_or_default();
        let was_usable = channel.usable().is_ok();
        if joined {
            self.look_up(channel).await;
            self.report_channel(channel);
            if !was_usable && self.catch_up(run, channel).await.is_err() {
                return Vec::new();
            }
        } else {
            channel.known().trouble = Some("the app was removed from the channel; invite it again".to_owned());
            self.report_channel(channel);
        }
        if was_usable == joined {
            return Vec::new();
        }
        let content = if joined {
            Content::Opened
        } else {
            self.closed(
                "the app was removed from the Slack channel",
                "die App wurde aus dem Slack-Kanal entfernt",
            )
        };
        let Some(sender) = self.app_person() else {
            return Vec::new();
        };
        let Some(id) = event_id(if joined { "opened" } else { "closed" }, &[&at]) else {
            return Vec::new();
        };
        vec![Event {
            place: channel.place.clone(),
            id,
            sender,
            at: if at.is_empty() {
                self.context.clock.now()
            } else {
                time(&at)
            },
            content,
            cursor: None,
            echo_of: None,
            direct_to: None,
        }]
    }
}

fn is_pin(event: &payload::Message) -> bool {
    matches!(event.kind.as_str(), "pin_added" | "pin_removed")
}

/// A mirrored channel as a scene.
pub fn scene<'a>(channel: &'a Channel, event: &'a payload::Message) -> Scene<'a> {
    Scene {
        place: &channel.place,
        id: event.place().unwrap_or_default(),
        direct_to: None,
        channel: Some(channel),
    }
}
