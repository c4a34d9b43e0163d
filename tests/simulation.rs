//! Whole fleets in a fake world, by chance, from a seed: services that ignore TERM, leave orphans,
//! die at spawn, hang, flap, never become ready; people who start and stop them; signals at any
//! moment. After every turn the rules of `world/rules.rs` hold, and they do where the orders of the
//! machine fail too.
//!
//! `SEEDS=100000` tries more, `SEED=7` tells the whole story of one. `tests/sim.sh` tries many.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may"
)]

mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use pidone::machine::shutdown::Reason;
use pidone::machine::slot::{Input, Limits};
use pidone::machine::unit::State;
use pidone::service::definition::Service;
use pidone::values::{Moment, Signal};

use world::World;
use world::chance::Chance;
use world::edits::rescans;
use world::faults::Faults;
use world::fleets::{people, world};
use world::life::Life;
use world::story::Story;

/// How many seeds a run tries unless told otherwise.
const SEEDS: u64 = 1_000;

/// What the worlds of a run have beside services and people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// Nothing.
    Plain,
    /// Definitions that are read again.
    Rescanned,
    /// Orders that fail; and in every other world definitions that are read again.
    Failing,
}

/// The whole life of the world of this seed.
fn live(seed: u64, story: Option<Story>, kind: Kind) -> World {
    let mut chance = Chance(seed);
    let (mut world, cmd) = world(&mut chance);
    world.story = story;
    let span = Duration::from_secs(match chance.below(40) {
        0..3 => 3600,
        3..15 => 600,
        _usual => 60,
    });
    let busy = span.min(Duration::from_secs(60));
    people(&mut chance, &mut world, busy);
    let is_rescanned = match kind {
        Kind::Plain => false,
        Kind::Rescanned => true,
        Kind::Failing => seed / 4 % 2 == 1,
    };
    if is_rescanned {
        rescans(&mut chance, &mut world, cmd, busy);
    }
    if kind == Kind::Failing {
        world.faults = Faults::of(seed);
    }
    world.boot(cmd);
    let end = world.now + span;
    world.run(end);
    if world.exit.is_none() && world.broken.is_none() {
        if world.is_still() {
            world.was_still = true;
            world.rules_of_stillness();
        }
        let asked = world.now;
        world.turn(Input::Shutdown(Reason::Signal(Signal::TERM)));
        world.run(asked + Duration::from_secs(60));
        world.check(world.exit.is_some(), "TERM ends the container");
    }
    world
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn begin() -> Moment {
    Moment::at(Duration::from_secs(100))
}

#[test]
fn fleets_by_chance_keep_the_rules() {
    fleets(Kind::Plain);
}

#[test]
fn fleets_that_are_defined_anew_keep_the_rules() {
    fleets(Kind::Rescanned);
}

#[test]
fn fleets_whose_orders_fail_keep_the_rules() {
    fleets(Kind::Failing);
}

/// What became of many worlds.
#[derive(Default)]
struct Sum {
    turns: u64,
    lived: Duration,
    ends: BTreeMap<&'static str, u64>,
    faults: BTreeMap<&'static str, u64>,
    /// The first seed that broke a rule, and which.
    broken: Option<(u64, String)>,
}

impl Sum {
    fn add(&mut self, seed: u64, world: World) {
        self.turns += world.turns;
        self.lived += world.now.since(begin());
        for end in ends_of(&world) {
            *self.ends.entry(end).or_default() += 1;
        }
        for (fault, count) in &world.faults.counts {
            *self.faults.entry(fault).or_default() += u64::from(*count);
        }
        self.broken = world.broken.map(|rule| (seed, rule));
    }

    fn join(mut self, other: Self) -> Self {
        self.turns += other.turns;
        self.lived += other.lived;
        for (end, count) in other.ends {
            *self.ends.entry(end).or_default() += count;
        }
        for (fault, count) in other.faults {
            *self.faults.entry(fault).or_default() += count;
        }
        self.broken = [self.broken, other.broken].into_iter().flatten().min();
        self
    }
}

/// The worlds of every `threads`-th seed; to the first that breaks a rule.
fn lives(first: u64, seeds: u64, threads: u64, kind: Kind) -> Sum {
    let mut sum = Sum::default();
    for seed in (first..seeds).step_by(usize::try_from(threads).unwrap()) {
        sum.add(seed, live(seed, None, kind));
        if sum.broken.is_some() {
            break;
        }
    }
    sum
}

fn fleets(kind: Kind) {
    if let Some(seed) = number("SEED") {
        let world = live(seed, Some(Story::new(begin(), usize::MAX, false)), kind);
        print!("{}", world.story.unwrap().text());
        assert_eq!(world.broken, None, "seed {seed}");
        return;
    }
    let seeds = number("SEEDS").unwrap_or(SEEDS);
    let threads = number("THREADS").unwrap_or(1).max(1);
    let sum = std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads)
            .map(|first| scope.spawn(move || lives(first, seeds, threads, kind)))
            .collect();
        let all = all.into_iter().map(|thread| thread.join().unwrap());
        all.reduce(Sum::join).unwrap()
    });
    if let Some((seed, rule)) = sum.broken {
        let told = live(seed, Some(Story::new(begin(), 40, false)), kind);
        panic!(
            "{kind:?}, not so: {rule}\n{}SEED={seed} tells the whole story",
            told.story.unwrap().text()
        );
    }
    println!(
        "{seeds} fleets ({kind:?}) lived {} hours in {} turns",
        sum.lived.as_secs() / 3600,
        sum.turns
    );
    println!("{:?}", sum.ends);
    if kind == Kind::Failing {
        let all: u64 = sum.faults.values().sum();
        println!("{all} faults: {:?}", sum.faults);
        assert!(all > seeds, "hardly anything has failed");
    }
}

