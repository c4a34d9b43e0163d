//! From a change among the members to a file that its reader has taken: when (`turn`, pure), the
//! file (`swap`), the whole way of one change (`job`), and the task that goes it (`task`).

pub mod turn;

pub mod swap;

mod outside;

pub mod job;

pub mod task;
