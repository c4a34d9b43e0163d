//! What only the whole set shows: needs of nothing, circles, two mains, stops that take too long.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use crate::diag::{Diagnostic, Place};
use crate::service::definition::{Kind, Service, StopBy};
use crate::service::draft::Draft;
use crate::service::permit;
use crate::service::set::Loaded;
use crate::values::Name;
use crate::values::lists;
use crate::values::span::show_span;

/// So many needs of nothing are told, and so many mains beyond the first.
const FAULTS_MAX: usize = 100;

/// So many circles are told; whoever has more has one mistake in many places.
const CIRCLES_MAX: usize = 20;

/// Who waits for whom: for each service, the names it is started after, in the file's order.
type Graph<'a> = BTreeMap<&'a Name, Vec<&'a Name>>;

/// Every fault of the set.
pub(super) fn check(drafts: &[Draft]) -> Vec<Diagnostic> {
    let by_name: BTreeMap<&Name, &Draft> =
        lists::filled(drafts.iter().map(|d| (&d.service.name, d)));
    let mut faults = needs(&by_name);
    faults.extend(withs(&by_name));
    faults.extend(mains(drafts));
    faults.extend(circles(&by_name));
    faults.extend(permit::check(&by_name));
    faults
}

/// Notes a fault at a place.
fn at(fault: Diagnostic, place: Option<Place>) -> Diagnostic {
    Diagnostic { place, ..fault }
}

/// Needs of what is not there, or not started.
fn needs(by_name: &BTreeMap<&Name, &Draft>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    let mut more = 0;
    for (name, draft) in by_name {
        for (needed, span) in &draft.places.needs {
            let other = by_name.get(needed);
            let enabled = other.is_some_and(|other| other.service.enabled);
            let planned = other.is_some_and(|other| other.service.schedule.is_some());
            if planned {
                let fault = Diagnostic::error(format!(
                    "`{name}` needs `{needed}`, which has a schedule"
                ))
                .hint(
                    "it is never ready; a oneshot without a schedule can do the same work before",
                );
                faults.push(at(fault, Some(draft.places.place(span))));
                continue;
            }
            if enabled || (other.is_some() && !draft.service.enabled) {
                continue;
            }
            if faults.len() >= FAULTS_MAX {
                more += 1;
                continue;
            }
            let fault = match other {
                None => {
                    let names = by_name.keys().map(|name| name.as_str());
                    let others = names.filter(|known| *known != name.as_str());
                    Diagnostic::error(format!("`{name}` needs `{needed}`, which is not defined"))
                        .hint("`after` orders two starts, and ignores what is not there")
                        .suggest(needed.as_str(), others)
                }
                Some(_) => {
                    Diagnostic::error(format!("`{name}` needs `{needed}`, which is not enabled"))
                        .hint(format!(
                            "enable `{needed}`, or say `after`, which ignores what is not started"
                        ))
                }
            };
            faults.push(at(fault, Some(draft.places.place(span))));
        }
    }
    if more > 0 {
        faults.push(Diagnostic::error(format!("{more} more needs of that kind")));
    }
    faults
}

/// Restarts with what is not there. (A circle of them is none: one restart is one of each.)
fn withs(by_name: &BTreeMap<&Name, &Draft>) -> Vec<Diagnostic> {
    let all = by_name.iter().flat_map(|(name, draft)| {
        let named = draft.places.with.iter();
        named.map(move |(other, span)| (*name, *draft, other, span))
    });
    let is_bad = |other: &Name| {
        let other = by_name.get(other);
        other.is_none_or(|other| other.service.schedule.is_some())
    };
    all.filter(|(_, _, other, _)| is_bad(other))
        .take(FAULTS_MAX)
        .map(|(name, draft, other, span)| {
            let others = by_name.keys().filter(|known| **known != name);
            let fault = if by_name.contains_key(other) {
                Diagnostic::error(format!(
                    "`{name}` restarts with `{other}`, which has a schedule"
                ))
                .hint("its runs are no restarts; let it call `pidone restart` at its end")
            } else {
                let fault = format!("`{name}` restarts with `{other}`, which is not defined");
                Diagnostic::error(fault).suggest(other.as_str(), others.map(|known| known.as_str()))
            };
            at(fault, Some(draft.places.place(span)))
        })
        .collect()
}

/// Two mains: each of them after the first, with the first one's place.
fn mains(drafts: &[Draft]) -> Vec<Diagnostic> {
    let mut mains = drafts
        .iter()
        .filter(|draft| draft.service.enabled)
        .filter_map(|draft| Some((&draft.service.name, draft.places.main.as_ref()?)));
    let Some((first, first_place)) = mains.next() else {
        return Vec::new();
    };
    let line = first_place.spot.as_ref().map_or(1, |spot| spot.line);
    mains
        .take(FAULTS_MAX)
        .map(|(name, place)| {
            let fault = Diagnostic::error(format!("`{first}` and `{name}` are both `main`"));
            let hint = format!(
                "the other is at {}:{line}; the container ends with one service only",
                first_place.path.display()
            );
            at(
                fault.label("the second one").hint(hint),
                Some(place.clone()),
            )
        })
        .collect()
}

