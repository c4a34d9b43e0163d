//! Whom a container runs: the services of its directories, and CMD, which becomes one of them.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use crate::diag::{self, Diagnostic};
use crate::os::{files, inherited, ourselves, pid1, programs, trees, users};
use crate::service::definition::{Format, Output, Restart, Service, When};
use crate::service::environment::Environment;
use crate::service::overlay::{self, Image};
use crate::service::source::File;
use crate::service::{scandir, set};
use crate::values::{Name, lists};

/// Where it is defined whom a container runs. Read at the boot, and again at each rescan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sources {
    /// Directories of services; a later one's service replaces an earlier one's.
    pub dirs: Vec<PathBuf>,
    /// CMD; empty if there is none.
    pub command: Vec<OsString>,
    /// What is made of them.
    pub style: Style,
}

/// What is made of what the directories hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Style {
    /// Services, as they say.
    Native,
    /// The one directory is `s6-svscan`'s.
    Scandir {
        /// This program, by which the desk is started; none is if it is not known.
        program: Option<String>,
        /// The descriptor by which somebody wants to be told that the desk serves.
        tells: Option<i32>,
    },
    /// An image made for s6-overlay.
    Overlay {
        /// This program, by which the stages of its boot are run.
        program: String,
        /// The first stage has been started, so that the next reading is of everything.
        begun: bool,
    },
}

/// Where images find it, the older ones at the second place.
const WITH_CONTENV: [&str; 2] = ["/command/with-contenv", "/usr/bin/with-contenv"];

impl Style {
    /// That of the image we are in: `pidone s6 install` makes one of those for s6-overlay ours.
    pub fn of_image() -> Self {
        match ourselves::own_links(&WITH_CONTENV) {
            Some(program) => Self::Overlay {
                program,
                begun: false,
            },
            None => Self::Native,
        }
    }
}

impl Sources {
    /// The boot has begun by what was read first; the next reading is of everything.
    pub fn begin(&mut self) {
        if let Style::Overlay { begun, .. } = &mut self.style {
            *begun = true;
        }
    }

    /// The descriptor by which whoever has started us is told that services can be asked for.
    pub(super) fn told_by(&self) -> Option<OwnedFd> {
        match self.style {
            Style::Scandir { tells, .. } => inherited::take(tells?).ok(),
            Style::Native | Style::Overlay { .. } => None,
        }
    }

    /// Whether a file tells the number that the container ends with.
    pub fn keeps_exit_code(&self) -> bool {
        matches!(self.style, Style::Overlay { .. })
    }

    /// The services of the directories, and CMD behind them. Not to be used if there are errors.
    pub fn read(&self, environment: &Environment, faults: &mut Vec<Diagnostic>) -> Crew {
        if let Style::Overlay { program, begun } = &self.style {
            let image = Image {
                environment,
                program,
                is_second: trees::is_second(),
            };
            return layered(&image, *begun, &self.command, faults);
        }
        let found = files::services(&self.dirs);
        faults.extend(found.diagnostics);
        let timed = match self.style {
            Style::Native | Style::Overlay { .. } => BTreeSet::new(),
            Style::Scandir { .. } => scandir::timed(&found.directories),
        };
        let known = |user: &str| users::resolve(user).map(drop);
        let mut loaded = set::load(found.directories, environment, &known, &files::zone);
        faults.extend(loaded.diagnostics);
        if let Style::Scandir { program, .. } = &self.style {
            let program = program.as_deref();
            self.scanned(&mut loaded.services, &timed, program, faults);
        }
        if self.command.is_empty() && loaded.services.is_empty() && diag::errors(faults) == 0 {
            let dirs = self.dirs.iter().map(|dir| dir.display().to_string());
            let dirs = dirs.collect::<Vec<_>>().join(", ");
            let fault = Diagnostic::error(format!("no services in {dirs}, and no command"));
            let hint = "a service is a directory with a `service.toml` or an executable `run`";
            faults.push(fault.hint(hint));
        }
        Crew::new(loaded.services, &self.command, faults)
    }

    /// s6's ways for all of them, and the desk, which is there first and goes last.
    fn scanned(
        &self,
        services: &mut Vec<Service>,
        timed: &BTreeSet<String>,
        program: Option<&str>,
        faults: &mut Vec<Diagnostic>,
    ) {
        for service in services.iter_mut() {
            let is_timed = timed.contains(service.name.as_str());
            scandir::settle(service, is_timed);
        }
        let Some((program, dir)) = program.zip(self.dirs.first()) else {
            return;
        };
        let at = services.binary_search_by(|service| service.name.as_str().cmp(scandir::DESK));
        match (at, scandir::desk(program, dir, false)) {
            (Ok(_), _) => {
                let fault = format!("a service cannot be named `{}` here", scandir::DESK);
                let hint = "that is the name of what answers for all of them";
                faults.push(Diagnostic::error(fault).hint(hint));
            }
            (Err(_), Err(why)) => faults.push(Diagnostic::error(why)),
            (Err(at), Ok(desk)) => {
                for service in services.iter_mut() {
                    service.after.push(desk.name.clone());
                }
                services.insert(at, desk);
            }
        }
        for signal in scandir::SIGNALS {
            if programs::is_program(&dir.join(format!(".s6-svscan/{signal}"))) {
                match scandir::at_signal(dir, signal) {
                    Ok(script) => services.push(script),
                    Err(why) => faults.push(Diagnostic::error(why)),
                }
            }
        }
        lists::sort(services, |a, b| a.name.cmp(&b.name));
    }
}

