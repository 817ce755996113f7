//! How often what may be called at Microsoft, as it publishes it.

use std::time::Duration;

use viaduct_bridge::Rate;

use crate::config::Limits;

/// So many calls in so many seconds.
fn rate(calls: u32, seconds: u64) -> Rate {
    Rate::new(calls as usize, Duration::from_secs(seconds))
}

/// The windows of one conversation.
pub fn conversation(limits: &Limits) -> [Rate; 3] {
    [
        rate(limits.per_second, 1),
        rate(limits.per_half_minute, 30),
        rate(limits.per_hour, 3600),
    ]
}

/// The window of the whole tenant.
pub fn tenant(limits: &Limits) -> [Rate; 1] {
    [rate(limits.tenant_per_second, 1)]
}

/// The window of Graph for one team or channel.
pub fn graph(limits: &Limits) -> [Rate; 1] {
    [rate(limits.graph_per_second, 1)]
}
