//! When a service runs by itself: what the page and `pidone explain` say of that.

use crate::cli::status::span;
use crate::control::protocol::{ExitStatus, ServiceStatus};
use crate::diag::printable;

/// Its schedule, its last run and its next one, in words; empty if it has no schedule.
pub fn runs(service: &ServiceStatus) -> Vec<(Run, String)> {
    let Some(schedule) = &service.schedule else {
        return Vec::new();
    };
    let mut runs = vec![
        (Run::Schedule, printable(schedule)),
        (Run::Last, last(service)),
    ];
    runs.extend(next(service).map(|next| (Run::Next, next)));
    runs
}

/// Of which run something is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Run {
    /// Of all: its schedule.
    Schedule,
    /// Of the last one, which may go on.
    Last,
    /// Of the next one.
    Next,
}

/// `2m ago, exit 0, took 1.2s`.
fn last(service: &ServiceStatus) -> String {
    let Some(ago) = service.last_run_ms else {
        return "none yet".to_owned();
    };
    let Some(took) = service.last_took_ms else {
        return format!("{} ago, still running", span(ago));
    };
    let end = match &service.exit {
        _ if service.oom => ", killed by the kernel's OOM killer".to_owned(),
        Some(ExitStatus::Code { code }) => format!(", exit {code}"),
        Some(signal) => format!(", {}", printable(&signal.to_string())),
        None => String::new(),
    };
    format!("{} ago{end}, took {}", span(ago), span(took))
}

/// `in 2m 58s (2026-11-25 12:10 CET)`.
fn next(service: &ServiceStatus) -> Option<String> {
    let next = span(service.next_run_ms?);
    let detail = service.detail.as_ref();
    let there = detail.and_then(|detail| detail.next_run_there.as_deref());
    let there = there.map_or(String::new(), |there| format!(" ({})", printable(there)));
    Some(format!("in {next}{there}"))
}
