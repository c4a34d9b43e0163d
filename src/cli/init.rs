//! The boot: arguments, settings and definitions become a supervisor, or every fault is told and
//! the container does not start.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crate::cli::print::remark;
use crate::control::place::Place;
use crate::control::server::Server;
use crate::diag::{self, Diagnostic};
use crate::logs::format::column;
use crate::logs::router::{self, Router};
use crate::logs::story;
use crate::machine::slot::Limits;
use crate::os::pid1::Nofile;
use crate::os::reason::reason;
use crate::os::signals::{self, Signals};
use crate::os::spawner::Spawner;
use crate::os::{files, memory, pid1, users};
use crate::service::definition::Service;
use crate::service::environment::Environment;
use crate::service::settings;
use crate::service::settings::{SETTINGS, Settings};
use crate::supervisor::crew::{CMD, Crew, Sources, Style};
use crate::supervisor::{Boot, Supervisor};
use crate::values::Name;

/// sysexits(3): bad usage.
const BAD_USAGE: u8 = 64;
/// sysexits(3): something in the configuration is wrong.
const CONFIG: u8 = 78;

/// How many of the loop's descriptors (signals, clients, pollers) are looked at in one turn; more
/// of them wait for the next.
const IO_EVENTS: usize = 64;

/// Descriptors of PID 1 itself: the reactor, the signals, the output, some clients.
const DESCRIPTORS: usize = 64;
/// Descriptors of a service: both ends of two pipes, and two while it starts.
const DESCRIPTORS_EACH: usize = 6;

/// Longer than any container lives.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Arguments {
    /// `--services DIR`, as often as given.
    pub(super) services: Vec<PathBuf>,
    /// CMD; empty if there is none.
    pub(super) command: Vec<OsString>,
    /// What is made of the directories.
    pub(super) style: Style,
}

/// How it is called.
pub const USAGE: &str = "pidone init [--services DIR]... [--] [CMD ARG...]";

/// Its options, and the settings of pidone from their own table.
pub fn after_help() -> String {
    let mut text = "\
Options:
  --services DIR  Where services are defined, in place of PIDONE_SERVICES
  CMD ARG...      Becomes the main service, started when the others are ready

Settings, from the environment or by their keys from /etc/pidone/pidone.toml:
"
    .to_owned();
    for setting in SETTINGS {
        let name = settings::variable(setting.name);
        let (meaning, default) = (setting.meaning, setting.default);
        let _ = writeln!(text, "  {name:<20}  {meaning} [{default}]");
    }
    text
}

/// `pidone init [--services DIR]… [--] [CMD ARG…]`, and `/init [CMD ARG…]`.
pub fn run(args: Vec<OsString>) -> ExitCode {
    if args
        .first()
        .is_some_and(|word| word == "-h" || word == "--help")
    {
        return super::init_help();
    }
    match parse(args) {
        Ok(arguments) => boot(&arguments).unwrap_or_else(|code| code),
        Err(text) => {
            remark(&format!("error: {text}"));
            remark(&format!("hint: {USAGE}"));
            ExitCode::from(BAD_USAGE)
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
                style: Style::Native,
            });
        };
        let text = word.to_string_lossy();
        if word == "--" {
            return Ok(Arguments {
                services,
                command: args.collect(),
                style: Style::Native,
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
                style: Style::Native,
            });
        }
    }
}

