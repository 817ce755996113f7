//! The bridge at work on the stand-in: what the conformance kit cannot ask for, because only Slack has it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    clippy::format_push_string,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::too_many_lines,
    missing_docs,
    reason = "a test says what it sees, and stops at the first surprise"
)]

#[path = "../common/mod.rs"]
mod common;

mod apart;
mod away;
mod events;
mod grid;
mod manifest;
mod messages;
mod network;
mod office;
mod pace;
mod people;
mod places;
