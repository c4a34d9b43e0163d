//! Who stands on whom: `needs` and `after` as numbers, in both directions.

use std::collections::{BTreeSet, HashMap};

use crate::machine::slot::{Ix, Slot, Want};
use crate::service::definition::Kind;
use crate::values::Name;

/// Links the slots with each other. Names of nobody are ignored. Nobody who stays stands on one who
/// leaves; whose process is of an older definition still does, so that it stops first.
pub(super) fn relink(slots: &mut [Slot]) {
    let names: HashMap<Name, usize> = slots
        .iter()
        .enumerate()
        .map(|(at, slot)| (slot.service.name.clone(), at))
        .collect();
    let find = |slot: &Slot, list: &[Name]| -> Vec<usize> {
        let is_old = slot.want == Want::Gone || slot.next.is_some();
        let counts = |at: &usize| is_old || slots.get(*at).is_some_and(|s| s.want != Want::Gone);
        list.iter()
            .filter_map(|name| names.get(name).copied())
            .filter(counts)
            .collect()
    };
    let needs: Vec<Vec<usize>> = slots.iter().map(|s| find(s, &s.service.needs)).collect();
    let after: Vec<Vec<usize>> = slots.iter().map(|s| find(s, &s.service.after)).collect();
    let needs: Vec<Vec<usize>> = (0..slots.len())
        .map(|at| through_oneshots(at, &needs, slots))
        .collect();
    let with = slots.iter().map(|s| find(s, &s.service.restart.with));
    let followers = reversed(&with.collect::<Vec<_>>());
    let (needed_by, followed_by) = (reversed(&needs), reversed(&after));
    let numbers: Vec<Ix> = slots.iter().map(|slot| slot.ix).collect();
    let numbered = |list: Vec<usize>| -> Box<[Ix]> {
        let numbers = list.into_iter().filter_map(|at| numbers.get(at).copied());
        numbers.collect()
    };
    let below = needs.into_iter().zip(after);
    let above = needed_by.into_iter().zip(followed_by);
    let links = below.zip(above).zip(followers);
    for (slot, links) in slots.iter_mut().zip(links) {
        let (((needs, after), (needed_by, followed_by)), followers) = links;
        slot.needs = numbered(needs);
        slot.after = numbered(after);
        slot.needed_by = numbered(needed_by);
        slot.followed_by = numbered(followed_by);
        slot.followers = numbered(followers);
        slot.logger = (slot.service.logger())
            .and_then(|name| names.get(name))
            .and_then(|at| numbers.get(*at).copied());
    }
}

/// Who points at whom → at whom is pointed by whom.
fn reversed(links: &[Vec<usize>]) -> Vec<Vec<usize>> {
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
fn through_oneshots(at: usize, needs: &[Vec<usize>], slots: &[Slot]) -> Vec<usize> {
    let (mut all, mut seen, mut todo) = (Vec::new(), BTreeSet::new(), vec![at]);
    while let Some(next) = todo.pop() {
        for need in needs.get(next).into_iter().flatten() {
            if !seen.insert(*need) {
                continue;
            }
            all.push(*need);
            if slots
                .get(*need)
                .is_some_and(|slot| slot.service.kind == Kind::Oneshot)
            {
                todo.push(*need);
            }
        }
    }
    all
}
