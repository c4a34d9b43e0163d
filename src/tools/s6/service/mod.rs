//! Clients of a supervised service directory: what lies on disk is what all sides agree by.

pub(super) mod check;
pub(super) mod control;
mod listen;
pub(super) mod status;
pub(super) mod tally;
pub(super) mod wait;
