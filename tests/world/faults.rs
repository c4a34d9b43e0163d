//! What goes wrong in a fake world that is not the services' own doing: orders that fail or come
//! to nothing, news that is late, lost or comes twice. From the seed, in a stream of its own, so
//! that a world without faults lives as ever.

use std::collections::BTreeMap;
use std::time::Duration;

use pidone::machine::slot::{Input, Ix, Order};
use pidone::machine::unit::{Action, Event, Said};
use pidone::values::{Exit, Moment, Pid, Signal};

use super::chance::Chance;
use super::life::Exec;
use super::{DEATH, Happening, PROBE, World};

/// As the step of a fault: none.
const NEVER: u64 = u64::MAX;

/// The first steps of a world, at each of which some seed has its one fault.
const STEPS: u64 = 251;

/// What goes wrong, and what has.
pub(crate) struct Faults {
    chance: Chance,
    /// An order fails with this probability.
    percent: usize,
    /// The order of this number, from 0, fails too.
    step: u64,
    steps: u64,
    /// How often what has gone wrong.
    pub(crate) counts: BTreeMap<&'static str, u32>,
}

impl Faults {
    /// Nothing goes wrong.
    pub(crate) fn none() -> Self {
        Self {
            chance: Chance(0),
            percent: 0,
            step: NEVER,
            steps: 0,
            counts: BTreeMap::new(),
        }
    }

    /// Of every four seeds one has a single fault, at each step in turn; the others have few, more,
    /// or hardly anything that succeeds.
    pub(crate) fn of(seed: u64) -> Self {
        let percent = [0, 2, 15, 80][(seed % 4) as usize];
        Self {
            chance: Chance(!seed),
            percent,
            step: if percent == 0 {
                seed / 4 % STEPS
            } else {
                NEVER
            },
            ..Self::none()
        }
    }

    /// Whether the next step fails.
    fn strikes(&mut self) -> bool {
        let is_it = self.steps == self.step;
        self.steps += 1;
        is_it || (self.percent > 0 && self.chance.percent(self.percent))
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// What is usually there after `usual` may take longer.
    pub(super) fn delay(&mut self, usual: Duration, longest_ms: usize) -> Duration {
        if self.percent == 0 || !self.chance.percent(self.percent) {
            return usual;
        }
        self.count("news is late");
        usual + self.chance.span(longest_ms)
    }

    /// How late the next tick is, at most `most`.
    pub(super) fn lateness(&mut self, most: Duration) -> Duration {
        if self.percent == 0 || most.is_zero() {
            return most;
        }
        let most = usize::try_from(most.as_millis()).unwrap();
        self.chance.span(most + 1)
    }
}

/// An order that has failed.
pub(super) enum Failed {
    /// Nobody hears of it.
    Silently,
    /// With this answer in its turn.
    With(Input),
}

impl World {
    /// What goes wrong with this order, if something does; with the answer that it has then.
    pub(super) fn fail(&mut self, order: Order) -> Option<Failed> {
        let Order::Act(ix, action) = order else {
            return self.fail_to_reach(order);
        };
        if !self.faults.strikes() {
            return None;
        }
        match action {
            Action::Spawn => Some(Failed::With(self.fail_to_spawn(ix))),
            Action::SpawnFinish(..) | Action::SpawnDown => {
                self.faults.count("no process for finish or down");
                Some(Failed::With(Input::Unit(ix, Event::SpawnFailed)))
            }
            Action::Ask(pid) => {
                self.faults.count("the stop signal is lost");
                self.wrongs(ix, pid);
                Some(Failed::Silently)
            }
            Action::Kill(pid) => {
                self.faults.count("SIGKILL takes its time, or all of it");
                self.wrongs(ix, pid);
                if self.faults.chance.percent(80) {
                    let late = self.faults.chance.span(8000);
                    let exit = Exit::Signal(Signal::KILL);
                    self.schedule(self.now + DEATH + late, Happening::Dies(pid, exit));
                }
                Some(Failed::Silently)
            }
            // No descriptor, no process: the answer comes in this turn.
            Action::Probe | Action::CheckUp if self.faults.chance.percent(50) => {
                self.faults.count("a probe cannot be made");
                Some(Failed::With(Input::Unit(
                    ix,
                    Event::Probed { ready: false },
                )))
            }
            Action::Probe | Action::CheckUp => {
                self.faults
                    .count("a probe's answer is late, or comes twice");
                if let Some(pid) = self.slot(ix).unit.state.pid() {
                    let late = self.faults.chance.span(4000);
                    self.schedule(self.now + PROBE + late, Happening::Answers(pid));
                    self.schedule(self.now + PROBE, Happening::Answers(pid));
                }
                Some(Failed::Silently)
            }
            Action::RunBefore => {
                self.faults.count("no process for stop.before");
                Some(Failed::With(Input::Unit(ix, Event::BeforeEnded)))
            }
            // A clock that rang for nothing would make it ring again.
            Action::Plan { .. } => None,
            // These have no answer that could fail; the world goes on wrongly elsewhere.
            Action::KillBefore | Action::KillRest(_) | Action::Skip => {
                self.wrong_somewhere();
                None
            }
        }
    }

