//! The first step of a change: it is rendered, and a running haproxy is told at once of servers
//! that come and go. Some milliseconds; the file follows in a step of its own. It waits, so it
//! has a thread.

use crate::agent::config::Template as Settings;
use crate::agent::haproxy::runtime::{self, Change};
use crate::agent::publish::job::{Reader, present};
use crate::agent::publish::swap::resolved;
use crate::agent::publish::turn::Reach;
use crate::diag::Diagnostic;
use crate::os::files;
use crate::template::data::Data;
use crate::template::engine::{TEMPLATE_BYTES_MAX, Template};

/// What is to be done with a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// Nothing: file and reader have it.
    Nothing,
    /// The file is to have it too.
    Write,
    /// Its reader is to take it from the file: why no less will do.
    Take(String),
}

impl Wanted {
    /// How far the step of the file is to go.
    pub fn reach(&self) -> Option<Reach> {
        match self {
            Self::Nothing => None,
            Self::Write => Some(Reach::Write),
            Self::Take(_) => Some(Reach::Take),
        }
    }
}

/// The step's end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Served {
    /// The text and what it needs; or why there is none.
    pub text: Result<(String, Wanted), String>,
    /// Something is left that time may bring: look again.
    pub is_left: bool,
    /// Commands that haproxy took.
    pub commands: usize,
    /// Servers that get no new request from now on; they may still have some.
    pub leaving: Vec<String>,
}

/// One template, and what is known of its reader.
pub struct Servers {
    settings: Settings,
    /// The template as it was read last.
    template: Option<(Vec<u8>, Template)>,
    /// The text that the running reader has, if that is not the file's.
    running: Option<String>,
    /// The reader may have something else than we believe.
    is_stale: bool,
    /// Servers to be deleted once nobody is connected to them.
    doomed: Vec<String>,
}

impl Servers {
    /// Those of this template.
    pub fn new(settings: Settings) -> Self {
        Self {
            // haproxy can be asked what it has; another reader is believed to have its file.
            is_stale: settings.apply.haproxy.is_some(),
            settings,
            template: None,
            running: None,
            doomed: Vec::new(),
        }
    }

    /// Renders these data, and tells haproxy of the servers if that will do.
    pub fn run(&mut self, data: &Data) -> Served {
        self.delete();
        let mut served = Served {
            text: Err(String::new()),
            is_left: false,
            commands: 0,
            leaving: Vec::new(),
        };
        served.text = match self.render(data) {
            Ok(text) => self.serve(&text, &mut served).map(|wanted| (text, wanted)),
            Err(fault) => Err(fault.to_string()),
        };
        served.is_left |= !self.doomed.is_empty();
        served
    }

    /// What the step of the file has found out.
    pub fn learn(&mut self, reader: Reader) {
        match reader {
            Reader::AsBefore => {}
            Reader::HasFile => (self.running, self.is_stale) = (None, false),
            Reader::IsNew => {
                // What was to be deleted has gone with the old worker.
                (self.running, self.is_stale) = (None, false);
                self.doomed.clear();
            }
            Reader::HasOld(old) => {
                self.is_stale = true;
                if self.running.is_none() {
                    self.running = old;
                }
            }
        }
    }

    /// The file has the newest text.
    pub fn filed(&mut self) {
        self.running = None;
    }

    fn serve(&mut self, text: &str, served: &mut Served) -> Result<Wanted, String> {
        let old = present(&resolved(&self.settings.to))?;
        let is_same = old.as_deref() == Some(text.as_bytes());
        let has_it = self
            .running
            .as_deref()
            .is_none_or(|running| running == text);
        if is_same && has_it && !self.is_stale {
            return Ok(Wanted::Nothing);
        }
        let file = if is_same {
            Wanted::Nothing
        } else {
            Wanted::Write
        };
        let apply = &self.settings.apply;
        let (socket, backend) = match (&apply.haproxy, &apply.backend) {
            (Some(socket), Some(backend)) => (socket, backend),
            (Some(_), None) => return Ok(Wanted::Take("no backend is named".to_owned())),
            (None, Some(_) | None) => return Ok(Wanted::Take(String::new())),
        };
        let before = self.running.clone();
        let before = before.or_else(|| String::from_utf8(old?).ok());
        match runtime::change(socket, backend, before.as_deref(), text) {
            Change::Done {
                commands,
                leaving,
                doomed,
            } => {
                // It has them, whatever becomes of the file.
                (self.is_stale, served.commands) = (false, commands);
                // Even where the file says the same: another one may be about to take its place.
                self.running = Some(text.to_owned());
                served.leaving = leaving;
                // All that is not wanted, those that waited before too.
                self.doomed = doomed;
                self.delete();
                Ok(file)
            }
            Change::NotRunning => {
                (self.running, self.is_stale) = (None, true);
                self.doomed.clear();
                served.is_left = true;
                Ok(file)
            }
            Change::Reload(why) => Ok(Wanted::Take(why)),
        }
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

    fn delete(&mut self) {
        let doomed = std::mem::take(&mut self.doomed);
        let apply = &self.settings.apply;
        if let (false, Some(socket), Some(backend)) =
            (doomed.is_empty(), &apply.haproxy, &apply.backend)
        {
            self.doomed = runtime::delete(socket, backend, doomed);
        }
    }
}
