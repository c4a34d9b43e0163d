//! What a rescan leaves behind, and when there is none: pipes, descriptors, followers, the end.

use std::fs;

use nix::libc;

use crate::rescan::{
    NOTIFIES, SLEEP, define, descriptors, has, pids, ready, remove, rescan, script, state,
};
use crate::support::{SOON, can_contain, container, eventually};

#[test]
fn a_log_comes_and_goes() {
    if !can_contain() {
        return;
    }
    let run = "#!/bin/sh\nwhile :; do echo line; sleep 0.02; done\n";
    let mut it = container()
        .script("services/talk/run", run)
        .service("web", SLEEP)
        .start();
    it.out.until("line");
    it.until("web", "ready");
    let before = descriptors(&it);
    let logger = "#!/bin/sh\nexec sed -u 's/^/logged /' >>/mnt/logged\n";
    for _ in 0..3 {
        script(&it, "services/talk/log/run", logger);
        let screen = rescan(&it);
        assert!(screen.contains("restarted   talk"), "{screen}");
        it.read("logged");
        remove(&it, "talk/log");
        rescan(&it);
        eventually("the logger has vanished", SOON, || pids(&it).len() == 2);
        fs::remove_file(it.path("logged")).unwrap();
        it.until("talk", "ready");
    }
    eventually("all pipes are closed", SOON, || descriptors(&it) == before);
    let out = it.out.text();
    assert!(!out.contains("logged"), "{out}");
    it.stop();
}

#[test]
fn main_that_is_gone_does_not_end_the_container() {
    if !can_contain() {
        return;
    }
    let mut it = container()
        .service("app", &format!("main = true\n{SLEEP}"))
        .service("web", SLEEP)
        .start();
    it.until("app", "ready");
    it.until("web", "ready");
    remove(&it, "app");
    rescan(&it);
    eventually("it has vanished", SOON, || !has(&it, "app"));
    assert_eq!(state(&it, "web"), "ready");
    define(&it, "web", "main = true\ncommand = [\"sleep\", \"1000\"]\n");
    assert!(rescan(&it).contains("updated     web"));
    // The client may be gone with the container before it has said its own word.
    it.pidone(&["signal", "INT", "web"]);
    assert_eq!(it.wait(SOON).code, 130);
}

#[test]
fn once_the_container_stops_nothing_is_changed() {
    if !can_contain() {
        return;
    }
    let deaf = "command = \"trap '' TERM; echo up; while :; do sleep 0.05; done\"\n\
                [stop]\ntimeout = \"1s\"\n";
    let mut it = container().service("deaf", deaf).start();
    it.out.until("up");
    define(&it, "new", SLEEP);
    it.signal(libc::SIGTERM);
    it.err.until("SIGTERM: stopping");
    let answer = it.pidone(&["rescan"]);
    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(
        answer.err.contains("the container is stopping"),
        "{answer:?}"
    );
    it.signal(libc::SIGHUP);
    assert_eq!(it.wait(SOON).code, 137);
    assert!(!it.err.text().contains("new"), "{}", it.err.text());
}

#[test]
fn fifty_edits_leave_no_descriptors_behind() {
    if !can_contain() {
        return;
    }
    let mut it = ready(&["keep", "s0", "s1", "s2", "s3"]);
    // What the first service of its kind opens for all of them is there for good.
    define(&it, "s4", NOTIFIES);
    rescan(&it);
    remove(&it, "s4");
    rescan(&it);
    eventually("it has come and gone", SOON, || !has(&it, "s4"));
    let before = (descriptors(&it), pids(&it)["keep"]);
    // Chance from a seed (splitmix64).
    let mut seed: u64 = 42;
    let mut chance = |end: u64| {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    };
    for edit in 0..50 {
        let name = format!("s{}", chance(8));
        let exists = it.path(&format!("services/{name}")).exists();
        match chance(6) {
            0 | 1 if exists => remove(&it, &name),
            2 => define(&it, &name, NOTIFIES),
            3 => define(
                &it,
                &name,
                &format!("{SLEEP}[ready]\nfd = 3\n[log]\nformat = \"none\"\n"),
            ),
            4 => define(&it, &name, &format!("enabled = false\n{SLEEP}")),
            _other => define(
                &it,
                &name,
                &format!("command = [\"sleep\", \"{}\"]\n", 900 + edit),
            ),
        }
        rescan(&it);
    }
    for name in (0..8).map(|n| format!("s{n}")) {
        if it.path(&format!("services/{name}")).exists() {
            remove(&it, &name);
        }
    }
    rescan(&it);
    eventually("only one is left", SOON, || pids(&it).len() == 1);
    for n in 0..4 {
        define(&it, &format!("s{n}"), SLEEP);
    }
    rescan(&it);
    for n in 0..4 {
        it.until(&format!("s{n}"), "ready");
    }
    eventually("as many descriptors as before", SOON, || {
        descriptors(&it) == before.0
    });
    assert_eq!(pids(&it)["keep"], before.1);
    it.stop();
}

#[test]
fn who_follows_hears_of_those_that_come_and_of_the_last_words_of_those_that_go() {
    if !can_contain() {
        return;
    }
    let last =
        "command = \"trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done\"\n";
    let mut it = container()
        .service("last", last)
        .service("web", SLEEP)
        .start();
    it.out.until("up");
    let follow = "/mnt/pidone logs -f >/mnt/followed 2>&1 & \
                  /mnt/pidone events -f >/mnt/events 2>&1 &";
    assert_eq!(it.run(&["sh", "-c", follow]).code, 0);
    it.read("followed");
    define(&it, "talk", "command = \"echo hello; exec sleep 1000\"\n");
    remove(&it, "last");
    rescan(&it);
    let read = |name: &str| fs::read_to_string(it.path(name)).unwrap_or_default();
    eventually("both are heard", SOON, || {
        let followed = read("followed");
        followed.contains("| hello") && followed.contains("| bye")
    });
    eventually("the end is told", SOON, || {
        read("events").contains("last    gone")
    });
    // Its lines go with it.
    let answer = it.pidone(&["logs", "last"]);
    assert_ne!(answer.code, 0, "{answer:?}");
    it.stop();
}

#[test]
fn how_long_a_rescan_takes() {
    if !can_contain() {
        return;
    }
    for count in [100, 1000] {
        let names: Vec<String> = (0..count).map(|n| format!("s{n:04}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        // Not started: only the reading and the comparing are measured.
        let off = format!("enabled = false\n{SLEEP}");
        let recipe = names
            .iter()
            .fold(container(), |recipe, name| recipe.service(name, &off));
        let mut it = recipe
            .service("web", SLEEP)
            .env("PIDONE_LOG", "debug")
            .start();
        it.until("web", "ready");
        for _ in 0..3 {
            assert_eq!(rescan(&it), format!("{} services unchanged\n", count + 1));
        }
        let story = it.err.until("services read again in");
        let took = story.lines().rev().find_map(|line| {
            let (_, rest) = line.split_once("read again in ")?;
            rest.split(' ').next()?.parse::<u64>().ok()
        });
        println!(
            "a rescan of {count} unchanged services: {} us",
            took.unwrap()
        );
        it.stop();
    }
}