    fn fail_to_reach(&mut self, order: Order) -> Option<Failed> {
        if !matches!(order, Order::Strays(_)) || !self.faults.strikes() {
            return None;
        }
        self.faults.count("strays are not reached");
        self.reap = true;
        Some(Failed::Silently)
    }

    /// There is no process; or there is one that cannot be watched, and is killed at once; or one
    /// that is stopped on its way, and never reaches its exec.
    fn fail_to_spawn(&mut self, ix: Ix) -> Input {
        if self.faults.chance.percent(60) {
            self.faults.count("no process for a service");
            return Input::Unit(ix, Event::SpawnFailed);
        }
        let mut life = self.next_life(ix);
        life.exec = Exec::Hangs;
        let pid = self.bear(ix, life, false);
        if self.faults.chance.percent(50) {
            self.faults.count("a start cannot be watched");
            let exit = Exit::Signal(Signal::KILL);
            self.schedule(self.now + DEATH, Happening::Dies(pid, exit));
        } else {
            self.faults.count("a start is stopped before its exec");
        }
        Input::Unit(ix, Event::Spawned(pid))
    }

    /// While one thing goes wrong, others do.
    fn wrongs(&mut self, ix: Ix, pid: Pid) {
        let said = [Said::Ready, Said::Alive, Said::Alarm, Said::Stopping];
        let said = self.faults.chance.of(&said);
        if self.tells_by_itself(ix) && self.faults.chance.percent(50) {
            self.faults.count("somebody tells what it should not");
            let late = self.faults.chance.span(3000);
            self.schedule(self.now + late, Happening::Says(pid, said));
        }
        self.wrong_somewhere();
    }

    /// Signals come twice, clocks ring for nothing, and somebody kills everybody.
    fn wrong_somewhere(&mut self) {
        let late = self.faults.chance.span(3000);
        let happening = match self.faults.chance.below(8) {
            0 | 1 => Happening::Rings(Input::Tick),
            2 | 3 => Happening::Rings(Input::Clock),
            4 | 5 => Happening::Reaps,
            6 => Happening::AllDie,
            _none => return,
        };
        self.faults.count(match &happening {
            Happening::Reaps => "SIGCHLD of nobody",
            Happening::AllDie => "everybody is killed",
            _clock => "a clock rings for nothing",
        });
        self.schedule(self.now + late, happening);
    }

    /// `kill -9 -1` by somebody who may.
    pub(super) fn all_die(&mut self) {
        let exit = Exit::Signal(Signal::KILL);
        let mortal = |(_, process): &(&Pid, &super::life::Process)| !process.life.is_undying;
        let pids: Vec<Pid> = self.processes.iter().filter(mortal).map(|p| *p.0).collect();
        for pid in pids {
            self.schedule(self.now + DEATH, Happening::Dies(pid, exit));
        }
        let at: Moment = self.now + DEATH;
        for id in self.orphans.keys().copied().collect::<Vec<_>>() {
            self.schedule(at, Happening::OrphanDies(id));
        }
    }
}
