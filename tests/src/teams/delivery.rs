//! The way out: activities and notifications as HTTP requests, again until they are taken, and faults on that way.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::launch::http_client;

/// How many requests to an app may be underway. Those about one channel come one after another.
const LANES: usize = 16;

/// Which of the two ways something takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feed {
    /// From the connector to the bot.
    Activities,
    /// From Graph to subscribers.
    Notifications,
}

/// A request on its way out.
#[derive(Debug, Clone)]
pub(super) struct Parcel {
    /// Those of one lane keep their order.
    pub(super) lane: String,
    pub(super) feed: Feed,
    pub(super) url: String,
    pub(super) bearer: Option<String>,
    pub(super) body: Bytes,
    pub(super) attempt: u32,
}

/// When something is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How long an answer is waited for.
    pub answer: Duration,
    /// How long until the next attempt.
    pub pause: Duration,
    /// How many attempts there are besides the first.
    pub retries: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(15),
            pause: Duration::from_millis(250),
            retries: 3,
        }
    }
}

/// What became of one feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// What happened that had to be told.
    pub offered: u64,
    /// Requests, second attempts and doubles among them.
    pub sent: u64,
    /// Requests that were answered with 2xx.
    pub accepted: u64,
    /// Never sent, as asked for.
    pub lost: u64,
    /// Sent twice, as asked for.
    pub doubled: u64,
    /// Requests that were not answered with 2xx, or not at all.
    pub refused: u64,
    /// Given up after the last attempt.
    pub given_up: u64,
}

/// What goes wrong on one feed.
#[derive(Debug, Default)]
struct Trouble {
    lose: u64,
    double: u64,
    shuffle: usize,
    held: Vec<Parcel>,
    /// Of a hundred, how many are lost and how many doubled; and where the dice stand.
    share: (u64, u64),
    dice: u64,
}

/// What is to be done with a parcel.
enum Fate {
    Send(Vec<Parcel>),
    Hold,
    Lose,
}

impl Trouble {
    fn roll(&mut self) -> u64 {
        // A linear congruential generator: the same faults in every run.
        self.dice = self
            .dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.dice >> 33) % 100
    }

    fn meet(&mut self, parcel: Parcel) -> Fate {
        if self.lose > 0 {
            self.lose -= 1;
            return Fate::Lose;
        }
        if self.shuffle > 0 {
            self.held.push(parcel);
            if self.held.len() < self.shuffle {
                return Fate::Hold;
            }
            self.shuffle = 0;
            return Fate::Send(self.held.drain(..).rev().collect());
        }
        let (lose, double) = self.share;
        let rolled = if lose + double > 0 { self.roll() } else { 100 };
        if rolled < lose {
            return Fate::Lose;
        }
        let twice = self.double > 0 || rolled < lose + double;
        self.double = self.double.saturating_sub(1);
        Fate::Send(std::iter::repeat_n(parcel, 1 + usize::from(twice)).collect())
    }
}

#[derive(Debug, Default)]
struct Inner {
    lanes: Vec<UnboundedSender<Parcel>>,
    activities: (Counts, Trouble),
    notifications: (Counts, Trouble),
    /// Requests that are neither taken nor given up.
    awaited: usize,
    patience: Patience,
    /// Where it is set, nothing is sent; it is kept instead.
    paused: bool,
    kept: VecDeque<Parcel>,
}

impl Inner {
    fn feed(&mut self, feed: Feed) -> &mut (Counts, Trouble) {
        match feed {
            Feed::Activities => &mut self.activities,
            Feed::Notifications => &mut self.notifications,
        }
    }
}

/// Everything that goes out to one app.
#[derive(Debug)]
pub(super) struct Postbox {
    inner: Mutex<Inner>,
    /// Itself, for the tasks that send.
    own: Weak<Postbox>,
}

