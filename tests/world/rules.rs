//! What must hold in the fake world at every order and after every turn. The books are the world's
//! own, so that the rules do not take the fleet's word for it.

use std::collections::{BTreeMap, BTreeSet};

use pidone::machine::fleet::Fleet;
use pidone::machine::shutdown::Reason;
use pidone::machine::slot::{Change, Input, Ix, Order, Want};
use pidone::machine::unit::{Action, Event, Failure, Next, StartStep, State};
use pidone::values::{Exit, Moment, Signal};

use super::rescan::Links;
use super::{Process, World};

/// What the world knows of a fleet.
#[derive(Debug)]
pub(crate) struct Books {
    pub(super) links: Links,
    /// How each service last ended.
    ends: BTreeMap<Ix, Exit>,
    /// Which services are failed, and since when.
    failed: BTreeMap<Ix, (Moment, Failure)>,
    /// The first wish to end.
    asked: Option<Reason>,
    /// A second INT, or a QUIT, forces the end.
    forced: bool,
    /// When the end began.
    ending: Option<Moment>,
    /// Something had to be killed since.
    killed: bool,
    has_exited: bool,
}

impl Books {
    pub(crate) fn new(fleet: &Fleet) -> Self {
        Self {
            links: Links::of(fleet),
            ends: BTreeMap::new(),
            failed: BTreeMap::new(),
            asked: None,
            forced: false,
            ending: None,
            killed: false,
            has_exited: false,
        }
    }

    pub(crate) fn died(&mut self, process: &Process, exit: Exit) {
        if !process.is_finish {
            self.ends.insert(process.ix, exit);
        }
    }

    pub(crate) fn comes(&mut self, fleet: &Fleet, input: Input) {
        match input {
            Input::Shutdown(reason) => {
                let forces = matches!(reason, Reason::Signal(Signal::INT | Signal::QUIT));
                self.forced |= forces && fleet.ending().is_some();
                self.asked.get_or_insert(reason);
            }
            // There was no process to end: the shell's code for what cannot be executed.
            Input::Unit(ix, Event::SpawnFailed)
                if fleet.slot(ix).unwrap().unit.state == State::Spawning =>
            {
                self.ends.insert(ix, Exit::Code(126));
            }
            _other => {}
        }
    }

    fn changed(&mut self, change: Change) {
        match change.to {
            State::Failed(failure) => self.failed.insert(change.ix, (change.at, failure)),
            _other => self.failed.remove(&change.ix),
        };
    }

    /// It is no more: its failure is nobody's.
    pub(super) fn forget(&mut self, ix: Ix) {
        self.failed.remove(&ix);
    }

    /// The code that a container ends with when nothing is left to run.
    fn code_of_empty(&self) -> u8 {
        let code = |ix: Ix, failure| match failure {
            Failure::Need | Failure::NotReady => 1,
            _other => self.ends.get(&ix).map_or(1, |exit| exit.code().max(1)),
        };
        let all = self.failed.iter();
        let all = all.map(|(ix, (at, failure))| (*at, *ix, *failure));
        // What failed for want of something else is not where it began.
        all.min_by_key(|(at, _, failure)| (*failure == Failure::Need, *at))
            .map_or(0, |(_, ix, failure)| code(ix, failure))
    }
}

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
            Order::Act(ix, Action::Spawn) => self.rules_of_spawn(ix),
            Order::Act(ix, Action::Ask(pid)) => {
                let lives = self
                    .processes
                    .get(&pid)
                    .is_some_and(|p| p.ix == ix && !p.is_finish);
                self.check(lives, "who is asked to end lives");
                // With a `before`, that was its turn, whoever is to go since.
                if self.slot(ix).service.stop.before.is_none() {
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
            Order::Act(ix, Action::RunBefore) => self.rules_of_ask(ix),
            Order::Rewired(_)
            | Order::Act(_, Action::SpawnFinish(_) | Action::Probe | Action::KillBefore) => {}
            Order::Changed(change) => self.books.changed(change),
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
        self.check(
            !goes_down || is_free || self.books.forced,
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
            let stays = slot.want == Want::Up && !slot.is_changing();
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
            goes || slot.unit.retry.hopeless || state.satisfies() || is_at_rest
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
            let is_up = matches!(slot.unit.state, State::Starting(_) | State::Ready { .. });
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
            Reason::Limit(ix, _) => last(ix).max(1),
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
        self.books.links.follow(&self.fleet);
        self.rules_of_pids();
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
                !state.is_at_rest() || by_hand(state, slot.want)
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
                State::Waiting => true,
                _other => false,
            };
            let fine = match (slot.want, slot.unit.state) {
                (Want::Up | Want::Down, State::Ready { .. })
                | (Want::Off | Want::Down, State::Down)
                | (Want::Down, State::Starting(_))
                | (Want::Up | Want::Off | Want::Down, State::Finished | State::Failed(_)) => true,
                // Who is to be replaced stands on it, and does not end.
                (Want::Off | Want::Gone, State::Ready { .. }) => !self.is_free(ix),
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
