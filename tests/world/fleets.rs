//! Fleets, lives and people by chance.

use std::time::Duration;

use pidone::machine::shutdown::Reason;
use pidone::machine::slot::{Input, Ix, Limits};
use pidone::service::definition::{
    Before, Health, Kind, OnLimit, Probe, Ready, Restart, RestartLimit, Service, Then, When,
};
use pidone::service::executable::Finish;
use pidone::service::pace::Pace;
use pidone::service::schedule::{Line, Overlap, Schedule, Times};
use pidone::service::undo::Down;
use pidone::service::zone::Zone;
use pidone::values::{Exit, Name, Signal};

use super::World;
use super::chance::Chance;
use super::life::{Exec, Life, NO_BEFORE, NO_FINISH};

/// A world by chance, and who is CMD.
pub(crate) fn world(chance: &mut Chance) -> (World, Option<Ix>) {
    let count = match chance.below(20) {
        0 => 30,
        1..5 => 1 + chance.below(2),
        _usual => 2 + chance.below(7),
    };
    let mut order: Vec<Ix> = (0..count).collect();
    for at in (1..count).rev() {
        order.swap(at, chance.below(at + 1));
    }
    let links = chance.of(&[0, 15, 40, 80]);
    let main = chance.percent(30).then(|| chance.below(count));
    let is_cmd = main.is_some() && chance.percent(40);
    let patience = chance.of(&[20, 60, 95]);
    let names: Vec<String> = (0..count).map(|ix| format!("s{ix}")).collect();
    let mut services = Vec::new();
    for ix in 0..count {
        let mut service = service(chance, &names[ix], &names);
        let place = order.iter().position(|other| *other == ix).unwrap();
        for below in &order[..place] {
            if is_cmd && Some(*below) == main {
                continue;
            }
            if chance.percent(links) {
                let name = names[*below].parse().unwrap();
                let list = if chance.percent(70) {
                    &mut service.needs
                } else {
                    &mut service.after
                };
                list.push(name);
            }
        }
        if Some(ix) == main {
            service.main = true;
            service.enabled = true;
            if chance.percent(75) {
                service.restart.when = When::Never;
            }
            if is_cmd {
                let others = names.iter().filter(|name| **name != names[ix]);
                service.needs.clear();
                service.after.clear();
                let list = if chance.percent(50) {
                    &mut service.needs
                } else {
                    &mut service.after
                };
                list.extend(others.map(|name| name.parse().unwrap()));
            }
        }
        let lives = (0..=chance.below(4))
            .map(|_| life(chance, patience))
            .collect();
        services.push((service, lives));
    }
    let limits = Limits {
        stop: Duration::from_millis(chance.of(&[9000, 9000, 9000, 30000, 3000, 1000, 300, 0])),
        cmd_wait: Duration::from_millis(chance.of(&[30000, 3000, 0])),
    };
    let mut world = World::new(services, limits);
    world.late = Duration::from_millis(chance.of(&[0, 0, 0, 1, 40, 3000]));
    world.batches = chance.percent(50);
    world.grain = Duration::from_millis(chance.of(&[1, 1, 50, 1000]));
    (world, if is_cmd { main } else { None })
}

pub(crate) fn service(chance: &mut Chance, name: &str, all: &[String]) -> Service {
    let mut service = Service::new(name.parse().unwrap(), vec![name.into()]);
    service.enabled = chance.percent(95);
    if chance.percent(25) {
        service.kind = Kind::Oneshot;
        service.schedule = schedule(chance);
    }
    let always = if service.kind == Kind::Oneshot {
        10
    } else {
        70
    };
    service.restart = Restart {
        when: if chance.percent(always) {
            When::Always
        } else {
            chance.of(&[When::OnFailure, When::Never])
        },
        pace: chance.of(&[Pace::Growing, Pace::Growing, Pace::Growing, Pace::S6]),
        delay: chance.of(&[Duration::ZERO, Duration::ZERO, Duration::from_millis(700)]),
        limit: chance.percent(25).then(|| RestartLimit {
            times: u32::try_from(1 + chance.below(4)).unwrap(),
            within: Duration::from_secs(chance.of(&[1, 10, 60])),
        }),
        on_limit: chance.of(&[OnLimit::Stop, OnLimit::Exit]),
        with: with(chance, all),
        ..Restart::default()
    };
    if chance.percent(50) {
        let probe = chance.of(&[
            Probe::Fd(3),
            Probe::Notify,
            Probe::Tcp("127.0.0.1:80".into()),
        ]);
        service.ready = Some(Box::new(Ready {
            probe,
            interval: Duration::from_millis(chance.of(&[100, 2000])),
            within: chance
                .of(&[Some(30), Some(2), None])
                .map(Duration::from_secs),
        }));
    }
    if service.kind == Kind::Longrun && chance.percent(30) {
        service.health = Some(Box::new(health(chance)));
    }
    if chance.percent(25) {
        service.finish = Some(Box::new(Finish {
            file: "finish".into(),
            timeout: chance.percent(80).then(|| Duration::from_secs(5)),
        }));
    }
    let is_timed = service.kind == Kind::Oneshot && service.ready.is_none() && chance.percent(20);
    service.timeout = is_timed.then(|| Duration::from_secs(chance.of(&[1, 20])));
    if service.kind == Kind::Oneshot && service.finish.is_none() && chance.percent(30) {
        service.down = Some(Box::new(Down {
            command: vec!["down".into()],
            timeout: chance.percent(80).then(|| Duration::from_secs(5)),
        }));
    }
    if chance.percent(30) {
        service.stop.before = Some(Box::new(Before {
            command: vec!["before".into()],
            timeout: Duration::from_millis(chance.of(&[500, 500, 10, 4000, 60_000])),
        }));
    }
    service.stop.timeout = chance
        .of(&[Some(5), Some(5), Some(60), Some(0), None])
        .map(Duration::from_secs);
    service
}

