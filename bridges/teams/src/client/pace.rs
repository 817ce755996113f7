//! How often what may be called at Microsoft, as it publishes it, over spans a little longer: Microsoft counts when a call arrives,
//! and two that leave apart may arrive together.

use std::time::Duration;

use viaduct_bridge::Rate;

use crate::config::Limits;

/// The span of limits for a second.
const SECOND: Duration = Duration::from_millis(1100);
/// The span of limits for thirty seconds.
const HALF_MINUTE: Duration = Duration::from_secs(31);
/// The span of limits for an hour.
const HOUR: Duration = Duration::from_secs(3605);

fn rate(calls: u32, span: Duration) -> Rate {
    Rate::new(calls as usize, span)
}

/// The windows of one conversation.
pub fn conversation(limits: &Limits) -> Vec<Rate> {
    vec![
        rate(limits.per_second, SECOND),
        rate(limits.per_half_minute, HALF_MINUTE),
        rate(limits.per_hour, HOUR),
    ]
}

/// The window of the whole tenant.
pub fn tenant(limits: &Limits) -> Vec<Rate> {
    vec![rate(limits.tenant_per_second, SECOND)]
}

/// The window of Graph for one team or channel.
pub fn graph(limits: &Limits) -> Vec<Rate> {
    vec![rate(limits.graph_per_second, SECOND)]
}
