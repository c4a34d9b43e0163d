//! The container's output: a reader that leaves, one that stands still, lines without an end; and
//! the socket's directory.

use std::time::Duration;

use crate::stage::{Fault, Stage, let_go, nothing};
use crate::support::{Recipe, SOON, Stdout, poll};

const MIB: usize = 1 << 20;

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "the reader of stdout and stderr is gone (EPIPE)",
        during: [true; 5],
        recipe: loud,
        strike: |stage| {
            stage.it.out.close();
            stage.it.err.close();
            stage.run("touch /mnt/go");
            stage.victim();
        },
        lasts: Duration::from_millis(1500),
        release: let_go,
        heals: |stage| stage.it.path("through").exists(),
    },
    Fault {
        name: "the reader of stdout and stderr stands still",
        during: [true; 5],
        recipe: loud,
        strike: |stage| {
            stage.it.out.hold(true);
            stage.it.err.hold(true);
            stage.run("touch /mnt/go");
            stage.victim();
        },
        lasts: Duration::from_millis(1500),
        release: |stage| {
            stage.it.out.hold(false);
            stage.it.err.hold(false);
        },
        heals: |stage| stage.it.path("through").exists(),
    },
    Fault {
        name: "the terminal at stdout and stderr hangs up (EIO)",
        during: [true; 5],
        recipe: |recipe| loud(recipe).stdout(Stdout::Terminal),
        strike: |stage| {
            stage.it.out.close();
            stage.run("touch /mnt/go");
            stage.victim();
        },
        lasts: Duration::from_millis(1500),
        release: let_go,
        heals: |stage| stage.it.path("through").exists(),
    },
    Fault {
        name: "a service writes a line of 64 MiB",
        during: [true; 5],
        recipe: |recipe| {
            let line = "until [ -e /mnt/go ]; do sleep 0.02; done; \
                        head -c 67108864 /dev/zero | tr '\\\\0' x; echo; touch /mnt/through; \
                        exec sleep 1000";
            let toml = format!("command = \"{line}\"\n");
            recipe.service("victim", &toml)
        },
        strike: |stage| {
            stage.run("touch /mnt/go");
        },
        lasts: Duration::from_millis(1500),
        release: let_go,
        heals: |stage| poll(SOON, || stage.it.path("through").exists()) && all_of_the_line(stage),
    },
    Fault {
        name: "the directory of the control socket is removed, and cannot be made",
        // Who asks finds nobody; PID 1 makes it anew, as soon as it can.
        during: [true, true, true, false, true],
        recipe: |recipe| recipe,
        strike: |stage| {
            stage.run("rm -r /run/pidone && touch /run/pidone");
        },
        lasts: Duration::from_millis(1500),
        release: |stage| {
            // The container may have ended.
            let _ = stage.it.run(&["rm", "/run/pidone"]);
        },
        heals: nothing,
    },
];

/// A service that writes more than all the pipes on the way hold.
fn loud(recipe: Recipe) -> Recipe {
    let run = "#!/bin/sh\nuntil [ -e /mnt/go ]; do sleep 0.02; done\n\
               exec sh -c 'seq 100000; seq 20000 >&2; touch /mnt/through; sleep 1000' victim\n";
    recipe.script("services/victim/run", run)
}

/// Nothing of the line is lost, in however many pieces it came.
fn all_of_the_line(stage: &Stage) -> bool {
    poll(SOON, || {
        let text = stage.it.out.text();
        text.bytes().filter(|byte| *byte == b'x').count() >= 64 * MIB
    })
}
