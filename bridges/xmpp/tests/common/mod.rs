//! Real servers, a person in its rooms, and a hub that records.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "shared by several test binaries")]

pub mod ejabberd;
pub mod hub;
pub mod person;
pub mod prosody;
pub mod proxy;
pub mod remote;

/// A real server with three components: `bridge.localhost`, `people.localhost` and `others.localhost`.
pub trait Server: Send + Sync {
    /// Where a component connects.
    fn port(&self, domain: &str) -> u16;
}
