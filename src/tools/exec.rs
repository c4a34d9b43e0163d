//! `pidone exec`: an init for a single command, as tini is one. It starts the command in front of
//! the terminal, forwards every signal to it, reaps everybody, and ends as the command ended.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};

use crate::diag::Diagnostic;
use crate::os::attempt::{ExecError, Progress};
use crate::os::plan::{Plan, Session};
use crate::os::reason::reason;
use crate::os::signals::{block_all, hear_of_children};
use crate::os::spawner::{Spawned, Spawner};
use crate::os::{kill, pid1};
use crate::tools::single::{Heard, attend};
use crate::values::{Pid, Signal};

const USAGE: &str = "\
usage: pidone exec [-g] [--signal-map FROM:TO]... [--subreaper] -- CMD [ARG]...

Runs CMD as its only child: forwards signals to it, reaps orphans, ends as CMD ends.

  -g                     signals go to CMD's whole process group
  --signal-map FROM:TO   TO is sent where FROM was received
  --subreaper            reaps orphans where something else is PID 1

Exit code: CMD's own, 128 + n if signal n ended it, 127 if it is not there, 126 if it cannot be
executed, 64 for wrong usage.
";

/// Bad usage, as sysexits(3) has it.
const CODE_USAGE: u8 = 64;

/// The whole tool; gives the exit code: the command's own, 128 + n if a signal ended it, 127 or
/// 126 if it could not be run, 64 for bad usage.
pub fn run(args: &[OsString]) -> u8 {
    block_all();
    hear_of_children();
    match Order::read(args) {
        Ok(Asked::Help) => {
            let _ = io::stdout().write_all(USAGE.as_bytes());
            0
        }
        Ok(Asked::Run(order)) => order.execute(),
        Err(fault) => {
            say(&fault);
            CODE_USAGE
        }
    }
}

/// Boxed, for it is many times as large as what a success gives.
type Fault = Box<Diagnostic>;

#[derive(PartialEq, Eq, Debug)]
enum Asked {
    Help,
    Run(Order),
}

/// What the arguments ask for.
#[derive(PartialEq, Eq, Debug)]
struct Order {
    group: bool,
    subreaper: bool,
    map: Vec<(Signal, Signal)>,
    command: Vec<OsString>,
}

impl Order {
    /// Reads the arguments behind `exec`. The first that is no option starts the command, so `--`
    /// is needed only before a command that looks like an option.
    fn read(args: &[OsString]) -> Result<Asked, Fault> {
        let mut order = Self {
            group: false,
            subreaper: false,
            map: Vec::new(),
            command: Vec::new(),
        };
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            let text = arg.to_string_lossy();
            match &*text {
                "-h" | "--help" => return Ok(Asked::Help),
                "-g" => order.group = true,
                "--subreaper" => order.subreaper = true,
                "--signal-map" => order
                    .map
                    .push(mapping(rest.next().map(OsString::as_os_str))?),
                "--" => {
                    order.command = rest.cloned().collect();
                    break;
                }
                option if option.starts_with("--signal-map=") => {
                    let value = option.trim_start_matches("--signal-map=");
                    order.map.push(mapping(Some(OsStr::new(value)))?);
                }
                option if option.starts_with('-') => {
                    return Err(Diagnostic::error(format!("unknown option `{option}`"))
                        .hint("pidone exec [-g] [--signal-map FROM:TO]... [--subreaper] -- CMD")
                        .into());
                }
                _ => {
                    order.command = [arg].into_iter().chain(rest).cloned().collect();
                    break;
                }
            }
        }
        if order.command.is_empty() {
            return Err(Diagnostic::error("there is no command to run")
                .hint("pidone exec -- CMD [ARG]...")
                .into());
        }
        Ok(Asked::Run(order))
    }

    fn execute(self) -> u8 {
        if self.subreaper
            && let Err(error) = pid1::become_subreaper()
        {
            say(&Diagnostic::warning(format!(
                "cannot become a subreaper: {}",
                reason(&error)
            )));
        }
        let mut plan = Plan::new(self.command.clone(), env::vars_os().collect());
        plan.session = Session::Foreground;
        match Spawner::new(None).spawn(&plan) {
            Ok(spawned) => self.attend(&spawned),
            Err(error) => not_run(&error),
        }
    }

    /// Forwards and reaps until the command has ended.
    fn attend(&self, command: &Spawned) -> u8 {
        let exit = attend(command.pid, |heard| match heard {
            Heard::Signal(signal) => self.forward(command.pid, signal),
            Heard::Dead(..) | Heard::Buried(_) => {}
        });
        match command.attempt.progress() {
            Progress::Failed(error) => not_run(&error),
            Progress::Executed | Progress::Pending => exit.code(),
        }
    }

    fn forward(&self, command: Pid, signal: Signal) {
        // Our children's deaths are our business; the terminal's complaints about a process in
        // the background mean us, not the command, which is in front.
        if matches!(signal.raw(), libc::SIGCHLD | libc::SIGTTIN | libc::SIGTTOU) {
            return;
        }
        let mapped = self.map.iter().rev().find(|(from, _)| *from == signal);
        let signal = mapped.map_or(signal, |(_, to)| *to);
        // A command that has just ended hears nothing more; its death is what comes next.
        let _ = if self.group {
            kill::group(command, signal)
        } else {
            kill::process(command, signal)
        };
    }
}

