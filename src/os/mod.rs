//! The kernel: every system call that is not a socket or a pipe of its owner, and all `unsafe`.

pub mod attempt;
mod child;
mod chunks;
pub mod clock;
mod content;
pub mod files;
mod folder;
pub mod heap;
pub mod kill;
pub mod memory;
pub mod notification;
pub mod oom;
pub mod output;
pub mod peer;
pub mod pid1;
pub mod plan;
pub mod poll;
pub mod probes;
pub mod queue;
pub mod reaper;
pub mod reason;
pub mod signals;
pub mod spawner;
pub mod step;
pub mod terminal;
pub mod users;
mod waiter;
