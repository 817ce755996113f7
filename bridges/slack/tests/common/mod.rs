//! What the tests share: a person of the workspace who sees through an app of their own, and a small hub.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod hub;
pub mod person;

use std::time::Duration;

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(20);
