//! What only the whole set shows: needs of nothing, circles, two mains, stops that take too long.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::diag::{Diagnostic, Place};
use crate::service::definition::Service;
use crate::service::parse::Draft;
use crate::service::set::Loaded;
use crate::values::{Name, show_span};

/// So many circles are told; whoever has more has one mistake in many places.
const CIRCLES_MAX: usize = 20;

/// Who waits for whom: for each service, the names it is started after, in the file's order.
type Graph<'a> = BTreeMap<&'a Name, Vec<&'a Name>>;

/// Every fault of the set.
pub(super) fn check(drafts: &[Draft]) -> Vec<Diagnostic> {
    let by_name: BTreeMap<&Name, &Draft> = drafts.iter().map(|d| (&d.service.name, d)).collect();
    let mut faults = needs(&by_name);
    faults.extend(mains(drafts));
    faults.extend(circles(&by_name));
    faults
}

/// Notes a fault at a place.
fn at(fault: Diagnostic, place: Option<Place>) -> Diagnostic {
    Diagnostic { place, ..fault }
}

/// Needs of what is not there, or not started.
fn needs(by_name: &BTreeMap<&Name, &Draft>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for (name, draft) in by_name {
        for (needed, place) in &draft.places.needs {
            let message = match by_name.get(needed) {
                None => {
                    let names = by_name.keys().map(|name| name.as_str());
                    let fault = format!("`{name}` needs `{needed}`, which is not defined");
                    let fault = Diagnostic::error(fault)
                        .hint("`after` orders two starts, and ignores what is not there")
                        .suggest(
                            needed.as_str(),
                            names.filter(|known| *known != name.as_str()),
                        );
                    at(fault, Some(place.clone()))
                }
                Some(other) if draft.service.enabled && !other.service.enabled => {
                    let fault = format!("`{name}` needs `{needed}`, which is not enabled");
                    let hint = format!(
                        "enable `{needed}`, or say `after`, which ignores what is not started"
                    );
                    at(Diagnostic::error(fault).hint(hint), Some(place.clone()))
                }
                Some(_) => continue,
            };
            faults.push(message);
        }
    }
    faults
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
    let mut graph: Graph<'_> = by_name
        .iter()
        .map(|(name, draft)| (*name, edges(&draft.service, by_name)))
        .collect();
    let mut faults = Vec::new();
    while faults.len() < CIRCLES_MAX {
        trim(&mut graph);
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

/// Takes away whatever waits for nothing that is left, again and again.
fn trim(graph: &mut Graph<'_>) {
    let mut waiting: BTreeMap<&Name, usize> = BTreeMap::new();
    let mut users: BTreeMap<&Name, Vec<&Name>> = BTreeMap::new();
    let mut free: Vec<&Name> = Vec::new();
    for (name, after) in graph.iter() {
        let left: BTreeSet<&Name> = after
            .iter()
            .copied()
            .filter(|n| graph.contains_key(n))
            .collect();
        waiting.insert(name, left.len());
        if left.is_empty() {
            free.push(name);
        }
        for other in left {
            users.entry(other).or_default().push(name);
        }
    }
    while let Some(name) = free.pop() {
        graph.remove(name);
        for user in users.get(name).into_iter().flatten() {
            if let Some(count) = waiting.get_mut(user) {
                *count -= 1;
                if *count == 0 {
                    free.push(user);
                }
            }
        }
    }
}

/// A circle of a trimmed graph, its first name first: everything in it waits for something in it,
/// so that a walk must come back to where it was.
fn walk<'a>(graph: &Graph<'a>) -> Option<Vec<&'a Name>> {
    let mut path = vec![*graph.keys().next()?];
    loop {
        let after = graph.get(path.last()?)?;
        let next = *after.iter().find(|name| graph.contains_key(*name))?;
        let Some(start) = path.iter().position(|name| *name == next) else {
            path.push(next);
            continue;
        };
        let mut circle = path.split_off(start);
        let first = circle.iter().enumerate().min_by_key(|(_, name)| **name);
        let first = first.map_or(0, |(at, _)| at);
        circle.rotate_left(first);
        return Some(circle);
    }
}

