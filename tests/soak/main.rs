//! The real binary under random kills, restarts, rescans, reloads, floods of output and clients,
//! for `SOAK_SECONDS`: at the end it has as many descriptors as after the warm-up, and as much
//! memory of its own within 5 %. `tests/soak.sh --minutes 10` is the long form, with the release
//! binary.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test may stop where it stands, and waits for conditions with a deadline"
)]

#[path = "../world/chance.rs"]
#[allow(dead_code, reason = "the fake world uses the rest")]
mod chance;
mod deeds;
mod fleet;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use chance::Chance;
use deeds::{Deed, Driver};
use support::process::{Process, children};
use support::{Container, SOON, can_contain, eventually, poll};

/// Unless told otherwise: long enough to see that the soak itself works.
const SECONDS: u64 = 6;

/// This part of the time is the warm-up.
const WARM_UP: f64 = 0.2;

/// Clients and killers at once.
const DRIVERS: u64 = 3;

/// In less time the warm-up is none: what is kept of the past (lines, events), and what the heap
/// keeps for the next burst, still grows. Then it has a limit.
const LONG: Duration = Duration::from_secs(600);

/// Private dirty memory that no short soak comes to.
const DIRTY_KIB_MAX: u64 = 3 * 1024;

/// From here on everything must have been done at least once.
const BUSY: Duration = Duration::from_secs(60);

/// Private dirty memory may have grown by so much, percent.
const GROWTH_PERCENT: u64 = 5;

/// What PID 1 has of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Own {
    descriptors: usize,
    dirty_kib: u64,
}

impl Own {
    fn of(pid: i32) -> Self {
        let maps = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
        let line = maps
            .lines()
            .find_map(|line| line.strip_prefix("Private_Dirty:"));
        let dirty = line.unwrap().split_whitespace().next().unwrap();
        Self {
            descriptors: fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count(),
            dirty_kib: dirty.parse().unwrap(),
        }
    }
}

fn seconds() -> u64 {
    let told = std::env::var("SOAK_SECONDS").ok();
    told.and_then(|told| told.parse().ok()).unwrap_or(SECONDS)
}

/// Everybody does what chance says, until the time is up; how often what was done.
fn live(it: &Container, lasts: Duration, seed: u64) -> BTreeMap<Deed, u64> {
    let until = Instant::now() + lasts;
    let mut counts = BTreeMap::new();
    let (pid, of) = (it.pid, it.box_dir.as_path());
    std::thread::scope(|scope| {
        let drivers: Vec<_> = (0..DRIVERS)
            .map(|number| {
                scope.spawn(move || {
                    let mut driver = Driver::new(pid, of, Chance(seed * DRIVERS + number));
                    while Instant::now() < until {
                        driver.act();
                        alive(pid);
                    }
                    driver.counts
                })
            })
            .collect();
        for driver in drivers {
            for (deed, count) in driver.join().unwrap() {
                *counts.entry(deed).or_default() += count;
            }
        }
    });
    counts
}

fn alive(pid: i32) {
    let pid1 = Process::of(pid);
    assert!(pid1.is_some_and(|p| p.state != 'Z'), "PID 1 is gone");
}

/// Everything is as it was defined, up, and quiet; every ring of lines is full.
fn calm_down(it: &Container) {
    fleet::define_all(&it.box_dir);
    let mut last = String::new();
    let calm = poll(2 * SOON, || {
        let ask = |words: &[&str]| it.pidone(words);
        let _ = ask(&["rescan"]);
        let _ = ask(&[&["start", "--no-wait"], fleet::KEPT_UP.as_slice()].concat());
        let answer = ask(&["status"]);
        last.clone_from(&answer.out);
        let up = |name: &&str| {
            let line = answer
                .out
                .lines()
                .find(|line| line.starts_with(&format!("{name} ")));
            line.is_some_and(|line| line.contains(" ready "))
        };
        // Who is not defined any more takes its descriptors with it.
        let has_left = !answer.out.contains("\nextra ");
        has_left && fleet::KEPT_UP.iter().all(up)
    });
    assert!(
        calm,
        "not everybody is up again:\n{last}\n{}",
        it.err.text()
    );
    let zombies = || {
        let all = children(it.pid).into_iter();
        all.filter(|pid| Process::of(*pid).is_some_and(|p| p.state == 'Z'))
            .count()
    };
    eventually("no zombie is left", SOON, || zombies() == 0);
}

/// How much it has, once that is what is wanted, or after a while in which it was not.
fn measure(it: &Container, is_wanted: impl Fn(Own) -> bool) -> Own {
    let mut own = Own::of(it.pid);
    poll(SOON, || {
        own = Own::of(it.pid);
        is_wanted(own)
    });
    own
}

#[test]
fn it_is_after_a_long_time_as_it_was() {
    if !can_contain() {
        return;
    }
    let lasts = Duration::from_secs(seconds());
    let mut it = fleet::recipe().start();
    calm_down(&it);
    live(&it, lasts.mul_f64(WARM_UP), 1);
    calm_down(&it);
    // What is there for a moment only (a start, a client) is not what it keeps.
    let mut before = Own::of(it.pid);
    for _look in 0..150 {
        let own = Own::of(it.pid);
        before.descriptors = before.descriptors.min(own.descriptors);
        before.dirty_kib = before.dirty_kib.max(own.dirty_kib);
        std::thread::sleep(Duration::from_millis(20));
    }
    let counts = live(&it, lasts.mul_f64(1.0 - WARM_UP), 2);
    calm_down(&it);
    let is_same = |own: Own| {
        let is_small = if lasts < LONG {
            own.dirty_kib < DIRTY_KIB_MAX
        } else {
            own.dirty_kib * 100 <= before.dirty_kib * (100 + GROWTH_PERCENT)
        };
        own.descriptors == before.descriptors && is_small
    };
    let after = measure(&it, is_same);
    println!("{before:?} before, {after:?} after {} s", lasts.as_secs());
    let all: u64 = counts.values().sum();
    println!("{all} deeds: {counts:?}");
    assert!(is_same(after), "{before:?} before, {after:?} after");
    let is_all = lasts < BUSY || counts.len() == deeds::ALL.len();
    assert!(is_all, "not everything was done");
    it.stop();
    let torn = fleet::torn(&it.out.text());
    assert_eq!(torn, None, "a line is torn");
}
