//! How a container is stopped, and how it ends.

use std::fs;
use std::time::{Duration, Instant};

use nix::libc;

use crate::support::{Recipe, SOON, can_contain, container, poll, read};

const SLEEPER: &str = "command = [\"sleep\", \"1000\"]\n";

/// A service that ignores TERM until it is killed.
const STUBBORN: &str = "command = \"trap '' TERM; exec sleep 1000\"\n";

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or("")
}

/// Whether TERM is blocked or caught in pidone, or in the `env` that is about to become it.
fn awake(pid: i32) -> bool {
    const TERM: u64 = 1 << (libc::SIGTERM - 1);
    // One reading for all the fields: between two, `unshare` or the shell might become pidone.
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = |name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.map_or("", |value| value.trim_start_matches(':').trim())
    };
    let held = |name| u64::from_str_radix(field(name), 16).unwrap_or(0) & TERM != 0;
    ["pidone", "env"].contains(&field("Name")) && (held("SigBlk") || held("SigCgt"))
}

/// Boots, and sends TERM as soon as the process has TERM blocked or caught, plus `delay`. What is
/// sent before that to a PID 1 is thrown away by the kernel, whatever the program does.
fn stopped_at_boot(recipe: Recipe, delay: Duration) {
    let mut it = recipe
        .service("a", SLEEPER)
        .service("b", "needs = [\"a\"]\ncommand = [\"sleep\", \"1000\"]\n")
        .launch()
        .running;
    let deadline = Instant::now() + SOON;
    while !awake(it.pid) {
        assert!(
            Instant::now() < deadline,
            "TERM is never blocked: {}",
            it.err.text()
        );
    }
    let until = Instant::now() + delay;
    while Instant::now() < until {
        std::hint::spin_loop();
    }
    it.signal(libc::SIGTERM);
    let ended = it.wait(SOON);
    assert_eq!(ended.code, 0, "after {delay:?}: {}", it.err.text());
    assert!(
        ended.after < Duration::from_secs(3),
        "after {delay:?}: {ended:?}"
    );
}

#[test]
fn term_in_the_first_millisecond() {
    if can_contain() {
        for trial in 0..25 {
            stopped_at_boot(container(), Duration::from_micros(trial * 60));
        }
    }
}

#[test]
fn term_that_was_there_before_the_first_instruction() {
    if can_contain() {
        for trial in 0..15 {
            let recipe = container().through("env --block-signal=TERM");
            stopped_at_boot(recipe, Duration::from_micros(trial * 20));
        }
    }
}

#[test]
fn every_way_to_ask() {
    if !can_contain() {
        return;
    }
    // 37 is SIGRTMIN+3 as Docker sends it, whatever the C library calls its first one.
    for number in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGPWR, 37] {
        let mut it = container().service("web", SLEEPER).start();
        it.until("web", "ready");
        it.signal(number);
        let ended = it.wait(SOON);
        assert_eq!(ended.code, 0, "signal {number}: {}", it.err.text());
        assert!(
            ended.after < Duration::from_secs(2),
            "signal {number}: {ended:?}"
        );
    }
}

#[test]
fn a_second_term_changes_nothing() {
    if !can_contain() {
        return;
    }
    let slow = "command = \"trap 'touch /mnt/asked; sleep 1; touch /mnt/done; exit 0' TERM; \
                while :; do sleep 0.05; done\"\n";
    let mut it = container().service("slow", slow).start();
    it.until("slow", "ready");
    it.signal(libc::SIGTERM);
    assert!(
        poll(SOON, || it.path("asked").exists()),
        "{}",
        it.err.text()
    );
    it.signal(libc::SIGTERM);
    let ended = it.wait(SOON);
    assert_eq!(ended.code, 0, "{}", it.err.text());
    assert!(
        it.path("done").exists(),
        "it was cut short: {}",
        it.err.text()
    );
    assert!(
        it.err.text().matches("SIGTERM").count() >= 2,
        "{}",
        it.err.text()
    );
}

#[test]
fn a_second_int_forces() {
    if !can_contain() {
        return;
    }
    for number in [libc::SIGINT, libc::SIGQUIT] {
        let mut it = container().service("stubborn", STUBBORN).start();
        it.until("stubborn", "ready");
        it.signal(number);
        it.err.until("stopping");
        it.signal(number);
        let ended = it.wait(SOON);
        assert_eq!(ended.code, 137, "{}", it.err.text());
        assert!(ended.after < Duration::from_secs(2), "{ended:?}");
    }
}

#[test]
fn a_chain_that_ignores_term_ends_by_itself() {
    if !can_contain() {
        return;
    }
    let needing = |name: &str| format!("needs = [\"{name}\"]\n{STUBBORN}");
    let mut it = container()
        .service("a", STUBBORN)
        .service("b", &needing("a"))
        .service("c", &needing("b"))
        .start();
    it.until("c", "ready");
    it.signal(libc::SIGTERM);
    let ended = it.wait(SOON);
    let err = it.err.text();
    assert_eq!(ended.code, 137, "{err}");
    assert!(
        ended.after < Duration::from_millis(9500),
        "{ended:?}\n{err}"
    );
    assert!(
        ended.after > Duration::from_secs(5),
        "they had their time: {ended:?}\n{err}"
    );
    let last = last_line(&err);
    assert!(
        last.contains("3 killed") && last.contains("exit 137"),
        "{err}"
    );
}

