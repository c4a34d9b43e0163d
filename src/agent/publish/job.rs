//! The second step of a change: check the text, put it in the file's place, and where no less will
//! do let its reader take it and see that it did. It waits, so it has a thread.

use std::path::Path;
use std::time::Duration;

use crate::agent::config::Template as Settings;
use crate::agent::haproxy::runtime;
use crate::agent::publish::outside::{Asked, apply, approve, ask_reload};
use crate::agent::publish::swap::{Draft, resolved, take_back};
use crate::os::{clock, files};
use crate::values::Moment;

/// From a reload to the new worker: 50 ms, and seconds where the CPU is taken.
const VERIFY_TIME: Duration = Duration::from_secs(5);
/// A reload costs a new process: the next one waits for so long.
const RELOAD_PAUSE: Duration = Duration::from_millis(500);
/// The largest file that is replaced, bytes.
const TARGET_BYTES_MAX: u64 = 16 << 20;

/// How a text took effect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum How {
    /// By so many commands of haproxy's Runtime API.
    Commands(usize),
    /// By a reload: why no less would do.
    Reload(String),
    /// By a command.
    Command,
    /// Its reader does not run yet, or needs not be told.
    Written,
}

/// What became of a change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The file says so already.
    Same,
    /// It is in effect.
    Applied(How),
    /// It is not, and what was in effect still is: why.
    Rejected(String),
}

/// What is known of the reader behind a step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reader {
    /// Nothing new.
    AsBefore,
    /// It has what the file has, or will read it when it starts.
    HasFile,
    /// It is another process, which has the file.
    IsNew,
    /// It has not taken the file: it still has this text, where that is known.
    HasOld(Option<String>),
}

/// The step's end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Done {
    /// What became of the change.
    pub outcome: Outcome,
    /// Something is left that time may bring: look again.
    pub is_left: bool,
    /// Whether there was a reload.
    pub reloaded: bool,
    /// What is known of the reader now.
    pub reader: Reader,
}

/// One template's file and its reader.
pub struct Job {
    settings: Settings,
    /// A text that the check has refused, and its words.
    refused: Option<(String, String)>,
    reloaded_at: Option<Moment>,
    /// Of this step.
    reloaded: bool,
    is_left: bool,
    reader: Reader,
}

