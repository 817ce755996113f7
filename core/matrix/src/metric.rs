//! The names of everything this crate counts.

use metrics::{counter, histogram};
use tokio::time::Instant;

/// Events received from the homeserver, by what became of them.
const EVENTS: &str = "viaduct_matrix_events_total";
/// Transactions received, by outcome.
const TRANSACTIONS: &str = "viaduct_matrix_transactions_total";
/// Requests sent to the homeserver, by outcome class.
const REQUESTS: &str = "viaduct_matrix_requests_total";
/// How long the homeserver took to answer, in seconds.
const REQUEST_SECONDS: &str = "viaduct_matrix_request_seconds";
/// Ghosts made.
const GHOSTS: &str = "viaduct_matrix_ghosts_total";

/// What became of a received event.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fate {
    Pushed,
    Own,
    Elsewhere,
    Malformed,
    Unknown,
    Encrypted,
    Waiting,
    Unreadable,
    Command,
}

pub(crate) fn event(fate: Fate) {
    let fate = match fate {
        Fate::Pushed => "pushed",
        Fate::Own => "own",
        Fate::Elsewhere => "not_mirrored",
        Fate::Malformed => "malformed",
        Fate::Unknown => "unknown_type",
        Fate::Encrypted => "encrypted",
        Fate::Waiting => "waits_for_key",
        Fate::Unreadable => "unreadable",
        Fate::Command => "command",
    };
    counter!(EVENTS, "fate" => fate).increment(1);
}

pub(crate) fn transaction(outcome: &'static str) {
    counter!(TRANSACTIONS, "outcome" => outcome).increment(1);
}

pub(crate) fn request(outcome: &'static str, since: Instant) {
    counter!(REQUESTS, "outcome" => outcome).increment(1);
    histogram!(REQUEST_SECONDS).record(since.elapsed().as_secs_f64());
}

pub(crate) fn ghost_made() {
    counter!(GHOSTS).increment(1);
}
