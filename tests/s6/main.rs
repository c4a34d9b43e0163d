//! The tools of s6, execline, tini and dumb-init beside the real ones of Debian: the same words
//! to both, and the same comes of it.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may stop where it stands, and starts processes"
)]

#[path = "../support/mod.rs"]
mod support;

mod install;
mod side;
mod table;

use side::Tools;
use table::{check, golden};

#[test]
fn execline_is_execline() {
    check(Tools::Skarnet, include_str!("tables/execline.txt"));
}

#[test]
fn conditions_hold_as_in_eltest() {
    check(Tools::Skarnet, include_str!("tables/eltest.txt"));
}

#[test]
fn environments_and_users_are_s6s() {
    check(Tools::Skarnet, include_str!("tables/environment.txt"));
}

#[test]
fn the_containers_environment_is_s6_overlays() {
    if support::can_contain() {
        golden(include_str!("tables/contenv.txt"));
    }
}
