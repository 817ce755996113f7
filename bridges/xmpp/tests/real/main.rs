//! The bridge on real servers. Skipped, with a printed reason, where they are not installed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    clippy::match_wild_err_arm,
    clippy::format_collect,
    clippy::format_push_string,
    clippy::assigning_clones,
    clippy::too_many_lines,
    unreachable_pub,
    missing_docs,
    reason = "a test says what it sees, and stops at the first surprise"
)]

#[path = "../common/mod.rs"]
mod common;

mod account;
mod apart;
mod catch_up;
mod changes;
mod direct;
mod figures;
mod leaving;
mod looks;
mod manners;
mod moderation;
mod people;
mod private;
mod rooms;
mod strange;
mod support;
mod talk;
mod trouble;
