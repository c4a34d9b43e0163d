//! How pidone grows: start, status, rescan and stop of 100 to 3,000 services. The time by service
//! is to stay as it is.

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::{Plan, hold, start};
use crate::figures::{Figures, short};
use crate::house::{House, PATIENCE, Running};
use crate::peers::{Fleet, Peer};
use crate::processes;

pub(crate) const SCALE: &str = "pidone: growth, ms";
pub(crate) const BY_SERVICE: &str = "pidone: growth, µs by service";
pub(crate) const PSS: &str = "pidone: growth, PSS of PID 1 in KiB";

pub(crate) fn measure(house: &House, plan: &Plan, figures: &mut Figures) {
    for count in plan.pick([100, 1000, 3000].as_slice(), &[100, 300]) {
        grow(house, *count, figures);
    }
}

fn grow(house: &House, count: usize, figures: &mut Figures) {
    let fleet = Fleet::of(count, "stamp");
    let dir = house.fresh_dir();
    let Some(command) = Peer::Pidone.set_up(house, &dir, &fleet) else {
        return;
    };
    let running = house.up(&[vec![house.program("launch")], command].concat());
    let all = running.stamped(count + 1, PATIENCE);
    hold(Peer::Pidone, &running, all, "all services start");
    let column = short(count as f64);
    let mut add = |what: &str, ms: f64| {
        figures.add(SCALE, &column, what, ms);
        figures.add(BY_SERVICE, &column, what, ms * 1e3 / count as f64);
    };
    let stamps = running.stamps();
    let last = stamps.iter().map(|stamp| stamp.at).max().unwrap_or(0);
    add("start", (last - stamps[0].at) as f64 / 1e6);
    let supervisors = running.settle(&house.dir.join("bin"));
    let pss = processes::memory(&supervisors).pss;
    let (ms, told) = ask(house, &running, &["status"]);
    let rows = String::from_utf8_lossy(&told.stdout).lines().count();
    hold(Peer::Pidone, &running, rows > count, "status tells of all");
    add("status", ms);
    let (ms, told) = ask(house, &running, &["rescan"]);
    hold(
        Peer::Pidone,
        &running,
        told.status.success(),
        "rescan is done",
    );
    add("rescan, nothing new", ms);
    let stopped = running.stop(Signal::SIGTERM, Duration::from_secs(10));
    hold(Peer::Pidone, &running, stopped.is_some(), "TERM stops all");
    add("stop", stopped.unwrap_or(f64::NAN));
    figures.add(PSS, &column, "pidone", pss);
}

/// Runs a command of pidone, and gives its milliseconds.
pub(crate) fn ask(house: &House, running: &Running, words: &[&str]) -> (f64, Output) {
    let mut command = Command::new(&house.pidone);
    command.args(words).stdin(Stdio::null());
    command.env("PIDONE_SOCKET", running.dir.join("socket"));
    let began = Instant::now();
    let told = command.output().expect("pidone");
    (began.elapsed().as_secs_f64() * 1e3, told)
}

/// So many services of pidone, all of them up.
pub(crate) fn fleet(house: &House, count: usize) -> Running {
    let running = start(house, Peer::Pidone, &Fleet::of(count, "stamp")).expect("it supervises");
    let all = running.stamped(count, PATIENCE);
    hold(Peer::Pidone, &running, all, "all services start");
    running
}
