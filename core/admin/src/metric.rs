//! The metrics: the recorder that all crates write to, and the names of this crate's own.

use std::time::Duration;

use metrics::{counter, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

use crate::denied::Denied;

/// Requests to the API, by whether it was known who asked, or why not.
const API_REQUESTS: &str = "viaduct_api_requests_total";
/// What people who are known wanted and may not, by what it was.
const REFUSED: &str = "viaduct_acts_refused_total";
/// Logins to the console, by how, and by whether somebody came in, or why not.
const CONSOLE_LOGINS: &str = "viaduct_console_logins_total";
/// Always 1; the label tells the version.
const BUILD_INFO: &str = "viaduct_build_info";

/// What every duration is counted in, in seconds: from an in-memory step to a homeserver that does not answer.
const BUCKETS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0,
];
/// How often the recorder tidies up when nobody asks for metrics.
const UPKEEP: Duration = Duration::from_secs(30);

/// Why metrics could not be had.
#[derive(Debug, Clone, thiserror::Error)]
#[error("metrics: {0}")]
pub struct MetricsError(String);

/// The recorder of a process.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
}

impl Metrics {
    /// Makes the recorder that all crates of this process write to; call it once, before anything is counted.
    ///
    /// # Errors
    ///
    /// If the process has a recorder already.
    pub fn install() -> Result<Self, MetricsError> {
        let handle = builder()?
            .install_recorder()
            .map_err(|error| MetricsError(error.to_string()))?;
        gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        Ok(Self { handle })
    }

    /// A recorder that is read but that nobody writes to, for tests of routes.
    #[cfg(test)]
    pub(crate) fn detached() -> Self {
        Self {
            handle: builder().expect("the buckets are constant").build_recorder().handle(),
        }
    }

    /// The metrics as Prometheus text.
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Tidies up from time to time until `stop` is cancelled, so that memory stays bounded while nobody asks.
    pub async fn upkeep(self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(UPKEEP)).await.is_some() {
            self.handle.run_upkeep();
        }
    }
}

fn builder() -> Result<PrometheusBuilder, MetricsError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)
        .map_err(|error| MetricsError(error.to_string()))
}

/// Somebody asked the API, and was not known for this reason, or was.
pub(crate) fn api_request(denied: Option<&Denied>) {
    counter!(API_REQUESTS, "outcome" => outcome(denied)).increment(1);
}

/// Somebody came into the console, or did not for this reason.
pub(crate) fn console_login(means: &'static str, denied: Option<&Denied>) {
    counter!(CONSOLE_LOGINS, "means" => means, "outcome" => outcome(denied)).increment(1);
}

fn outcome(denied: Option<&Denied>) -> &'static str {
    match denied {
        None => "allowed",
        Some(Denied::Token(refusal)) => refusal.as_str(),
        Some(Denied::Unavailable(_)) => "unavailable",
        Some(Denied::Ended(_)) => "ended",
        Some(_) => "refused",
    }
}

/// Somebody who is known may not do this.
pub(crate) fn refused(act: &'static str) {
    counter!(REFUSED, "act" => act).increment(1);
}
