//! How often what may be called at Microsoft, as it publishes it.

use std::time::Duration;

use viaduct_bridge::Rate;

use crate::config::Limits;

fn rate(calls: u32, span: Duration) -> Rate {
    Rate::new(calls as usize, span)
}

/// The windows of one conversation.
pub fn conversation(limits: &Limits) -> Vec<Rate> {
    vec![
        rate(limits.per_second, Duration::from_secs(1)),
        rate(limits.per_half_minute, Duration::from_secs(30)),
        rate(limits.per_hour, Duration::from_hours(1)),
    ]
}

/// The window of the whole tenant.
pub fn tenant(limits: &Limits) -> Vec<Rate> {
    vec![rate(limits.tenant_per_second, Duration::from_secs(1))]
}

/// The window of Graph for one team or channel.
pub fn graph(limits: &Limits) -> Vec<Rate> {
    vec![rate(limits.graph_per_second, Duration::from_secs(1))]
}
