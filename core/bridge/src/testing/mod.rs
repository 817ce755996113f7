//! A small hub for the tests of bridges, beside the conformance kit: an inbox that records each event once, memory that outlives
//! sessions, files, a clock that can be put forward, and a session kept running as the engine keeps it.
//!
//! ```ignore
//! let hub = Hub::new("acme");
//! let running = hub.start(&AcmeFactory, &section, &["#project"]).await;
//! running.say("#project", "hello").await;
//! hub.hear("hello yourself").await;
//! running.stop().await;
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `hub` | what came in, and waiting for it |
//! | `files` | files of other sides |
//! | `running` | sessions, and what they are given to deliver |
//! | `chance` | clock and chance |
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod chance;
mod files;
mod hub;
mod running;

use std::time::Duration;

pub use chance::{Counting, RealClock, TestClock};
pub use hub::{Hub, Report, plain};
pub use running::{Running, clear};

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(30);
