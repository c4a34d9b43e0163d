//! `s6-rc`: which services of an s6-rc tree are up, and changes of that, over PID 1's socket.

mod tree;

pub(super) use tree::FILE;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::control::client::{Client, Failure, places};
use crate::control::protocol::{Reply, Request, ServiceStatus, State};
use crate::os::clock;
use crate::service::scandir::DESK;
use crate::tools::s6::call::{Call, Done, Outcome, Stop, TEMPORARY, number, path, shown};
use crate::tools::s6::{print, tell};
use crate::values::Moment;

use tree::Tree;

const LINE: &str = "s6-rc [ -v verbosity ] [ -n dryrunthrottle ] [ -t timeout ] [ -l live ] [ -b ] \
    [ -u | -d | -D ] [ -p ] [ -a ] list|listall|diff|change|start|stop [ servicenames... ]";

/// The live directory.
pub(super) const LIVE: &str = "/run/s6-rc";

/// A service could not be changed.
const FAILED: u8 = 1;
/// It took too long.
const LATE: u8 = 2;
/// There is nothing of that name.
const UNKNOWN: u8 = 3;
/// What the database says cannot be understood.
const INVALID: u8 = 4;
/// From this verbosity on each step is told.
const TELLS_STEPS: u32 = 2;

/// What the options ask for.
#[expect(
    clippy::struct_excessive_bools,
    reason = "a flag each, as they are written"
)]
struct Options {
    verbosity: u32,
    is_dry: bool,
    by: Option<Moment>,
    tree: Tree,
    up: bool,
    with_essential: bool,
    prunes: bool,
    all: bool,
}

/// `s6-rc [OPTION…] COMMAND [NAME…]`
pub(crate) fn rc(mut call: Call) -> Outcome {
    let usage = || Stop::usage(LINE);
    let (mut options, live) = read(&mut call)?;
    let command = shown(&call.shift().ok_or_else(usage)?);
    let names: Vec<String> = call.args.iter().map(|name| shown(name)).collect();
    let mut client = Client::connect(&places()).map_err(|failure| unreachable(&failure))?;
    let services = statuses(&mut client)?;
    let text = fs::read_to_string(path(live.as_bytes()).join(FILE));
    options.tree = match text {
        Ok(text) => Tree::read(&text).ok_or_else(|| {
            let place = Path::new(&live).join(FILE);
            Stop::fatal(
                INVALID,
                format!("invalid service database in {}", place.display()),
            )
        })?,
        Err(_) => Tree::of_services(services.keys().cloned()),
    };
    let mut chosen = options.tree.expand(&names).map_err(|name| {
        let place = Path::new(&live).join("compiled/resolve.cdb");
        let text = format!(
            "{name} is not a recognized identifier in {}",
            place.display()
        );
        Stop::fatal(UNKNOWN, text)
    })?;
    let is_up = |name: &String| services.get(name).is_some_and(is_up);
    if options.all {
        let picks_up = options.up || command != "list";
        let all = options.tree.atomics.iter();
        chosen.extend(all.filter(|name| is_up(name) == picks_up).cloned());
    }
    match command.as_str() {
        "list" => list(&chosen),
        "listall" if options.up => list(&options.tree.with_needs(&chosen)),
        "listall" => list(&options.tree.with_dependents(&chosen)),
        "diff" => diff(&options.tree, &services),
        "change" => change(&options, &mut client, &services, &chosen),
        "start" | "stop" => {
            options.up = command == "start";
            change(&options, &mut client, &services, &chosen)
        }
        _unknown => Err(usage()),
    }
}

fn read(call: &mut Call) -> Result<(Options, String), Stop> {
    let usage = || Stop::usage(LINE);
    let mut live = LIVE.to_owned();
    let mut options = Options {
        verbosity: 1,
        is_dry: false,
        by: None,
        tree: Tree::default(),
        up: true,
        with_essential: false,
        prunes: false,
        all: false,
    };
    let given = call.options("v:n:t:l:budDpaX").map_err(|_| usage())?;
    for (option, value) in given {
        match option {
            'v' => options.verbosity = number(&value).ok_or_else(usage)?,
            'n' => {
                let _: u32 = number(&value).ok_or_else(usage)?;
                options.is_dry = true;
            }
            't' => {
                let ms: u32 = number(&value).ok_or_else(usage)?;
                let by = clock::now() + Duration::from_millis(ms.into());
                options.by = (ms > 0).then_some(by);
            }
            'l' => live = shown(&value),
            'u' => options.up = true,
            'd' => options.up = false,
            'D' => (options.up, options.with_essential) = (false, true),
            'p' => options.prunes = true,
            'a' => options.all = true,
            // Blocking on the database's lock, and what it prints with: no meaning here.
            _other => {}
        }
    }
    Ok((options, live))
}

fn unreachable(failure: &Failure) -> Stop {
    Stop::fatal(TEMPORARY, failure.diagnostic().message)
}

fn statuses(client: &mut Client) -> Result<BTreeMap<String, ServiceStatus>, Stop> {
    let status = client
        .status(Vec::new(), false)
        .map_err(|failure| unreachable(&failure))?;
    let services = status.services.into_iter();
    let services = services.filter(|service| service.name != DESK);
    Ok(services.map(|it| (it.name.clone(), it)).collect())
}

/// Whether s6-rc would call it up: it has been started well, whatever it does since.
fn is_up(service: &ServiceStatus) -> bool {
    match service.state {
        State::Ready | State::Unready | State::Finished => true,
        State::WaitingToRestart | State::Finishing => service.wanted,
        State::Down
        | State::Waiting
        | State::Starting
        | State::Stopping
        | State::Scheduled
        | State::Failed => false,
    }
}

