//! The boot: arguments, settings and definitions become a supervisor, or every fault is told and
//! the container does not start.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::control::place::Place;
use crate::control::server::Server;
use crate::diag::{Diagnostic, Severity};
use crate::logs::format::column;
use crate::logs::router::{self, Router};
use crate::logs::story;
use crate::machine::slot::Limits;
use crate::os::pid1::Nofile;
use crate::os::signals::{self, Signals};
use crate::os::spawner::Spawner;
use crate::os::{files, pid1, users};
use crate::service::definition::{Format, Output, Restart, Service, When};
use crate::service::environment::Environment;
use crate::service::settings::Settings;
use crate::service::{set, settings};
use crate::supervisor::{Boot, Supervisor};
use crate::values::Name;

/// sysexits(3): bad usage.
const USAGE: u8 = 64;
/// sysexits(3): something in the configuration is wrong.
const CONFIG: u8 = 78;

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
struct Arguments {
    /// `--services DIR`, as often as given.
    services: Vec<PathBuf>,
    /// CMD; empty if there is none.
    command: Vec<OsString>,
}

/// `pidone init [--services DIR]… [--] [CMD ARG…]`, and `/init [CMD ARG…]`.
pub fn run(args: Vec<OsString>) -> ExitCode {
    match parse(args) {
        Ok(arguments) => boot(&arguments).unwrap_or_else(|code| code),
        Err(text) => {
            eprintln!("error: {text}");
            eprintln!("hint: `pidone init [--services DIR]… [--] [CMD ARG…]`");
            ExitCode::from(USAGE)
        }
    }
}

/// By hand, and not by the parser of the client's verbs: the init's path stays small, and whatever
/// follows the first word that is no option is CMD's, untouched.
fn parse(args: Vec<OsString>) -> Result<Arguments, String> {
    let mut services = Vec::new();
    let mut args = args.into_iter();
    loop {
        let Some(word) = args.next() else {
            return Ok(Arguments {
                services,
                command: Vec::new(),
            });
        };
        let text = word.to_string_lossy();
        if word == "--" {
            return Ok(Arguments {
                services,
                command: args.collect(),
            });
        } else if word == "--services" {
            let dir = args.next().ok_or("`--services` needs a directory")?;
            services.push(PathBuf::from(dir));
        } else if let Some(dir) = text.strip_prefix("--services=") {
            services.push(PathBuf::from(dir));
        } else if text.starts_with('-') {
            return Err(format!("unknown option `{text}`"));
        } else {
            return Ok(Arguments {
                services,
                command: std::iter::once(word).chain(args).collect(),
            });
        }
    }
}

