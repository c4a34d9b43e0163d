//! The kernel: every system call that is not a socket or a pipe of its owner, and all `unsafe`.

pub mod attempt;
mod child;
pub mod clock;
pub mod files;
pub mod kill;
pub mod notification;
pub mod oom;
pub mod peer;
pub mod pid1;
pub mod poll;
pub mod probes;
pub mod reaper;
pub mod signals;
pub mod spawner;
pub mod step;
pub mod terminal;
pub mod users;
