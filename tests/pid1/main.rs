//! The real binary as PID 1, in namespaces: what a container's user sees of it. One noun a file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::needless_pass_by_value,
    reason = "a test may stop where it stands, and waits for conditions with a deadline"
)]

#[path = "../support/mod.rs"]
mod support;

mod backpressure;
mod bad_input;
mod before;
mod child;
mod control;
mod down;
mod exit_codes;
mod explain;
mod guide;
mod harness;
mod health;
mod imported;
mod leftovers;
mod notify;
mod orphans;
mod output;
mod permits;
mod readiness;
mod rescan;
mod rescan_ends;
mod restart;
mod restricted;
mod s6_files;
mod scarce;
mod scheduled;
mod secrecy;
mod stop;
mod story;
mod strangers;
mod surroundings;
mod terminal;
mod traps;
mod uids;
mod walkthroughs;
