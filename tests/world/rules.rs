//! What must hold in the fake world at every order and after every turn. The books are the world's
//! own, so that the rules do not take the fleet's word for it.

use std::collections::BTreeSet;

use pidone::machine::shutdown::Reason;
use pidone::machine::slot::{Ix, Order, Want};
use pidone::machine::unit::{Action, Health, Next, StartStep, State};
use pidone::values::Signal;

use super::World;
use super::life::Process;

/// More turns than any world needs.
const TURNS_MAX: u64 = 500_000;

impl World {
    fn state(&self, ix: Ix) -> State {
        self.slot(ix).unit.state
    }

    /// What must hold when this order is given.
    pub(crate) fn rules_of_order(&mut self, order: Order) {
        if !self.is_checked {
            return;
        }
        self.check(!self.books.has_exited, "there is no order after exit");
        self.books.links.follow(&self.fleet);
        match order {
            Order::Act(ix, Action::Spawn) => {
                self.books.have_begun.remove(&ix);
                self.rules_of_spawn(ix);
            }
            Order::Act(ix, Action::Ask(pid)) => {
                let is_main = |p: &Process| p.ix == ix && !p.is_finish;
                let lives = self.processes.get(&pid).is_some_and(is_main);
                self.check(lives, "who is asked to end lives");
                // With a `before` it was decided when that began.
                if !self.books.have_begun.contains(&ix) {
                    self.rules_of_ask(ix);
                }
            }
            Order::Act(ix, Action::Kill(pid)) => {
                let lives = self
                    .processes
                    .get(&pid)
                    .is_some_and(|process| process.ix == ix);
                self.check(lives, "who is killed lives");
                self.books.killed |= self.books.ending.is_some();
            }
            Order::Act(ix, Action::RunBefore) => {
                self.books.have_begun.insert(ix);
                self.rules_of_ask(ix);
            }
            Order::Act(ix, Action::KillRest(pid)) => {
                let lives = self.processes.contains_key(&pid);
                self.check(!lives, "who leaves somebody behind is dead");
                let lives = self.slot(ix).unit.state.pid().is_some();
                self.check(!lives, "what is left goes before the next start");
            }
            Order::Rewired(_)
            | Order::Act(
                _,
                Action::SpawnFinish(..)
                | Action::SpawnDown
                | Action::Probe
                | Action::CheckUp
                | Action::KillBefore
                | Action::Plan { .. }
                | Action::Skip,
            ) => {}
            Order::Changed(change) => {
                self.books.changed(change);
                self.rules_of_with(change);
            }
            Order::Vanish(ix) => self.rules_of_vanishing(ix),
            Order::Ending => {
                self.check(self.books.ending.is_none(), "the end begins once");
                self.books.ending = Some(self.now);
            }
            Order::Strays(signal) => {
                let none = self.processes.is_empty();
                self.check(none, "strays come when no service is left");
                self.books.killed |= signal == Signal::KILL;
            }
            Order::Exit(code) => {
                self.books.has_exited = true;
                self.rules_of_exit(code);
            }
        }
    }

    fn rules_of_spawn(&mut self, ix: Ix) {
        let is_its_turn = self.has_its_turn(ix);
        let is_alone = !self.processes.values().any(|process| process.ix == ix);
        let is_late = self.books.ending.is_some();
        self.check(
            is_its_turn,
            "nothing starts before what it needs and what it comes after",
        );
        self.check(is_alone, "a service has one process");
        self.check(!is_late, "nothing starts once the end has begun");
        self.rules_of_definition(ix);
    }

    fn rules_of_ask(&mut self, ix: Ix) {
        let goes_down = matches!(
            self.state(ix),
            State::BeforeStop {
                next: Next::Down,
                ..
            } | State::Stopping {
                next: Next::Down,
                ..
            }
        );
        let is_free = self.is_free(ix);
        // It was to be replaced, and goes down for good by what was decided later in the turn.
        let was_before_the_end = self.fleet.ending().is_some() && self.books.ending.is_none();
        self.check(
            !goes_down || is_free || self.books.forced || was_before_the_end,
            "nothing stops before what stands on it and goes too",
        );
    }

