//! All services together: who may start, who must stop first, and when the container ends.
//! Level-triggered: after every event each service concerned is looked at again, and what its
//! state and the others' states ask for is done. Nothing is remembered that could be forgotten.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::rc::Rc;

use crate::machine::changes::Changes;
use crate::machine::links::relink;
use crate::machine::shutdown::{Reason, Shutdown};
use crate::machine::slot::{Change, Input, Ix, Limits, Order, Slot, Want};
use crate::machine::slots::Slots;
use crate::machine::step::{NO_PROCESS, step};
use crate::machine::unit::{Action, Event, State};
use crate::service::definition::Service;
use crate::values::{Exit, Moment, Pid};

/// All services of a container.
#[derive(Clone, Debug)]
pub struct Fleet {
    pub(super) slots: Slots,
    /// Whose process a pid is. A pid is here exactly while a state holds it.
    pids: HashMap<Pid, Ix>,
    /// Every deadline that a state holds.
    timers: BTreeSet<(Moment, Ix)>,
    /// Every moment at which somebody is to run by its schedule.
    pub(super) runs: BTreeSet<(Moment, Ix)>,
    /// Who must be looked at again in this turn.
    pub(super) look: VecDeque<Ix>,
    /// The services that have changed in this turn.
    changes: Changes,
    pub(super) limits: Limits,
    /// CMD's number, and when it has waited long enough; until it starts.
    cmd: Option<(Ix, Moment)>,
    pub(super) ending: Option<Shutdown>,
    pub(super) over: bool,
    /// The links are not those of the definitions any more.
    pub(super) is_stale: bool,
    /// Who vanishes once it is at rest.
    pub(super) leaving: BTreeSet<Ix>,
}

impl Fleet {
    /// These services, all down. `needs` and `after` that name nobody are ignored: what must be
    /// refused was refused when the definitions were read.
    pub fn new(services: Vec<Service>, limits: Limits, now: Moment) -> Self {
        let numbered = services.into_iter().enumerate();
        let slot = |(ix, service)| Slot {
            ix,
            ..Slot::new(Rc::new(service), now)
        };
        let mut slots: Vec<Slot> = numbered.map(slot).collect();
        // They may stand in the services' own memory, which is twice as large.
        slots.shrink_to_fit();
        relink(&mut slots);
        Self {
            slots: Slots::new(slots),
            pids: HashMap::new(),
            timers: BTreeSet::new(),
            runs: BTreeSet::new(),
            look: VecDeque::new(),
            changes: Changes::default(),
            limits,
            cmd: None,
            ending: None,
            over: false,
            is_stale: false,
            leaving: BTreeSet::new(),
        }
    }

    /// The boot: everything enabled is to be up. `cmd` is CMD's number, if there is one.
    pub fn boot(&mut self, cmd: Option<Ix>, now: Moment, orders: &mut Vec<Order>) {
        self.cmd = cmd.map(|ix| (ix, now + self.limits.cmd_wait));
        for slot in self.slots.iter_mut().filter(|slot| slot.service.enabled) {
            slot.want = Want::Up;
            self.look.push_back(slot.ix);
        }
        self.settle(now, orders);
    }

    /// Takes in what has happened, and says what is to be done.
    pub fn take(&mut self, input: Input, now: Moment, orders: &mut Vec<Order>) {
        if self.over {
            return;
        }
        match input {
            // Once the end has begun nothing comes up again, and nothing goes out of turn.
            Input::Start(_) | Input::Stop(_) | Input::Restart(_) | Input::Once(_)
                if self.ending.is_some() => {}
            Input::Unit(ix, event) => self.apply(ix, event, now, orders),
            Input::Exited { pid, exit, oom } => self.exited(pid, exit, oom, now, orders),
            Input::Start(ix) => self.start(ix, now, orders),
            Input::Stop(ix) => self.stop(ix, now, orders),
            Input::Once(ix) => self.once(ix, now, orders),
            Input::Restart(ix) if self.is_leaving(ix) => {}
            Input::Restart(ix) => {
                self.start(ix, now, orders);
                self.apply(ix, Event::Restart, now, orders);
            }
            Input::Clock => self.clock(now, orders),
            Input::Shutdown(reason) => self.shutdown(reason, now, orders),
            Input::Vanished(ix) => self.vanished(ix),
            Input::Childless => self.childless(orders),
            Input::Tick => self.tick(now, orders),
        }
        self.settle(now, orders);
    }

    /// The services, in the order of their numbers.
    pub fn slots(&self) -> &[Slot] {
        self.slots.as_slice()
    }

