//! The membership agent, a service like any other: who is there, which of their services are
//! ready, and what this node offers.
//!
//! `node` is its one loop: it waits, makes an `Event` of whatever came, and is the only owner of
//! the state. Every source of members, gossip among them, ends in a whole answer that goes to the
//! [`Roster`](crate::members::roster::Roster) by `Roster::take(origin, members)`. What that changed
//! (`Vec<roster::Event>`) is offered, with the roster as it is now, to whoever acts on it:
//! `Publisher::offer(&Roster, &[roster::Event], now)`, which returns at once. Beside it the loop
//! waits for `Publisher::next()`, which is cancel-safe, does what is due (in threads of its own),
//! and gives what there is to tell; `has_rendered()` says when the first render is done. `Handlers`
//! are the same. Other sources are tasks: each sends a `sources::Report` into the loop's channel.

pub mod fields;

pub mod config;

pub mod gossip;

pub mod mesh;

pub mod handlers;

pub mod haproxy;

pub mod publish;

pub mod sources;

pub mod local;

pub mod wire;

pub mod desk;

pub mod bulletin;

pub mod serve;

mod answer;

mod standing;

mod reread;
