//! The crate's metrics, named in one place.

/// How long a group of batches took from its first batch leaving the queue to the device, in seconds (histogram).
pub const COMMIT_SECONDS: &str = "viaduct_store_commit_seconds";
/// How many batches shared one commit (histogram).
pub const GROUP_BATCHES: &str = "viaduct_store_group_batches";
/// Batches waiting for the writer (gauge).
pub const QUEUE_DEPTH: &str = "viaduct_store_queue_depth";
/// Groups that could not be committed (counter).
pub const COMMIT_FAILURES: &str = "viaduct_store_commit_failures_total";