    /// One service.
    pub fn slot(&self, ix: Ix) -> Option<&Slot> {
        self.slots.get(ix)
    }

    /// Whether it stays only until it has stopped.
    fn is_leaving(&self, ix: Ix) -> bool {
        self.slots
            .get(ix)
            .is_some_and(|slot| slot.want == Want::Gone)
    }

    /// Whose process this is.
    pub fn owner(&self, pid: Pid) -> Option<Ix> {
        self.pids.get(&pid).copied()
    }

    /// The end in progress.
    pub fn ending(&self) -> Option<&Shutdown> {
        self.ending.as_ref()
    }

    /// When `Tick` is due.
    pub fn deadline(&self) -> Option<Moment> {
        let timer = self.timers.first().map(|(at, _)| *at);
        let phase = match &self.ending {
            Some(ending) => Some(ending.next()),
            None => self.cmd.map(|(_, at)| at),
        };
        if self.over {
            None
        } else {
            [timer, phase].into_iter().flatten().min()
        }
    }

    /// One service takes one event; books are kept of its pid, its deadline and its history.
    pub(super) fn apply(&mut self, ix: Ix, event: Event, now: Moment, orders: &mut Vec<Order>) {
        let Some(slot) = self.slots.get_mut(ix) else {
            return;
        };
        let (unit, actions) = step(&slot.service, &slot.unit, event, now);
        let (from, to) = (slot.unit.state, unit.state);
        // Only the policy remembers failures; a person's restart starts over.
        let is_restart = from.is_alive()
            && matches!(to, State::Waiting | State::Backoff { .. })
            && unit.retry.failures > 0
            && slot.want == Want::Up
            && !slot.once;
        slot.unit = unit;
        if from == State::Spawning && event == Event::SpawnFailed {
            (slot.exit, slot.oom) = (Some(NO_PROCESS), false);
        }
        if from != to {
            let entered = slot.entered;
            self.cmd
                .take_if(|(cmd, _)| *cmd == ix && to == State::Spawning);
            if from.word() != to.word() {
                slot.entered = now;
            }
            if from == State::Spawning && to.pid().is_some() {
                slot.started();
            }
            slot.restarts += u32::from(is_restart);
            slot.part = slot.part.at(&to);
            if let Some(pid) = from.pid() {
                self.pids.remove(&pid);
            }
            if let Some(pid) = to.pid() {
                self.pids.insert(pid, ix);
            }
            slot.ran(&from, now);
            self.count_run(ix, &from, &to);
            if let Some(at) = from.deadline() {
                self.timers.remove(&(at, ix));
            }
            if let Some(at) = to.deadline() {
                self.timers.insert((at, ix));
            }
            self.changes.add(ix, from, entered);
            self.look_around(ix);
        }
        let kills = actions
            .iter()
            .any(|action| matches!(action, Action::Kill(_)));
        orders.extend(actions.into_iter().map(|action| Order::Act(ix, action)));
        if let Some(ending) = &mut self.ending {
            if kills
                && let Some(slot) = self.slots.get_mut(ix)
                && !std::mem::replace(&mut slot.killed, true)
            {
                ending.killed += 1;
            }
            // After the cut-off nothing new may live: a `finish`, or a start under way.
            if ending.cut_off && from.pid() != to.pid() && to.pid().is_some() {
                self.apply(ix, Event::Kill, now, orders);
            }
        }
        if from != to {
            self.lead(ix, from, now, orders);
            self.end_last_run(ix, &from, now, orders);
            if !to.is_alive() {
                self.renew(ix, now, orders);
            }
            self.gone_for_good(ix, now, orders);
        }
    }

    /// A change of this service may matter to itself and to its neighbours.
    fn look_around(&mut self, ix: Ix) {
        let Some(slot) = self.slots.get(ix) else {
            return;
        };
        self.look.push_back(ix);
        self.look
            .extend(slot.needed_by.iter().chain(&slot.followed_by));
        // Who starts now may have held up, while it was gone, the stop of somebody far below it.
        let begins = slot.unit.state == State::Spawning;
        if slot.want == Want::Up && !begins {
            self.look.extend(slot.needs.iter().chain(&slot.after));
        } else {
            self.look_below(ix);
        }
    }

    /// Whoever waits for this one to go may stand below several that are gone.
    pub(super) fn look_below(&mut self, ix: Ix) {
        let (mut todo, mut seen) = (vec![ix], BTreeSet::new());
        while let Some(slot) = todo.pop().and_then(|next| self.slots.get(next)) {
            for below in slot.needs.iter().chain(&slot.after) {
                if seen.insert(*below) {
                    self.look.push_back(*below);
                    if self
                        .slots
                        .get(*below)
                        .is_some_and(|other| !other.unit.state.is_alive())
                    {
                        todo.push(*below);
                    }
                }
            }
        }
    }

