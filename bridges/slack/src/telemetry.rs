//! The crate's metrics, named in one place.

use metrics::{counter, gauge};

use crate::client::error::CallError;

/// An event arrived.
pub fn event(retried: bool) {
    counter!("viaduct_slack_events_total", "retried" => if retried { "yes" } else { "no" }).increment(1);
}

/// So many events were told behind later ones: their socket lagged for too long, or Slack sent them again.
pub fn late(events: usize) {
    if events > 0 {
        counter!("viaduct_slack_late_events_total").increment(events as u64);
    }
}

/// An event is of a kind that the bridge does not know, or could not be read; it was kept.
pub fn unknown_event() {
    counter!("viaduct_slack_unknown_events_total").increment(1);
}

/// A request on the events' address did not carry a good signature.
pub fn bad_signature() {
    counter!("viaduct_slack_bad_signatures_total").increment(1);
}

/// So many sockets are open.
pub fn sockets(network: &str, open: usize) {
    gauge!("viaduct_slack_sockets", "network" => network.to_owned()).set(u32::try_from(open).map_or(0.0, f64::from));
}

/// Whether Slack accepts the app.
pub fn usable(network: &str, usable: bool) {
    gauge!("viaduct_slack_usable", "network" => network.to_owned()).set(if usable { 1.0 } else { 0.0 });
}

/// So many mirrored channels can be used, of so many.
pub fn channels(network: &str, usable: usize, all: usize) {
    let number = |count: usize| u32::try_from(count).map_or(0.0, f64::from);
    gauge!("viaduct_slack_channels", "network" => network.to_owned(), "state" => "usable").set(number(usable));
    gauge!("viaduct_slack_channels", "network" => network.to_owned(), "state" => "unusable")
        .set(number(all.saturating_sub(usable)));
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
    counter!("viaduct_slack_failed_calls_total", "class" => class).increment(1);
}

/// So many messages were read from the history after an absence.
pub fn caught_up(messages: usize) {
    counter!("viaduct_slack_history_messages_total").increment(messages as u64);
}
