//! Other roles of the binary: one personality a file or folder.

pub mod exec;

pub mod syslog;

pub mod ship;

pub mod s6;

mod single;

pub mod tini;

pub mod dumb_init;
