//! Syslog as text, both ways. Pure: octets of a datagram in, a message and its line out; a line of
//! a service in, the octets for a collector out, and the bounded queue in which they wait.

pub mod message;

pub mod parse;

pub mod line;

pub mod record;

pub mod backlog;

pub mod handed;

pub mod pause;
