//! haproxy's Runtime API: servers come and go without a reload. What is to be is read from the
//! rendered configuration, what is from the running process; the difference is commands.

pub mod config;

pub mod state;

pub mod plan;

pub mod runtime;
