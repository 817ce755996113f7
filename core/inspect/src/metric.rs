//! The names of this crate's metrics.

use metrics::{counter, gauge, histogram};
use viaduct_compliance::ScanResult;

/// A file was looked into (or could not be): how that went, and how long it took, in seconds.
pub(crate) fn inspected(outcome: &'static str, seconds: f64) {
    counter!("viaduct_files_inspected_total", "outcome" => outcome).increment(1);
    histogram!("viaduct_file_inspection_seconds").record(seconds);
}

/// What the scanner said.
pub(crate) fn scanned(result: ScanResult) {
    let result = match result {
        ScanResult::Clean => "clean",
        ScanResult::Infected => "infected",
        ScanResult::Unavailable => "unavailable",
        ScanResult::Missing => "missing",
    };
    counter!("viaduct_files_scanned_total", "result" => result).increment(1);
}

/// Bytes kept for further destinations.
#[expect(clippy::cast_precision_loss, reason = "a gauge need not be exact")]
pub(crate) fn kept(bytes: u64) {
    gauge!("viaduct_files_kept_bytes").set(bytes as f64);
}