/// Everything before the loop. `Err` is the exit code of a boot that ends here.
pub(super) fn boot(arguments: &Arguments) -> Result<ExitCode, ExitCode> {
    signals::undo_runtime();
    pid1::open_standard();
    pid1::close_on_exec_inherited();
    let environment: Environment = std::env::vars_os().collect();
    let mut faults = Vec::new();
    let settings = settings(&environment, arguments, &mut faults);
    let mut sources = Sources {
        dirs: settings.services.clone(),
        command: arguments.command.clone(),
        style: style(arguments),
    };
    let crew = sources.read(&environment, &mut faults);
    sources.begin();
    let control_group = control_group(&settings, &mut faults);
    tell_faults(&faults)?;
    if crew.cmd.is_none() {
        pid1::close_input();
    }
    let nofile = pid1::raise_nofile();
    pid1::reserve_descriptors(DESCRIPTORS + crew.services.len() * DESCRIPTORS_EACH);
    if !pid1::is_pid1()
        && let Err(error) = pid1::become_subreaper()
    {
        remark(&format!(
            "warning: orphans go to another process: {}",
            reason(&error)
        ));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // A thousand, as usual, would be 12 KiB.
        .max_io_events_per_tick(IO_EVENTS)
        .on_thread_park(memory::on_idle)
        .build();
    let runtime = runtime.map_err(|error| cannot("start", &error))?;
    let tasks = tokio::task::LocalSet::new();
    let code = tasks.block_on(&runtime, async {
        let made = supervisor(&settings, crew, sources, environment, control_group, nofile)?;
        Ok::<u8, ExitCode>(made.run().await)
    })?;
    Ok(ExitCode::from(code))
}

/// An image that `pidone s6 install` was run in is read as s6-overlay reads it, unless directories
/// were named.
fn style(arguments: &Arguments) -> Style {
    match &arguments.style {
        Style::Native if arguments.services.is_empty() => Style::of_image(),
        other @ (Style::Native | Style::Scandir { .. } | Style::Overlay { .. }) => other.clone(),
    }
}

/// What runs, made of what was read. A frame of its own, which is gone when the boot is over.
#[inline(never)]
fn supervisor(
    settings: &Settings,
    crew: Crew,
    sources: Sources,
    environment: Environment,
    control_group: Option<u32>,
    nofile: Option<Nofile>,
) -> Result<Box<Supervisor>, ExitCode> {
    story::install(settings.log).map_err(|why| cannot("log", &std::io::Error::other(why)))?;
    let router = router(&crew.services, settings).map_err(|e| cannot("open the output", &e))?;
    let server = server(settings, control_group);
    announce(&crew, settings);
    let boot = Boot {
        limits: Limits {
            stop: settings.stop_timeout,
            // There the last stage of the boot decides.
            cmd_wait: if sources.keeps_exit_code() {
                FOR_EVER
            } else {
                settings.cmd_wait
            },
        },
        format: settings.log_format,
        // From here on signals are heard; what came earlier has waited.
        signals: Signals::new(crew.cmd.is_some() || sources.style != Style::Native)
            .map_err(|error| cannot("hear signals", &error))?,
        spawner: Spawner::new(nofile),
        services: crew.services,
        cmd: crew.cmd,
        sources,
        environment,
        router,
        server,
    };
    Supervisor::new(boot).map_err(|error| cannot("start", &error))
}

fn cannot(what: &str, error: &std::io::Error) -> ExitCode {
    remark(&format!("error: cannot {what}: {}", reason(error)));
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
    faults.iter().for_each(|fault| remark(&fault.to_string()));
    let errors = diag::errors(faults);
    if errors == 0 {
        return Ok(());
    }
    let plural = if errors == 1 { "" } else { "s" };
    remark(&format!(
        "pidone * not started: {errors} error{plural}; exit {CONFIG}"
    ));
    Err(ExitCode::from(CONFIG))
}

/// The first line of the story.
fn announce(crew: &Crew, settings: &Settings) {
    let count = crew.services.len() - usize::from(crew.cmd.is_some());
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
    if !crew.replaced.is_empty() {
        let names: Vec<&str> = crew.replaced.iter().map(Name::as_str).collect();
        tracing::info!("{CMD} takes the place of {}", names.join(", "));
    }
    if crew.cmd.is_some() && count > 0 && pid1::has_terminal() {
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
            tracing::warn!("no control socket: {}", reason(&error));
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
