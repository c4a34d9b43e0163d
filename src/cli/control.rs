//! `pidone start stop restart reload signal`: asks for a change, and waits for its result.

use std::time::Duration;

use crate::cli::goal::{Goal, Watch};
use crate::cli::wait::{Stream, report};
use crate::cli::{Answer, Trouble, print};
use crate::control::client::{Client, Failure, Places, places, unexpected};
use crate::control::protocol::{Accepted, RefusalKind, Reply, Request};
use crate::diag::{Diagnostic, printable};
use crate::os::clock;
use crate::values::Signal;
use crate::values::span::parse_span;

/// What the verbs take that change services.
#[derive(clap::Args)]
pub struct ChangeArgs {
    /// The services
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Do not wait for the result
    #[arg(long)]
    no_wait: bool,
    /// Wait no longer than this, as 10s or 2m
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_span)]
    timeout: Duration,
}

/// What `pidone signal` takes.
#[derive(clap::Args)]
pub struct SignalArgs {
    /// The signal, as SIGUSR1, USR1 or 10
    signal: String,
    /// The services, of which the main process gets it
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

/// `pidone start`.
///
/// # Errors
/// PID 1 refuses, or cannot be asked. The same for those below.
pub fn start(args: ChangeArgs) -> Result<Answer, Trouble> {
    change(args, Goal::Start, |names| Request::Start { names })
}

/// `pidone stop`.
pub fn stop(args: ChangeArgs) -> Result<Answer, Trouble> {
    change(args, Goal::Stop, |names| Request::Stop { names })
}

/// `pidone restart`.
pub fn restart(args: ChangeArgs) -> Result<Answer, Trouble> {
    change(args, Goal::Restart, |names| Request::Restart { names })
}

/// `pidone reload`.
pub fn reload(args: ChangeArgs) -> Result<Answer, Trouble> {
    change(args, Goal::Reload, |names| Request::Reload { names })
}

/// The events are subscribed to before the command is sent, so that none of its results is missed.
fn change(
    args: ChangeArgs,
    goal: Goal,
    request: impl FnOnce(Vec<String>) -> Request,
) -> Result<Answer, Trouble> {
    let places = places();
    if args.no_wait {
        ask(&mut Client::connect(&places)?, &request(args.names))?;
        return Ok(Answer::Yes);
    }
    let by = clock::now() + args.timeout;
    let stream = match Stream::open(&places) {
        Err(Trouble::Asking(Failure::Refused(refusal)))
            if refusal.kind == RefusalKind::NotAllowed && places.handed.is_some() =>
        {
            return unwatched(&places, &request(args.names));
        }
        opened => opened?,
    };
    let accepted = ask(&mut Client::connect(&places)?, &request(args.names))?;
    let mut answer = Answer::Yes;
    let mut watches = Vec::new();
    for before in &accepted.services {
        match Watch::after(goal, before, &accepted) {
            (watch, None) => watches.push(watch),
            (_, Some(verdict)) => report(&verdict, &mut answer)?,
        }
    }
    stream.follow(watches, Some((by, args.timeout)), answer)
}

/// Asks where the results cannot be seen: in a service whose `control` has no `events`.
fn unwatched(places: &Places, request: &Request) -> Result<Answer, Trouble> {
    let accepted = ask(&mut Client::connect(places)?, request)?;
    for service in accepted.services {
        let name = printable(&service.name);
        print::show(&format!("{name}: {} accepted\n", request.verb()))?;
    }
    let warning = "cannot wait for the result: `control` of this service does not have `events`";
    print::complain(&Diagnostic::warning(warning).hint("add it, or say `--no-wait`"));
    Ok(Answer::Yes)
}

/// `pidone signal`.
///
/// # Errors
/// There is no such signal; PID 1 refuses, or cannot be asked.
pub fn signal(args: SignalArgs) -> Result<Answer, Trouble> {
    let signal = parse_signal(&args.signal).map_err(Trouble::Usage)?;
    let mut client = Client::connect(&places())?;
    let request = Request::Signal {
        signal: signal.to_string(),
        group: false,
        names: args.names,
    };
    for service in ask(&mut client, &request)?.services {
        let name = printable(&service.name);
        let pid = service
            .pid
            .map_or(String::new(), |pid| format!(" to pid {pid}"));
        print::show(&format!("{name}: {signal} sent{pid}\n"))?;
    }
    Ok(Answer::Yes)
}

fn parse_signal(text: &str) -> Result<Signal, Box<Diagnostic>> {
    text.parse().map_err(|unknown: String| {
        let names: Vec<String> = Signal::names().collect();
        let names = names.iter().map(String::as_str);
        let upper = text.to_ascii_uppercase();
        let word = format!("SIG{}", upper.strip_prefix("SIG").unwrap_or(&upper));
        Diagnostic::error(unknown).suggest(&word, names).into()
    })
}

/// Asks for a change.
pub(super) fn ask(client: &mut Client, request: &Request) -> Result<Accepted, Trouble> {
    match client.ask(request)? {
        Reply::Ok(accepted) => Ok(accepted),
        other => Err(unexpected(&other).into()),
    }
}
