//! Logs that cannot be written: a full disk, and one that gives errors.

use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::pty::openpty;

use crate::stage::{Fault, Stage};
use crate::support::{Recipe, SOON, eventually, poll, setup};

/// Tells something all the time, once it may.
const WRITER: &str = "#!/bin/sh\nuntil [ -e /mnt/go ]; do sleep 0.05; done\n\
    exec sh -c 'while :; do seq 200; sleep 0.02; done' victim\n";

/// A small disk for the log.
const DISK: &str = "#!/bin/sh\nmountpoint -q /media || mount -t tmpfs -o size=256k tmpfs /media\n";

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "the disk of s6-log is full (ENOSPC)",
        during: [true; 5],
        recipe: |recipe| logged(recipe, "exec s6-log -b n3 s4096 /media/log\n"),
        strike: |stage| fill(stage, "No space left"),
        lasts: Duration::from_millis(1500),
        release: make_room,
        heals: |stage| grows(stage, "/media/log/current"),
    },
    Fault {
        name: "the disk of a logger is full, and it dies of that",
        during: [true; 5],
        recipe: |recipe| logged(recipe, "exec cat >>/media/log\n"),
        strike: |stage| fill(stage, "No space left"),
        lasts: Duration::from_millis(1500),
        release: make_room,
        heals: |stage| grows(stage, "/media/log"),
    },
    Fault {
        name: "what a logger writes to gives errors (EIO)",
        during: [true; 5],
        recipe: |recipe| {
            let logger = "until [ -e /mnt/terminal ]; do sleep 0.05; done\n\
                          exec cat >\"$(cat /mnt/terminal)\"\n";
            logged(recipe, logger)
        },
        strike: |stage| {
            let mut master = fs::File::from(terminal(stage));
            fs::write(stage.it.path("go"), "").unwrap();
            // It has written there, so that it meets the error while it writes. Until it has opened
            // it, the reader gets one too.
            eventually("it is written to", SOON, || {
                master.read(&mut [0; 64]).is_ok()
            });
            drop(master);
            stage.it.err.until("nput/output error");
        },
        lasts: Duration::from_millis(1500),
        release: |stage| {
            let master = terminal(stage);
            stage.held.push(Box::new(fs::File::from(master)));
        },
        heals: |stage| {
            let master = stage.held[0].downcast_ref::<fs::File>().unwrap();
            let mut some = [0; 64];
            let mut master = master;
            matches!(master.read(&mut some), Ok(count) if count > 0)
        },
    },
    Fault {
        name: "the container's stdout is a file on a full disk",
        during: [true; 5],
        recipe: |recipe| {
            let through = "sh -c 'mount -t tmpfs -o size=64k tmpfs /media; \
                           exec \"$@\" >/media/out' sh";
            recipe
                .through(through)
                .script("services/victim/run", WRITER)
        },
        strike: |stage| {
            stage.run("cat /dev/zero >/media/fill 2>/dev/null; touch /mnt/go");
            stage.victim();
        },
        lasts: Duration::from_millis(1500),
        release: make_room,
        heals: |stage| grows(stage, "/media/out"),
    },
];

fn logged(recipe: Recipe, logger: &str) -> Recipe {
    recipe
        .script("services/victim/run", WRITER)
        .script("services/victim/log/run", &format!("{DISK}{logger}"))
}

/// The disk is full, and the logger has met that.
fn fill(stage: &mut Stage, told: &str) {
    eventually("the disk is there", SOON, || {
        stage.it.run(&["mountpoint", "-q", "/media"]).code == 0
    });
    stage.run("cat /dev/zero >/media/fill 2>/dev/null; touch /mnt/go");
    stage.it.err.until(told);
}

fn make_room(stage: &mut Stage) {
    // The container may have ended.
    let _ = stage.it.run(&["rm", "/media/fill"]);
}

/// Whether this file has something in it that was not there before.
fn grows(stage: &Stage, path: &str) -> bool {
    let path = format!("/proc/{}/root{path}", stage.it.pid);
    let look = || fs::metadata(&path).map(|file| (file.len(), file.modified().unwrap()));
    let before = look().ok();
    poll(Duration::from_secs(1), || look().ok() != before)
}

/// A terminal for the logger; what is written to it fails once its master is gone.
fn terminal(stage: &Stage) -> OwnedFd {
    let pair = openpty(None, None).unwrap();
    setup::keep(&pair.master);
    let name = nix::unistd::ttyname(&pair.slave).unwrap();
    let path = stage.it.path("terminal");
    fs::write(path.with_extension("new"), name.to_str().unwrap()).unwrap();
    fs::rename(path.with_extension("new"), path).unwrap();
    pair.master
}
