//! The mesh of agents: the sockets under the gossip, the sessions between agents, and the search
//! for the first of them. Whatever comes from the network is opened with the cluster's key before
//! anything else sees it.

pub mod seal;

pub mod link;

pub mod frame;

pub mod session;

mod anew;

mod seeds;

mod reach;

mod watches;

mod parts;

pub mod node;

mod sights;
