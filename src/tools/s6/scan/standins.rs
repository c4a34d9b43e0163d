//! One process for each service that is called `s6-supervise NAME` and does nothing: scripts look
//! for it to learn whether a service is supervised.

use std::collections::BTreeMap;
use std::process;
use std::time::Duration;

use crate::os::inplace::{self, Side};
use crate::os::kill;
use crate::os::reaper::{self, Children};
use crate::os::title;
use crate::values::{Moment, Pid, Signal};

/// One that was killed comes back after so long, as under `s6-svscan`.
const BACK_AFTER: Duration = Duration::from_secs(1);

/// All of them.
#[derive(Default)]
pub(super) struct StandIns {
    /// Whether there are to be any.
    are_wanted: bool,
    pids: BTreeMap<String, Pid>,
    /// Those that somebody has killed, and when they come back.
    lost: Vec<(Moment, String)>,
}

impl StandIns {
    /// None yet; whether there will be any.
    pub(super) fn new(are_wanted: bool) -> Self {
        Self {
            are_wanted,
            ..Self::default()
        }
    }

    /// One more service is served.
    pub(super) fn add(&mut self, name: &str) {
        if !self.are_wanted {
            return;
        }
        let parent = process::id();
        match inplace::fork() {
            Ok(Side::Child) => title::stand_in("s6-supervise", name, parent),
            Ok(Side::Parent(pid)) => {
                self.pids.insert(name.to_owned(), pid);
            }
            // Too many processes: nobody but such scripts misses it.
            Err(_) => {}
        }
    }

    /// It is served no longer.
    pub(super) fn remove(&mut self, name: &str) {
        self.lost.retain(|(_, lost)| lost != name);
        if let Some(pid) = self.pids.remove(name) {
            let _ = kill::process(pid, Signal::KILL);
        }
    }

    /// Some have ended.
    pub(super) fn collect(&mut self, now: Moment) {
        loop {
            let (dead, children) = reaper::reap();
            for (pid, _) in dead {
                let found = self.pids.iter().find(|(_, of)| **of == pid);
                if let Some(name) = found.map(|(name, _)| name.clone()) {
                    self.pids.remove(&name);
                    self.lost.push((now + BACK_AFTER, name));
                }
            }
            if children != Children::More {
                return;
            }
        }
    }

    /// When the next one is to come back.
    pub(super) fn due(&self) -> Option<Moment> {
        self.lost.iter().map(|(at, _)| *at).min()
    }

    /// Brings back those that are due.
    pub(super) fn bring_back(&mut self, now: Moment) {
        let due: Vec<(Moment, String)> = self.lost.extract_if(.., |(at, _)| *at <= now).collect();
        due.iter().for_each(|(_, name)| self.add(name));
    }
}
