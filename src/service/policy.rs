//! The tables of `service.toml` that say what happens when: `[restart] [stop] [reload] [log]`.

use std::ops::Range;
use std::time::Duration;

use toml::de::DeValue;

use crate::diag::Diagnostic;
use crate::service::definition::{
    Before, Format, OnLimit, Reload, Restart, RestartLimit, Stop, StopBy, When,
};
use crate::service::faults::Faults;
use crate::service::table::{Item, Table};
use crate::service::{fields, names};
use crate::values::Name;

/// `stop.before` is killed after this, unless the file says otherwise: a load balancer needs some
/// milliseconds to take a backend out, and a person who stops a service waits for it.
const BEFORE_TIMEOUT: Duration = Duration::from_millis(500);

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

/// Other services, each with the place where it is named.
type Named = Vec<(Name, Range<usize>)>;

/// `[restart]` or its short form, over what stands without it. `None` in `when`'s place: not said.
/// The names are those of `with`.
pub(super) fn restart(
    top: &Table<'_>,
    own: &Name,
    faults: &mut Faults<'_>,
) -> (Restart, Option<When>, Named) {
    let base = Restart::default();
    let Some(item) = top.get("restart") else {
        return (base, None, Vec::new());
    };
    if let DeValue::String(_) = item.value {
        let when = item.word(&WHEN, faults);
        return (base, when, Vec::new());
    }
    let DeValue::Table(items) = item.value else {
        item.wrong::<()>(faults);
        return (base, None, Vec::new());
    };
    let table = Table::open(fields::SERVICE, "restart", items, faults);
    let when = table.get("when").and_then(|item| item.word(&WHEN, faults));
    let with = names::read(table.get("with"), "restarts with", own, faults);
    let mut span = |name, default| {
        let item = table.get(name);
        item.and_then(|item| item.span(faults)).unwrap_or(default)
    };
    let restart = Restart {
        when: base.when,
        with: with.iter().map(|(name, _)| name.clone()).collect(),
        delay: span("delay", base.delay),
        pace: base.pace,
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
    (restart, when, with)
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
    let notify = table.get("notify");
    let is_told = notify.as_ref().and_then(|item| item.flag(faults)) == Some(true);
    if let Some(item) = notify.filter(|_| is_told && !tells(top, faults)) {
        let fault = Diagnostic::error("`reload.notify` needs `notify = true` in `[ready]`")
            .hint("it tells by the same socket that it is ready");
        return item.bad(faults, fault);
    }
    match (table.get("signal"), table.get("command")) {
        (Some(signal), None) if is_told => signal.signal(faults).map(Reload::Told),
        (Some(signal), None) => signal.signal(faults).map(Reload::Signal),
        (None, Some(command)) if is_told => {
            let fault = Diagnostic::error("`reload.notify` goes with a `signal`")
                .hint("a command is done when it has ended");
            command.bad(faults, fault)
        }
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

/// Whether `[ready]` is by sd_notify.
fn tells(top: &Table<'_>, faults: &mut Faults<'_>) -> bool {
    let ready = top.table("ready", "ready", faults);
    let notify = ready.and_then(|(table, _)| table.get("notify"));
    notify.and_then(|item| item.flag(faults)) == Some(true)
}

/// `[log]`: the format, and where it stands.
pub(super) fn format<'a>(top: &Table<'a>, faults: &mut Faults<'_>) -> Option<(Format, Item<'a>)> {
    let (table, _) = top.table("log", "log", faults)?;
    let item = table.get("format")?;
    item.word(&FORMATS, faults).map(|format| (format, item))
}