    /// Nobody that is to go too and stands on it lives.
    fn is_free(&self, ix: Ix) -> bool {
        // Through whoever stands between and is gone: a oneshot, say.
        let (mut is_free, mut todo, mut seen) = (true, vec![ix], BTreeSet::new());
        while let Some(below) = todo.pop() {
            for above in self.books.links.above(below) {
                let is_made = self.state(above) == State::Spawning;
                if is_made || self.processes.values().any(|process| process.ix == above) {
                    let other = self.slot(above);
                    is_free &= other.want == Want::Up && !(below == ix && other.is_changing());
                } else if seen.insert(above) {
                    todo.push(above);
                }
            }
        }
        is_free
    }

    /// Whether what it needs is there, and what comes before it is past.
    fn has_its_turn(&self, ix: Ix) -> bool {
        let satisfied = |need: &Ix| {
            let slot = self.slot(*need);
            // It may have been decided just before the end began.
            let is_meant = slot.want == Want::Up || self.fleet.ending().is_some();
            let stays = is_meant && !slot.is_changing();
            slot.unit.state.satisfies() && (stays || slot.unit.state == State::Finished)
        };
        let is_past = |other: &Ix| {
            let slot = self.slot(*other);
            let state = slot.unit.state;
            if slot.is_changing() {
                return false;
            }
            // What is to go down may have been ready when this was decided.
            let goes = slot.want != Want::Up;
            let is_at_rest = state.is_at_rest() && state != State::Down;
            goes || slot.unit.retry.hopeless
                || state.satisfies()
                || is_at_rest
                || matches!(state, State::Scheduled { .. })
        };
        self.books.links.needs[&ix].iter().all(satisfied)
            && self.books.links.after[&ix].iter().all(is_past)
    }

    /// Nobody is forgotten: who may start or must stop now has been told so. (In a large fleet this
    /// would take too long.)
    fn rules_of_wishes(&mut self) {
        if self.fleet.slots().len() > 50 {
            return;
        }
        for ix in self.numbers() {
            let slot = self.slot(ix);
            let is_up = matches!(
                slot.unit.state,
                State::Starting(_) | State::Ready { .. } | State::Unready { .. }
            );
            let holds = match slot.want {
                Want::Up if slot.unit.state == State::Waiting => {
                    let stops = |other: &Ix| self.state(*other).is_alive();
                    !self.has_its_turn(ix) || self.books.links.after[&ix].iter().any(stops)
                }
                Want::Up if slot.is_changing() && is_up => !self.may_change(ix),
                Want::Up => slot.unit.state != State::Down,
                Want::Gone if slot.unit.state.is_at_rest() => self.fleet.ending().is_some(),
                Want::Off | Want::Down | Want::Gone => !is_up || !self.is_free(ix),
            };
            if !holds {
                let rule = format!("`{}` is not forgotten", self.name(ix));
                self.check(false, &rule);
            }
        }
    }

    fn rules_of_exit(&mut self, code: u8) {
        let Some(ending) = self.fleet.ending().cloned() else {
            self.check(false, "exit comes after the end has begun");
            return;
        };
        let asked = if self.books.killed { 137 } else { 0 };
        let last = |ix: Ix| self.books.ends.get(&ix).map_or(1, |exit| exit.code());
        let reason = ending.reason;
        let right = match reason {
            Reason::Signal(_) | Reason::Asked(None) => asked,
            Reason::Asked(Some(code)) => code,
            Reason::Main(ix, _) => last(ix),
            Reason::MainFailed(_) | Reason::CmdWait(_) => 1,
            Reason::Limit(ix, _) | Reason::Unhealthy(ix, _) => last(ix).max(1),
            // Who failed again in the turn of a rescan is not told of: it was failed before.
            Reason::Empty(code) if self.rescans > 0 => code,
            Reason::Empty(_) => self.books.code_of_empty(),
        };
        let was_asked = match reason {
            Reason::Signal(_) | Reason::Asked(_) => self.books.asked == Some(reason),
            _other => true,
        };
        let rule = format!("the exit code is {right} ({reason:?})");
        self.check(code == right, &rule);
        self.check(was_asked, "it ends for the reason that it was given first");
        let is_left = self.processes.is_empty() && self.orphans.is_empty();
        let is_time = self.now >= ending.deadline;
        self.check(
            is_left || is_time,
            "it exits when no child is left, or time is up",
        );
    }

