//! The names of this crate's metrics. The label is the exporter's name, chosen by the operator.

use metrics::{counter, gauge};

/// Entries that a receiver has for certain.
pub(crate) fn exported(exporter: &str, count: u64) {
    counter!("viaduct_ledger_exported_total", "exporter" => exporter.to_owned()).increment(count);
}

/// Entries that it does not have yet.
#[expect(clippy::cast_precision_loss, reason = "a gauge need not be exact")]
pub(crate) fn behind(exporter: &str, count: u64) {
    gauge!("viaduct_ledger_export_behind", "exporter" => exporter.to_owned()).set(count as f64);
}

/// An attempt failed.
pub(crate) fn failed(exporter: &str) {
    counter!("viaduct_ledger_export_failures_total", "exporter" => exporter.to_owned()).increment(1);
}
