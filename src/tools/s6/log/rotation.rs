//! A full `current` becomes an old file: at once, or through a processor that runs beside us.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;

use nix::errno::Errno;

use crate::os::clock;
use crate::os::descriptors::{lift, place};
use crate::os::signals::{SignalSet, put_back};
use crate::tools::s6::call::{Command, Environment, Why};
use crate::tools::s6::{spawn, tell};
use crate::values::{Exit, Moment, Pid};

use super::folder::{Folder, Rotation, remove};

impl Folder {
    /// Begins a rotation, if none is under way. What fails is tried again later; meanwhile
    /// `current` grows, and nothing is lost.
    pub(super) fn rotate(&mut self, env: &Environment) {
        if self.rotation != Rotation::Ready {
            return;
        }
        match self.turn() {
            Ok(()) => self.process(env),
            Err(error) => self.fail("rotate", error),
        }
    }

    /// Takes up again what failed, if it is time.
    pub(super) fn resume(&mut self, env: &Environment) {
        let Rotation::Failed(when) = self.rotation else {
            return;
        };
        if clock::now() < when {
            return;
        }
        self.rotation = Rotation::Ready;
        if self.dir.join("previous").exists() {
            self.process(env);
        } else if self.is_full() {
            self.rotate(env);
        }
    }

    /// When there is something to take up.
    pub(super) fn deadline(&self) -> Option<Moment> {
        match self.rotation {
            Rotation::Failed(when) => Some(when),
            Rotation::Ready | Rotation::Processing(_) => None,
        }
    }

    fn process(&mut self, env: &Environment) {
        let done = match self.settings.processor.clone() {
            None => self.retire("previous", 's').map(|()| Rotation::Ready),
            Some(line) => self.start(&line, env).map(Rotation::Processing),
        };
        match done {
            Ok(rotation) => self.rotation = rotation,
            Err(error) => self.fail("finish previous in", error),
        }
    }

    /// The processor reads `previous` and writes `processed`; 4 is its `state`, 5 its next one.
    fn start(&self, line: &[u8], env: &Environment) -> io::Result<Pid> {
        let dir = self.dir.clone();
        let words = vec![b"execlineb".to_vec(), b"-Pc".to_vec(), line.to_vec()];
        let prepare = move || {
            put_back(SignalSet::EMPTY);
            std::env::set_current_dir(&dir).map_err(|error| Why::from(error).0)?;
            let opened = [
                (
                    OpenOptions::new()
                        .read(true)
                        .append(true)
                        .create(true)
                        .open("state"),
                    4,
                ),
                (File::create("newstate"), 5),
                (File::open("previous"), 0),
                (File::create("processed"), 1),
            ];
            let lifted = opened.map(|(file, number)| {
                let file = file.map_err(|error| Why::from(error).0)?;
                Ok((lift(file)?, number))
            });
            for file in lifted {
                let (file, number) = file?;
                place(file, number)?;
            }
            Ok::<(), Errno>(())
        };
        let started = spawn(Command::new(words, env.clone()), env.get(b"PATH"), prepare);
        started.map_err(|why| why.0.into())
    }

    /// What comes of a processor that has ended.
    pub(super) fn processed(&mut self, exit: Exit) {
        if !exit.is_success() {
            let how = if matches!(exit, Exit::Code(_)) {
                "failed"
            } else {
                "crashed"
            };
            let text = format!("warning: processor {how} in {}", self.dir.display());
            tell(b"s6-log", &text);
            self.rotation = Rotation::Failed(self.later());
            return;
        }
        match self.take_processed() {
            Ok(()) => self.rotation = Rotation::Ready,
            Err(error) => self.fail("finish processed in", error),
        }
    }

    fn take_processed(&self) -> io::Result<()> {
        let file = |name: &str| self.dir.join(name);
        File::open(file("processed"))?.sync_all()?;
        fs::set_permissions(file("processed"), Permissions::from_mode(0o744))?;
        File::open(file("newstate"))?.sync_all()?;
        remove(&file("previous"))?;
        fs::rename(file("newstate"), file("state"))?;
        self.retire("processed", 's')
    }

    fn fail(&mut self, deed: &str, error: io::Error) {
        let why = Why::from(error);
        let text = format!("warning: unable to {deed} {}: {why}", self.dir.display());
        tell(b"s6-log", &text);
        self.rotation = Rotation::Failed(self.later());
    }

    fn later(&self) -> Moment {
        Moment::at(
            clock::now()
                .since_origin()
                .saturating_add(self.settings.retry),
        )
    }
}
