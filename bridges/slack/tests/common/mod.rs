//! What the tests share: what most of them begin with, and a person of the workspace who sees through an app of their own.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod person;
pub mod stage;
