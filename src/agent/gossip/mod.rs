//! The gossip among agents, without a socket or a clock: datagrams and the time come in, datagrams
//! go out, and the directory of members changes. The protocol is SWIM, by the crate `foca`; around
//! it are the order of its timers, the search for members, and what members say of themselves.

pub mod peer;

pub mod timers;

pub mod records;

pub mod directory;

pub mod knowledge;

mod pace;

mod bounds;

mod steady;

pub mod driver;

mod exchange;

pub mod own;
