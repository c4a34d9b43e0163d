//! The whole way of one change of a template: render, tell haproxy at once if it can be told, check
//! the file, swap it, let its reader take it, see that it did. It waits, so it has a thread.

use std::path::Path;
use std::time::Duration;

use crate::agent::config::Template as Settings;
use crate::agent::haproxy::runtime::{self, Change};
use crate::agent::publish::outside::{Asked, apply, approve, ask_reload};
use crate::agent::publish::swap::{Draft, resolved, take_back};
use crate::diag::Diagnostic;
use crate::os::{clock, files};
use crate::template::data::Data;
use crate::template::engine::{TEMPLATE_BYTES_MAX, Template};
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

/// A job's end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Done {
    /// What became of the change.
    pub outcome: Outcome,
    /// Something is left that time may bring: look again.
    pub is_left: bool,
    /// Commands that haproxy took.
    pub commands: usize,
    /// Whether there was a reload.
    pub reloaded: bool,
}

/// One template's file and its reader.
pub struct Job {
    settings: Settings,
    /// The template as it was read last.
    template: Option<(Vec<u8>, Template)>,
    /// The text that the running reader has, if that is not the file's.
    running: Option<String>,
    /// The reader may have something else than the file says.
    is_stale: bool,
    /// Servers to be deleted once nobody is connected to them.
    doomed: Vec<String>,
    /// A text that the check has refused, and its words.
    refused: Option<(String, String)>,
    reloaded_at: Option<Moment>,
    /// Commands and reloads of this turn.
    commands: usize,
    reloaded: bool,
    is_left: bool,
}

impl Job {
    /// The job of this template.
    pub fn new(settings: Settings) -> Self {
        Self {
            // haproxy can be asked what it has; another reader is believed to have its file.
            is_stale: settings.apply.haproxy.is_some(),
            settings,
            template: None,
            running: None,
            doomed: Vec::new(),
            refused: None,
            reloaded_at: None,
            commands: 0,
            reloaded: false,
            is_left: false,
        }
    }

    /// Goes the whole way with these data.
    pub fn run(&mut self, data: &Data) -> Done {
        (self.commands, self.reloaded, self.is_left) = (0, false, false);
        let outcome = match self.publish(data) {
            Ok(None) => Outcome::Same,
            Ok(Some(how)) => Outcome::Applied(how),
            Err(why) => Outcome::Rejected(why),
        };
        Done {
            outcome,
            is_left: self.is_left,
            commands: self.commands,
            reloaded: self.reloaded,
        }
    }

    fn publish(&mut self, data: &Data) -> Result<Option<How>, String> {
        self.delete();
        let text = self.render(data).map_err(|fault| fault.to_string())?;
        let target = resolved(&self.settings.to);
        let old = present(&target)?;
        let is_same = old.as_deref() == Some(text.as_bytes());
        if is_same && !self.is_stale {
            return Ok(None);
        }
        let by_api = match (&self.settings.apply.haproxy, &self.settings.apply.backend) {
            (Some(socket), Some(backend)) => {
                let before = self.running.clone();
                let before = before.or_else(|| String::from_utf8(old.clone()?).ok());
                Some(runtime::change(socket, backend, before.as_deref(), &text))
            }
            (Some(_), None) => Some(Change::Reload("no backend is named".to_owned())),
            (None, Some(_) | None) => None,
        };
        let how = match by_api {
            Some(Change::Done { commands, doomed }) => {
                // It has them, whatever becomes of the file.
                (self.is_stale, self.commands) = (false, commands);
                self.running = Some(text.clone());
                self.doomed.extend(doomed);
                self.delete();
                self.put(&target, &text, old.as_deref(), is_same)?;
                self.running = None;
                (commands > 0 || !is_same).then_some(How::Commands(commands))
            }
            Some(Change::NotRunning) => {
                self.put(&target, &text, old.as_deref(), is_same)?;
                (self.running, self.is_stale, self.is_left) = (None, true, true);
                (!is_same).then_some(How::Written)
            }
            Some(Change::Reload(why)) => {
                if self.running.is_none() {
                    self.running = old.clone().and_then(|old| String::from_utf8(old).ok());
                }
                self.put(&target, &text, old.as_deref(), is_same)?;
                self.reload(&target, &text, old.as_deref(), why)?
            }
            None => {
                self.put(&target, &text, old.as_deref(), is_same)?;
                self.tell(&target, old.as_deref())?
            }
        };
        Ok(how)
    }