/// What to say of a circle, at the place where its first service waits for its second.
fn circle_fault(circle: &[&Name], by_name: &BTreeMap<&Name, &Draft>) -> Diagnostic {
    let places = circle.iter().enumerate().filter_map(|(at, name)| {
        let next = circle.get((at + 1) % circle.len())?;
        let places = &by_name.get(name)?.places;
        let of = |list: &[(Name, Place)]| {
            list.iter()
                .find(|(name, _)| name == *next)
                .map(|(_, place)| place.clone())
        };
        Some(
            of(&places.needs)
                .map_or_else(|| (false, of(&places.after)), |place| (true, Some(place))),
        )
    });
    let places: Vec<(bool, Option<Place>)> = places.collect();
    let only_needs = places.iter().all(|(needs, _)| *needs);
    let ticked: Vec<String> = circle.iter().map(|name| format!("`{name}`")).collect();
    let (last, others) = match ticked.split_last() {
        Some((last, others)) => (last.as_str(), others.join(", ")),
        None => ("", String::new()),
    };
    let verb = if only_needs { "need" } else { "wait for" };
    let arrows: Vec<&str> = circle
        .iter()
        .chain(circle.first())
        .map(|name| name.as_str())
        .collect();
    let fault = Diagnostic::error(format!("{others} and {last} {verb} each other"))
        .label(format!("closes the circle {}", arrows.join(" → ")))
        .hint(if only_needs {
            "`after` orders two starts without requiring them"
        } else {
            "none of them could be the first to start; take one of these out"
        });
    at(
        fault,
        places.into_iter().next().and_then(|(_, place)| place),
    )
}

/// A warning if the services' own timeouts, one after the other as the stop goes, add up to more
/// than the time for the whole stop. Chains of timeouts that nobody set are not worth a word.
pub fn stop_budget(loaded: &Loaded, budget: Duration) -> Option<Diagnostic> {
    let by_name: BTreeMap<&Name, &Service> = loaded.services.iter().map(|s| (&s.name, s)).collect();
    let mut longest: BTreeMap<&Name, Chain<'_>> = BTreeMap::new();
    let mut left: Vec<&Service> = loaded.services.iter().filter(|s| s.enabled).collect();
    // Each round settles all whose own list is settled; the definitions have no circle.
    loop {
        let before = left.len();
        left.retain(|service| {
            let wanted = service.needs.iter().chain(&service.after);
            let known: Vec<&Name> = wanted
                .filter(|name| by_name.get(*name).is_some_and(|other| other.enabled))
                .collect();
            if known.iter().any(|name| !longest.contains_key(*name)) {
                return true;
            }
            let below = known
                .iter()
                .filter_map(|name| longest.get(*name))
                .max_by_key(|c| c.time);
            let chain = Chain::on_top(below, service, loaded);
            longest.insert(&service.name, chain);
            false
        });
        if left.is_empty() || left.len() == before {
            break;
        }
    }
    let slow = longest.into_values().filter(|chain| chain.time > budget);
    let chain = slow
        .filter(|chain| chain.place.is_some())
        .max_by_key(|chain| chain.time)?;
    let names: Vec<&str> = chain.names.iter().rev().map(|name| name.as_str()).collect();
    let fault = Diagnostic::warning(format!(
        "stopping {} may take {}, and the container has {}",
        names.join(", then "),
        show_span(chain.time),
        show_span(budget)
    ));
    Some(at(
        fault.hint(
            "shorten `stop.timeout`, or raise PIDONE_STOP_TIMEOUT and the engine's own \
             (`docker stop -t`)",
        ),
        chain.place,
    ))
}

/// Services that are stopped one after the other; the last to be stopped first.
#[derive(Clone)]
struct Chain<'a> {
    names: Vec<&'a Name>,
    time: Duration,
    /// Where the longest timeout of them is set.
    place: Option<Place>,
}

impl<'a> Chain<'a> {
    fn on_top(below: Option<&Self>, service: &'a Service, loaded: &Loaded) -> Self {
        let mut chain = below.cloned().unwrap_or(Self {
            names: Vec::new(),
            time: Duration::ZERO,
            place: None,
        });
        chain.names.push(&service.name);
        chain.time += service.stop.timeout.unwrap_or_default();
        let own = loaded
            .stop_timeouts
            .iter()
            .find(|(name, _)| *name == service.name);
        chain.place = own.map(|(_, place)| place.clone()).or(chain.place);
        chain
    }
}