impl Job {
    /// The job of this template.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            refused: None,
            reloaded_at: None,
            reloaded: false,
            is_left: false,
            reader: Reader::AsBefore,
        }
    }

    /// Puts the text in the file. `take` says why its reader is to take it from there; `None`: it
    /// knows, or does not run.
    pub fn run(&mut self, text: &str, take: Option<String>) -> Done {
        (self.reloaded, self.is_left) = (false, false);
        self.reader = Reader::AsBefore;
        let outcome = match self.publish(text, take) {
            Ok(Some(how)) => Outcome::Applied(how),
            Ok(None) => Outcome::Same,
            Err(why) => Outcome::Rejected(why),
        };
        Done {
            outcome,
            is_left: self.is_left,
            reloaded: self.reloaded,
            reader: std::mem::replace(&mut self.reader, Reader::AsBefore),
        }
    }

    fn publish(&mut self, text: &str, take: Option<String>) -> Result<Option<How>, String> {
        let target = resolved(&self.settings.to);
        let old = present(&target)?;
        self.put(&target, text, old.as_deref())?;
        let Some(why) = take else {
            let is_same = old.as_deref() == Some(text.as_bytes());
            return Ok((!is_same).then_some(How::Written));
        };
        // Until it has taken the file.
        let before = old.clone().and_then(|old| String::from_utf8(old).ok());
        self.reader = Reader::HasOld(before);
        let how = if self.settings.apply.haproxy.is_some() {
            self.reload(&target, text, old.as_deref(), why)
        } else {
            self.tell(&target, old.as_deref())
        };
        how.map(Some)
    }

    /// Checks the text and puts it in the file's place.
    fn put(&mut self, target: &Path, text: &str, old: Option<&[u8]>) -> Result<(), String> {
        if old == Some(text.as_bytes()) {
            return Ok(());
        }
        if let Some((refused, why)) = &self.refused
            && refused == text
        {
            return Err(why.clone());
        }
        let draft = Draft::write(target, text.as_bytes()).inspect_err(|_| self.is_left = true)?;
        if let Some(check) = &self.settings.check
            && let Err(why) = approve(check, draft.path())
        {
            draft.reject();
            self.refused = Some((text.to_owned(), why.clone()));
            return Err(why);
        }
        self.refused = None;
        draft.take(old).inspect_err(|_| self.is_left = true)
    }

    /// Reloads haproxy, and sees that a new worker serves.
    fn reload(
        &mut self,
        target: &Path,
        text: &str,
        old: Option<&[u8]>,
        why: String,
    ) -> Result<How, String> {
        if !self.may_reload() {
            return Ok(How::Written);
        }
        let socket = self.settings.apply.haproxy.clone().unwrap_or_default();
        let before = runtime::worker(&socket).ok();
        let before_reload = self.reader.clone();
        let told = self.tell(target, old)?;
        if !self.reloaded {
            return Ok(told);
        }
        match runtime::await_other(&socket, before, VERIFY_TIME) {
            Ok(_) => {
                self.reader = Reader::IsNew;
                Ok(How::Reload(why))
            }
            Err(fault) => {
                self.reader = before_reload;
                // Tried again with another text only: each reload costs a process.
                self.refused = Some((text.to_owned(), fault.clone()));
                Err(took_back(target, old, &fault))
            }
        }
    }

    /// A reload that comes too soon after the last one is put off.
    fn may_reload(&mut self) -> bool {
        let now = clock::now();
        let is_early = self
            .reloaded_at
            .is_some_and(|at| now.since(at) < RELOAD_PAUSE);
        self.is_left |= is_early;
        !is_early
    }

    /// Makes the reader take its file, by what `apply` says.
    fn tell(&mut self, target: &Path, old: Option<&[u8]>) -> Result<How, String> {
        let wanted = self.settings.apply.clone();
        if let Some(service) = wanted.reload {
            if !self.may_reload() {
                return Ok(How::Written);
            }
            return match ask_reload(&service) {
                Ok(Asked::Done) => {
                    (self.reloaded, self.reloaded_at) = (true, Some(clock::now()));
                    self.reader = Reader::HasFile;
                    Ok(How::Reload(format!("{service} reads it anew")))
                }
                Ok(Asked::Starts) => {
                    self.is_left = true;
                    Ok(How::Written)
                }
                Ok(Asked::NotRunning) => {
                    self.reader = Reader::HasFile;
                    Ok(How::Written)
                }
                Err(why) => {
                    // The file is good: what is missing is somebody to say so.
                    self.is_left = true;
                    Err(why)
                }
            };
        }
        let Some(command) = wanted.command else {
            if wanted.haproxy.is_some() {
                return Err("haproxy needs a reload, and `apply` names no `reload`".to_owned());
            }
            return Ok(How::Written);
        };
        match apply(&command, target) {
            Ok(()) => {
                (self.reloaded, self.reloaded_at) = (true, Some(clock::now()));
                self.reader = Reader::HasFile;
                Ok(How::Command)
            }
            Err(why) => {
                // Its program may not run yet.
                self.is_left = true;
                Err(took_back(target, old, &why))
            }
        }
    }
}

fn took_back(target: &Path, old: Option<&[u8]>, why: &str) -> String {
    match take_back(target, old) {
        Ok(()) => why.to_owned(),
        Err(worse) => format!("{why}; and {worse}"),
    }
}

/// What is in the file now; `None` if there is none.
pub(super) fn present(target: &Path) -> Result<Option<Vec<u8>>, String> {
    match std::fs::symlink_metadata(target) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Ok(_) | Err(_) => files::bounded(target, TARGET_BYTES_MAX)
            .map(Some)
            .map_err(|why| format!("cannot replace {}: {why}", target.display())),
    }
}
