//! What a person types and sees: one screen a file. The verbs are defined here, once, for the
//! parser and the help alike.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind as UsageKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::control::client::Failure;
use crate::diag::{Diagnostic, nearest};
use crate::os::reason::reason;
use crate::os::users;
use crate::tools::{ship, syslog};

pub mod check;

pub mod import;

pub mod status;

pub mod page;

pub mod planned;

pub mod explain;

pub mod graph;

pub mod logs;

pub mod events;

pub mod goal;

pub mod control;

pub mod wait;

pub mod health;

pub mod shutdown;

pub mod render;

pub mod agent;

pub mod members;

mod counters;

pub mod rescan;

pub mod init;

pub mod help;

pub mod completions;

pub mod topics;

pub mod print;

/// A container's init: reaps, supervises, logs, and stops in order.
#[derive(Parser)]
#[command(
    name = "pidone",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    after_help = help::below()
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Show all services as a table, or a page for each NAME
    Status(status::Args),
    /// Tell why a service is not ready, and what to do
    Explain(explain::Args),
    /// Draw who needs whom, for Graphviz or Mermaid
    Graph(graph::Args),
    /// Start services, and wait until they are ready (a oneshot: finished)
    Start(control::ChangeArgs),
    /// Stop services, and wait until they are down
    Stop(control::ChangeArgs),
    /// Stop and start services, and wait until they are ready again
    Restart(control::ChangeArgs),
    /// Let services read their configuration again, by their `[reload]`
    Reload(control::ChangeArgs),
    /// Send a signal to services
    Signal(control::SignalArgs),
    /// Show the last lines that services have written
    Logs(logs::Args),
    /// Show the last changes of state, one a line
    Events(events::Args),
    /// Wait until services are ready, or down
    Wait(wait::Args),
    /// Exit 0 when every enabled service is well (for HEALTHCHECK)
    Health,
    /// Check service directories, and show every fault; nothing is started
    Check {
        /// Directories of services; without, PIDONE_SERVICES or /etc/services.d, and the programs
        /// that their commands name are looked for too
        #[arg(value_name = "DIR")]
        dirs: Vec<PathBuf>,
    },
    /// Write service directories for what another supervisor starts, and tell what is lost
    Import(import::Args),
    /// Show who is in the cluster
    Members(members::Args),
    /// Announce that a service is about to stop, and wait until it gets no more work
    Drain(members::DrainArgs),
    /// Be the membership agent, as a service
    #[command(
        override_usage = "pidone agent [--config FILE] [OPTION]...",
        after_help = "`pidone agent --help` tells what the options do",
        disable_help_flag = true
    )]
    Agent {
        /// Its options are read by hand
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
        args: Vec<OsString>,
    },
    /// Render a template once, to stdout or in a file's place
    Render(render::Args),
    /// Read the service directories again, and apply what has changed
    Rescan(rescan::Args),
    /// Stop all services in reverse order, and end the container
    Shutdown(shutdown::Args),
    /// Start the services and supervise them (as the entry point /init does)
    #[command(override_usage = init::USAGE, disable_help_flag = true)]
    Init {
        /// Its options are read by hand, and told below them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
        args: Vec<OsString>,
    },
    /// Take syslog messages and write them as lines, as a service
    Syslog(syslog::Args),
    /// Send lines to a collector of logs, as a service
    Ship(ship::Args),
    /// Be the init of a single command, without services
    #[command(
        override_usage = "pidone exec [-g] [--signal-map FROM:TO]... [--subreaper] -- CMD [ARG]...",
        after_help = "`pidone exec --help` tells what the options do",
        disable_help_flag = true
    )]
    Exec {
        /// Its options are read by hand
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
        args: Vec<OsString>,
    },
    /// Link the tools of s6 into an image that was built for them, or run one
    #[command(
        override_usage = "pidone s6 install [--root DIR]\n       pidone s6 NAME [ARG]...",
        after_help = "`pidone s6 --help` lists the tools",
        disable_help_flag = true
    )]
    S6 {
        /// Its words are read by hand
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
        args: Vec<OsString>,
    },
    /// Tell about a verb, or a topic
    Help(help::Args),
    /// Print what completes verbs and options in a shell
    Completions(completions::Args),
    /// Print the manual page of pidone, or of a verb
    Man(help::ManArgs),
}

/// How a verb ended that could be asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It is done, or the answer is yes: exit 0.
    Yes,
    /// The answer is no: exit 1.
    No,
}

/// Why a verb could not be done.
#[derive(Debug)]
pub enum Trouble {
    /// PID 1 refused, or could not be asked: exit 1 or 2.
    Asking(Failure),
    /// It was called in a way that makes no sense: exit 2.
    Usage(Box<Diagnostic>),
    /// Its screen could not be written.
    Output(io::Error),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Asking(failure)
    }
}

/// Exit code of a client verb: PID 1 could not be asked, or bad usage.
const COULD_NOT_ASK: u8 = 2;

/// Runs the verb that this command line names. `args` begins with the program's own name.
pub fn run(args: &[OsString]) -> ExitCode {
    let parsed = command().try_get_matches_from(args);
    match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => run_verb(cli.verb),
        Err(error) => explain(&error, args),
    }
}

