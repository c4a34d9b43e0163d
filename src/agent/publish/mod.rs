//! From a change among the members to a file that its reader has taken: when (`turn`, pure), the
//! servers that a running haproxy is told of at once (`servers`, `leaving`), the file (`job`,
//! `swap`), and the task that does them (`task`).

pub mod turn;

pub mod swap;

mod outside;

pub mod servers;

mod leaving;

pub mod job;

pub mod status;

pub mod task;