/// What is worth counting of the end of a world.
fn ends_of(world: &World) -> Vec<&'static str> {
    let Some(ending) = world.fleet.ending() else {
        return Vec::new();
    };
    let reason = match ending.reason {
        Reason::Signal(_) | Reason::Asked(_) => "asked",
        Reason::Main(..) => "main ended",
        Reason::MainFailed(_) => "main failed",
        Reason::CmdWait(_) => "CMD waited in vain",
        Reason::Limit(..) => "limit",
        Reason::Unhealthy(..) => "main was unhealthy",
        Reason::Empty(_) => "nothing left",
    };
    let more = [
        (ending.killed > 0, "… and something had to be killed"),
        (ending.cut_off, "… and came to the cut-off, or was forced"),
        (
            !world.processes.is_empty(),
            "… and something did not even die of SIGKILL",
        ),
        (world.was_still, "stood still before"),
    ];
    let more = more
        .into_iter()
        .filter_map(|(is_so, what)| is_so.then_some(what));
    std::iter::once(reason).chain(more).collect()
}

#[test]
fn a_seed_tells_the_same_story_twice() {
    for seed in 0..20 {
        let tell = || {
            let story = Story::new(begin(), usize::MAX, false);
            live(seed, Some(story), Kind::Failing).story.unwrap().text()
        };
        assert_eq!(tell(), tell());
    }
}

#[test]
fn a_thousand_services_boot_and_stop() {
    let services: Vec<_> = (0..1000)
        .map(|ix: u32| {
            let mut service = Service::new(format!("s{ix}").parse().unwrap(), vec!["x".into()]);
            if !ix.is_multiple_of(10) {
                service.needs.push(format!("s{}", ix - 1).parse().unwrap());
            }
            (service, vec![Life::default()])
        })
        .collect();
    let limits = Limits {
        stop: Duration::from_secs(9),
        cmd_wait: Duration::from_secs(30),
    };
    let mut world = World::new(services, limits);
    world.is_checked = false;
    let began = pidone::os::clock::now();
    world.boot(None);
    world.run(begin() + Duration::from_secs(5));
    let booted = pidone::os::clock::now();
    let is_ready =
        |slot: &pidone::machine::slot::Slot| matches!(slot.unit.state, State::Ready { .. });
    assert!(world.fleet.slots().iter().all(is_ready));
    world.turn(Input::Shutdown(Reason::Signal(Signal::TERM)));
    world.run(begin() + Duration::from_secs(15));
    assert_eq!((world.exit, world.broken), (Some(0), None));
    let ended = pidone::os::clock::now();
    println!(
        "1,000 services, in a hundred chains: boot {} ms, stop {} ms",
        booted.since(began).as_millis(),
        ended.since(booted).as_millis()
    );
}

#[test]
fn thousands_of_rescans_leave_nothing_behind() {
    let service = |name: &str| {
        let service = Service::new(name.parse().unwrap(), vec!["x".into()]);
        (service, vec![Life::default()])
    };
    let keep = ["a", "b"].map(service).to_vec();
    let limits = Limits {
        stop: Duration::from_secs(9),
        cmd_wait: Duration::from_secs(30),
    };
    let mut world = World::new(keep.clone(), limits);
    world.boot(None);
    let pids = |world: &World| -> Vec<_> {
        let slots = world.fleet.slots().iter();
        slots.filter_map(|slot| slot.unit.state.pid()).collect()
    };
    world.run(begin() + Duration::from_secs(1));
    let before = pids(&world);
    for round in 1..=3000 {
        let with = [keep.clone(), vec![service("c")]].concat();
        let services = if round % 2 == 1 { with } else { keep.clone() };
        let at = begin() + Duration::from_secs(1 + round);
        world.plan_rescan(at, services);
        world.run(at + Duration::from_millis(500));
    }
    assert_eq!(world.broken, None);
    assert_eq!(pids(&world), before);
    assert_eq!(
        (world.fleet.slots().len(), world.fleet.deadline()),
        (2, None)
    );
}

#[test]
fn a_thousand_services_are_changed_at_once() {
    let service = |ix: usize, umask| {
        let mut service = Service::new(format!("s{ix}").parse().unwrap(), vec!["x".into()]);
        if !ix.is_multiple_of(10) {
            service.needs.push(format!("s{}", ix - 1).parse().unwrap());
        }
        service.context.umask = umask;
        (service, vec![Life::default()])
    };
    let services = |umask| (0..1000).map(|ix| service(ix, umask)).collect::<Vec<_>>();
    let limits = Limits {
        stop: Duration::from_secs(9),
        cmd_wait: Duration::from_secs(30),
    };
    let mut world = World::new(services(None), limits);
    world.is_checked = false;
    world.boot(None);
    world.run(begin() + Duration::from_secs(5));
    for (what, umask) in [("unchanged", None), ("changed", Some(0o22))] {
        let began = pidone::os::clock::now();
        let at = world.now;
        world.plan_rescan(at, services(umask));
        world.run(at + Duration::from_secs(5));
        let took = pidone::os::clock::now().since(began);
        println!("1,000 services, {what}: {} ms", took.as_millis());
    }
    let is_new = |slot: &pidone::machine::slot::Slot| {
        matches!(slot.unit.state, State::Ready { .. }) && slot.service.context.umask.is_some()
    };
    assert!(world.fleet.slots().iter().all(is_new));
}
