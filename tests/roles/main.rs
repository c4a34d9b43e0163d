//! The binary's roles that are services of their own: `pidone syslog` with the programs that write
//! to it, `pidone ship` with a real collector.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may stop where it stands, and waits for conditions with a deadline"
)]

#[path = "../support/mod.rs"]
mod support;

mod account;
mod collector;
mod container;
mod examples;
mod killed;
mod messages;
mod migrate;
mod operations;
mod role;
mod ship;
mod syslog;
