//! What the fake world does for an order, as the real loop does it.

use pidone::machine::slot::{Input, Ix, Order};
use pidone::machine::unit::{Action, Event, State};
use pidone::values::{Exit, Pid, Signal};

use super::faults::Failed;
use super::life::{self, Exec, Life, Process};
use super::{DEATH, Happening, PROBE, World};

impl World {
    /// Performs an order; the answer, if it has one in this turn.
    pub(super) fn perform(&mut self, order: Order) -> Option<Input> {
        match self.fail(order) {
            None => {}
            Some(Failed::Silently) => return None,
            Some(Failed::With(answer)) => return Some(answer),
        }
        match order {
            Order::Act(ix, Action::Spawn) => Some(self.spawn(ix)),
            Order::Act(ix, Action::SpawnFinish(..) | Action::SpawnDown) => {
                Some(self.spawn_finish(ix))
            }
            Order::Act(ix, Action::Probe | Action::CheckUp) => {
                let pid = self.slot(ix).unit.state.pid();
                if let Some(pid) = pid {
                    let wait = self.faults.delay(PROBE, 4000);
                    self.schedule(self.now + wait, Happening::Answers(pid));
                }
                None
            }
            Order::Act(ix, Action::Plan { anew }) => self.time(ix, anew),
            Order::Act(ix, Action::RunBefore) => self.run_before(ix),
            Order::Act(ix, Action::KillBefore) => {
                self.befores.remove(&ix);
                None
            }
            Order::Act(ix, Action::Ask(pid)) => {
                let has_left = !self.befores.contains_key(&ix);
                self.check(has_left, "nobody is asked while its `before` runs");
                self.asked(pid);
                None
            }
            Order::Act(_, Action::Kill(pid)) => {
                if self
                    .processes
                    .get(&pid)
                    .is_some_and(|process| !process.life.is_undying)
                {
                    let wait = self.faults.delay(DEATH, 2000);
                    self.schedule(
                        self.now + wait,
                        Happening::Dies(pid, Exit::Signal(Signal::KILL)),
                    );
                }
                None
            }
            Order::Act(_, Action::KillRest(_) | Action::Skip)
            | Order::Changed(_)
            | Order::Rewired(_)
            | Order::Ending => None,
            Order::Vanish(ix) => Some(Input::Vanished(ix)),
            Order::Strays(signal) => {
                for (id, orphan) in self.orphans.clone() {
                    if signal == Signal::KILL || !orphan.ignores_term {
                        self.schedule(self.now + DEATH, Happening::OrphanDies(id));
                    }
                }
                self.reap = true;
                None
            }
            Order::Exit(code) => {
                self.exit = Some(code);
                None
            }
        }
    }

    fn spawn(&mut self, ix: Ix) -> Input {
        let life = self.next_life(ix);
        let exec = life.exec;
        if exec == Exec::NoProcess {
            return Input::Unit(ix, Event::SpawnFailed);
        }
        let pid = self.bear(ix, life, false);
        match exec {
            Exec::After(wait) => self.schedule(self.now + wait, Happening::Execs(pid)),
            Exec::Fails(wait) => self.schedule(self.now + wait, Happening::FailsToExec(pid)),
            Exec::Hangs | Exec::NoProcess => {}
        }
        Input::Unit(ix, Event::Spawned(pid))
    }

    /// What the process of its next start does.
    pub(super) fn next_life(&mut self, ix: Ix) -> Life {
        let lives = &self.lives[ix];
        let life = lives[self.starts[ix].min(lives.len() - 1)].clone();
        self.starts[ix] += 1;
        life
    }

    fn spawn_finish(&mut self, ix: Ix) -> Input {
        let lives = &self.lives[ix];
        let life = lives[self.starts[ix].saturating_sub(1).min(lives.len() - 1)].clone();
        let ends = life.finish;
        if ends.is_some_and(|(_, exit)| exit == life::NO_FINISH) {
            return Input::Unit(ix, Event::SpawnFailed);
        }
        let pid = self.bear(ix, life, true);
        if let Some((after, exit)) = ends {
            self.schedule(self.now + after, Happening::Dies(pid, exit));
        }
        Input::Unit(ix, Event::Spawned(pid))
    }

    /// As the loop does it: what has lost its meaning since is not run.
    fn run_before(&mut self, ix: Ix) -> Option<Input> {
        let state = self.slot(ix).unit.state;
        if !matches!(state, State::BeforeStop { .. }) {
            return None;
        }
        let time = state
            .pid()
            .and_then(|pid| self.processes.get(&pid)?.life.before);
        if time == Some(life::NO_BEFORE) {
            return Some(Input::Unit(ix, Event::BeforeEnded));
        }
        self.next += 1;
        let number = self.next;
        self.befores.insert(ix, number);
        if let Some(time) = time {
            self.schedule(self.now + time, Happening::BeforeEnds(ix, number));
        }
        None
    }

    /// Nothing happens any more unless somebody comes.
    pub(crate) fn is_still(&self) -> bool {
        let clocks = [self.fleet.deadline(), self.fleet.next_run()];
        self.agenda.is_empty() && clocks == [None, None]
    }

    pub(super) fn bear(&mut self, ix: Ix, life: Life, is_finish: bool) -> Pid {
        self.next += 1;
        let pid = Pid::new(i32::try_from(self.next).unwrap() + 1).unwrap();
        let process = Process {
            ix,
            is_finish,
            life,
            ready_at: None,
            sick: None,
            has_execed: is_finish,
            is_doomed: false,
        };
        self.processes.insert(pid, process);
        pid
    }

    fn asked(&mut self, pid: Pid) {
        let Some(process) = self.processes.get_mut(&pid) else {
            return;
        };
        let hangs = process.life.exec == Exec::Hangs;
        if let Some((after, exit)) = process.life.on_term
            && !hangs
            && !process.is_doomed
        {
            process.is_doomed = true;
            self.schedule(self.now + after, Happening::Dies(pid, exit));
        }
    }
}
