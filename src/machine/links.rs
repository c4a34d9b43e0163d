//! Who stands on whom: `needs` and `after` as numbers, in both directions.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use crate::machine::slot::{Ix, Slot, Want};
use crate::machine::unit::Unit;
use crate::machine::with::Part;
use crate::service::definition::{Kind, Output, Service};
use crate::values::{Moment, Name};

/// A slot for each service, linked with the others. Names of nobody are ignored.
pub(super) fn link(services: Vec<Service>, now: Moment) -> Vec<Slot> {
    let names: HashMap<Name, Ix> = services
        .iter()
        .enumerate()
        .map(|(ix, service)| (service.name.clone(), ix))
        .collect();
    let find = |list: &[Name]| -> Vec<Ix> {
        list.iter()
            .filter_map(|name| names.get(name).copied())
            .collect()
    };
    let needs: Vec<Vec<Ix>> = services.iter().map(|s| find(&s.needs)).collect();
    let after: Vec<Vec<Ix>> = services.iter().map(|s| find(&s.after)).collect();
    let needs: Vec<Vec<Ix>> = (0..services.len())
        .map(|ix| through_oneshots(ix, &needs, &services))
        .collect();
    let with: Vec<Vec<Ix>> = services.iter().map(|s| find(&s.restart.with)).collect();
    let followers = reversed(&with);
    let (needed_by, followed_by) = (reversed(&needs), reversed(&after));
    let below = needs.into_iter().zip(after);
    let above = needed_by.into_iter().zip(followed_by);
    let mut slots: Vec<Slot> = services
        .into_iter()
        .zip(below.zip(above))
        .zip(followers)
        .map(
            |((service, ((needs, after), (needed_by, followed_by))), followers)| Slot {
                needs: needs.into(),
                after: after.into(),
                needed_by: needed_by.into(),
                followed_by: followed_by.into(),
                followers: followers.into(),
                part: Part::None,
                logger: match &service.output {
                    Output::Logger(name) => names.get(name).copied(),
                    Output::Container(_) => None,
                },
                want: Want::Off,
                stopped_with: None,
                unit: Unit::new(),
                entered: now,
                starts: 0,
                restarts: 0,
                exit: None,
                oom: false,
                at_end: None,
                killed: false,
                service: Rc::new(service),
            },
        )
        .collect();
    // They may stand in the services' own memory, which is twice as large.
    slots.shrink_to_fit();
    slots
}

/// Who points at whom → at whom is pointed by whom.
fn reversed(links: &[Vec<Ix>]) -> Vec<Vec<Ix>> {
    let mut back = vec![Vec::new(); links.len()];
    for (from, to) in links.iter().enumerate() {
        for to in to {
            if let Some(back) = back.get_mut(*to) {
                back.push(from);
            }
        }
    }
    back
}

/// What a service needs, and what the oneshots need that it needs: their work is done and stays
/// done, but what web does with the database that migrate has filled, it does with the database.
fn through_oneshots(ix: Ix, needs: &[Vec<Ix>], services: &[Service]) -> Vec<Ix> {
    let (mut all, mut seen, mut todo) = (Vec::new(), BTreeSet::new(), vec![ix]);
    while let Some(next) = todo.pop() {
        for need in needs.get(next).into_iter().flatten() {
            if !seen.insert(*need) {
                continue;
            }
            all.push(*need);
            if services
                .get(*need)
                .is_some_and(|service| service.kind == Kind::Oneshot)
            {
                todo.push(*need);
            }
        }
    }
    all
}
