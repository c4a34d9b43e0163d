//! Other roles of the binary: one personality a file.

pub mod exec;
