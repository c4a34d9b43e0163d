//! The tables of `service.toml` that say what happens when: `[ready] [restart] [stop] [reload]
//! [log]`.

use std::time::Duration;

use toml::de::DeValue;

use crate::diag::Diagnostic;
use crate::service::address;
use crate::service::context::template;
use crate::service::definition::{
    Before, Format, OnLimit, Probe, Ready, Reload, Restart, RestartLimit, Stop, StopBy, When,
};
use crate::service::faults::Faults;
use crate::service::fields;
use crate::service::table::{Item, Table};

/// From one attempt to the next, unless the file says otherwise: short enough that a start is not
/// noticeably later, long enough to cost nothing.
const INTERVAL: Duration = Duration::from_millis(100);

/// Not ready by then, unless the file says otherwise.
const WITHIN: Duration = Duration::from_secs(30);

/// `stop.before` is killed after this, unless the file says otherwise: a load balancer needs some
/// milliseconds to take a backend out, and a person who stops a service waits for it.
const BEFORE_TIMEOUT: Duration = Duration::from_millis(500);

/// Descriptors 0–2 are the service's own input and output; 255 is where some shells keep theirs.
const READY_FDS: std::ops::RangeInclusive<i64> = 3..=254;

/// The ways to tell readiness.
const PROBES: [&str; 6] = ["http", "tcp", "unix", "exec", "file", "fd"];

/// How `restart.when` is written.
const WHEN: [(&str, When); 3] = [
    ("always", When::Always),
    ("on-failure", When::OnFailure),
    ("never", When::Never),
];

/// How `log.format` and `PIDONE_LOG_FORMAT` are written.
pub(super) const FORMATS: [(&str, Format); 5] = [
    ("prefix", Format::Prefix),
    ("raw", Format::Raw),
    ("json", Format::Json),
    ("none", Format::None),
    ("inherit", Format::Inherit),
];

/// `[ready]`: exactly one probe. The outer `None`: there is no such table, or no usable one.
pub(super) fn ready(top: &Table<'_>, faults: &mut Faults<'_>) -> Option<Ready> {
    let (table, span) = top.table("ready", "ready", faults)?;
    let interval = table
        .get("interval")
        .map_or(Some(INTERVAL), |item| item.span_above_zero(faults));
    let within = table
        .get("within")
        .map_or(Some(WITHIN), |item| item.span_above_zero(faults));
    let probes: Vec<(&str, Item<'_>)> = PROBES
        .into_iter()
        .filter_map(|name| table.get(name).map(|item| (name, item)))
        .collect();
    let found: Vec<Option<Probe>> = probes
        .iter()
        .map(|(name, item)| probe(name, item, faults))
        .collect();
    match probes.as_slice() {
        [] => {
            let fault = Diagnostic::error("`[ready]` has no probe")
                .hint("give it one of `http`, `tcp`, `unix`, `exec`, `file`, `fd`");
            faults.at(span, fault);
        }
        [_] => {}
        [(first, _), (second, item), ..] => {
            let fault = format!("`[ready]` has two probes, `{first}` and `{second}`");
            let hint = "keep one; `exec` can run a command that checks both";
            item.bad::<()>(faults, Diagnostic::error(fault).hint(hint));
        }
    }
    let probe = found.into_iter().next().flatten()?;
    Some(Ready {
        probe,
        interval: interval?,
        within: Some(within?),
    })
}

fn probe(name: &str, item: &Item<'_>, faults: &mut Faults<'_>) -> Option<Probe> {
    match name {
        "exec" => item.command(faults).map(Probe::Exec),
        "fd" => {
            let fd = item.whole(READY_FDS, faults)?;
            i32::try_from(fd).ok().map(Probe::Fd)
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

/// `[restart]` or its short form, over what stands without it. `None` in `when`'s place: not said.
pub(super) fn restart(top: &Table<'_>, faults: &mut Faults<'_>) -> (Restart, Option<When>) {
    let base = Restart::default();
    let Some(item) = top.get("restart") else {
        return (base, None);
    };
    if let DeValue::String(_) = item.value {
        let when = item.word(&WHEN, faults);
        return (base, when);
    }
    let DeValue::Table(items) = item.value else {
        item.wrong::<()>(faults);
        return (base, None);
    };
    let table = Table::open(fields::SERVICE, "restart", items, faults);
    let when = table.get("when").and_then(|item| item.word(&WHEN, faults));
    let mut span = |name, default| {
        let item = table.get(name);
        item.and_then(|item| item.span(faults)).unwrap_or(default)
    };
    let restart = Restart {
        when: base.when,
        delay: span("delay", base.delay),
        max_delay: span("max-delay", base.max_delay),
        reset_after: span("reset-after", base.reset_after),
        jitter_permille: table
            .get("jitter")
            .and_then(|item| permille(&item, faults))
            .unwrap_or(base.jitter_permille),
        limit: restart_limit(&table, faults),
        on_limit: table
            .get("on-limit")
            .and_then(|item| item.word(&[("stop", OnLimit::Stop), ("exit", OnLimit::Exit)], faults))
            .unwrap_or(base.on_limit),
    };
    cross_checks(&table, &restart, faults);
    (restart, when)
}

/// What the fields of `[restart]` must have to do with each other.
fn cross_checks(table: &Table<'_>, restart: &Restart, faults: &mut Faults<'_>) {
    if let Some(item) = table
        .get("delay")
        .filter(|_| restart.delay > restart.max_delay)
    {
        let fault = Diagnostic::error("`restart.delay` is longer than `restart.max-delay`");
        item.bad::<()>(faults, fault.hint("`max-delay` is 30s unless it is set"));
    }
    if let Some(item) = table
        .get("on-limit")
        .filter(|_| table.get("limit").is_none())
    {
        let fault = Diagnostic::error("`restart.on-limit` without `restart.limit`")
            .hint("set the limit: `limit = { times = 10, within = \"60s\" }`");
        item.bad::<()>(faults, fault);
    }
}

fn restart_limit(table: &Table<'_>, faults: &mut Faults<'_>) -> Option<RestartLimit> {
    let (limit, span) = table.table("limit", "restart.limit", faults)?;
    let (times, within) = (limit.get("times"), limit.get("within"));
    if times.is_none() || within.is_none() {
        let fault = Diagnostic::error("`restart.limit` needs both `times` and `within`")
            .hint("write `limit = { times = 10, within = \"60s\" }`");
        faults.at(span, fault);
    }
    let times = times.and_then(|item| item.whole(1..=1000, faults));
    let within = within.and_then(|item| item.span_above_zero(faults));
    Some(RestartLimit {
        times: u32::try_from(times?).ok()?,
        within: within?,
    })
}

/// A part of one, in thousandths.
fn permille(item: &Item<'_>, faults: &mut Faults<'_>) -> Option<u32> {
    let text = match item.value {
        DeValue::Float(number) => number.as_str(),
        DeValue::Integer(number) => number.as_str(),
        _ => return item.wrong(faults),
    };
    let part = text.parse::<f64>().ok();
    if let Some(part) = part.filter(|part| (0.0..=1.0).contains(part)) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is between 0 and 1000"
        )]
        return Some((part * 1000.0).round() as u32);
    }
    let fault = format!("{} must be from 0 to 1", item.subject);
    item.bad(faults, Diagnostic::error(fault))
}

/// `[stop]`, over what s6's files beside it said; and where its timeout stands, if it is set.
pub(super) fn stop<'a>(
    top: &Table<'a>,
    base: &Stop,
    faults: &mut Faults<'_>,
) -> (Stop, Option<Item<'a>>) {
    let Some((table, _)) = top.table("stop", "stop", faults) else {
        return (base.clone(), None);
    };
    let signal = table.get("signal").and_then(|item| item.signal(faults));
    let group = table.get("group").and_then(|item| item.flag(faults));
    let timeout = table.get("timeout");
    let before_timeout = table.get("before-timeout");
    let stop = Stop {
        before: before(&table, faults).or_else(|| base.before.clone()),
        by: signal.map_or(base.by, StopBy::Signal),
        group: group.unwrap_or(base.group),
        timeout: timeout
            .as_ref()
            .and_then(|item| item.span(faults))
            .or(base.timeout),
    };
    (stop, timeout.or(before_timeout))
}

