//! `pidone explain NAME`: why a service is not ready, down to what everything else waits for, and
//! what to do about that.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::cli::planned::{Run, runs};
use crate::cli::print::{printable_line, show};
use crate::cli::status::{death, span};
use crate::cli::{Answer, Trouble};
use crate::control::client::{Client, places};
use crate::control::protocol::{Detail, ServiceStatus, State};
use crate::diag::printable;
use crate::values::lists;
use crate::values::stamp;

/// What `pidone explain` takes.
#[derive(clap::Args)]
pub struct Args {
    /// The service
    name: String,
}

/// How far the values stand from their margin: two spaces, the longest label, two spaces.
const LABEL_COLUMNS: usize = 5;

/// Asks, level by level, and tells.
///
/// # Errors
/// PID 1 cannot be asked, or there is no such service.
pub fn run(args: &Args) -> Result<Answer, Trouble> {
    let mut client = Client::connect(&places())?;
    let mut found: Vec<ServiceStatus> = Vec::new();
    let mut asked = lists::filled::<BTreeSet<_>, _>([args.name.clone()]);
    let mut names = vec![args.name.clone()];
    while !names.is_empty() {
        let status = client.status(std::mem::take(&mut names), true)?;
        let details = status.services.iter().filter_map(|it| it.detail.as_ref());
        let waits = details.flat_map(|detail| &detail.waits_for);
        names.extend(waits.filter(|name| asked.insert((*name).clone())).cloned());
        found.extend(status.services);
    }
    show(&explain(&args.name, &found))?;
    Ok(Answer::Yes)
}

/// The screen. `found` are the service and, as far as they are known, those that it waits for.
pub fn explain(name: &str, found: &[ServiceStatus]) -> String {
    let mut story = Story {
        found,
        told: BTreeSet::new(),
        text: String::new(),
        roots: Vec::new(),
    };
    story.tell(name, 0);
    let steps: Vec<(String, String)> = story.roots.iter().flat_map(|root| steps(root)).collect();
    let mut text = story.text;
    if steps.is_empty() {
        return text;
    }
    text.push_str("\nwhat to do\n");
    let width = steps.iter().map(|(command, _)| command.chars().count());
    let width = width.max().unwrap_or(0);
    for (command, meaning) in steps {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {command:<width$}  {meaning}");
    }
    text
}

/// The blocks that are told, one within the other.
struct Story<'a> {
    found: &'a [ServiceStatus],
    told: BTreeSet<&'a str>,
    text: String,
    /// Those that wait for nobody else.
    roots: Vec<&'a ServiceStatus>,
}

impl Story<'_> {
    fn tell(&mut self, name: &str, depth: usize) {
        let margin = "  ".repeat(depth.min(DEPTH_MAX));
        let Some(service) = self.found.iter().find(|service| service.name == name) else {
            return;
        };
        if !self.told.insert(&service.name) {
            // Writing to a string cannot fail.
            let _ = writeln!(self.text, "\n{margin}{}: see above", printable(name));
            return;
        }
        let default = Detail::default();
        let detail = service.detail.as_ref().unwrap_or(&default);
        let pid = service
            .pid
            .map_or(String::new(), |pid| format!(", pid {pid}"));
        let gap = if depth == 0 { "" } else { "\n" };
        let (shown, state, time) = (printable(name), service.state, span(service.for_ms));
        let _ = writeln!(self.text, "{gap}{margin}{shown}: {state} for {time}{pid}");
        for (label, value) in rows(service, detail) {
            let line = format!("{margin}  {label:<LABEL_COLUMNS$}  {value}");
            self.text.push_str(line.trim_end());
            self.text.push('\n');
        }
        if detail.waits_for.is_empty() {
            self.roots.push(service);
        }
        let waits = service.detail.as_ref().map(|detail| &detail.waits_for);
        for other in waits.into_iter().flatten() {
            self.tell(other, depth + 1);
        }
    }
}

/// Blocks further in than this are not moved further to the right.
const DEPTH_MAX: usize = 8;