    /// What must hold when a turn is over, in which so many orders were given.
    pub(crate) fn rules_of_turn(&mut self, orders: usize) {
        if !self.is_checked {
            return;
        }
        let services = self.fleet.slots().len();
        self.check(orders <= 10 + 10 * services, "a turn has few orders");
        self.check(self.turns < TURNS_MAX, "no world goes on and on");
        self.books.links.follow(&self.fleet);
        self.rules_of_pids();
        self.rules_of_runs();
        let runs = |ix: &Ix| matches!(self.state(*ix), State::BeforeStop { .. });
        let is_meant = self.befores.keys().all(runs);
        self.check(is_meant, "`before` runs only before a stop");
        self.rules_of_wishes();
        if let Some(ending) = self.fleet.ending() {
            let is_late = self.now > ending.deadline + self.late * 4;
            self.check(!is_late || self.exit.is_some(), "it exits by the deadline");
        } else {
            let slots = self.fleet.slots();
            let by_hand = |state, want| want == Want::Down && state != State::Finished;
            let lives = slots.iter().any(|slot| {
                let state = slot.unit.state;
                let is_idle = state == State::Undoable && slot.want == Want::Up;
                !(state.is_at_rest() || is_idle) || by_hand(state, slot.want)
            });
            self.check(lives, "a container does not live on empty");
        }
        let is_silent = self.fleet.deadline().is_none();
        self.check(
            self.exit.is_none() || is_silent,
            "nothing is due after exit",
        );
    }

    fn rules_of_pids(&mut self) {
        let owners = self
            .processes
            .iter()
            .all(|(pid, process)| self.fleet.owner(*pid) == Some(process.ix));
        self.check(owners, "every process has its owner");
        let mut states = self.fleet.slots().iter();
        let lives = states.all(|slot| match slot.unit.state.pid() {
            Some(pid) => self
                .processes
                .get(&pid)
                .is_some_and(|process| process.ix == slot.ix),
            None => !matches!(
                slot.unit.state,
                State::Spawning | State::SpawningFinish { .. }
            ),
        });
        self.check(
            lives,
            "a pid is a process that lives, and a spawn is answered",
        );
        let pids = self
            .fleet
            .slots()
            .iter()
            .filter(|slot| slot.unit.state.pid().is_some());
        let count = pids.count();
        self.check(count == self.processes.len(), "no process is forgotten");
    }

    /// What must hold when nothing is due and nobody comes: everything wanted is where it wanted
    /// to be, or stands before somebody who is waited for without limit.
    pub(crate) fn rules_of_stillness(&mut self) {
        for ix in self.numbers() {
            let slot = self.slot(ix);
            let is_stuck = |state: State| match state {
                State::Starting(starting) => {
                    starting.ready_by.is_none() && starting.step == StartStep::Listen
                }
                State::Stopping { kill_at, .. } | State::Finishing { kill_at, .. } => {
                    kill_at.is_none()
                }
                // It said that it is stopping, and takes its time.
                State::Unready { health, .. } => health == Health::Unwatched,
                State::Waiting => true,
                _other => false,
            };
            let fine = match (slot.want, slot.unit.state) {
                // What is ready, and what is on its way down, may take all the time of the world.
                (Want::Up | Want::Down, State::Ready { .. } | State::Unready { .. })
                | (Want::Off | Want::Down, State::Down)
                | (Want::Down, State::Starting(_))
                | (Want::Up | Want::Off | Want::Down, State::Finished | State::Failed(_))
                | (Want::Up, State::Undoable) => true,
                // Who is to be replaced stands on it, and does not end.
                (Want::Off | Want::Gone, State::Ready { .. } | State::Unready { .. }) => {
                    !self.is_free(ix)
                }
                (Want::Up, State::Waiting) => {
                    let links = &self.books.links;
                    let (needs, after) = (&links.needs[&ix], &links.after[&ix]);
                    // A new definition may need what a person has stopped.
                    let is_kept_down =
                        |below: &Ix| self.slot(*below).want == Want::Down && needs.contains(below);
                    let is_held = |below: &Ix| {
                        let changes = self.slot(*below).is_changing();
                        is_stuck(self.state(*below)) || is_kept_down(below) || changes
                    };
                    needs.iter().chain(after).any(is_held)
                }
                (
                    _,
                    state @ (State::Starting(_) | State::Stopping { .. } | State::Finishing { .. }),
                ) => is_stuck(state),
                _other => false,
            };
            if !fine {
                let rule = format!("`{}` does not stand still", self.name(ix));
                self.check(false, &rule);
            }
        }
    }
}