/// `stop.before` and its time.
fn before(stop: &Table<'_>, faults: &mut Faults<'_>) -> Option<Box<Before>> {
    let timeout = stop.get("before-timeout");
    let span = timeout
        .as_ref()
        .map_or(Some(BEFORE_TIMEOUT), |item| item.span_above_zero(faults));
    let Some(command) = stop.get("before") else {
        if let Some(item) = timeout {
            let fault = Diagnostic::error("`stop.before-timeout` without `stop.before`")
                .hint("say what is run before the signal: `before = [\"program\", \"argument\"]`");
            item.bad::<()>(faults, fault);
        }
        return None;
    };
    let command = command.command(faults)?;
    Some(Box::new(Before {
        command,
        timeout: span?,
    }))
}

/// `[reload]`: a signal or a command.
pub(super) fn reload(top: &Table<'_>, faults: &mut Faults<'_>) -> Option<Reload> {
    let (table, span) = top.table("reload", "reload", faults)?;
    match (table.get("signal"), table.get("command")) {
        (Some(signal), None) => signal.signal(faults).map(Reload::Signal),
        (None, Some(command)) => command.command(faults).map(Reload::Command),
        (Some(signal), Some(command)) => {
            signal.signal(faults);
            let fault = Diagnostic::error("`[reload]` has both `signal` and `command`")
                .hint("keep one; the command can send the signal");
            command.bad(faults, fault)
        }
        (None, None) => {
            let fault = Diagnostic::error("`[reload]` has neither `signal` nor `command`");
            faults.at(span, fault.hint("write `signal = \"SIGHUP\"`"));
            None
        }
    }
}

/// `[log]`: the format, and where it stands.
pub(super) fn format<'a>(top: &Table<'a>, faults: &mut Faults<'_>) -> Option<(Format, Item<'a>)> {
    let (table, _) = top.table("log", "log", faults)?;
    let item = table.get("format")?;
    item.word(&FORMATS, faults).map(|format| (format, item))
}
