//! System calls on the supervisor's side: of all supervising processes, and of each child up to
//! its exec of the service.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Plan, hold};
use crate::figures::Figures;
use crate::house::{House, PATIENCE, Running, strike, until};
use crate::peers::{Fleet, Peer};
use crate::processes;

pub(crate) const CALLS: &str = "System calls on the supervisor's side, by service";
pub(crate) const START: &str = "start";
pub(crate) const RESTART: &str = "restart";
pub(crate) const STOP: &str = "stop";

const FEW: usize = 10;
const KILLED: usize = 20;

pub(crate) fn measure(house: &House, plan: &Plan, figures: &mut Figures) {
    let more = plan.pick(100, 30);
    let peers = plan.peers.iter().copied();
    for peer in peers.filter(|peer| peer.supervises() || *peer == Peer::Floor) {
        let few = Traced::boot(house, peer, FEW).count();
        let many = Traced::boot(house, peer, FEW + more);
        let booted = many.count();
        let each = (booted as f64 - few as f64) / more as f64;
        figures.add(CALLS, START, peer.name(), each);
        if peer == Peer::Floor {
            continue;
        }
        for pid in processes::services(many.running.pid1, &house.dir.join("bin"))
            .iter()
            .take(KILLED)
        {
            strike(*pid);
        }
        let back = many.running.stamped(FEW + more + KILLED, PATIENCE);
        hold(peer, &many.running, back, "who is killed is restarted");
        let restarted = many.count();
        let each = (restarted - booted) as f64 / KILLED as f64;
        figures.add(CALLS, RESTART, peer.name(), each);
        let Some(signal) = peer.stop_signal() else {
            continue;
        };
        many.running.stop(signal, Duration::from_secs(15));
        let each = (many.count() - restarted) as f64 / (FEW + more) as f64;
        figures.add(CALLS, STOP, peer.name(), each);
    }
}

/// A supervisor that strace looks at.
struct Traced {
    running: Running,
    file: PathBuf,
    strace: Child,
}

impl Drop for Traced {
    fn drop(&mut self) {
        // INT detaches; its file is in the directory of what it traces.
        let _ = kill(
            Pid::from_raw(self.strace.id().cast_signed()),
            Signal::SIGINT,
        );
        let _ = self.strace.wait();
    }
}

impl Traced {
    /// A boot with so many services, up to the last one's first act.
    fn boot(house: &House, peer: Peer, count: usize) -> Self {
        let fleet = Fleet::of(count, "stamp");
        let command = peer.set_up(house, &house.fresh_dir(), &fleet);
        let running = house.up_with(&command.expect("it supervises"), Stdio::null(), true);
        let file = running.dir.join("trace");
        let strace = Command::new("strace")
            .args(["-f", "-qq", "-s", "200", "-o"])
            .arg(&file)
            .args(["-p", &running.pid1.to_string()])
            .spawn()
            .expect("strace");
        let attached = || {
            let status = fs::read_to_string(format!("/proc/{}/status", running.pid1)).ok()?;
            let mut lines = status.lines();
            let tracer = lines.find_map(|line| line.strip_prefix("TracerPid:\t"))?;
            (tracer != "0").then_some(())
        };
        until(PATIENCE, attached).expect("strace attaches");
        running.open();
        let all = running.stamped(count, PATIENCE * 2);
        hold(peer, &running, all, "all services start under strace");
        Self {
            running,
            file,
            strace,
        }
    }

    /// How many so far, once nothing more is written for half a second.
    fn count(&self) -> usize {
        let length = || fs::metadata(&self.file).map_or(0, |data| data.len());
        let mut seen = (length(), Instant::now());
        until(Duration::from_secs(10), || {
            if length() != seen.0 {
                seen = (length(), Instant::now());
            }
            (seen.1.elapsed() > Duration::from_millis(500)).then_some(())
        });
        let text = fs::read(&self.file).unwrap_or_default();
        supervisors_calls(&String::from_utf8_lossy(&text))
    }
}

/// The calls in a trace that are not a service's own.
fn supervisors_calls(trace: &str) -> usize {
    // Of each pid the program whose exec is on its way, and then whether it is a service.
    let mut execs: HashMap<&str, bool> = HashMap::new();
    let mut services: HashMap<&str, bool> = HashMap::new();
    let mut calls = 0;
    for line in trace.lines() {
        let Some((pid, rest)) = line.split_once(' ') else {
            continue;
        };
        let rest = rest.trim_start();
        // Signals and ends are no calls.
        if rest.starts_with("---") || rest.starts_with("+++") || services.contains_key(pid) {
            continue;
        }
        let resumed = rest.starts_with("<...");
        if !resumed {
            calls += 1;
        }
        if let Some(words) = rest.strip_prefix("execve(\"") {
            let program = Path::new(words.split('"').next().unwrap_or(""));
            let name = program.file_name().unwrap_or_default();
            execs.insert(pid, name == "run" || name == "stamp");
        }
        let done = rest.starts_with("execve(") || rest.starts_with("<... execve resumed");
        if done && rest.ends_with("= 0") && execs.get(pid) == Some(&true) {
            services.insert(pid, true);
        }
    }
    calls
}