/// What is said of one service.
fn rows(service: &ServiceStatus, detail: &Detail) -> Vec<(&'static str, String)> {
    let mut rows = vec![("why", why(service, detail))];
    let waits = !detail.waits_for.is_empty();
    if let Some(ready) = detail.ready.as_deref().filter(|_| !waits) {
        rows.push(("probe", printable(ready)));
    }
    if let Some(health) = detail.health.as_deref().filter(|_| !waits) {
        rows.push(("check", printable(health)));
    }
    for (run, words) in runs(service) {
        let label = match run {
            Run::Schedule => "runs",
            Run::Last => "last",
            Run::Next => "next",
        };
        rows.push((label, words));
    }
    // How a run has ended is told with it.
    let death = death(service).filter(|_| service.state != State::Scheduled);
    if let Some(death) = death {
        let plural = if service.restarts == 1 { "" } else { "s" };
        let restarts = match service.restarts {
            0 => String::new(),
            count => format!(", {count} restart{plural} so far"),
        };
        rows.push(("exit", format!("{death}{restarts}")));
    }
    if let Some(next) = service.next_try_ms {
        rows.push(("next", format!("is tried again in {}", span(next))));
    }
    rows.push(("file", printable(&detail.file)));
    let lines = detail.lines.iter().filter(|_| !waits);
    for (at, line) in lines.enumerate() {
        let label = if at == 0 { "log" } else { "" };
        let text = printable_line(&line.text);
        rows.push((label, format!("{}  {text}", stamp::time(&line.ts))));
    }
    rows
}

/// Why it is as it is, in a sentence.
fn why(service: &ServiceStatus, detail: &Detail) -> String {
    let note = service.note.as_deref().map(printable);
    let waits: Vec<String> = detail
        .waits_for
        .iter()
        .map(|name| printable(name))
        .collect();
    let waits_for = |verb: &str| format!("it {verb} {}", waits.join(", "));
    let said = |otherwise: &str| note.clone().unwrap_or_else(|| otherwise.to_owned());
    match service.state {
        State::Ready => "nothing is wrong".to_owned(),
        State::Scheduled if !waits.is_empty() => {
            let failed = said("what it needs has failed");
            format!("its runs are skipped: {failed}")
        }
        State::Scheduled => "it waits for its next run".to_owned(),
        State::Finished => "it has run, and has exited 0: that is as good as ready".to_owned(),
        State::Waiting if !waits.is_empty() => waits_for("waits for"),
        State::Waiting => said("its turn has not come yet"),
        State::Starting if detail.oneshot => {
            "it runs, and is ready when it has exited 0".to_owned()
        }
        State::Starting => said("it has not told yet that it is ready"),
        State::Unready => said("its health fails"),
        State::Stopping => said("it was asked to stop, and has not ended yet"),
        State::Finishing => "its process has ended, and its `finish` runs".to_owned(),
        State::WaitingToRestart => said("its process has ended"),
        State::Failed if !waits.is_empty() => waits_for("needs"),
        State::Failed => said("its process has ended, and is not to be started again"),
        State::Down => said("nobody has started it, or somebody has stopped it"),
    }
}

/// What can be done about a service that keeps others, or itself, from being ready.
fn steps(service: &ServiceStatus) -> Vec<(String, String)> {
    let name = printable(&service.name);
    let default = Detail::default();
    let detail = service.detail.as_ref().unwrap_or(&default);
    let step = |command: &str, meaning: &str| (format!("pidone {command} {name}"), meaning.into());
    let logs = || step("logs -f", "what it writes");
    let by_hand = |meaning: String| ("by hand".to_owned(), meaning);
    let file = printable(&detail.file);
    let mut steps = match service.state {
        State::Ready | State::Finished => Vec::new(),
        State::Scheduled => vec![step("start", "runs it now")],
        State::Waiting => vec![step(
            "wait --ready",
            "waits until it is ready, or has failed",
        )],
        State::Starting => vec![logs()],
        State::Unready => vec![logs(), step("restart", "stops it and starts it again")],
        State::Stopping | State::Finishing => vec![step("wait --down", "waits until it has ended")],
        State::WaitingToRestart => vec![logs(), step("start", "tries it now")],
        State::Failed => vec![logs(), step("start", "tries it again")],
        State::Down => vec![step("start", "starts it")],
    };
    let within = detail
        .ready
        .as_deref()
        .is_some_and(|ready| ready.contains("within"));
    if service.state == State::Starting && within {
        let meaning = format!("raise `ready.within` in {file}, if it needs longer");
        steps.push(by_hand(meaning));
    }
    let is_unable = service
        .note
        .as_deref()
        .is_some_and(|note| note.starts_with("cannot "));
    if is_unable {
        let check = (
            "pidone check".to_owned(),
            "what else is wrong with it".to_owned(),
        );
        steps.insert(0, check);
    }
    if service.state == State::Down && !service.enabled {
        steps.push(by_hand(format!(
            "`enabled = true` in {file}, for every boot"
        )));
    }
    if service.oom && death(service).is_some() {
        let meaning = "more memory for the container (`docker run -m`), or less for the service";
        steps.push(by_hand(meaning.to_owned()));
    }
    steps
}
