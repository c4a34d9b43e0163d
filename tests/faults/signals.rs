//! Signals: a flood of them, SIGKILL to everybody, and a PID 1 that is stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::stage::{Fault, let_go, nothing, victim_is_up};
use crate::support::process::send;
use crate::support::{SOON, eventually};

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "10,000 signals a second",
        during: [true; 5],
        recipe: |recipe| recipe,
        strike: |stage| {
            let flood = Flood::begin(stage.it.pid);
            let count = Arc::clone(&flood.count);
            stage.held.push(Box::new(flood));
            eventually("the flood is one", SOON, || {
                count.load(Ordering::Relaxed) > 2000
            });
        },
        lasts: Duration::from_millis(1500),
        release: let_go,
        heals: nothing,
    },
    Fault {
        name: "a service kills everybody (`kill -9 -1`)",
        during: [true, true, false, true, true],
        recipe: |recipe| {
            let run = "#!/bin/sh\nuntil [ -e /mnt/go ]; do sleep 0.02; done\nrm /mnt/go\n\
                       kill -9 -1\nexec sh -c 'while :; do sleep 1; done' victim\n";
            recipe.script("services/victim/run", run)
        },
        strike: |stage| {
            // It strikes while the bystanders are looked at.
            let go = stage.it.path("go");
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(200));
                let _ = std::fs::write(go, "");
            });
        },
        lasts: Duration::from_secs(1),
        release: let_go,
        heals: victim_is_up,
    },
    Fault {
        name: "PID 1 is stopped (SIGSTOP), and goes on after 4 s",
        during: [true, false, true, false, false],
        recipe: |recipe| {
            let toml = "command = [\"sh\", \"-c\", \"while :; do sleep 1; done\", \"victim\"]\n";
            recipe.service("victim", toml)
        },
        strike: |stage| {
            let victim = stage.victim();
            send(stage.it.pid, libc::SIGSTOP).unwrap();
            send(victim, libc::SIGKILL).unwrap();
        },
        lasts: Duration::from_secs(4),
        release: |stage| {
            let _ = send(stage.it.pid, libc::SIGCONT);
        },
        heals: victim_is_up,
    },
];

/// Signals to a process, until it is dropped.
struct Flood {
    count: Arc<AtomicU64>,
    ends: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<f64>>,
}

impl Flood {
    fn begin(pid: i32) -> Self {
        let (count, ends) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (counted, end) = (Arc::clone(&count), Arc::clone(&ends));
        let thread = std::thread::spawn(move || {
            let kinds = [
                libc::SIGCHLD,
                libc::SIGUSR1,
                libc::SIGUSR2,
                libc::SIGWINCH,
                libc::SIGHUP,
                libc::SIGURG,
            ];
            let began = Instant::now();
            let mut sent = 0_u64;
            while !end.load(Ordering::Relaxed) {
                let due = began.elapsed().as_millis() as u64 * 10;
                for kind in kinds.iter().cycle().take(due.saturating_sub(sent) as usize) {
                    let _ = send(pid, *kind);
                    sent += 1;
                }
                counted.store(sent, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1));
            }
            sent as f64 / began.elapsed().as_secs_f64()
        });
        Self {
            count,
            ends,
            thread: Some(thread),
        }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        let rate = self.thread.take().unwrap().join().unwrap();
        assert!(rate > 9000.0, "only {rate:.0} signals a second");
    }
}
