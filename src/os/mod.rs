//! The kernel: every system call that is not a socket or a pipe of its owner, and all `unsafe`.

mod chunks;
pub mod clock;
pub mod memory;
pub mod output;
pub mod poll;
pub mod queue;
mod waiter;