/// Services that wait for each other. What is in no circle is taken away until only circles (and
/// what lies between them) are left; then one is walked, told, taken away, and so on.
fn circles(by_name: &BTreeMap<&Name, &Draft>) -> Vec<Diagnostic> {
    let all = by_name.iter();
    let mut graph: Graph<'_> =
        lists::filled(all.map(|(name, draft)| (*name, edges(&draft.service, by_name))));
    let mut faults = Vec::new();
    while faults.len() < CIRCLES_MAX {
        settle(&mut graph);
        let Some(circle) = walk(&graph) else { break };
        faults.push(circle_fault(&circle, by_name));
        for name in circle {
            graph.remove(name);
        }
    }
    faults
}

/// What a service waits for, as far as it is there.
fn edges<'a>(service: &Service, by_name: &BTreeMap<&'a Name, &'a Draft>) -> Vec<&'a Name> {
    let wanted = service.needs.iter().chain(&service.after);
    wanted
        .filter_map(|name| by_name.get_key_value(name).map(|(name, _)| *name))
        .collect()
}

/// Takes away whatever waits for nothing that is left, again and again; returns it in the order in
/// which it could start.
fn settle<'a>(graph: &mut Graph<'a>) -> Vec<&'a Name> {
    let mut waiting: BTreeMap<&Name, usize> = BTreeMap::new();
    let mut users: BTreeMap<&Name, Vec<&'a Name>> = BTreeMap::new();
    let mut settled: Vec<&'a Name> = Vec::new();
    for (name, after) in graph.iter() {
        let after = after.iter().copied();
        let left: BTreeSet<&Name> = lists::filled(after.filter(|name| graph.contains_key(name)));
        waiting.insert(name, left.len());
        if left.is_empty() {
            settled.push(name);
        }
        for other in left {
            users.entry(other).or_default().push(name);
        }
    }
    let mut at = 0;
    while let Some(name) = settled.get(at).copied() {
        at += 1;
        graph.remove(name);
        for user in users.get(name).into_iter().flatten() {
            if let Some(count) = waiting.get_mut(user) {
                *count -= 1;
                if *count == 0 {
                    settled.push(user);
                }
            }
        }
    }
    settled
}

/// A circle of a settled graph, its first name first: everything in it waits for something in it,
/// so that a walk must come back to where it was.
fn walk<'a>(graph: &Graph<'a>) -> Option<Vec<&'a Name>> {
    let mut path: Vec<&Name> = Vec::new();
    let mut seen: BTreeMap<&Name, usize> = BTreeMap::new();
    let mut next = *graph.keys().next()?;
    let start = loop {
        if let Some(start) = seen.insert(next, path.len()) {
            break start;
        }
        path.push(next);
        let after = graph.get(next)?;
        next = after.iter().find(|name| graph.contains_key(*name))?;
    };
    let mut circle = path.split_off(start);
    let first = circle.iter().enumerate().min_by_key(|(_, name)| **name);
    let first = first.map_or(0, |(at, _)| at);
    circle.rotate_left(first);
    Some(circle)
}

/// What to say of a circle, at the place where its first service waits for its second.
fn circle_fault(circle: &[&Name], by_name: &BTreeMap<&Name, &Draft>) -> Diagnostic {
    let places = circle.iter().enumerate().filter_map(|(at, name)| {
        let next = circle.get((at + 1) % circle.len())?;
        let draft = by_name.get(name)?;
        let of = |list: &[(Name, Range<usize>)]| {
            let found = list.iter().find(|(name, _)| name == *next);
            found.map(|(_, span)| span.clone())
        };
        let needs = draft.service.needs.contains(*next);
        let list = if needs {
            &draft.places.needs
        } else {
            &draft.places.after
        };
        Some((needs, of(list)))
    });
    let places: Vec<(bool, Option<Range<usize>>)> = places.collect();
    let only_needs = places.iter().all(|(needs, _)| *needs);
    let told = circle.iter().take(NAMES_MAX);
    let ticked: Vec<String> = told.map(|name| format!("`{name}`")).collect();
    let (last, others) = match ticked.split_last() {
        Some((last, others)) => (last.as_str(), others.join(", ")),
        None => ("", String::new()),
    };
    let verb = if only_needs { "need" } else { "wait for" };
    let dots = (circle.len() > NAMES_MAX).then_some("…");
    let names = circle.iter().take(NAMES_MAX).map(|name| name.as_str());
    let back = circle.first().map(|name| name.as_str());
    let arrows: Vec<&str> = names.chain(dots).chain(back).collect();
    let arrows = arrows.join(" → ");
    let text = format!("{others} and {last} {verb} each other");
    let span = places.into_iter().next().and_then(|(_, span)| span);
    let draft = circle.first().and_then(|name| by_name.get(name));
    let Some((draft, span)) = draft.zip(span) else {
        // Definitions of s6-rc's have no line to show: the circle goes through names of files.
        let fault = Diagnostic::error(format!("{text}: {arrows}"));
        let dir = draft.map(|draft| draft.service.dir.clone());
        return at(fault, dir.map(|path| Place { path, spot: None }));
    };
    let fault = Diagnostic::error(text)
        .label(format!("closes the circle {arrows}"))
        .hint(if only_needs {
            "`after` orders two starts without requiring them"
        } else {
            "none of them could be the first to start; take one of these out"
        });
    at(fault, Some(draft.places.place(&span)))
}

