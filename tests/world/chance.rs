//! Fleets, lives and people by chance, from a seed.

use std::time::Duration;

use pidone::machine::shutdown::Reason;
use pidone::machine::slot::{Input, Ix, Limits};
use pidone::service::definition::{
    Before, Finish, Kind, OnLimit, Probe, Ready, Restart, RestartLimit, Service, When,
};
use pidone::values::{Exit, Signal};

use super::World;
use super::life::{Exec, Life, NO_BEFORE, NO_FINISH};

/// Chance from a seed (splitmix64, Steele, Lea and Flood 2014).
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    pub(crate) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn of<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())].clone()
    }

    /// Milliseconds, short ones more often than long ones.
    pub(crate) fn span(&mut self, longest: usize) -> Duration {
        let most = 1 + self.below(longest);
        Duration::from_millis(self.below(most) as u64)
    }

    pub(crate) fn exit(&mut self) -> Exit {
        match self.below(6) {
            0..3 => Exit::Code(0),
            3 => Exit::Signal(Signal::INT),
            _bad => Exit::Code(u8::try_from(1 + self.below(125)).unwrap()),
        }
    }
}

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
        let mut service = service(chance, &names[ix]);
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

fn service(chance: &mut Chance, name: &str) -> Service {
    let mut service = Service::new(name.parse().unwrap(), vec![name.into()]);
    service.enabled = chance.percent(95);
    if chance.percent(25) {
        service.kind = Kind::Oneshot;
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
        delay: chance.of(&[Duration::ZERO, Duration::ZERO, Duration::from_millis(700)]),
        limit: chance.percent(25).then(|| RestartLimit {
            times: u32::try_from(1 + chance.below(4)).unwrap(),
            within: Duration::from_secs(chance.of(&[1, 10, 60])),
        }),
        on_limit: chance.of(&[OnLimit::Stop, OnLimit::Exit]),
        ..Restart::default()
    };
    if chance.percent(50) {
        let probe = chance.of(&[Probe::Fd(3), Probe::Tcp("127.0.0.1:80".into())]);
        service.ready = Some(Box::new(Ready {
            probe,
            interval: Duration::from_millis(chance.of(&[100, 2000])),
            within: chance
                .of(&[Some(30), Some(2), None])
                .map(Duration::from_secs),
        }));
    }
    if chance.percent(25) {
        service.finish = Some(Box::new(Finish {
            path: "finish".into(),
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

/// A life by chance; the more patient, the longer and the better.
fn life(chance: &mut Chance, patience: usize) -> Life {
    let mut life = Life::default();
    if chance.percent(patience) {
        life.ready = Some(chance.span(3000));
        life.on_term = Some((chance.span(4000), Exit::Signal(Signal::TERM)));
        return life;
    }
    life.exec = match chance.below(12) {
        0 => Exec::Fails(chance.span(20)),
        1 => Exec::Hangs,
        2 => Exec::NoProcess,
        3 => Exec::After(chance.span(15000)),
        _usual => Exec::After(chance.span(5)),
    };
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
        let deed = chance.of(&[Input::Start(ix), Input::Stop(ix), Input::Restart(ix)]);
        world.plan(begin + chance.span(most), deed);
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

/// What is edited in the definitions, by chance, up to this moment. CMD stays as it is.
pub(crate) fn rescans(chance: &mut Chance, world: &mut World, cmd: Option<Ix>, until: Duration) {
    let begin = world.now;
    let most = usize::try_from(until.as_millis()).unwrap().max(1);
    let cmd = cmd.map(|ix| world.name(ix).to_owned());
    let mut services = world.wanted.clone();
    let mut moments: Vec<Duration> = (0..chance.of(&[1, 3, 10]))
        .map(|_| chance.span(most))
        .collect();
    moments.sort();
    for at in moments {
        for _edit in 0..=chance.below(4) {
            edit(chance, &mut services, cmd.as_deref());
        }
        if chance.percent(30) {
            relink(chance, &mut services, cmd.as_deref());
        }
        mend(&mut services);
        let patience = chance.of(&[20, 60, 95]);
        let lives = |service: &Service, chance: &mut Chance| {
            let lives = (0..=chance.below(4)).map(|_| life(chance, patience));
            (service.clone(), lives.collect())
        };
        let read = services.iter().map(|service| lives(service, chance));
        let read = read.collect();
        world.plan_rescan(begin + at, read);
    }
}

/// One service is another one now, is there no more, or is there again.
fn edit(chance: &mut Chance, services: &mut Vec<Service>, cmd: Option<&str>) {
    let name = format!("s{}", chance.below(9));
    let found = services.iter().position(|s| s.name.as_str() == name);
    let Some(at) = found else {
        return services.push(service(chance, &name));
    };
    if cmd == Some(name.as_str()) {
        return;
    }
    let old = &mut services[at];
    match chance.below(8) {
        0 | 1 => drop(services.remove(at)),
        2 | 3 => old.context.umask = Some(u32::try_from(chance.below(64)).unwrap()),
        4 => old.enabled = chance.percent(50),
        5 => old.stop.timeout = Some(chance.span(6000)),
        6 => old.restart = service(chance, &name).restart,
        _other => {
            let links = (old.needs.clone(), old.after.clone());
            *old = service(chance, &name);
            (old.needs, old.after) = links;
        }
    }
}

/// What would be refused is not there: needs of what is not, or is not enabled.
fn mend(services: &mut [Service]) {
    let enabled = services.iter().filter(|service| service.enabled);
    let names: Vec<_> = enabled.map(|service| service.name.clone()).collect();
    for service in services.iter_mut() {
        service.needs.retain(|name| names.contains(name));
    }
}

/// Everybody stands on others than before, in an order of its own: what stood on whom may stand
/// below it now.
fn relink(chance: &mut Chance, services: &mut [Service], cmd: Option<&str>) {
    let mut order: Vec<usize> = (0..services.len()).collect();
    for at in (1..order.len()).rev() {
        order.swap(at, chance.below(at + 1));
    }
    let links = chance.of(&[0, 15, 40, 80]);
    for place in 0..order.len() {
        let ix = order[place];
        if cmd == Some(services[ix].name.as_str()) {
            continue;
        }
        let (mut needs, mut after) = (Vec::new(), Vec::new());
        for below in &order[..place] {
            let name = services[*below].name.clone();
            if cmd != Some(name.as_str()) && chance.percent(links) {
                let list = if chance.percent(70) {
                    &mut needs
                } else {
                    &mut after
                };
                list.push(name);
            }
        }
        (services[ix].needs, services[ix].after) = (needs, after);
    }
}
