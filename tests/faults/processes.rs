//! Processes that go astray: orphans by the thousand, and grandchildren that keep stdout open.

use std::time::Duration;

use crate::stage::{Fault, let_go, nothing, victim_is_up};
use crate::support::{SOON, eventually};

/// 100 parents leave 100 children each; perl is part of every Debian image.
const BOMB: &str = "#!/bin/sh\nuntil [ -e /mnt/go ]; do sleep 0.02; done\n\
    perl -e 'for (1..100) { my $p = fork; die unless defined $p; \
    if (!$p) { for (1..100) { my $c = fork; die unless defined $c; exit 0 unless $c } exit 0 } \
    waitpid $p, 0 }' && touch /mnt/forked\n\
    exec sh -c 'while :; do sleep 1; done' victim\n";

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "10,000 orphans die at once",
        during: [true; 5],
        recipe: |recipe| recipe.script("services/victim/run", BOMB),
        strike: |stage| {
            stage.run("touch /mnt/go");
        },
        lasts: Duration::from_millis(2500),
        release: let_go,
        heals: |stage| stage.it.path("forked").exists() && victim_is_up(stage),
    },
    Fault {
        name: "grandchildren of a stopped service hold its stdout",
        during: [true; 5],
        recipe: |recipe| {
            let run = "#!/bin/sh\nsetsid sh -c 'trap \"\" HUP TERM; touch /mnt/up; \
                       while :; do echo held; sleep 0.05; done' grandchild &\n\
                       exec sh -c 'while :; do sleep 1; done' victim\n";
            recipe.script("services/victim/run", run)
        },
        strike: |stage| {
            stage.it.read_sign("up");
            let answer = stage.it.pidone(&["stop", "victim"]);
            assert_eq!(answer.code, 0, "{answer:?}");
            eventually("the grandchild is an orphan", SOON, || {
                stage.called("grandchild").is_some()
            });
        },
        lasts: Duration::from_secs(1),
        release: let_go,
        heals: nothing,
    },
];
