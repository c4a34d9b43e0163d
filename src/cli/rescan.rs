//! `pidone rescan`: the service directories are read again, and what has changed is applied.

use std::fmt::Write as _;

use crate::cli::print::{remark, show};
use crate::cli::{Answer, Trouble};
use crate::control::client::{Client, Failure, places, unexpected};
use crate::control::protocol::{Reply, Request, Rescanned};
use crate::diag::printable;

/// What `pidone rescan` takes.
#[derive(clap::Args)]
pub struct Args {
    /// Tell what has changed, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Asks, and tells what PID 1 has done. With a fault in any definition it does nothing, and every
/// fault is told.
///
/// # Errors
/// PID 1 refuses, or cannot be asked.
pub fn run(args: &Args) -> Result<Answer, Trouble> {
    let mut client = Client::connect(&places())?;
    let dry_run = args.dry_run;
    match client.ask(&Request::Rescan { dry_run }) {
        Ok(Reply::Rescanned(done)) => {
            done.warnings.iter().for_each(|text| tell(text));
            show(&screen(&done))?;
            Ok(Answer::Yes)
        }
        Ok(other) => Err(unexpected(&other).into()),
        Err(Failure::Refused(refusal)) => {
            refusal.faults.iter().for_each(|text| tell(text));
            Err(Failure::Refused(refusal).into())
        }
        Err(failure) => Err(failure.into()),
    }
}

/// A fault, as `pidone check` shows it.
fn tell(fault: &str) {
    let lines: Vec<String> = fault.lines().map(printable).collect();
    remark(&(lines.join("\n") + "\n"));
}

/// Who was concerned, one line a kind, and how many were not.
pub fn screen(done: &Rescanned) -> String {
    let words = if done.dry_run {
        ["to start", "to restart", "to stop", "to update"]
    } else {
        ["started", "restarted", "stopped", "updated"]
    };
    let lists = [&done.started, &done.restarted, &done.stopped, &done.updated];
    let mut screen = String::new();
    for (word, names) in words.into_iter().zip(lists) {
        if !names.is_empty() {
            let names: Vec<String> = names.iter().map(|name| printable(name)).collect();
            // Writing to a string cannot fail.
            let _ = writeln!(screen, "{word:<10}  {}", names.join(", "));
        }
    }
    if !screen.is_empty() {
        screen.push('\n');
    }
    let count = done.unchanged;
    let plural = if count == 1 { "" } else { "s" };
    let _ = writeln!(screen, "{count} service{plural} unchanged");
    screen
}
