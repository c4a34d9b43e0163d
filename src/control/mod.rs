//! How PID 1 is asked: the protocol, its server and its client.

pub mod protocol;

pub mod describe;

pub mod rights;

pub mod grant;

pub mod place;

pub mod outbox;

mod door;

pub mod session;

pub mod server;

pub mod client;
