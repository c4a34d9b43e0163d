//! From members to a running haproxy, for real: templates rendered, checked, swapped, and taken up
//! by the Runtime API or a reload, with what can go wrong on the way.

mod support;

#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test stops where it stands, and starts processes"
)]
mod publish {
    pub(crate) mod bench;
    mod drains;
    mod failures;
    mod stories;
    mod turns;
}
