//! The crate's metrics, named in one place.

use metrics::{counter, gauge};

use crate::client::error::CallError;

/// An activity arrived and was believed. The kind is one of a fixed list.
pub fn activity(kind: &'static str) {
    counter!("viaduct_teams_activities_total", "type" => kind).increment(1);
}

/// An activity is of a type that the bridge does not know; it was kept.
pub fn unknown_activity() {
    counter!("viaduct_teams_unknown_activities_total").increment(1);
}

/// A request at the listening address was refused.
pub fn refused(reason: &'static str) {
    counter!("viaduct_teams_refused_requests_total", "reason" => reason).increment(1);
}

/// Whether Microsoft accepts the app.
pub fn usable(network: &str, usable: bool) {
    gauge!("viaduct_teams_usable", "network" => network.to_owned()).set(if usable { 1.0 } else { 0.0 });
}

/// How many people can be spoken as, and how many no longer.
pub fn logins(network: &str, good: usize, lost: usize) {
    for (state, count) in [("good", good), ("lost", lost)] {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        gauge!("viaduct_teams_personal_logins", "network" => network.to_owned(), "state" => state)
            .set(f64::from(count));
    }
}

/// A call failed.
pub fn call_failed(error: &CallError) {
    let class = match error {
        CallError::Limited(_) => "limited",
        CallError::Refused { .. } => "refused",
        CallError::Unsent(_) => "unsent",
        CallError::Unknown(_) => "unknown",
        CallError::Stopped => return,
    };
    counter!("viaduct_teams_failed_calls_total", "class" => class).increment(1);
}

/// So many messages were read from the history.
pub fn swept(messages: usize) {
    counter!("viaduct_teams_history_messages_total").increment(messages as u64);
}