/// Everything before the loop. `Err` is the exit code of a boot that ends here.
fn boot(arguments: &Arguments) -> Result<ExitCode, ExitCode> {
    signals::undo_runtime();
    pid1::open_standard();
    pid1::close_on_exec_inherited();
    let environment: Environment = std::env::vars_os().collect();
    let mut faults = Vec::new();
    let settings = settings(&environment, arguments, &mut faults);
    let (services, cmd) = services(&settings, arguments, &environment, &mut faults);
    let control_group = control_group(&settings, &mut faults);
    tell_faults(&faults)?;
    if cmd.is_none() {
        pid1::close_input();
    }
    let nofile = pid1::raise_nofile();
    if !pid1::is_pid1()
        && let Err(error) = pid1::become_subreaper()
    {
        eprintln!("warning: orphans go to another process: {error}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| cannot("start", &error))?;
    let tasks = tokio::task::LocalSet::new();
    let code = tasks.block_on(&runtime, async {
        let made = supervisor(&settings, services, cmd, environment, control_group, nofile)?;
        Ok::<u8, ExitCode>(made.run().await)
    })?;
    Ok(ExitCode::from(code))
}

/// What runs, made of what was read. A frame of its own, which is gone when the boot is over.
#[inline(never)]
fn supervisor(
    settings: &Settings,
    services: Vec<Service>,
    cmd: Option<usize>,
    environment: Environment,
    control_group: Option<u32>,
    nofile: Option<Nofile>,
) -> Result<Box<Supervisor>, ExitCode> {
    story::install(settings.log).map_err(|error| cannot("log", &error))?;
    let router = router(&services, settings).map_err(|e| cannot("open the output", &e))?;
    let server = server(settings, control_group);
    announce(&services, settings, cmd.is_some());
    let boot = Boot {
        limits: Limits {
            stop: settings.stop_timeout,
            cmd_wait: settings.cmd_wait,
        },
        format: settings.log_format,
        // From here on signals are heard; what came earlier has waited.
        signals: Signals::new(cmd.is_some()).map_err(|error| cannot("hear signals", &error))?,
        spawner: Spawner::new(nofile),
        services,
        cmd,
        environment,
        router,
        server,
    };
    Supervisor::new(boot).map_err(|error| cannot("start", &error))
}

fn cannot(what: &str, error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("error: cannot {what}: {error}");
    ExitCode::FAILURE
}

fn settings(
    environment: &Environment,
    arguments: &Arguments,
    faults: &mut Vec<Diagnostic>,
) -> Settings {
    let path = std::path::Path::new(settings::FILE);
    let file = files::settings(path).unwrap_or_else(|fault| {
        faults.push(fault);
        None
    });
    let (mut settings, found) =
        settings::read(environment, file.as_deref().map(|text| (path, text)));
    faults.extend(found);
    if !arguments.services.is_empty() {
        settings.services.clone_from(&arguments.services);
    }
    for dir in &mut settings.services {
        // A service starts in a directory of its own, where a relative path means something else.
        if let Ok(absolute) = std::path::absolute(&*dir) {
            *dir = absolute;
        }
    }
    settings
}

/// The services of the directories, and CMD behind them, with its number.
fn services(
    settings: &Settings,
    arguments: &Arguments,
    environment: &Environment,
    faults: &mut Vec<Diagnostic>,
) -> (Vec<Service>, Option<usize>) {
    let found = files::services(&settings.services);
    faults.extend(found.diagnostics);
    let known = |user: &str| users::resolve(user).map(drop);
    let loaded = set::load(&found.directories, environment, &known);
    faults.extend(loaded.diagnostics);
    let mut services = loaded.services;
    if arguments.command.is_empty() {
        if services.is_empty() && faults.is_empty() {
            let dirs: Vec<String> = settings
                .services
                .iter()
                .map(|dir| dir.display().to_string())
                .collect();
            faults.push(
                Diagnostic::error(format!(
                    "no services in {}, and no command",
                    dirs.join(", ")
                ))
                .hint("a service is a directory with a `service.toml` or an executable `run`"),
            );
        }
        return (services, None);
    }
    if services.iter().any(|service| service.name.as_str() == CMD) {
        faults.push(
            Diagnostic::error(format!(
                "a service cannot be named `{CMD}` beside a command"
            ))
            .hint("that is the name of the command that the container was given"),
        );
    }
    // CMD takes the place of a declared main service, as it takes that of an image's own CMD.
    services
        .iter_mut()
        .filter(|service| service.main)
        .for_each(|service| {
            service.main = false;
            service.enabled = false;
        });
    match command(&arguments.command, &services) {
        Ok(cmd) => services.push(cmd),
        Err(fault) => faults.push(fault),
    }
    let cmd = services.len().checked_sub(1);
    (services, cmd)
}

/// The name of the service that CMD becomes.
const CMD: &str = "cmd";

/// CMD as a service: it waits for the others (but not with a terminal: a person wants to see what
/// is wrong), keeps PID 1's own input and output, and the container ends with it.
fn command(words: &[OsString], services: &[Service]) -> Result<Service, Diagnostic> {
    let word = |word: &OsString| {
        word.to_str().map(str::to_owned).ok_or_else(|| {
            Diagnostic::error(format!(
                "the command's `{}` is not UTF-8",
                word.to_string_lossy()
            ))
        })
    };
    let words = words
        .iter()
        .map(word)
        .collect::<Result<Vec<String>, Diagnostic>>()?;
    let name: Name = CMD
        .parse()
        .map_err(|text: String| Diagnostic::error(text))?;
    let needs = services
        .iter()
        .filter(|service| service.enabled)
        .map(|s| s.name.clone());
    Ok(Service {
        file: CMD.to_uppercase().into(),
        main: true,
        needs: if pid1::has_terminal() {
            Vec::new()
        } else {
            needs.collect()
        },
        restart: Restart {
            when: When::Never,
            ..Restart::default()
        },
        output: Output::Container(Some(Format::Inherit)),
        ..Service::new(name, words)
    })
}

/// The group that may look at the control socket, as a number.
fn control_group(settings: &Settings, faults: &mut Vec<Diagnostic>) -> Option<u32> {
    let name = settings.control_group.as_deref()?;
    match users::group(name) {
        Ok(gid) => Some(gid),
        Err(text) => {
            faults.push(Diagnostic::error(format!("PIDONE_CONTROL_GROUP: {text}")));
            None
        }
    }
}

/// All of them, on stderr; an error among them ends the boot.
fn tell_faults(faults: &[Diagnostic]) -> Result<(), ExitCode> {
    faults.iter().for_each(|fault| eprintln!("{fault}"));
    let errors = faults
        .iter()
        .filter(|fault| fault.severity == Severity::Error)
        .count();
    if errors == 0 {
        return Ok(());
    }
    let plural = if errors == 1 { "" } else { "s" };
    eprintln!("pidone * not started: {errors} error{plural}; exit {CONFIG}");
    Err(ExitCode::from(CONFIG))
}

/// The first line of the story.
fn announce(services: &[Service], settings: &Settings, has_cmd: bool) {
    let count = services
        .iter()
        .filter(|service| service.name.as_str() != CMD)
        .count();
    let plural = if count == 1 { "" } else { "s" };
    let dirs: Vec<String> = settings
        .services
        .iter()
        .map(|dir| dir.display().to_string())
        .collect();
    let role = if pid1::is_pid1() {
        String::new()
    } else {
        ", as a subreaper".into()
    };
    tracing::info!(
        "{count} service{plural} from {}, pid {}{role}",
        dirs.join(", "),
        std::process::id()
    );
    if has_cmd && count > 0 && pid1::has_terminal() {
        tracing::warn!("{CMD} has the terminal, so it does not wait for the services to be ready");
    }
    if !pid1::is_pid1() && !pid1::has_proc() {
        tracing::warn!("no /proc: processes that leave their service's group are not found");
    }
}

/// The control socket. A container without one still runs.
fn server(settings: &Settings, group: Option<u32>) -> Option<Server> {
    let places = Place::candidates(settings.socket.clone(), pid1::uid());
    match Server::bind(&places, group) {
        Ok(server) => Some(server),
        Err(error) => {
            tracing::warn!("no control socket: {error}");
            None
        }
    }
}

fn router(services: &[Service], settings: &Settings) -> std::io::Result<Router> {
    let settings = router::Settings {
        format: settings.log_format,
        memory: settings.log_memory,
        services: services.len(),
        column: column(services.iter().map(|service| &service.name)),
    };
    Router::new(std::io::stdout(), std::io::stderr(), settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<(usize, Vec<OsString>), String> {
        let words = words.iter().map(OsString::from).collect();
        parse(words).map(|arguments| (arguments.services.len(), arguments.command))
    }

    #[test]
    fn what_follows_the_first_word_is_the_commands_own() {
        let sh = || ["sh", "-c", "exit 7"].map(OsString::from).to_vec();
        assert_eq!(parsed(&[]), Ok((0, vec![])));
        assert_eq!(parsed(&["sh", "-c", "exit 7"]), Ok((0, sh())));
        assert_eq!(parsed(&["--", "sh", "-c", "exit 7"]), Ok((0, sh())));
        assert_eq!(
            parsed(&["--services", "a", "--services=b", "--"]),
            Ok((2, vec![]))
        );
        assert!(parsed(&["--service", "a"]).is_err());
        assert!(parsed(&["--services"]).is_err());
    }
}