fn mapping(value: Option<&OsStr>) -> Result<(Signal, Signal), Fault> {
    let text = value.unwrap_or_default().to_string_lossy();
    let (from, to) = text.split_once(':').ok_or_else(|| {
        Box::new(Diagnostic::error("`--signal-map` needs FROM:TO").hint("--signal-map TERM:QUIT"))
    })?;
    let signal = |word: &str| {
        word.parse::<Signal>().map_err(|error| {
            let names: Vec<String> = Signal::names().collect();
            let names = names.iter().map(String::as_str);
            Fault::new(Diagnostic::error(error).suggest(&word.to_ascii_uppercase(), names))
        })
    };
    Ok((signal(from)?, signal(to)?))
}

fn not_run(error: &ExecError) -> u8 {
    let told = Diagnostic::error(error.to_string());
    say(&match error.hint() {
        Some(hint) => told.hint(hint),
        None => told,
    });
    error.code()
}

fn say(message: &Diagnostic) {
    // Nobody reads our stderr: then nobody misses it.
    let _ = write!(io::stderr(), "{message}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &[&str]) -> Result<Asked, String> {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        Order::read(&args).map_err(|fault| fault.to_string())
    }

    fn order(args: &[&str]) -> Order {
        match read(args) {
            Ok(Asked::Run(order)) => order,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_end_where_the_command_starts() {
        let all = order(&[
            "-g",
            "--signal-map",
            "TERM:QUIT",
            "--subreaper",
            "--",
            "-g",
            "--",
        ]);
        assert!(all.group && all.subreaper);
        assert_eq!(all.map, [(Signal::TERM, Signal::QUIT)]);
        assert_eq!(all.command, ["-g", "--"]);
        let bare = order(&["--signal-map=15:SIGINT", "sh", "-g"]);
        assert!(!bare.group);
        assert_eq!(bare.map, [(Signal::TERM, Signal::INT)]);
        assert_eq!(bare.command, ["sh", "-g"]);
        assert_eq!(read(&["--help"]), Ok(Asked::Help));
    }

    #[test]
    fn bad_usage_is_told() {
        for (args, told) in [
            (&[][..], "there is no command to run"),
            (&["-g", "--"], "there is no command to run"),
            (&["-x", "sh"], "unknown option `-x`"),
            (&["--signal-map"], "needs FROM:TO"),
            (&["--signal-map", "TERM", "sh"], "needs FROM:TO"),
            (
                &["--signal-map", "TERM:SIGQUITT", "sh"],
                "did you mean `SIGQUIT`?",
            ),
        ] {
            let fault = read(args).unwrap_err();
            assert!(fault.contains(told), "{args:?}: {fault}");
        }
    }
}