    /// The template is read anew, so that a better one heals.
    fn render(&mut self, data: &Data) -> Result<String, Box<Diagnostic>> {
        let path = &self.settings.from;
        let fault = |why: String| {
            let fault = format!("cannot read {}: {why}", path.display());
            Box::new(Diagnostic::error(fault).in_file(path))
        };
        let bytes = files::bounded(path, TEMPLATE_BYTES_MAX).map_err(fault)?;
        let known = self.template.take().filter(|(known, _)| *known == bytes);
        let (bytes, template) = match known {
            Some(known) => known,
            None => {
                let source = String::from_utf8(bytes.clone());
                let source = source.map_err(|_| fault("it is not UTF-8".to_owned()))?;
                (bytes, Template::parse(path, source)?)
            }
        };
        let (_, template) = self.template.insert((bytes, template));
        template.render(data)
    }

    /// Checks the text and puts it in the file's place.
    fn put(
        &mut self,
        target: &Path,
        text: &str,
        old: Option<&[u8]>,
        is_same: bool,
    ) -> Result<(), String> {
        if is_same {
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
    ) -> Result<Option<How>, String> {
        if !self.may_reload() {
            return Ok(Some(How::Written));
        }
        let socket = self.settings.apply.haproxy.clone().unwrap_or_default();
        let before = runtime::worker(&socket).ok();
        let told = self.tell(target, old)?;
        if !self.reloaded {
            return Ok(told);
        }
        match runtime::await_other(&socket, before, VERIFY_TIME) {
            Ok(_) => {
                // What was to be deleted has gone with the old worker.
                (self.running, self.is_stale) = (None, false);
                self.doomed.clear();
                Ok(Some(How::Reload(why)))
            }
            Err(fault) => {
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
        if is_early {
            (self.is_stale, self.is_left) = (true, true);
        }
        !is_early
    }

    /// Makes the reader take its file, by what `apply` says.
    fn tell(&mut self, target: &Path, old: Option<&[u8]>) -> Result<Option<How>, String> {
        let wanted = self.settings.apply.clone();
        if let Some(service) = wanted.reload {
            if !self.may_reload() {
                return Ok(Some(How::Written));
            }
            return match ask_reload(&service) {
                Ok(Asked::Done) => {
                    (self.reloaded, self.reloaded_at) = (true, Some(clock::now()));
                    self.is_stale = false;
                    Ok(Some(How::Reload(format!("{service} reads it anew"))))
                }
                Ok(Asked::Starts) => {
                    (self.is_stale, self.is_left) = (true, true);
                    Ok(Some(How::Written))
                }
                Ok(Asked::NotRunning) => {
                    self.is_stale = false;
                    Ok(Some(How::Written))
                }
                Err(why) => {
                    // The file is good: what is missing is somebody to say so.
                    (self.is_stale, self.is_left) = (true, true);
                    Err(why)
                }
            };
        }
        let Some(command) = wanted.command else {
            if wanted.haproxy.is_some() {
                return Err("haproxy needs a reload, and `apply` names no `reload`".to_owned());
            }
            return Ok(Some(How::Written));
        };
        match apply(&command, target) {
            Ok(()) => {
                (self.reloaded, self.reloaded_at) = (true, Some(clock::now()));
                self.is_stale = false;
                Ok(Some(How::Command))
            }
            Err(why) => {
                // Its program may not run yet.
                (self.is_stale, self.is_left) = (true, true);
                Err(took_back(target, old, &why))
            }
        }
    }

    fn delete(&mut self) {
        let doomed = std::mem::take(&mut self.doomed);
        let apply = &self.settings.apply;
        if let (false, Some(socket), Some(backend)) =
            (doomed.is_empty(), &apply.haproxy, &apply.backend)
        {
            self.doomed = runtime::delete(socket, backend, doomed);
        }
        self.is_left |= !self.doomed.is_empty();
    }
}

fn took_back(target: &Path, old: Option<&[u8]>, why: &str) -> String {
    match take_back(target, old) {
        Ok(()) => why.to_owned(),
        Err(worse) => format!("{why}; and {worse}"),
    }
}

/// What is in the file now; `None` if there is none.
fn present(target: &Path) -> Result<Option<Vec<u8>>, String> {
    match std::fs::symlink_metadata(target) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Ok(_) | Err(_) => files::bounded(target, TARGET_BYTES_MAX)
            .map(Some)
            .map_err(|why| format!("cannot replace {}: {why}", target.display())),
    }
}
