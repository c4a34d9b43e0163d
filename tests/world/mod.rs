//! A fake world around a fleet: a clock that jumps to the next thing that is due, processes that do
//! as they were told to, orphans, and people. It performs orders as the real loop does: a spawn is
//! answered in the same turn, and the dead are reported one by one, then that no child is left.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may, and each test uses its part of the world"
)]

pub(crate) mod books;
pub(crate) mod chance;
mod clocks;
pub(crate) mod edits;
pub(crate) mod faults;
pub(crate) mod fleets;
pub(crate) mod life;
mod perform;
pub(crate) mod rescan;
pub(crate) mod rules;
mod signs;
pub(crate) mod story;
mod with;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use pidone::machine::fleet::Fleet;
use pidone::machine::slot::{Input, Ix, Limits, Order};
use pidone::machine::unit::{Event, Said};
use pidone::service::definition::{Probe, Service};
use pidone::values::{Exit, Moment, Pid};

use life::{Life, Process};

/// How long the kernel takes to deliver a death.
const DEATH: Duration = Duration::from_millis(1);
/// How long a probe takes.
const PROBE: Duration = Duration::from_millis(2);
/// The first sign of life after an exec.
const BEAT: Duration = Duration::from_millis(3);
/// So many ticks at one moment are a busy loop.
const TICKS_MAX: u32 = 4;

/// A process that belongs to no service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Orphan {
    ignores_term: bool,
}

/// What the world has in store.
#[derive(Clone, Debug)]
enum Happening {
    Execs(Pid),
    FailsToExec(Pid),
    Notifies(Pid),
    Beats(Pid),
    Leaves(Pid),
    Says(Pid, Said),
    Answers(Pid),
    Dies(Pid, Exit),
    OrphanDies(u32),
    Comes(Input),
    Rings(Input),
    Reaps,
    AllDie,
    Exits(Ix, Exit),
    BeforeEnds(Ix, u64),
    Rescans(Vec<(Service, Vec<Life>)>),
}

/// The world.
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct World {
    pub(crate) fleet: Fleet,
    pub(crate) now: Moment,
    /// The code of the `Exit` order.
    pub(crate) exit: Option<u8>,
    /// The rules are looked at; not where only the time counts.
    pub(crate) is_checked: bool,
    /// The first rule that did not hold.
    pub(crate) broken: Option<String>,
    pub(crate) processes: BTreeMap<Pid, Process>,
    pub(crate) orphans: BTreeMap<u32, Orphan>,
    /// Whose `stop.before` runs, and which run of it.
    pub(crate) befores: BTreeMap<Ix, u64>,
    pub(crate) story: Option<story::Story>,
    pub(crate) books: books::Books,
    /// What the last reading has defined.
    pub(crate) wanted: Vec<Service>,
    /// How often they were read again.
    pub(crate) rescans: u32,
    /// It came to a point where nothing was due any more.
    pub(crate) was_still: bool,
    /// How often it took in something.
    pub(crate) turns: u64,
    pub(crate) clocks: clocks::Clocks,
    pub(crate) faults: faults::Faults,
    lives: Vec<Vec<Life>>,
    starts: Vec<usize>,
    agenda: BTreeMap<(Moment, u64), Happening>,
    next: u64,
    /// Ordered, and not performed yet.
    orders: VecDeque<Order>,
    /// Somebody has died, or may have.
    reap: bool,
    /// What happens at one moment is taken in together, before anything is performed.
    pub(crate) batches: bool,
    /// Everything happens at a multiple of this, so that more happens at one moment.
    pub(crate) grain: Duration,
    /// A tick comes this late.
    pub(crate) late: Duration,
    ticks: u32,
}

impl World {
    /// These services, with the lives that their processes lead: one for each start, the last one
    /// for ever. Nothing is up yet.
    pub(crate) fn new(services: Vec<(Service, Vec<Life>)>, limits: Limits) -> Self {
        let now = Moment::at(Duration::from_secs(100));
        let (services, lives): (Vec<_>, Vec<_>) = services.into_iter().unzip();
        let fleet = Fleet::new(services.clone(), limits, now);
        Self {
            now,
            exit: None,
            is_checked: true,
            broken: None,
            processes: BTreeMap::new(),
            orphans: BTreeMap::new(),
            befores: BTreeMap::new(),
            story: None,
            books: books::Books::new(&services, &fleet),
            wanted: services.clone(),
            rescans: 0,
            was_still: false,
            turns: 0,
            clocks: clocks::Clocks::default(),
            faults: faults::Faults::none(),
            starts: vec![0; services.len()],
            fleet,
            lives,
            agenda: BTreeMap::new(),
            next: 0,
            orders: VecDeque::new(),
            reap: false,
            batches: false,
            grain: Duration::from_millis(1),
            late: Duration::ZERO,
            ticks: 0,
        }
    }