#[test]
fn the_stop_timeout_is_a_setting() {
    if !can_contain() {
        return;
    }
    let mut it = container()
        .service("stubborn", STUBBORN)
        .env("PIDONE_STOP_TIMEOUT", "1500ms")
        .start();
    it.until("stubborn", "ready");
    it.signal(libc::SIGTERM);
    let ended = it.wait(SOON);
    assert_eq!(ended.code, 137, "{}", it.err.text());
    assert!(ended.after < Duration::from_secs(2), "{ended:?}");
}

#[test]
fn needs_stop_in_reverse() {
    if !can_contain() {
        return;
    }
    let named = |name: &str, more: &str| {
        format!(
            "{more}command = \"trap 'sleep 0.1; echo {name} >>/mnt/order; exit 0' TERM; \
             while :; do sleep 0.05; done\"\n"
        )
    };
    let mut it = container()
        .service("a", &named("a", ""))
        .service("b", &named("b", "needs = [\"a\"]\n"))
        .service("c", &named("c", "after = [\"b\", \"absent\"]\n"))
        .start();
    it.until("c", "ready");
    it.signal(libc::SIGTERM);
    assert_eq!(it.wait(SOON).code, 0, "{}", it.err.text());
    assert_eq!(read(&it.path("order")), "c\nb\na\n");
}

#[test]
fn a_stop_signal_of_its_own_and_the_group() {
    if !can_contain() {
        return;
    }
    let toml = "command = \"trap 'echo usr1 >>/mnt/seen; wait; exit 0' USR1; \
                sh -c 'trap \\\"echo child >>/mnt/seen; exit 0\\\" USR1; touch /mnt/up; \
                while :; do sleep 0.05; done' & while :; do sleep 0.05; done\"\n\
                [stop]\nsignal = \"SIGUSR1\"\ngroup = true\n";
    let mut it = container().service("web", toml).start();
    assert!(poll(SOON, || it.path("up").exists()), "{}", it.err.text());
    it.signal(libc::SIGTERM);
    assert_eq!(it.wait(SOON).code, 0, "{}", it.err.text());
    let seen = read(&it.path("seen"));
    assert!(seen.contains("usr1") && seen.contains("child"), "{seen}");
}

/// A service that leaves a daemon behind: its own session, no parent, no pipe.
const DAEMON: &str = "command = \"setsid sh -c 'trap \\\"touch /mnt/asked; exit 0\\\" TERM; \
    touch /mnt/up; while :; do sleep 0.05; done' </dev/null >/dev/null 2>&1 & \
    wait_up() { while [ ! -e /mnt/up ]; do sleep 0.02; done; }; wait_up; exec sleep 1000\"\n";

#[test]
fn strays_are_asked_before_the_end() {
    if !can_contain() {
        return;
    }
    for below in [false, true] {
        let recipe = container().service("forker", DAEMON);
        let mut it = if below { recipe.below() } else { recipe }.start();
        assert!(poll(SOON, || it.path("up").exists()), "{}", it.err.text());
        it.signal(libc::SIGTERM);
        let ended = it.wait(SOON);
        let err = it.err.text();
        assert_eq!(ended.code, 0, "below {below}: {err}");
        assert!(
            it.path("asked").exists(),
            "below {below}: no TERM to the daemon: {err}"
        );
        assert!(
            ended.after < Duration::from_secs(4),
            "below {below}: {ended:?}"
        );
    }
}

#[test]
fn a_stray_that_stands_still_hears_term() {
    if !can_contain() {
        return;
    }
    // It stops itself; the default of TERM ends it as soon as it goes on.
    let stopped = "command = \"setsid sh -c 'touch /mnt/up; kill -STOP $$' </dev/null >/dev/null \
                   2>&1 & while [ ! -e /mnt/up ]; do sleep 0.02; done; exec sleep 1000\"\n";
    let mut it = container().service("forker", stopped).start();
    assert!(poll(SOON, || it.path("up").exists()), "{}", it.err.text());
    it.signal(libc::SIGTERM);
    assert_eq!(it.wait(SOON).code, 0, "{}", it.err.text());
}

#[test]
fn nothing_is_left_where_it_is_not_pid_1() {
    if !can_contain() {
        return;
    }
    let script = "/mnt/pidone init --services /mnt/services & pid=$!\n\
        while [ ! -e /mnt/up ]; do sleep 0.02; done\n\
        kill -TERM $pid; wait $pid; echo code $?\n\
        for one in /proc/[0-9]*; do read -r name <$one/comm; echo left $name; done\n";
    let daemon = "command = \"setsid sh -c 'trap : TERM; touch /mnt/up; while :; do sleep 0.05; \
                  done' </dev/null >/dev/null 2>&1 & exec sleep 1000\"\n";
    let mut it = container()
        .service("forker", daemon)
        .program(&["sh", "-c", script])
        .start();
    it.wait(SOON);
    let out = it.out.text();
    assert!(out.contains("left sh"), "{out}");
    assert_eq!(out.matches("left ").count(), 1, "{out}\n{}", it.err.text());
}

#[test]
fn the_last_line_tells_the_tally() {
    if !can_contain() {
        return;
    }
    let mut it = container()
        .service("a", SLEEPER)
        .service("b", SLEEPER)
        .start();
    it.until("b", "ready");
    it.until("a", "ready");
    it.stop();
    let err = it.err.text();
    let last = last_line(&err);
    assert!(last.contains("done") && last.contains("2 clean"), "{err}");
    assert!(last.contains("exit 0"), "{err}");
}
