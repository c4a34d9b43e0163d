//! The fields of `service.toml` that say when a oneshot runs by itself: `schedule` or `every`,
//! `timezone`, `overlap`, `spread`.

use std::time::Duration;

use crate::diag::Diagnostic;
use crate::service::definition::Kind;
use crate::service::faults::Faults;
use crate::service::parse::World;
use crate::service::schedule::{Line, Overlap, Schedule, Times};
use crate::service::table::{Item, Table};
use crate::service::zone::Zone;

/// The shortest period: what has to be done more often is no job but a service.
const EVERY_MIN: Duration = Duration::from_secs(1);

/// How `overlap` is written.
const OVERLAPS: [(&str, Overlap); 2] = [("skip", Overlap::Skip), ("queue", Overlap::Queue)];

/// When it runs by itself, if it does.
pub(super) fn schedule(
    top: &Table<'_>,
    kind: Kind,
    main: bool,
    world: &World<'_>,
    faults: &mut Faults<'_>,
) -> Option<Box<Schedule>> {
    let (line, every) = (top.get("schedule"), top.get("every"));
    for item in ["timezone", "overlap", "spread"]
        .iter()
        .filter_map(|name| top.get(name))
    {
        if line.is_none() && every.is_none() {
            let fault = format!("{} without `schedule` or `every`", item.subject);
            let hint = "say when it runs: `schedule = \"30 4 * * *\"`, or `every = \"10m\"`";
            item.bad::<()>(faults, Diagnostic::error(fault).hint(hint));
        }
    }
    let overlap = top.get("overlap");
    let overlap = overlap.map_or(Some(Overlap::Skip), |item| item.word(&OVERLAPS, faults));
    let spread = top.get("spread");
    let spread = spread.map_or(Some(Duration::ZERO), |item| item.span(faults));
    let zone = zone(top, line.as_ref(), world, faults);
    let times = match (line, every) {
        (None, None) => return None,
        (Some(line), Some(every)) => {
            self::every(&every, faults);
            let fault = Diagnostic::error("`schedule` and `every`: two ways to say when it runs")
                .hint("keep one of them");
            line.bad(faults, fault)
        }
        (None, Some(item)) => {
            fits(&item, kind, main, faults);
            every_only(top, faults);
            self::every(&item, faults).map(Times::Every)
        }
        (Some(item), None) => {
            fits(&item, kind, main, faults);
            cron(&item, zone, faults)
        }
    };
    Some(Box::new(Schedule {
        times: times?,
        overlap: overlap?,
        spread: spread?,
    }))
}

/// Only what runs and ends can run by a schedule, and not the one with which all ends.
fn fits(item: &Item<'_>, kind: Kind, main: bool, faults: &mut Faults<'_>) {
    if kind == Kind::Longrun {
        let fault = format!("{} is for a oneshot, and this is a longrun", item.subject);
        let hint = "write `type = \"oneshot\"`, if it does its work and ends";
        item.bad::<()>(faults, Diagnostic::error(fault).hint(hint));
    } else if main {
        let fault = format!(
            "{} of a main: the container would end with its first run",
            item.subject
        );
        item.bad::<()>(
            faults,
            Diagnostic::error(fault).hint("take one of them away"),
        );
    }
}

fn every_only(top: &Table<'_>, faults: &mut Faults<'_>) {
    if let Some(item) = top.get("timezone") {
        let fault = Diagnostic::error("`timezone` has no effect on `every`");
        item.bad::<()>(faults, fault.hint("take it away, or write a `schedule`"));
    }
}

fn every(item: &Item<'_>, faults: &mut Faults<'_>) -> Option<Duration> {
    let span = item.span(faults)?;
    if span < EVERY_MIN {
        let fault = format!("{} must be a second or more", item.subject);
        return item.bad(faults, Diagnostic::error(fault));
    }
    Some(span)
}

fn cron(item: &Item<'_>, zone: Option<Zone>, faults: &mut Faults<'_>) -> Option<Times> {
    let text = item.quoted(faults)?;
    match Line::parse(text, zone?) {
        Ok(line) => Some(Times::Cron(Box::new(line))),
        Err(bad) => {
            let span = if bad.at.is_empty() {
                item.span.clone()
            } else {
                faults.within(item.span.clone(), text, &bad.at)
            };
            let message = format!("cannot use {}: {}", item.subject, bad.message);
            faults.at(span, Diagnostic::error(message).hint(bad.hint));
            None
        }
    }
}

/// The zone that is named, else that of the container's `TZ`, else UTC.
fn zone(
    top: &Table<'_>,
    line: Option<&Item<'_>>,
    world: &World<'_>,
    faults: &mut Faults<'_>,
) -> Option<Zone> {
    let own = top.get("timezone");
    let named = match (&own, line) {
        (Some(item), _) => Some((item, item.text(faults)?.to_owned(), "")),
        (None, Some(line)) => {
            let zone = world.container.get("TZ").map(|zone| zone.to_string_lossy());
            let zone = zone.map(|zone| zone.trim_start_matches(':').to_owned());
            let zone = zone.filter(|zone| !zone.is_empty());
            zone.map(|zone| (line, zone, " (it is the container's TZ)"))
        }
        (None, None) => None,
    };
    let Some((item, name, whose)) = named else {
        return Some(Zone::utc());
    };
    Zone::find(&name, world.zone).map_or_else(
        |why| {
            let hint = "zones are named as in /usr/share/zoneinfo, for which an image needs its \
                        package tzdata; UTC is always there";
            item.bad(
                faults,
                Diagnostic::error(format!("{why}{whose}")).hint(hint),
            )
        },
        Some,
    )
}
