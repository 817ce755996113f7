//! The homeserver side against an in-process stand-in for a homeserver, over real HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value
)]

mod crypto;
mod delivery;
mod intake;
mod rooms;
mod speaking;
mod support;
