//! `pidone status NAME`: the page of one service, with its history and its last lines.

use crate::cli::planned::{Run, runs};
use crate::cli::print::printable_line;
use crate::cli::status::{note, span};
use crate::control::protocol::{Detail, ServiceStatus, State};
use crate::diag::printable;
use crate::values::stamp;

/// How far the values stand from the margin: two spaces, the longest label, two spaces.
const LABEL_COLUMNS: usize = 8;

/// The page of one service.
pub fn page(service: &ServiceStatus) -> String {
    let pid = service
        .pid
        .map_or(String::new(), |pid| format!(", pid {pid}"));
    let (name, span) = (printable(&service.name), span(service.for_ms));
    let mut page = format!("{name}: {} for {span}{pid}\n", service.state);
    let default = Detail::default();
    let detail = service.detail.as_ref().unwrap_or(&default);
    let text = |text: &str| Some(printable(text)).filter(|text| !text.is_empty());
    let restarts = match text(&detail.restart) {
        Some(policy) => format!("{}, {policy}", service.restarts),
        None => service.restarts.to_string(),
    };
    // What else the note says of runs has rows of its own.
    let note = match service.state {
        State::Scheduled => service.note.as_deref().and_then(text),
        _other => note(service),
    };
    push_block(&mut page, "note", note);
    for (run, words) in runs(service) {
        let label = match run {
            Run::Schedule => "schedule",
            Run::Last => "last run",
            Run::Next => "next run",
        };
        push_block(&mut page, label, [words]);
    }
    let facts = [
        ("file", text(&detail.file)),
        ("needs", needs(detail)),
        ("ready", detail.ready.as_deref().and_then(text)),
        ("health", detail.health.as_deref().and_then(text)),
        ("says", detail.says.as_deref().and_then(text)),
        ("stop", text(&detail.stop)),
        ("reload", detail.reload.as_deref().and_then(text)),
        ("restarts", Some(restarts)),
    ];
    for (label, fact) in facts {
        push_block(&mut page, label, fact);
    }
    push_block(&mut page, "history", history(detail));
    let line = |line: &crate::control::protocol::Line| {
        format!("{}  {}", stamp::time(&line.ts), printable_line(&line.text))
    };
    push_block(&mut page, "log", detail.lines.iter().map(line));
    page
}

/// Rows under one label, which stands before the first.
fn push_block(page: &mut String, label: &str, rows: impl IntoIterator<Item = String>) {
    for (at, row) in rows.into_iter().enumerate() {
        let label = if at == 0 { label } else { "" };
        let line = format!("  {label:<LABEL_COLUMNS$}  {row}");
        page.push_str(line.trim_end());
        page.push('\n');
    }
}

fn needs(detail: &Detail) -> Option<String> {
    let needs: Vec<String> = detail
        .needs
        .iter()
        .map(|need| format!("{} ({})", printable(&need.name), need.state))
        .collect();
    (!needs.is_empty()).then(|| needs.join(", "))
}

fn history(detail: &Detail) -> Vec<String> {
    let steps: Vec<String> = detail
        .history
        .iter()
        .map(|change| format!("{} → {}", change.from, change.to))
        .collect();
    let width = steps.iter().map(|step| step.chars().count()).max();
    let width = width.unwrap_or(0);
    let whys = detail.history.iter().map(|change| {
        let why = change.why.as_deref().unwrap_or_default();
        (stamp::time(&change.ts), printable(why))
    });
    steps
        .iter()
        .zip(whys)
        .map(|(step, (time, why))| format!("{time}  {step:<width$}   {why}"))
        .collect()
}
