//! The control socket with real clients: good ones, bad ones, and such as may not.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests start processes of their own, and may fail; PID 1's rules are not theirs"
)]

mod bad_input;
mod binary;
mod handed;
mod house;
mod place;
mod rights;
mod slow;
mod whole;