impl Postbox {
    pub(super) fn new() -> Arc<Self> {
        Arc::new_cyclic(|own| Self {
            inner: Mutex::default(),
            own: own.clone(),
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes something to be sent.
    pub(super) fn put(&self, parcel: Parcel) {
        let mut inner = self.inner();
        let feed = parcel.feed;
        let (counts, trouble) = inner.feed(feed);
        counts.offered += 1;
        match trouble.meet(parcel) {
            Fate::Lose => counts.lost += 1,
            Fate::Hold => inner.awaited += 1,
            Fate::Send(parcels) => {
                let distinct = parcels.len();
                let is_double =
                    distinct == 2 && parcels.first().map(|one| &one.body) == parcels.last().map(|one| &one.body);
                if is_double {
                    counts.doubled += 1;
                }
                // Those that were held are awaited already.
                inner.awaited += if is_double { 2 } else { 1 };
                for parcel in parcels {
                    self.enqueue(&mut inner, parcel);
                }
            }
        }
    }

    fn enqueue(&self, inner: &mut Inner, parcel: Parcel) {
        if inner.paused {
            inner.kept.push_back(parcel);
            return;
        }
        if inner.lanes.is_empty() {
            for _ in 0..LANES {
                let (sender, parcels) = unbounded_channel();
                tokio::spawn(carry(self.own.clone(), parcels));
                inner.lanes.push(sender);
            }
        }
        let mut hasher = DefaultHasher::new();
        parcel.lane.hash(&mut hasher);
        let lane = usize::try_from(hasher.finish() % LANES as u64).unwrap_or_default();
        if let Some(lane) = inner.lanes.get(lane) {
            lane.send(parcel).ok();
        }
    }

    /// Notes what became of a request; one that failed is sent again after a while.
    fn done(&self, parcel: Parcel, taken: bool) {
        let mut inner = self.inner();
        let patience = inner.patience;
        let (counts, _) = inner.feed(parcel.feed);
        counts.sent += 1;
        if taken {
            counts.accepted += 1;
        } else {
            counts.refused += 1;
            if parcel.attempt < patience.retries {
                let own = self.own.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(patience.pause).await;
                    if let Some(postbox) = own.upgrade() {
                        let attempt = parcel.attempt + 1;
                        postbox.enqueue(&mut postbox.inner(), Parcel { attempt, ..parcel });
                    }
                });
                return;
            }
            counts.given_up += 1;
        }
        inner.awaited = inner.awaited.saturating_sub(1);
    }

    pub(super) fn lose_next(&self, feed: Feed, count: u64) {
        self.inner().feed(feed).1.lose = count;
    }

    pub(super) fn double_next(&self, feed: Feed, count: u64) {
        self.inner().feed(feed).1.double = count;
    }

    pub(super) fn shuffle_next(&self, feed: Feed, count: usize) {
        self.inner().feed(feed).1.shuffle = count;
    }

    pub(super) fn spoil(&self, feed: Feed, lost: u64, doubled: u64) {
        self.inner().feed(feed).1.share = (lost, doubled);
    }

    pub(super) fn set_patience(&self, patience: Patience) {
        self.inner().patience = patience;
    }

    pub(super) fn pause(&self, paused: bool) {
        let mut inner = self.inner();
        inner.paused = paused;
        while let Some(parcel) = (!paused).then(|| inner.kept.pop_front()).flatten() {
            self.enqueue(&mut inner, parcel);
        }
    }

    pub(super) fn counts(&self, feed: Feed) -> Counts {
        self.inner().feed(feed).0
    }

    pub(super) fn awaited(&self) -> usize {
        self.inner().awaited
    }
}

/// Sends one lane's requests one after another.
async fn carry(postbox: Weak<Postbox>, mut parcels: UnboundedReceiver<Parcel>) {
    let Ok(client) = http_client() else { return };
    while let Some(parcel) = parcels.recv().await {
        let Some(patience) = postbox.upgrade().map(|postbox| postbox.inner().patience) else {
            return;
        };
        let mut request = client
            .post(&parcel.url)
            .header("content-type", "application/json; charset=utf-8")
            .header("user-agent", "Microsoft-SkypeBotApi (Microsoft-BotFramework/3.0)")
            .timeout(patience.answer)
            .body(parcel.body.clone());
        if let Some(bearer) = &parcel.bearer {
            request = request.bearer_auth(bearer);
        }
        let taken = request
            .send()
            .await
            .is_ok_and(|response| response.status().is_success());
        let Some(postbox) = postbox.upgrade() else { return };
        postbox.done(parcel, taken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parcel(text: &str) -> Parcel {
        Parcel {
            lane: "a".to_owned(),
            feed: Feed::Activities,
            url: String::new(),
            bearer: None,
            body: Bytes::copy_from_slice(text.as_bytes()),
            attempt: 0,
        }
    }

    fn fate(trouble: &mut Trouble, text: &str) -> String {
        match trouble.meet(parcel(text)) {
            Fate::Lose => "lost".to_owned(),
            Fate::Hold => "held".to_owned(),
            Fate::Send(parcels) => parcels.iter().map(|one| String::from_utf8_lossy(&one.body)).collect(),
        }
    }

    #[test]
    fn each_trouble_does_what_it_is_called() {
        let mut trouble = Trouble {
            lose: 1,
            double: 1,
            ..Trouble::default()
        };
        assert_eq!(
            ["1", "2", "3"].map(|text| fate(&mut trouble, text)),
            ["lost", "22", "3"]
        );
        trouble.shuffle = 3;
        assert_eq!(
            ["1", "2", "3", "4"].map(|text| fate(&mut trouble, text)),
            ["held", "held", "321", "4"]
        );
        trouble.share = (30, 30);
        let all: Vec<String> = (0..1000).map(|_| fate(&mut trouble, "x")).collect();
        let count = |what: &str| all.iter().filter(|fate| *fate == what).count();
        assert!(
            (250..350).contains(&count("lost")) && (250..350).contains(&count("xx")),
            "{}",
            count("lost")
        );
    }
}