/// An image made for s6-overlay: its first stage, and once that has `begun`, all of it.
fn layered(
    image: &Image<'_>,
    begun: bool,
    command: &[OsString],
    faults: &mut Vec<Diagnostic>,
) -> Crew {
    let made = if begun {
        everything(image, faults)
    } else {
        image.first()
    };
    let services = made.unwrap_or_else(|why| {
        faults.push(Diagnostic::error(why));
        Vec::new()
    });
    let loaded = set::joined(services);
    faults.extend(loaded.diagnostics);
    let mut crew = Crew::new(loaded.services, command, faults);
    let last = if begun { overlay::TOP } else { overlay::INIT };
    if let Some(cmd) = crew.cmd.and_then(|at| crew.services.get_mut(at)) {
        cmd.needs = last.parse().into_iter().collect();
        image.prepare(cmd);
    }
    crew
}

fn everything(image: &Image<'_>, faults: &mut Vec<Diagnostic>) -> Result<Vec<Service>, String> {
    let sources = overlay::Sources::of(image.environment);
    let (tree, unread) = trees::read(&sources.trees, &sources.bundles);
    faults.extend(unread);
    let mut legacy = Vec::new();
    let mut timed = BTreeSet::new();
    if sources.services.is_dir() {
        let found = files::services(std::slice::from_ref(&sources.services));
        faults.extend(found.diagnostics);
        let dirs = found.directories.iter();
        let dirs = dirs.filter(|it| it.definition == File::Absent && is_foreign(&it.path));
        faults.extend(dirs.map(|it| overlay::foreign(&it.path)));
        timed = scandir::timed(&found.directories);
        let known = |user: &str| users::resolve(user).map(drop);
        let loaded = set::load(found.directories, image.environment, &known, &files::zone);
        faults.extend(loaded.diagnostics);
        legacy = loaded.services;
    }
    let graph = image.all(&tree, legacy, &timed, &Path::is_dir)?;
    faults.extend(graph.diagnostics);
    Ok(graph.services)
}

/// Whether it is a service's of another init.
fn is_foreign(dir: &Path) -> bool {
    let mut files = overlay::FOREIGN.iter();
    files.any(|file| dir.join(file).exists())
}

/// Whom this container is to run.
pub struct Crew {
    /// Every service, sorted by name, and CMD behind them.
    pub services: Vec<Service>,
    /// CMD's number: the last, if there is one.
    pub cmd: Option<usize>,
    /// The services that are not started because CMD takes the place of one.
    pub replaced: BTreeSet<Name>,
}

impl Crew {
    /// These services, and CMD behind them if there is one.
    fn new(mut services: Vec<Service>, words: &[OsString], faults: &mut Vec<Diagnostic>) -> Self {
        if words.is_empty() {
            return Self {
                services,
                cmd: None,
                replaced: BTreeSet::new(),
            };
        }
        if services.iter().any(|service| service.name.as_str() == CMD) {
            faults.push(
                Diagnostic::error(format!(
                    "a service cannot be named `{CMD}` beside a command"
                ))
                .hint("that is the name of the command that the container was given"),
            );
        }
        let replaced = make_way(&mut services);
        match command(words, &services) {
            Ok(cmd) => services.push(cmd),
            Err(fault) => faults.push(fault),
        }
        Self {
            cmd: services.len().checked_sub(1),
            services,
            replaced,
        }
    }
}

/// CMD takes the place of a declared main service, as it takes that of an image's own CMD. What
/// needs that one has nothing to stand on, and must not keep CMD waiting.
/// Gives the names of both.
fn make_way(services: &mut [Service]) -> BTreeSet<Name> {
    let mut replaced = BTreeSet::new();
    loop {
        let before = replaced.len();
        for service in services.iter_mut() {
            let stands_on_it = service.needs.iter().any(|need| replaced.contains(need));
            if (std::mem::take(&mut service.main) || stands_on_it) && service.enabled {
                service.enabled = false;
                replaced.insert(service.name.clone());
            }
        }
        if replaced.len() == before {
            return replaced;
        }
    }
}

/// The name of the service that CMD becomes.
pub const CMD: &str = "cmd";

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
        file_name: "CMD",
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
