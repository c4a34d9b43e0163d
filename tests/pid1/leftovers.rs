//! What a service leaves behind in its process group when its main process dies.

use std::fs;

use nix::libc;

use crate::support::{Container, SOON, can_contain, container, poll, process};

/// A child in its group, a daemon that has left it, and the main process.
const PARENT: &str = "#!/bin/sh\nsleep 2000 & setsid sleep 3000 & exec sleep 1000\n";
const TOLD: &str = "web * left processes behind: SIGKILL to its process group\n";

/// How many live that sleep for so long.
fn sleepers(it: &Container, seconds: u32) -> Vec<i32> {
    let wanted = format!("sleep\0{seconds}\0");
    let is_one = |pid: &i32| {
        fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line == wanted.as_bytes())
    };
    let all = it.processes().into_iter().map(|p| p.pid);
    all.filter(is_one).collect()
}

/// Waits until the main process, the child and the daemon are so many.
fn until(it: &Container, counts: [usize; 3]) {
    let count = || [1000, 2000, 3000].map(|seconds| sleepers(it, seconds).len());
    assert!(poll(SOON, || count() == counts), "{:?}", count());
}

/// SIGKILL to the main process, and its successor is ready.
fn die(it: &Container) {
    let main = sleepers(it, 1000)[0];
    process::send(main, libc::SIGKILL).unwrap();
    let again = || {
        let web = it.service("web");
        web["state"] == "ready" && web["restarts"] == 1
    };
    assert!(poll(SOON, again), "{}", it.status());
}

#[test]
fn a_restart_after_a_death_begins_without_it() {
    if !can_contain() {
        return;
    }
    let mut it = container().script("services/web/run", PARENT).start();
    until(&it, [1, 1, 1]);
    die(&it);
    // Who has left the group is nobody's business.
    until(&it, [1, 1, 2]);
    let said = it.err.text();
    let death = said.find("web * died of SIGKILL, restart 1 now").unwrap();
    assert!(said.find(TOLD).is_some_and(|at| at > death), "{said}");
    it.stop();
}

#[test]
fn it_holds_the_port_no_longer() {
    if !can_contain() {
        return;
    }
    let serve = "#!/usr/bin/perl\nuse IO::Socket::INET;\n\
        my $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1:4711', Listen => 5) or die $!;\n\
        fork; sleep 1000;\n";
    let mut it = container()
        .script("services/web/run", serve)
        .file(
            "services/web/service.toml",
            "[ready]\ntcp = \"127.0.0.1:4711\"\n",
        )
        .start();
    let web = it.until("web", "ready");
    let pid = web["pid"].clone();
    assert_eq!(it.pidone(&["signal", "KILL", "web"]).code, 0);
    let again = poll(SOON, || {
        let web = it.service("web");
        web["state"] == "ready" && web["pid"] != pid
    });
    assert!(again, "{}\n{}", it.status(), it.err.text());
    it.stop();
}

#[test]
fn a_finish_decides_by_itself() {
    if !can_contain() {
        return;
    }
    let mut it = container()
        .script("services/web/run", PARENT)
        .script("services/web/finish", "#!/bin/sh\nexit 0\n")
        .start();
    until(&it, [1, 1, 1]);
    die(&it);
    until(&it, [1, 2, 2]);
    assert!(!it.err.text().contains(TOLD), "{}", it.err.text());
    it.signal(libc::SIGTERM);
    it.wait(SOON);
}

#[test]
fn what_is_not_restarted_leaves_whatever_it_left() {
    if !can_contain() {
        return;
    }
    let mut it = container()
        .script("services/web/run", "#!/bin/sh\nsleep 2000 &\nexit 0\n")
        .file("services/web/service.toml", "type = \"oneshot\"\n")
        .service("other", "command = [\"sleep\", \"1000\"]\n")
        .start();
    it.until("web", "finished");
    it.until("other", "ready");
    until(&it, [1, 1, 0]);
    it.signal(libc::SIGTERM);
    it.wait(SOON);
}
