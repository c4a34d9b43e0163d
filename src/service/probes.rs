//! The tables of `service.toml` that say how a service is asked: `[ready]` and `[health]`.

use std::ops::Range;
use std::time::Duration;

use crate::diag::Diagnostic;
use crate::service::address;
use crate::service::context::template;
use crate::service::definition::{Health, Probe, Ready, Then};
use crate::service::faults::Faults;
use crate::service::table::{Item, Table};

/// From one attempt to the next, unless the file says otherwise: short enough that a start is not
/// noticeably later, long enough to cost nothing.
const READY_INTERVAL: Duration = Duration::from_millis(100);

/// Not ready by then, unless the file says otherwise.
const WITHIN: Duration = Duration::from_secs(30);

/// Descriptors 0–2 are the service's own input and output; 255 is where some shells keep theirs.
const READY_FDS: std::ops::RangeInclusive<i64> = 3..=254;

/// The ways to tell readiness.
const READY_PROBES: [&str; 7] = ["http", "tcp", "unix", "exec", "file", "fd", "notify"];

/// The ways to tell health: a newline on a descriptor comes once.
const HEALTH_PROBES: [&str; 6] = ["http", "tcp", "unix", "exec", "file", "notify"];

/// What stands unless `[health]` says otherwise. Docker waits 30 s from check to check and 30 s for
/// an answer; inside the container a check costs little, and an answer is near.
const HEALTH_INTERVAL: Duration = Duration::from_secs(5);
const HEALTH_TIMEOUT: Duration = Duration::from_secs(1);
const HEALTH_RETRIES: u32 = 3;

/// How `health.then` is written.
const THEN: [(&str, Then); 2] = [("restart", Then::Restart), ("nothing", Then::Nothing)];

/// `[ready]`: exactly one probe. `None`: there is no such table, or no usable one.
pub(super) fn ready(top: &Table<'_>, faults: &mut Faults<'_>) -> Option<Ready> {
    let (table, span) = top.table("ready", "ready", faults)?;
    let interval = table
        .get("interval")
        .map_or(Some(READY_INTERVAL), |item| item.span_above_zero(faults));
    let within = table
        .get("within")
        .map_or(Some(WITHIN), |item| item.span_above_zero(faults));
    let probe = one_probe(&table, &READY_PROBES, "[ready]", span, faults);
    Some(Ready {
        probe: probe?,
        interval: interval?,
        within: Some(within?),
    })
}

/// `[health]`: exactly one probe, and what follows from it.
pub(super) fn health(top: &Table<'_>, faults: &mut Faults<'_>) -> Option<Health> {
    let (table, span) = top.table("health", "health", faults)?;
    let mut above_zero = |name, default| {
        let item = table.get(name);
        item.map_or(Some(default), |item| item.span_above_zero(faults))
    };
    let interval = above_zero("interval", HEALTH_INTERVAL);
    let timeout = above_zero("timeout", HEALTH_TIMEOUT);
    let retries = table.get("retries").map_or(Some(HEALTH_RETRIES), |item| {
        let number = item.whole(1..=1000, faults)?;
        u32::try_from(number).ok()
    });
    let start_period = table
        .get("start-period")
        .map_or(Some(Duration::ZERO), |item| item.span(faults));
    let then = table
        .get("then")
        .map_or(Some(Then::Restart), |item| item.word(&THEN, faults));
    let probe = one_probe(&table, &HEALTH_PROBES, "[health]", span, faults);
    let found = Health {
        probe: probe?,
        interval: interval?,
        timeout: timeout?,
        retries: retries?,
        start_period: start_period?,
        then: then?,
    };
    without_effect(&table, &found, faults);
    Some(found)
}

/// What is said and changes nothing.
fn without_effect(table: &Table<'_>, health: &Health, faults: &mut Faults<'_>) {
    if let Some(item) = table.get("timeout").filter(|_| !health.probe.is_asked()) {
        let fault = Diagnostic::warning("`health.timeout` has no effect with `notify`");
        let hint = "nobody is asked: what counts is `interval`, the longest silence";
        item.bad::<()>(faults, fault.hint(hint));
    }
    let is_unread = health.then == Then::Nothing;
    if let Some(item) = table.get("retries").filter(|_| is_unread) {
        let fault = Diagnostic::warning("`health.retries` has no effect with `then = \"nothing\"`");
        let hint = "the first failure makes it unready, the first success ready again";
        item.bad::<()>(faults, fault.hint(hint));
    }
}

/// The one probe of a table.
fn one_probe(
    table: &Table<'_>,
    names: &[&'static str],
    shown: &str,
    span: Range<usize>,
    faults: &mut Faults<'_>,
) -> Option<Probe> {
    let probes: Vec<(&str, Item<'_>)> = names
        .iter()
        .filter_map(|name| table.get(name).map(|item| (*name, item)))
        .collect();
    let found: Vec<Option<Probe>> = probes
        .iter()
        .map(|(name, item)| probe(name, item, faults))
        .collect();
    match probes.as_slice() {
        [] => {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            let fault = Diagnostic::error(format!("`{shown}` has no probe"))
                .hint(format!("give it one of {}", names.join(", ")));
            faults.at(span, fault);
        }
        [_] => {}
        [(first, _), (second, item), ..] => {
            let fault = format!("`{shown}` has two probes, `{first}` and `{second}`");
            let hint = "keep one; `exec` can run a command that checks both";
            item.bad::<()>(faults, Diagnostic::error(fault).hint(hint));
        }
    }
    found.into_iter().next().flatten()
}

fn probe(name: &str, item: &Item<'_>, faults: &mut Faults<'_>) -> Option<Probe> {
    match name {
        "exec" => item.command(faults).map(Probe::Exec),
        "fd" => {
            let fd = item.whole(READY_FDS, faults)?;
            i32::try_from(fd).ok().map(Probe::Fd)
        }
        "notify" if item.flag(faults)? => Some(Probe::Notify),
        "notify" => {
            let fault = format!("{} must be true", item.subject);
            item.bad(faults, Diagnostic::error(fault).hint("or leave it out"))
        }
        "tcp" => target(item, |text| address::tcp(text).map(drop), faults).map(Probe::Tcp),
        "unix" => target(item, |text| address::socket(text).map(drop), faults).map(Probe::Unix),
        "file" => target(item, |text| address::path(text).map(drop), faults).map(Probe::File),
        _ => target(item, |text| address::http(text).map(drop), faults).map(Probe::Http),
    }
}

/// A probe's target. One that holds variables is checked when it is expanded.
fn target(
    item: &Item<'_>,
    check: impl Fn(&str) -> Result<(), String>,
    faults: &mut Faults<'_>,
) -> Option<String> {
    let text = template(item, faults)?;
    let checked = if text.contains('$') {
        Ok(())
    } else {
        check(text)
    };
    match checked {
        Ok(()) => Some(text.to_owned()),
        Err(why) => {
            let hint = if text.starts_with("https:") {
                "TLS is not spoken here; ask a plain port, or use `exec`".to_owned()
            } else if text.starts_with('/') || item.takes.starts_with("a path") {
                format!("{} must be {}", item.subject, item.takes)
            } else {
                format!(
                    "{} must be {}; names are not resolved, but `localhost` is known",
                    item.subject, item.takes
                )
            };
            item.bad(faults, Diagnostic::error(why).hint(hint))
        }
    }
}
