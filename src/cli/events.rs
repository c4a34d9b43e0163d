//! `pidone events`: what happens to the services, one line an event.

use crate::cli::print;
use crate::cli::{Answer, Trouble};
use crate::control::client::{Client, Places, places, unexpected};
use crate::control::protocol::{Event, EventKind, Reply, Request, State};
use crate::diag::{Diagnostic, printable};
use crate::values::stamp;

/// What `pidone events` takes.
#[derive(clap::Args)]
pub struct Args {
    /// Follow: go on with each event as it happens
    #[arg(short, long)]
    follow: bool,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    /// Show at most N past events; default: all that are kept
    #[arg(short = 'n', value_name = "N")]
    last: Option<u32>,
}

/// Asks, and shows the events.
///
/// # Errors
/// PID 1 cannot be asked.
pub fn run(args: &Args) -> Result<Answer, Trouble> {
    let places = places();
    let mut client = Client::connect(&places)?;
    let columns = columns(&places);
    client.send(&Request::Events {
        last: args.last,
        follow: args.follow,
    })?;
    loop {
        let reply = if args.follow {
            client.next(None)?
        } else {
            client.next_now()?
        };
        match reply {
            None | Some(Reply::End) => return Ok(Answer::Yes),
            // The picture in which the past ends and the future begins.
            Some(Reply::Status(_)) => {}
            Some(Reply::Event(event)) if args.json => print::show(&json(&event))?,
            Some(Reply::Event(event)) => print::show(&line(&event, columns))?,
            Some(Reply::Skipped { lines, .. }) => print::complain(&Diagnostic::warning(format!(
                "this client fell behind: {lines} events skipped"
            ))),
            Some(other) => return Err(unexpected(&other).into()),
        }
    }
}

/// What names take. A service that may not ask for `status` (its field `control`) does without.
fn columns(places: &Places) -> usize {
    let asked = Client::connect(places).and_then(|mut client| client.status(vec![], false));
    let names = asked.map_or_else(|_refused| Vec::new(), |status| status.services);
    let columns = names.iter().map(|service| service.name.chars().count());
    columns.max().unwrap_or(0)
}

/// The event as `--json` prints it.
pub fn json(event: &Event) -> String {
    serde_json::to_string(event).unwrap_or_default() + "\n"
}

/// `06:01:12.345 web     ready → waiting to restart  exit code 1`, where names take `columns`.
pub fn line(event: &Event, columns: usize) -> String {
    let columns = columns.max("pidone".len());
    let name = printable(event.service.as_deref().unwrap_or("pidone"));
    let mut what = match (event.event, &event.from, &event.to) {
        (EventKind::State | EventKind::Phase, Some(from), Some(to)) => {
            format!("{} → {}", words(from), words(to))
        }
        (EventKind::State | EventKind::Phase, _, to) => words(to.as_deref().unwrap_or_default()),
        (EventKind::Reload, ..) => "reload".to_owned(),
        (EventKind::Signal, ..) => "signal".to_owned(),
        (EventKind::RunSkipped, ..) => "run skipped".to_owned(),
        (EventKind::Rescan, ..) => "rescan".to_owned(),
        (EventKind::Gone, ..) => "gone".to_owned(),
        // What it says is what has happened.
        (EventKind::Told, ..) => String::new(),
    };
    for part in whys(event) {
        what.push_str(if what.is_empty() { "" } else { "  " });
        what.push_str(&part);
    }
    format!("{} {name:<columns$}  {what}\n", stamp::time_ms(&event.ts))
}

/// Why, else how it ended; and a new process's pid.
fn whys(event: &Event) -> Vec<String> {
    let has_left = !matches!(
        event.reached(),
        Some(State::Starting | State::Ready | State::Waiting)
    );
    let exit = event.exit.as_ref().filter(|_| has_left);
    let why = event.why.as_deref().map(printable);
    let why = why.or_else(|| exit.map(|exit| printable(&exit.to_string())));
    let is_new = event.reached() == Some(State::Starting) || event.reached() == Some(State::Ready);
    let pid = event.pid.filter(|_| is_new).map(|pid| format!("pid {pid}"));
    [pid, why].into_iter().flatten().collect()
}

/// The words of screens for a word of the wire.
fn words(word: &str) -> String {
    State::from_word(word).map_or_else(|| printable(word), |state| state.to_string())
}