/// A warning if the services' own timeouts, one after the other as the stop goes, add up to more
/// than the time for the whole stop. Chains of timeouts that nobody set are not worth a word.
pub fn stop_budget(loaded: &Loaded, budget: Duration) -> Option<Diagnostic> {
    let enabled = loaded.services.iter().filter(|service| service.enabled);
    let by_name: BTreeMap<&Name, &Service> = lists::filled(enabled.map(|s| (&s.name, s)));
    let wanted = |service: &'_ Service| {
        let names = service.needs.iter().chain(&service.after);
        let known = names.filter_map(|name| by_name.get_key_value(name));
        known.map(|(name, _)| *name).collect::<Vec<_>>()
    };
    let mut graph: Graph<'_> = lists::filled(by_name.iter().map(|(name, s)| (*name, wanted(s))));
    let mut chains: BTreeMap<&Name, Chain<'_>> = BTreeMap::new();
    for name in settle(&mut graph) {
        let service = by_name.get(name)?;
        let below = wanted(service)
            .into_iter()
            .filter_map(|n| chains.get_key_value(n));
        let below = below.max_by_key(|(_, chain)| chain.time);
        let set = loaded.stop_timeouts.get(name);
        chains.insert(
            name,
            Chain {
                time: stop_time(service) + below.map_or(Duration::ZERO, |(_, chain)| chain.time),
                below: below.map(|(name, _)| *name),
                place: set.or_else(|| below.and_then(|(_, chain)| chain.place)),
            },
        );
    }
    let slow = chains
        .iter()
        .filter(|(_, c)| c.time > budget && c.place.is_some());
    let (first, chain) = slow.max_by_key(|(_, chain)| chain.time)?;
    let below = |name: &&Name| chains.get(*name).and_then(|chain| chain.below);
    let names = std::iter::successors(Some(*first), below).take(NAMES_MAX);
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    let fault = Diagnostic::warning(format!(
        "stopping {} may take {}, and the container has {}",
        names.join(", then "),
        show_span(chain.time),
        show_span(budget)
    ))
    .hint(
        "shorten `stop.timeout`, or raise PIDONE_STOP_TIMEOUT and the engine's own \
         (`docker stop -t`)",
    );
    Some(at(fault, chain.place.cloned()))
}

/// So many names of a chain are told.
const NAMES_MAX: usize = 10;

/// How long a service may take to stop; what is not running by then, or ends by itself, takes none.
fn stop_time(service: &Service) -> Duration {
    match (service.kind, service.stop.by) {
        (Kind::Longrun, StopBy::Signal(_)) => {
            let before = service.stop.before.as_ref().map(|before| before.timeout);
            before.unwrap_or_default() + service.stop.timeout.unwrap_or_default()
        }
        (Kind::Oneshot, _) | (_, StopBy::EndOfInput) => Duration::ZERO,
    }
}

/// A service and those that are stopped after it.
struct Chain<'a> {
    time: Duration,
    /// The next to be stopped.
    below: Option<&'a Name>,
    /// Where a timeout of the chain is set.
    place: Option<&'a Place>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::draft::Places;

    /// `count` services, each needing the next; the last needs the first if `round`.
    fn ring(count: usize, round: bool) -> Vec<Draft> {
        let name = |at: usize| format!("s{:05}", at % count).parse::<Name>().unwrap();
        let draft = |at: usize| {
            let mut service = Service::new(name(at), vec!["true".into()]);
            let mut places = Places::default();
            if round || at + 1 < count {
                service.needs.push(name(at + 1));
                places.needs.push((name(at + 1), 0..0));
            }
            Draft { service, places }
        };
        (0..count).map(draft).collect()
    }

    #[test]
    fn ten_thousand_in_a_row_are_no_circle_and_in_a_ring_are_one() {
        assert_eq!(check(&ring(10_000, false)), []);
        let faults = check(&ring(10_000, true));
        assert_eq!(faults.len(), 1);
        assert!(
            faults[0].message.len() < 1_000,
            "{}",
            faults[0].message.len()
        );
    }
}
