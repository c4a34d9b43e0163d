//! Other roles of the binary: one personality a file.
