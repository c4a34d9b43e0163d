//! Orphans: whoever loses its parent becomes PID 1's child, and must not stay a zombie.

use crate::support::{SOON, can_contain, container, eventually, poll};

/// 200 parents leave 100 children each; perl is part of every Debian image.
const FORKER: &str = "perl -e 'for (1..200) { my $p = fork; die unless defined $p; \
    if (!$p) { for (1..100) { my $c = fork; die unless defined $c; exit 0 unless $c } exit 0 } \
    waitpid $p, 0 }' && echo forked >/mnt/forked; exec sleep 1000";

fn none_is_left(below: bool) {
    let toml = format!("command = \"{}\"\n", FORKER.replace('"', "\\\""));
    let recipe = container().service("forker", &toml);
    let mut it = if below { recipe.below() } else { recipe }.start();
    let done = poll(SOON * 3, || it.path("forked").exists());
    assert!(done, "the forker did not get through: {}", it.err.text());
    // Neither a zombie nor one that is about to be one.
    let left = || it.processes().into_iter().map(|p| (p.name, p.state));
    eventually("the forker alone is left", SOON, || {
        left().all(|(name, state)| name == "sleep" && state != 'Z')
    });
    assert_eq!(left().count(), 1, "{}", it.err.text());
    it.stop();
    assert!(
        it.err.text().contains("orphans reaped"),
        "{}",
        it.err.text()
    );
}

#[test]
fn twenty_thousand_leave_no_zombie() {
    if can_contain() {
        none_is_left(false);
    }
}

#[test]
fn not_even_below_another_pid_1() {
    if can_contain() {
        none_is_left(true);
    }
}
