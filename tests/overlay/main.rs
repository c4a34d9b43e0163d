//! Images made for s6-overlay, with pidone as `/init`: the real binary as PID 1 over a root of the
//! test's own, which lies over the machine's.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may stop where it stands, and looks at the clock"
)]

#[path = "../support/mod.rs"]
mod support;

mod endings;
mod image;
mod input;
mod lab;
mod logging;
mod order;
mod public;
mod second;
mod surroundings;
mod tools;
mod variables;
