//! The engine's metrics: every name in one place. Labels are names the operator chose, never people or messages.

use std::fmt;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use viaduct_model::{EventKind, MirrorName, NetworkName};

/// The outcome of a delivery that arrived.
pub(crate) const DELIVERED: &str = "delivered";

fn accepted(network: &NetworkName, kind: EventKind) {
    counter!("viaduct_events_accepted_total", "network" => network.to_string(), "kind" => kind.as_str()).increment(1);
}

/// An event was there already.
pub(crate) fn duplicate(network: &NetworkName) {
    counter!("viaduct_events_duplicate_total", "network" => network.to_string()).increment(1);
}

/// An event came from a channel that is not mirrored.
pub(crate) fn unrouted(network: &NetworkName) {
    counter!("viaduct_events_unrouted_total", "network" => network.to_string()).increment(1);
}

fn settled(network: &NetworkName, outcome: &'static str) {
    counter!("viaduct_deliveries_total", "network" => network.to_string(), "outcome" => outcome).increment(1);
}

/// A delivery is tried again.
pub(crate) fn retried(network: &NetworkName) {
    counter!("viaduct_delivery_retries_total", "network" => network.to_string()).increment(1);
}

/// What is counted for every message, looked up once: finding a metric by its labels costs as much as counting ten times.
pub(crate) struct Meters {
    network: NetworkName,
    accepted: Counter,
    delivered: Counter,
    seconds: Histogram,
}

impl Meters {
    pub(crate) fn of(network: &NetworkName) -> Self {
        let name = || network.to_string();
        Self {
            network: network.clone(),
            accepted: counter!("viaduct_events_accepted_total", "network" => name(), "kind" => EventKind::Message.as_str()),
            delivered: counter!("viaduct_deliveries_total", "network" => name(), "outcome" => DELIVERED),
            seconds: histogram!("viaduct_delivery_seconds", "network" => name()),
        }
    }

    /// An event was accepted into a journal.
    pub(crate) fn accepted(&self, kind: EventKind) {
        if kind == EventKind::Message {
            self.accepted.increment(1);
        } else {
            accepted(&self.network, kind);
        }
    }

    /// A delivery ended.
    pub(crate) fn settled(&self, outcome: &'static str) {
        if outcome == DELIVERED {
            self.delivered.increment(1);
        } else {
            settled(&self.network, outcome);
        }
    }

    /// How long an event took from its source to its delivery.
    pub(crate) fn delivery_seconds(&self, seconds: f64) {
        self.seconds.record(seconds);
    }
}

/// How many events of a mirror wait for a network.
pub(crate) struct Waiting(Gauge);

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waiting")
    }
}

impl Waiting {
    pub(crate) fn of(mirror: &MirrorName, network: &NetworkName) -> Self {
        Self(gauge!("viaduct_lane_waiting", "mirror" => mirror.to_string(), "network" => network.to_string()))
    }

    pub(crate) fn set(&self, events: usize) {
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        self.0.set(events as f64);
    }
}

/// How many commits' entries wait to be written into the ledger.
pub(crate) fn ledger_waiting(commits: usize) {
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    gauge!("viaduct_ledger_waiting").set(commits as f64);
}

/// Whether a network is up.
pub(crate) fn connected(network: &NetworkName, up: bool) {
    gauge!("viaduct_network_up", "network" => network.to_string()).set(if up { 1.0 } else { 0.0 });
}

/// A session ended and is started again.
pub(crate) fn restarted(network: &NetworkName) {
    counter!("viaduct_session_restarts_total", "network" => network.to_string()).increment(1);
}
