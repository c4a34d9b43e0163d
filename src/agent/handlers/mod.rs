//! Programs that are told of changes among the members, in Serf's own contract: environment
//! variables and a line for each member on stdin, so that a handler made for Serf runs unchanged.

pub mod queue;

pub mod words;

pub mod task;
