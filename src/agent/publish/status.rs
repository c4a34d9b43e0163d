//! What a template has come to, and what there is to tell of a step's end.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::agent::publish::job::{How, Outcome};

/// What one template has come to, for `status`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Status {
    /// Its file.
    pub to: PathBuf,
    /// Turns in which the text was rendered.
    pub renders: u64,
    /// When that was last, on the wall clock, after 1970 UTC.
    pub rendered_at: Option<Duration>,
    /// Turns in which it was the file's already.
    pub same: u64,
    /// Reloads of its reader, and runs of its command.
    pub reloads: u64,
    /// Commands that haproxy's Runtime API took.
    pub api_calls: u64,
    /// Texts that are not in effect.
    pub rejected: u64,
    /// Why the last one is not; `None`: it is.
    pub why: Option<String>,
}

/// A step's end, for the log and `events`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// The template's file.
    pub to: PathBuf,
    /// What became of it.
    pub outcome: Outcome,
    /// From its begin.
    pub took: Duration,
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (to, took) = (self.to.display(), self.took.as_millis());
        match &self.outcome {
            Outcome::Same => write!(f, "{to}: nothing new"),
            Outcome::Applied(How::Commands(count)) => {
                let plural = if *count == 1 { "" } else { "s" };
                write!(f, "{to}: {count} command{plural} to haproxy, {took} ms")
            }
            Outcome::Applied(How::Reload(why)) => write!(f, "{to}: reloaded in {took} ms ({why})"),
            Outcome::Applied(How::Command) => write!(f, "{to}: applied in {took} ms"),
            Outcome::Applied(How::Written) => write!(f, "{to}: written"),
            Outcome::Rejected(why) => write!(f, "{to}: not in effect: {why}"),
        }
    }
}
