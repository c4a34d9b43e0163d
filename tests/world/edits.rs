//! What people edit in the definitions of a fleet, by chance.

use std::time::Duration;

use pidone::machine::slot::Ix;
use pidone::service::definition::Service;

use super::World;
use super::chance::Chance;
use super::fleets::{life, service};

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

/// All names that there can be.
fn names() -> Vec<String> {
    (0..9).map(|ix| format!("s{ix}")).collect()
}

/// One service is another one now, is there no more, or is there again.
fn edit(chance: &mut Chance, services: &mut Vec<Service>, cmd: Option<&str>) {
    let name = format!("s{}", chance.below(9));
    let found = services.iter().position(|s| s.name.as_str() == name);
    let Some(at) = found else {
        return services.push(service(chance, &name, &names()));
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
        6 => old.restart = service(chance, &name, &names()).restart,
        _other => {
            let links = (old.needs.clone(), old.after.clone());
            *old = service(chance, &name, &names());
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
