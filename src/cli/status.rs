//! `pidone status`: the fleet as a table, with exceptions in the last column only.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::cli::page::page;
use crate::cli::print;
use crate::cli::{Answer, Trouble};
use crate::control::client::{Client, places};
use crate::control::protocol::{Detail, ExitStatus, Message, ServiceStatus, State, Status};
use crate::diag::{Diagnostic, nearest, printable};
use crate::values::span::show_span;

/// What `pidone status` takes.
#[derive(clap::Args)]
pub struct Args {
    /// Services that get a page: definition, history, last lines
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Print one JSON object
    #[arg(long, conflicts_with = "fields")]
    json: bool,
    /// Print only these fields of the JSON, as `name,pid`: one service a line, separated by tabs
    #[arg(short = 'o', value_name = "FIELD,FIELD", value_delimiter = ',')]
    fields: Vec<String>,
}

/// Asks, and shows one of the four screens.
///
/// # Errors
/// PID 1 cannot be asked, or there is no such service or field.
pub fn run(args: Args) -> Result<Answer, Trouble> {
    let is_page = !args.names.is_empty();
    let is_detailed = is_page || !args.fields.is_empty();
    let mut client = Client::connect(&places())?;
    let status = client.status(args.names, is_detailed)?;
    let screen = if args.json {
        json(&status)
    } else if !args.fields.is_empty() {
        fields(&status, &args.fields).map_err(Trouble::Usage)?
    } else if is_page {
        let pages: Vec<String> = status.services.iter().map(page).collect();
        pages.join("\n")
    } else {
        table(&status)
    };
    print::show(&screen)?;
    Ok(Answer::Yes)
}

/// The status as `--json` prints it.
pub fn json(status: &Status) -> String {
    let text = serde_json::to_string(&Message::new(status)).unwrap_or_default();
    text + "\n"
}

/// The fleet, a line each, and the tally.
pub fn table(status: &Status) -> String {
    let heads = ["SERVICE", "STATE", "PID", "FOR", "RESTARTS", "NOTE"].map(str::to_owned);
    let rows: Vec<[String; 6]> = std::iter::once(heads)
        .chain(status.services.iter().map(row))
        .collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let (name, state, pid, span, restarts) = (width(0), width(1), width(2), width(3), width(4));
    let mut screen = String::new();
    for [a, b, c, d, e, note] in &rows {
        let line =
            format!("{a:<name$}  {b:<state$}  {c:>pid$}  {d:<span$}  {e:>restarts$}  {note}");
        screen.push_str(line.trim_end());
        screen.push('\n');
    }
    format!("{screen}\n{}\n", tally(status))
}

fn row(service: &ServiceStatus) -> [String; 6] {
    [
        printable(&service.name),
        service.state.to_string(),
        service.pid.map_or("-".to_owned(), |pid| pid.to_string()),
        span(service.for_ms),
        service.restarts.to_string(),
        note(service).unwrap_or_default(),
    ]
}

/// Milliseconds as screens show them.
pub fn span(ms: u64) -> String {
    show_span(Duration::from_millis(ms))
}

/// What is exceptional about a service: how it died, why it is not up, when it is tried again.
pub fn note(service: &ServiceStatus) -> Option<String> {
    let well = Some(ExitStatus::Code { code: 0 });
    let is_dead = match service.state {
        State::WaitingToRestart | State::Failed => true,
        // Its last run.
        State::Scheduled => service.exit != well,
        _other => false,
    };
    let death = death(service);
    let words = service.note.as_deref().map(printable);
    let next = service
        .next_try_ms
        .map(|ms| format!("next try in {}", span(ms)))
        .or_else(|| Some(format!("next run in {}", span(service.next_run_ms?))));
    let parts: Vec<String> = [death.filter(|_| is_dead), words, next]
        .into_iter()
        .flatten()
        .collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// How its last process ended, if one has.
pub fn death(service: &ServiceStatus) -> Option<String> {
    let exit = service.exit.as_ref()?;
    Some(if service.oom {
        "killed by the kernel's OOM killer".to_owned()
    } else {
        printable(&exit.to_string())
    })
}

/// The states in the order of the tally: what runs, what is on its way, what rests, what failed.
const TALLY: [(State, &str); 11] = [
    (State::Ready, "ready"),
    (State::Unready, "unready"),
    (State::Starting, "starting"),
    (State::Waiting, "waiting"),
    (State::WaitingToRestart, "restarting"),
    (State::Stopping, "stopping"),
    (State::Finishing, "finishing"),
    (State::Scheduled, "scheduled"),
    (State::Finished, "finished"),
    (State::Down, "down"),
    (State::Failed, "failed"),
];

/// `5 services: 2 ready, 1 restarting, 1 finished, 1 down`.
pub fn tally(status: &Status) -> String {
    let count = |state| {
        let services = status.services.iter();
        services.filter(|service| service.state == state).count()
    };
    let parts: Vec<String> = TALLY
        .into_iter()
        .map(|(state, word)| (count(state), word))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    match (status.services.len(), parts.join(", ")) {
        (0, _) => "no services".to_owned(),
        (1, words) => format!("1 service: {words}"),
        (all, words) => format!("{all} services: {words}"),
    }
}

/// These fields of each service, separated by tabs.
///
/// # Errors
/// There is no such field.
pub fn fields(status: &Status, names: &[String]) -> Result<String, Box<Diagnostic>> {
    let known = field_names();
    for name in names {
        if !known.contains(name) {
            let error = Diagnostic::error(format!("there is no field `{name}`"));
            let error = match nearest(name, known.iter().map(String::as_str)) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint(format!("the fields are {}", known.join(", "))),
            };
            return Err(error.into());
        }
    }
    let mut screen = String::new();
    for service in &status.services {
        let object = object_of(service);
        let cells: Vec<String> = names.iter().map(|name| cell(object.get(name))).collect();
        screen.push_str(&cells.join("\t"));
        screen.push('\n');
    }
    Ok(screen)
}

/// The names of all fields: whatever a service's JSON has.
fn field_names() -> Vec<String> {
    let sample = ServiceStatus {
        name: String::new(),
        state: State::Down,
        pid: None,
        for_ms: 0,
        restarts: 0,
        exit: None,
        oom: false,
        note: None,
        enabled: true,
        wanted: true,
        starts: 0,
        next_try_ms: None,
        schedule: None,
        next_run: None,
        next_run_ms: None,
        last_run: None,
        last_run_ms: None,
        last_took_ms: None,
        detail: Some(Detail::default()),
    };
    object_of(&sample).keys().cloned().collect()
}

fn object_of(service: &ServiceStatus) -> Map<String, Value> {
    match serde_json::to_value(service) {
        Ok(Value::Object(object)) => object,
        _never => Map::new(),
    }
}

/// A value in a column of a script: a text as it is, an exit as its code or signal, `-` for none.
fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => printable(text),
        Some(Value::Object(exit)) => cell(exit.get("code").or_else(|| exit.get("signal"))),
        Some(other) => other.to_string(),
    }
}