    pub(crate) fn name(&self, ix: Ix) -> &str {
        let slot = self.fleet.slot(ix);
        slot.map_or("somebody gone", |slot| slot.service.name.as_str())
    }

    pub(crate) fn boot(&mut self, cmd: Option<Ix>) {
        let mut orders = Vec::new();
        self.tell(|_| "boot".into());
        self.fleet.boot(cmd, self.now, &mut orders);
        self.order(orders);
        self.perform_all();
    }

    /// Something from outside, at a moment to come.
    pub(crate) fn plan(&mut self, at: Moment, input: Input) {
        self.schedule(at, Happening::Comes(input));
    }

    /// The service's process ends by itself, at a moment to come.
    pub(crate) fn plan_exit(&mut self, at: Moment, ix: Ix, exit: Exit) {
        self.schedule(at, Happening::Exits(ix, exit));
    }

    /// Lives until this moment, the end, or a broken rule.
    pub(crate) fn run(&mut self, until: Moment) {
        while self.broken.is_none() && self.exit.is_none() && self.advance(until) {}
        if self.exit.is_none() {
            self.now = self.now.max(until);
        }
    }

    /// Goes to the next thing that is due; false if nothing is, by then.
    fn advance(&mut self, until: Moment) -> bool {
        let planned = self.agenda.keys().next().map(|(at, _)| *at);
        let late = self.faults.lateness(self.late);
        let tick = self.fleet.deadline().map(|at| at + late);
        let run = self.fleet.next_run().map(|at| at + late);
        let Some(next) = [planned, tick, run].into_iter().flatten().min() else {
            return false;
        };
        if next > until {
            return false;
        }
        self.ticks = if next > self.now { 0 } else { self.ticks };
        self.now = self.now.max(next);
        if planned == Some(next) {
            // What has happened at one moment comes in one batch, or one by one.
            while let Some((at, _)) = self.agenda.keys().next()
                && *at <= self.now
            {
                let (_, happening) = self.agenda.pop_first().unwrap();
                self.happen(happening);
                if !self.batches || self.exit.is_some() {
                    break;
                }
            }
            self.perform_all();
        } else if run == Some(next) {
            self.turn(Input::Clock);
        } else {
            self.ticks += 1;
            self.check(
                self.ticks <= TICKS_MAX,
                "time alone never makes a busy loop",
            );
            self.turn(Input::Tick);
        }
        true
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Comes(input) => self.take(input),
            Happening::OrphanDies(id) => {
                if self.orphans.remove(&id).is_some() {
                    self.tell(|_| "an orphan dies".into());
                    self.reap = true;
                }
            }
            Happening::Execs(pid) => self.execs(pid),
            Happening::FailsToExec(pid) => {
                if let Some(process) = self.processes.get_mut(&pid) {
                    process.is_doomed = true;
                    let ix = process.ix;
                    self.schedule(self.now + DEATH, Happening::Dies(pid, Exit::Code(127)));
                    self.take(Input::Unit(ix, Event::ExecFailed));
                }
            }
            Happening::Notifies(pid) => self.says(pid, Said::Ready),
            Happening::Answers(pid) => {
                if let Some(process) = self.processes.get(&pid) {
                    let ready = process.is_well(self.now);
                    self.take(Input::Unit(process.ix, Event::Probed { ready }));
                }
            }
            Happening::Beats(pid) => self.beats(pid),
            Happening::Leaves(pid) => self.says(pid, Said::Stopping),
            Happening::Says(pid, said) => self.says(pid, said),
            Happening::Rings(input) => {
                // The loop hears clocks by themselves, when everything before is performed.
                self.perform_all();
                if self.exit.is_none() {
                    self.turn(input);
                }
            }
            Happening::Reaps => self.reap = true,
            Happening::AllDie => self.all_die(),
            Happening::BeforeEnds(ix, number) => {
                if self.befores.get(&ix) == Some(&number) {
                    self.befores.remove(&ix);
                    self.take(Input::Unit(ix, Event::BeforeEnded));
                }
            }
            Happening::Rescans(services) => self.rescan(services),
            Happening::Dies(pid, exit) => self.dies(pid, exit),
            Happening::Exits(ix, exit) => {
                if let Some(pid) = self.fleet.slot(ix).and_then(|s| s.unit.state.pid()) {
                    self.dies(pid, exit);
                }
            }
        }
    }

    fn execs(&mut self, pid: Pid) {
        let Some(process) = self.processes.get_mut(&pid) else {
            return;
        };
        process.has_execed = true;
        let (ix, life) = (process.ix, process.life.clone());
        process.sick = life
            .sick
            .map(|(after, span)| (self.now + after, self.now + after + span));
        if let Some(after) = life.ready {
            process.ready_at = Some(self.now + after);
            if self.tells_by_itself(ix) {
                self.schedule(self.now + after, Happening::Notifies(pid));
            }
        }
        if let Some(after) = life.leaves {
            self.schedule(self.now + after, Happening::Leaves(pid));
        }
        let health = self.slot(ix).service.health.as_ref();
        if health.is_some_and(|health| health.probe == Probe::Notify) {
            self.schedule(self.now + BEAT, Happening::Beats(pid));
        }
        if let Some((after, exit)) = life.ends {
            self.schedule(self.now + after, Happening::Dies(pid, exit));
        }
        for _orphan in 0..life.orphans {
            let id = u32::try_from(self.next).unwrap();
            self.next += 1;
            self.orphans.insert(
                id,
                Orphan {
                    ignores_term: life.stubborn_orphans,
                },
            );
        }
        self.take(Input::Unit(ix, Event::Execed));
    }

    fn dies(&mut self, pid: Pid, exit: Exit) {
        if let Some(process) = self.processes.remove(&pid) {
            self.books.died(&process, exit);
            self.take(Input::Exited {
                pid,
                exit,
                oom: false,
            });
            self.check(self.fleet.owner(pid).is_none(), "the dead belong to nobody");
            self.reap = true;
        }
    }

    /// One turn of the loop.
    pub(crate) fn turn(&mut self, input: Input) {
        self.take(input);
        self.perform_all();
    }

    fn take(&mut self, input: Input) {
        self.turns += 1;
        self.tell(|world| story::input(world, input));
        self.books.comes(&self.fleet, input);
        let mut orders = Vec::new();
        self.fleet.take(input, self.now, &mut orders);
        self.order(orders);
    }

    fn order(&mut self, orders: Vec<Order>) {
        for order in orders {
            self.rules_of_order(order);
            self.orders.push_back(order);
        }
    }

    /// The reaper says whether anybody is left before what the deaths led to is performed.
    fn perform_all(&mut self) {
        let mut count = 0;
        loop {
            let is_alone = self.processes.is_empty() && self.orphans.is_empty();
            if std::mem::take(&mut self.reap) && is_alone {
                self.take(Input::Childless);
            }
            let Some(order) = self.orders.pop_front() else {
                break;
            };
            count += 1;
            // The rules of a turn tell.
            if self.is_checked && count > 10 + 10 * self.fleet.slots().len() {
                break;
            }
            self.tell(|world| story::order(world, order));
            if let Some(answer) = self.perform(order) {
                self.take(answer);
            }
        }
        self.rules_of_turn(count);
    }

    fn schedule(&mut self, at: Moment, happening: Happening) {
        self.next += 1;
        let grain = self.grain.as_millis();
        let rest = at.since_origin().as_millis() % grain;
        let wait = if rest == 0 { 0 } else { grain - rest };
        let wait = Duration::from_millis(u64::try_from(wait).unwrap());
        self.agenda.insert((at + wait, self.next), happening);
    }

    /// A rule: the first that does not hold is kept.
    pub(crate) fn check(&mut self, holds: bool, rule: &str) {
        if !holds && self.broken.is_none() {
            self.tell(|_| format!("NOT SO: {rule}"));
            self.broken = Some(rule.into());
        }
    }

    pub(crate) fn tell(&mut self, line: impl FnOnce(&Self) -> String) {
        if self.story.is_some() {
            let line = line(self);
            let at = self.now;
            if let Some(story) = &mut self.story {
                story.add(at, &line);
            }
        }
    }
}