fn schedule(chance: &mut Chance) -> Option<Box<Schedule>> {
    let schedule = Schedule {
        times: if chance.percent(50) {
            Times::Every(Duration::from_secs(chance.of(&[1, 7, 60])))
        } else {
            let line = chance.of(&["* * * * *", "*/7 * * * *", "@hourly", "30 2 * * *"]);
            Times::Cron(Box::new(Line::parse(line, Zone::utc()).unwrap()))
        },
        overlap: chance.of(&[Overlap::Skip, Overlap::Queue]),
        spread: Duration::from_secs(chance.of(&[0, 0, 3])),
    };
    chance.percent(30).then(|| Box::new(schedule))
}

/// Whom it is restarted with: often the same one.
fn with(chance: &mut Chance, all: &[String]) -> Vec<Name> {
    let other = chance.of(all);
    let one = chance.of(&[other, all[0].clone()]);
    let is_any = chance.percent(20);
    is_any.then(|| one.parse().unwrap()).into_iter().collect()
}

fn health(chance: &mut Chance) -> Health {
    Health {
        probe: chance.of(&[Probe::Tcp("127.0.0.1:80".into()), Probe::Notify]),
        interval: Duration::from_millis(chance.of(&[500, 5000])),
        timeout: Duration::from_secs(1),
        retries: chance.of(&[1, 3]),
        start_period: Duration::from_secs(chance.of(&[0, 0, 10])),
        then: chance.of(&[Then::Restart, Then::Restart, Then::Nothing]),
    }
}

/// A life by chance; the more patient, the longer and the better.
pub(crate) fn life(chance: &mut Chance, patience: usize) -> Life {
    let mut life = Life::default();
    if chance.percent(patience) {
        life.ready = Some(chance.span(3000));
        life.on_term = Some((chance.span(4000), Exit::Signal(Signal::TERM)));
        life.sick = chance
            .percent(20)
            .then(|| (chance.span(30000), chance.span(30000)));
        return life;
    }
    life.exec = match chance.below(12) {
        0 => Exec::Fails(chance.span(20)),
        1 => Exec::Hangs,
        2 => Exec::NoProcess,
        3 => Exec::After(chance.span(15000)),
        _usual => Exec::After(chance.span(5)),
    };
    life.sick = chance
        .percent(40)
        .then(|| (chance.span(10000), chance.span(60000)));
    life.leaves = chance.percent(10).then(|| chance.span(10000));
    life.ready = chance.percent(80).then(|| chance.span(4000));
    let longest = chance.of(&[3, 3000, 30000, 600_000]);
    life.ends = chance
        .percent(60)
        .then(|| (chance.span(longest), chance.exit()));
    let exit = chance.exit();
    life.on_term = chance.percent(70).then(|| (chance.span(6000), exit));
    let time = chance.span(3000);
    life.before = chance.of(&[None, Some(time), Some(time), Some(NO_BEFORE)]);
    life.is_undying = chance.percent(2);
    life.orphans = if chance.percent(20) { 3 } else { 0 };
    life.stubborn_orphans = chance.percent(50);
    life.finish = chance.percent(80).then(|| {
        let end = chance.of(&[Exit::Code(0), Exit::Code(1), Exit::Code(125), NO_FINISH]);
        (chance.span(7000), end)
    });
    life
}

/// What people do, by chance, up to this moment.
pub(crate) fn people(chance: &mut Chance, world: &mut World, until: Duration) {
    let begin = world.now;
    let most = usize::try_from(until.as_millis()).unwrap().max(1);
    let services = world.fleet.slots().len();
    let deeds = chance.of(&[0, 0, 3, 12]);
    for _deed in 0..deeds {
        let ix = chance.below(services);
        let deed = chance.of(&[
            Input::Start(ix),
            Input::Stop(ix),
            Input::Restart(ix),
            Input::Once(ix),
        ]);
        world.plan(begin + chance.span(most), deed);
    }
    for _setting in 0..chance.of(&[0, 0, 0, 3]) {
        let by_s = chance.of(&[-86_400, -3600, -30, 0, 30, 3600, 200_000_000]);
        world.set_clock(begin + chance.span(most), by_s);
    }
    if chance.percent(60) {
        let reasons = [Signal::TERM, Signal::INT, Signal::QUIT].map(Reason::Signal);
        let first = chance.span(most);
        for nth in 0..=chance.below(3) {
            let mut reason = chance.of(&reasons);
            if nth == 0 && chance.percent(30) {
                reason = Reason::Asked(chance.of(&[None, Some(3)]));
            }
            let gap = if nth == 0 {
                Duration::ZERO
            } else {
                chance.span(9000)
            };
            world.plan(begin + first + gap, Input::Shutdown(reason));
        }
    }
}