fn list(names: &BTreeSet<String>) -> Outcome {
    let lines: String = names.iter().flat_map(|name| [name, "\n"]).collect();
    print(lines.as_bytes()).map(|()| Done::Exit(0))
}

/// Those that are not what they are meant to be: `-NAME` should be up, `+NAME` down.
fn diff(tree: &Tree, services: &BTreeMap<String, ServiceStatus>) -> Outcome {
    let mut lines = String::new();
    for (name, service) in services {
        let differs = service.wanted != is_up(service) && service.state != State::Finished;
        if differs && tree.atomics.contains(name) {
            let sign = if service.wanted { "-" } else { "+" };
            lines.extend([sign, name, "\n"]);
        }
    }
    print(lines.as_bytes()).map(|()| Done::Exit(u8::from(!lines.is_empty())))
}

fn change(
    options: &Options,
    client: &mut Client,
    services: &BTreeMap<String, ServiceStatus>,
    chosen: &BTreeSet<String>,
) -> Outcome {
    let is_now = |name: &String| services.get(name).is_some_and(is_up);
    let (mut ups, mut downs) = if options.up {
        (options.tree.with_needs(chosen), BTreeSet::new())
    } else {
        (BTreeSet::new(), options.tree.with_dependents(chosen))
    };
    if options.prunes {
        let others = |keep: &BTreeSet<String>| {
            let all = options.tree.atomics.iter();
            all.filter(|name| !keep.contains(*name)).cloned().collect()
        };
        if options.up {
            downs = others(&ups);
        } else {
            ups = others(&downs);
        }
    }
    ups.retain(|name| !is_now(name));
    downs.retain(|name| is_now(name));
    if !options.with_essential {
        let stay = options.tree.kept(&downs);
        downs.retain(|name| {
            let is_essential = options.tree.is_essential(name);
            if is_essential && options.verbosity > 0 {
                tell(
                    b"s6-rc",
                    &format!("warning: service {name} is essential: not stopped"),
                );
            }
            !stay.contains(name)
        });
    }
    let stopped = bring(options, client, downs, false)?;
    let started = bring(options, client, ups, true)?;
    Ok(Done::Exit(if stopped && started { 0 } else { FAILED }))
}

/// Brings them all up, or all down, and waits for it; whether all are there.
fn bring(
    options: &Options,
    client: &mut Client,
    names: BTreeSet<String>,
    up: bool,
) -> Result<bool, Stop> {
    let (doing, done) = if up {
        ("starting", "started")
    } else {
        ("stopping", "stopped")
    };
    let step = |text: String| {
        if options.verbosity >= TELLS_STEPS || options.is_dry {
            let who: &[u8] = if options.is_dry {
                b"s6-rc-dryrun"
            } else {
                b"s6-rc"
            };
            tell(who, &format!("info: service {text}"));
        }
    };
    names
        .iter()
        .for_each(|name| step(format!("{name}: {doing}")));
    if names.is_empty() || options.is_dry {
        return Ok(true);
    }
    let mut events = Client::connect(&places()).map_err(|failure| unreachable(&failure))?;
    let follow = Request::Events {
        last: Some(0),
        follow: true,
    };
    events
        .send(&follow)
        .map_err(|failure| unreachable(&failure))?;
    let list: Vec<String> = names.iter().cloned().collect();
    let request = if up {
        Request::Start { names: list }
    } else {
        Request::Stop { names: list }
    };
    match client.ask(&request) {
        Ok(_) => {}
        Err(Failure::Refused(refusal)) => return Err(Stop::fatal(FAILED, refusal.message)),
        Err(failure) => return Err(unreachable(&failure)),
    }
    let there = |name: &str| step(format!("{name} successfully {done}"));
    wait(options, client, &mut events, names, up, &there)
}

/// Waits until each of them is there, or never will be; whether all are there.
fn wait(
    options: &Options,
    client: &mut Client,
    events: &mut Client,
    mut waiting: BTreeSet<String>,
    up: bool,
    there: &dyn Fn(&str),
) -> Result<bool, Stop> {
    let mut all_well = true;
    loop {
        let services = statuses(client)?;
        waiting.retain(|name| match services.get(name).map(|it| verdict(it, up)) {
            Some(Verdict::NotYet) => true,
            Some(Verdict::There) => {
                there(name);
                false
            }
            Some(Verdict::Never) | None => {
                let deed = if up { "start" } else { "stop" };
                tell(
                    b"s6-rc",
                    &format!("warning: unable to {deed} service {name}"),
                );
                all_well = false;
                false
            }
        });
        if waiting.is_empty() {
            return Ok(all_well);
        }
        match events.next(options.by) {
            Ok(Some(Reply::Event(_) | Reply::Status(_) | Reply::Skipped { .. })) => {}
            Err(Failure::Late) => return Err(Stop::fatal(LATE, "timed out")),
            Err(failure) => return Err(unreachable(&failure)),
            Ok(_) => return Err(Stop::fatal(TEMPORARY, "pidone has hung up")),
        }
    }
}

/// How it stands with a change of one service.
enum Verdict {
    NotYet,
    There,
    Never,
}

fn verdict(service: &ServiceStatus, up: bool) -> Verdict {
    match (up, service.state) {
        (true, _) if is_up(service) => Verdict::There,
        (true, State::Failed) => Verdict::Never,
        // Somebody else has stopped it in the meantime.
        (true, State::Down) if !service.wanted => Verdict::Never,
        (false, State::Down | State::Failed | State::Finished | State::Scheduled) => Verdict::There,
        (true | false, _) => Verdict::NotYet,
    }
}
