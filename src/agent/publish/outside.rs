//! Whom a change needs beside haproxy's socket: the check of a file, a command, PID 1's reload.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use crate::control::client::{self, Client, Failure};
use crate::control::protocol::{Request, State};
use crate::os::run::{Ended, Ending, run};

/// For the check of a file: haproxy needs 50 ms for a thousand servers.
const CHECK_TIME: Duration = Duration::from_secs(5);
/// For a command that makes a program take its file.
const APPLY_TIME: Duration = Duration::from_secs(10);
/// How much is told of what a command says, characters.
const SAID_CHARS_MAX: usize = 1000;

/// Runs the check on a file.
pub(super) fn approve(check: &[String], file: &Path) -> Result<(), String> {
    let command = with_file(check, file);
    verdict(&command, &run(&command, environment(), b"", CHECK_TIME))
}

fn with_file(command: &[String], file: &Path) -> Vec<String> {
    let file = file.display().to_string();
    let words = command.iter();
    words.map(|word| word.replace("{{file}}", &file)).collect()
}

/// Runs the command that makes a program take this file.
pub(super) fn apply(command: &[String], file: &Path) -> Result<(), String> {
    let command = with_file(command, file);
    verdict(&command, &run(&command, environment(), b"", APPLY_TIME))
}

fn environment() -> Vec<(OsString, OsString)> {
    std::env::vars_os().collect()
}

fn verdict(command: &[String], ended: &Ended) -> Result<(), String> {
    let name = command.first().map_or("", String::as_str);
    let ending = match &ended.ending {
        Ending::Exit(exit) if exit.is_success() => return Ok(()),
        Ending::Exit(exit) => format!("`{name}` says no: {exit}"),
        Ending::Late => format!("`{name}` has not ended in time, and was killed"),
        Ending::NotRun(why) => why.clone(),
    };
    let said = String::from_utf8_lossy(&ended.output);
    let said: String = said.trim().chars().take(SAID_CHARS_MAX).collect();
    Err(if said.is_empty() {
        ending
    } else {
        format!("{ending}\n{said}")
    })
}

/// What became of the wish for a reload.
pub(super) enum Asked {
    Done,
    /// The service is still starting: ask again.
    Starts,
    /// It will read the file when it starts.
    NotRunning,
}

/// Asks PID 1 for a reload. A service that is still starting might die of the signal.
pub(super) fn ask_reload(service: &str) -> Result<Asked, String> {
    let told = |failure: &Failure| failure.diagnostic().message;
    let names = vec![service.to_owned()];
    let mut client = Client::connect(&client::places()).map_err(|why| told(&why))?;
    let state = client.status(names.clone(), false).ok();
    let state = state.and_then(|status| status.services.first().map(|one| one.state));
    match state {
        Some(State::Starting) => return Ok(Asked::Starts),
        Some(
            State::Down
            | State::Waiting
            | State::WaitingToRestart
            | State::Finishing
            | State::Finished
            | State::Failed,
        ) => return Ok(Asked::NotRunning),
        Some(_) | None => {}
    }
    // A refusal may have ended the first conversation.
    let mut client = Client::connect(&client::places()).map_err(|why| told(&why))?;
    match client.ask(&Request::Reload { names }) {
        Ok(_) => Ok(Asked::Done),
        Err(failure) if told(&failure).ends_with("does not run") => Ok(Asked::NotRunning),
        Err(failure) => Err(format!("cannot reload {service}: {}", told(&failure))),
    }
}