    fn exited(&mut self, pid: Pid, exit: Exit, oom: bool, now: Moment, orders: &mut Vec<Order>) {
        let Some(ix) = self.owner(pid) else { return };
        if let Some(slot) = self.slots.get_mut(ix)
            && slot.unit.state.main_pid() == Some(pid)
        {
            slot.exit = Some(exit);
            slot.oom = oom;
        }
        self.apply(ix, Event::Exited(exit), now, orders);
    }

    /// Wants it up, and what it needs; what it needs and has finished need not run again.
    fn start(&mut self, ix: Ix, now: Moment, orders: &mut Vec<Order>) {
        let mut todo = vec![ix];
        let mut seen = BTreeSet::new();
        while let Some(next) = todo.pop() {
            let Some(slot) = self.slots.get_mut(next).filter(|_| seen.insert(next)) else {
                continue;
            };
            // What is gone from its directory does not come back by hand.
            if slot.want == Want::Gone {
                continue;
            }
            (slot.want, slot.once) = (Want::Up, false);
            todo.extend(&slot.needs);
            todo.extend(slot.logger);
            if next == ix || slot.unit.state != State::Finished {
                self.apply(next, Event::Start, now, orders);
            }
            self.look_around(next);
            self.look_below(next);
        }
    }

    /// Wants it down, and what needs it. What has finished cannot be undone: nothing follows.
    pub(super) fn stop(&mut self, ix: Ix, now: Moment, orders: &mut Vec<Order>) {
        if self
            .slots
            .get(ix)
            .is_some_and(|slot| slot.unit.state == State::Finished)
        {
            return;
        }
        let mut todo = vec![ix];
        let mut seen = BTreeSet::new();
        while let Some(next) = todo.pop() {
            let Some(slot) = self.slots.get_mut(next).filter(|_| seen.insert(next)) else {
                continue;
            };
            todo.extend(&slot.needed_by);
            if slot.want == Want::Gone {
                continue;
            }
            if next == ix || slot.want == Want::Up {
                (slot.want, slot.once) = (Want::Down, false);
                slot.stopped_with = Some(ix);
            }
            if slot.unit.state.is_at_rest() {
                self.apply(next, Event::Stop { by: None }, now, orders);
            }
            self.renew_now(next, orders);
            self.look_around(next);
        }
    }

    fn tick(&mut self, now: Moment, orders: &mut Vec<Order>) {
        // First, so that what is killed at the cut-off is not killed again for its own timeout.
        self.ending_tick(now, orders);
        let due: Vec<Ix> = self
            .timers
            .iter()
            .take_while(|(at, _)| *at <= now)
            .map(|(_, ix)| *ix)
            .collect();
        for ix in due {
            self.apply(ix, Event::Tick, now, orders);
        }
        if let Some((ix, _)) = self.cmd.take_if(|(_, at)| *at <= now)
            && self
                .slots
                .get(ix)
                .is_some_and(|slot| slot.unit.state == State::Waiting)
        {
            self.shutdown(Reason::CmdWait(ix), now, orders);
        }
    }

    /// Looks at everybody concerned until nobody has anything to do.
    pub(super) fn settle(&mut self, now: Moment, orders: &mut Vec<Order>) {
        loop {
            while let Some(ix) = self.look.pop_front() {
                self.relink();
                if let Some(event) = self.wish(ix) {
                    self.apply(ix, event, now, orders);
                }
            }
            self.tell_changes(now, orders);
            if !self.turn_page(now, orders) {
                return self.see_off(orders);
            }
        }
    }

    /// Tells what has changed, before the end begins or goes on because of it. A death is told even
    /// if the next start of the same turn leaves the word as it was: starting → starting. So is a
    /// start that made no process and is tried again at once.
    pub(super) fn tell_changes(&mut self, now: Moment, orders: &mut Vec<Order>) {
        for (ix, from, since) in self.changes.take() {
            if let Some((to, restarts)) = self
                .slots
                .get(ix)
                .map(|slot| (slot.unit.state, slot.restarts))
                && (from.word() != to.word()
                    || from.pid().is_some_and(|pid| to.pid() != Some(pid))
                    || (from, to) == (State::Spawning, State::Spawning))
            {
                orders.push(Order::Changed(Change {
                    ix,
                    from,
                    to,
                    since,
                    at: now,
                    restarts,
                }));
            }
        }
    }
}
