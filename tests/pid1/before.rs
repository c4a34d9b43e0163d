//! `stop.before`: what is run before a service is asked to end.

use std::fs;
use std::time::{Duration, Instant};

use nix::libc;

use crate::support::{SOON, can_contain, container, poll, read};

const SLEEPER: &str = "command = [\"sleep\", \"1000\"]\n";

#[test]
fn before_comes_before_the_signal_on_every_deliberate_stop() {
    if !can_contain() {
        return;
    }
    let toml = "command = \"trap 'echo asked >>/mnt/order; exit 0' TERM; \
                while :; do sleep 0.05; done\"\n\
                env = { WHO = \"me\" }\nuser = \"12345\"\nworkdir = \"/mnt\"\n\
                [stop]\nbefore = \"echo leaving as $(id -u) $WHO from $(pwd); \
                echo before >>order; exit 4\"\nbefore-timeout = \"5s\"\n";
    let mut it = container()
        .service("web", toml)
        .service("stays", SLEEPER)
        .file("order", "")
        .start();
    let order = it.path("order");
    fs::set_permissions(&order, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    it.until("web", "ready");
    assert_eq!(it.pidone(&["restart", "web"]).code, 0, "{}", it.err.text());
    assert_eq!(read(&order), "before\nasked\n");
    assert_eq!(it.pidone(&["stop", "web"]).code, 0, "{}", it.err.text());
    assert_eq!(read(&order), "before\nasked\n".repeat(2));
    assert_eq!(it.pidone(&["start", "web"]).code, 0, "{}", it.err.text());
    it.signal(libc::SIGTERM);
    assert_eq!(it.wait(SOON).code, 0, "{}", it.err.text());
    assert_eq!(read(&order), "before\nasked\n".repeat(3));
    let out = it.out.text();
    assert_eq!(out, "web | leaving as 12345 me from /mnt\n".repeat(3));
    let told = "web * stop.before failed: exit code 4";
    assert_eq!(it.err.text().matches(told).count(), 3, "{}", it.err.text());
}

#[test]
fn a_before_that_hangs_is_killed_with_what_it_started() {
    if !can_contain() {
        return;
    }
    let toml = "command = [\"sleep\", \"1000\"]\n\
                [stop]\nbefore = \"trap '' TERM; sleep 999 & touch /mnt/begun; wait\"\n\
                before-timeout = \"300ms\"\n";
    let gone = "command = [\"sleep\", \"1000\"]\n[stop]\nbefore = [\"/mnt/not/there\"]\n";
    let mut it = container()
        .service("web", toml)
        .service("gone", gone)
        .service("stays", SLEEPER)
        .start();
    it.until("web", "ready");
    it.until("gone", "ready");
    let began = Instant::now();
    assert_eq!(it.pidone(&["stop", "web", "gone"]).code, 0);
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert!(it.path("begun").exists());
    let sleepers = || it.processes().iter().filter(|p| p.name == "sleep").count();
    assert!(poll(SOON, || sleepers() == 1), "{:?}", it.processes());
    assert_eq!(it.service("web")["state"], "down");
    it.err
        .until("web * stop.before still runs after 0.3s: SIGKILL");
    it.err
        .until("gone * stop.before failed: cannot execute `/mnt/not/there`");
    assert_eq!(it.stop().code, 0, "{}", it.err.text());
}

#[test]
fn a_second_int_does_not_wait_for_before_and_a_death_ends_it() {
    if !can_contain() {
        return;
    }
    let slow = |more: &str| {
        format!(
            "command = [\"sleep\", \"1000\"]\n[stop]\n\
             before = \"touch /mnt/begun{more}; exec sleep 999\"\nbefore-timeout = \"1m\"\n"
        )
    };
    let mut it = container()
        .service("web", &slow("1"))
        .service("stays", SLEEPER)
        .start();
    it.until("web", "ready");
    assert_eq!(it.pidone(&["stop", "--no-wait", "web"]).code, 0);
    assert!(poll(SOON, || it.path("begun1").exists()));
    assert_eq!(it.service("web")["state"], "stopping");
    assert_eq!(it.pidone(&["signal", "KILL", "web"]).code, 0);
    it.until("web", "down");
    let sleepers = || it.processes().iter().filter(|p| p.name == "sleep").count();
    assert!(poll(SOON, || sleepers() == 1), "{:?}", it.processes());
    it.err.until("web * ended in");
    it.stop();

    let mut it = container().service("web", &slow("2")).start();
    it.until("web", "ready");
    it.signal(libc::SIGINT);
    assert!(poll(SOON, || it.path("begun2").exists()));
    it.signal(libc::SIGINT);
    let ended = it.wait(SOON);
    assert_eq!(ended.code, 137, "{}", it.err.text());
    assert!(ended.after < Duration::from_secs(2), "{ended:?}");
}
