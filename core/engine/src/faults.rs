//! Crash points for the tests that kill the hub at every step of an event's way.

/// Aborts the process if `VIADUCT_CRASH_AT` names this step (`step`, or `step:n` for its n-th passing). Compiled to nothing
/// without the feature `faults`.
#[cfg(feature = "faults")]
pub(crate) fn point(step: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static WANTED: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);
    let wanted = WANTED.get_or_init(|| {
        let value = std::env::var("VIADUCT_CRASH_AT").ok()?;
        let (name, count) = value.split_once(':').unwrap_or((&value, "1"));
        Some((name.to_owned(), count.parse().unwrap_or(1)))
    });
    if let Some((name, count)) = wanted
        && name == step
        && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *count
    {
        tracing::error!(step, "The crash point asked for was reached.");
        std::process::abort();
    }
}

/// Does nothing: the feature `faults` is off.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub(crate) fn point(_step: &str) {}