/// Called as `serf`: the verbs of it that we have.
pub fn serf(args: &[OsString]) -> ExitCode {
    let rest = args.get(2..).unwrap_or_default();
    let texts: Vec<String> = rest
        .iter()
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    match args.get(1).and_then(|verb| verb.to_str()) {
        Some("agent") => agent::run(rest),
        Some("members") => exit_code(members::serf(&texts)),
        _other => {
            let error = Diagnostic::error("this is pidone, called as `serf`");
            exit_code(Err(Trouble::Usage(Box::new(
                error.hint("it has `serf agent` and `serf members [-format=json]`"),
            ))))
        }
    }
}

/// The parser, with the help that is made from other tables.
fn command() -> clap::Command {
    Cli::command().mut_subcommand("init", |init| init.after_help(init::after_help()))
}

/// Prints the help of `pidone init`, which reads its own arguments.
pub fn init_help() -> ExitCode {
    let mut command = command();
    let help = command.find_subcommand_mut("init");
    let help = help.map_or_else(String::new, |init| init.render_help().to_string());
    exit_code(print::show(&help).map(|()| Answer::Yes))
}

/// Prints the help of the whole program.
pub fn help() -> ExitCode {
    exit_code(print::show(&command().render_help().to_string()).map(|()| Answer::Yes))
}

fn run_verb(verb: Verb) -> ExitCode {
    exit_code(match verb {
        Verb::Status(args) => status::run(args),
        Verb::Explain(args) => explain::run(&args),
        Verb::Graph(args) => return graph::run(&args),
        Verb::Start(args) => control::start(args),
        Verb::Stop(args) => control::stop(args),
        Verb::Restart(args) => control::restart(args),
        Verb::Reload(args) => control::reload(args),
        Verb::Signal(args) => control::signal(args),
        Verb::Logs(args) => logs::run(&args),
        Verb::Events(args) => events::run(&args),
        Verb::Wait(args) => wait::run(&args),
        Verb::Health => health::run(),
        Verb::Members(args) => members::run(&args),
        Verb::Drain(args) => members::drain(&args),
        Verb::Agent { args } => return agent::run(&args),
        Verb::Render(args) => render::run(&args),
        Verb::Rescan(args) => rescan::run(&args),
        Verb::Shutdown(args) => shutdown::run(&args),
        Verb::Help(args) => help::run(args),
        Verb::Completions(args) => completions::run(&args),
        Verb::Man(args) => help::man(&args),
        Verb::Check { dirs } => {
            return check::run(&dirs, &|user| users::resolve(user).map(drop));
        }
        Verb::Import(args) => import::run(&args),
        Verb::Init { args } => return init::run(args),
        Verb::Syslog(args) => return ExitCode::from(syslog::run(&args)),
        Verb::Ship(args) => return ExitCode::from(ship::run(&args)),
        // `main` sees these roles before the parser does: here is only their help.
        Verb::Exec { args: _ } | Verb::S6 { args: _ } => return help(),
    })
}

fn exit_code(result: Result<Answer, Trouble>) -> ExitCode {
    match result {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        // Whoever reads has seen enough (`pidone logs | head`).
        Err(Trouble::Output(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(Trouble::Output(error)) => {
            print::complain(&Diagnostic::error(format!(
                "cannot write: {}",
                reason(&error)
            )));
            ExitCode::from(COULD_NOT_ASK)
        }
        Err(Trouble::Usage(diagnostic)) => {
            print::complain(&diagnostic);
            ExitCode::from(COULD_NOT_ASK)
        }
        Err(Trouble::Asking(failure)) => {
            print::complain(&failure.diagnostic());
            ExitCode::from(if failure.is_no() { 1 } else { COULD_NOT_ASK })
        }
    }
}

/// A command line that names nothing to run: help, the version, or a slip.
fn explain(error: &clap::Error, args: &[OsString]) -> ExitCode {
    match error.kind() {
        UsageKind::DisplayHelp | UsageKind::DisplayVersion => {
            exit_code(print::show(&error.to_string()).map(|()| Answer::Yes))
        }
        UsageKind::InvalidSubcommand => {
            let words: Vec<String> = args
                .iter()
                .skip(1)
                .map(|word| word.to_string_lossy().into_owned())
                .collect();
            exit_code(Err(Trouble::Usage(unknown_verb(&words).into())))
        }
        _misuse => {
            // clap's own text says which argument, and shows the usage.
            let _ = error.print();
            ExitCode::from(COULD_NOT_ASK)
        }
    }
}

/// `pidone sh` is somebody who wants a command run, `pidone statsu` is a slip.
fn unknown_verb(words: &[String]) -> Diagnostic {
    let word = words.first().map_or("", String::as_str);
    let command = Cli::command();
    let verbs = command.get_subcommands().map(clap::Command::get_name);
    let error = Diagnostic::error(format!("there is no verb `{word}`"));
    match nearest(word, verbs) {
        Some(near) => error.hint(format!("did you mean `pidone {near}`?")),
        None => error.hint(format!(
            "did you mean `pidone init -- {}`?",
            words.join(" ")
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn a_strange_verb_gets_a_hint() {
        let hint = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            unknown_verb(&words).hint.expect("there is one")
        };
        assert_eq!(hint(&["sh"]), "did you mean `pidone init -- sh`?");
        assert_eq!(
            hint(&["sh", "-c", "date"]),
            "did you mean `pidone init -- sh -c date`?"
        );
        assert_eq!(hint(&["statsu"]), "did you mean `pidone status`?");
    }
}
