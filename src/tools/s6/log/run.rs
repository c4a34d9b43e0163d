//! The loop: reads lines, sends each its way, and ends in order.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, RawFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::os::descriptors::{close, set_blocking, stdin, write_all};
use crate::os::reaper::reap_one;
use crate::os::signals::{Incoming, SignalSet};
use crate::os::{clock, inplace};
use crate::tools::s6::call::{Bytes, Call, Done, Environment, Outcome, Stop, Why, number, path};
use crate::tools::s6::{tai, tell};
use crate::values::Signal;

use super::folder::{Folder, Rotation};
use super::script::{Action, Step, Way, read, taken};

const LINE: &str = "s6-log [ -d notif ] [ -q | -v ] [ -b ] [ -p ] [ -l linelimit ] [ -- ] \
    logging_script";
/// A shorter limit of lines makes no sense.
const LIMIT_MIN: usize = 48;
/// Where none is told: a line that is longer is cut, and memory has an end.
const LIMIT_DEFAULT: usize = 1 << 20;
/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;

/// A script as it runs.
struct Logger {
    steps: Vec<Step>,
    /// The folders, as they come in the script.
    folders: Vec<Folder>,
    env: Environment,
    limit: usize,
    verbosity: u32,
    /// SIGTERM is not obeyed.
    protected: bool,
    /// What came of a line that has no end yet.
    rest: Bytes,
    out_is_broken: bool,
}

/// Whether there is more to come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Input {
    Open,
    /// We were told to end: to the end of the line.
    Last,
    Over,
}

/// `s6-log [-d FD] [-q | -v] [-b] [-p] [-l LIMIT] DIRECTIVE…`
pub(crate) fn log(mut call: Call) -> Outcome {
    let usage = || Stop::usage(LINE);
    let (mut limit, mut verbosity, mut protected, mut notify) = (0, 1_u32, false, None::<RawFd>);
    let mut stamped = false;
    for (option, value) in call.options("qvbpted:l:").map_err(|_| usage())? {
        match option {
            'q' => verbosity = verbosity.saturating_sub(1),
            'v' => verbosity += 1,
            'p' => protected = true,
            't' => stamped = true,
            'd' => notify = Some(number(&value).filter(|fd| *fd >= 3).ok_or_else(usage)?),
            'l' => limit = number(&value).ok_or_else(usage)?,
            // We always wait for a write: `-b`.
            _ => {}
        }
    }
    if call.args.is_empty() {
        return Err(usage());
    }
    let mut steps = read(&call.args)?;
    let mut folders = Vec::new();
    for action in steps.iter_mut().flat_map(|step| &mut step.actions) {
        if let Way::Folder(settings) = &action.way {
            folders.push(Folder::new(settings)?);
            action.tai |= stamped;
        }
    }
    let logger = Logger {
        steps,
        folders,
        env: call.env,
        limit: if limit == 0 {
            LIMIT_DEFAULT
        } else {
            limit.max(LIMIT_MIN)
        },
        verbosity,
        protected,
        rest: Bytes::new(),
        out_is_broken: false,
    };
    logger.run(notify)
}

impl Logger {
    fn run(mut self, notify: Option<RawFd>) -> Outcome {
        let heard = [Signal::TERM, Signal::HUP, Signal::CHLD]
            .into_iter()
            .chain(Signal::new(libc::SIGALRM))
            .chain(Signal::new(libc::SIGPIPE))
            .fold(SignalSet::EMPTY, SignalSet::with);
        let unable = |deed: &str, error: io::Error| Stop::unable(deed, error);
        let mut signals = Incoming::new(heard).map_err(|error| unable("trap signals", error))?;
        set_blocking(0, false).map_err(|errno| Stop::unable("set stdin non-blocking", errno))?;
        let mut stdin = stdin();
        if let Some(fd) = notify {
            let _ = write_all(fd, b"\n");
            close(fd);
        }
        let mut input = Input::Open;
        let mut buffer = vec![0; READ_BYTES];
        while input != Input::Over || self.is_busy() {
            self.pause(&signals, (input != Input::Over).then_some(&*stdin))
                .map_err(|errno| Stop::unable("poll", errno))?;
            while let Some(signal) = signals.take() {
                input = self.hear(signal, input);
            }
            for folder in &mut self.folders {
                folder.resume(&self.env);
            }
            input = match input {
                Input::Open => self.take(&mut stdin, &mut buffer),
                Input::Last => self.take_last(&mut stdin),
                Input::Over => Input::Over,
            };
        }
        self.finish();
        Ok(Done::Exit(0))
    }

    /// A processor is waited for; what has failed again and again is not.
    fn is_busy(&self) -> bool {
        let busy = |folder: &Folder| matches!(folder.rotation, Rotation::Processing(_));
        self.folders.iter().any(busy)
    }

    fn pause(&self, signals: &Incoming, stdin: Option<&File>) -> Result<(), Errno> {
        let fds = [Some(signals.as_fd()), stdin.map(AsFd::as_fd)];
        let fds = fds
            .into_iter()
            .flatten()
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        let mut fds: Vec<PollFd<'_>> = fds.collect();
        let next = self.folders.iter().filter_map(Folder::deadline).min();
        let left = next.map(|next| next.since(clock::now()));
        let ms = left.map(|left| i32::try_from(left.as_millis() + 1).unwrap_or(i32::MAX));
        let timeout = ms.and_then(|ms| PollTimeout::try_from(ms).ok());
        match poll(&mut fds, timeout.unwrap_or(PollTimeout::NONE)) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    fn hear(&mut self, signal: Signal, input: Input) -> Input {
        if signal == Signal::CHLD {
            self.bury();
        } else if signal.raw() == libc::SIGALRM {
            for folder in self.folders.iter_mut().filter(|folder| !folder.is_empty()) {
                folder.rotate(&self.env);
            }
        } else if input == Input::Open
            && (signal == Signal::HUP || signal == Signal::TERM && !self.protected)
        {
            return if self.rest.is_empty() {
                Input::Over
            } else {
                Input::Last
            };
        }
        input
    }

    fn bury(&mut self) {
        for folder in &mut self.folders {
            if let Rotation::Processing(pid) = folder.rotation
                && let Some(exit) = reap_one(pid)
            {
                folder.processed(exit);
            }
        }
    }

    /// Reads what is there, and logs its lines.
    fn take(&mut self, stdin: &mut File, buffer: &mut [u8]) -> Input {
        match stdin.read(buffer) {
            Ok(0) => self.end(),
            Ok(count) => {
                let mut bytes = buffer.get(..count).unwrap_or_default();
                // A NUL byte ends a line too: no line has one inside.
                while let Some(end) = memchr::memchr2(b'\n', 0, bytes) {
                    let (line, after) = bytes.split_at(end);
                    self.rest.extend(line);
                    bytes = after.get(1..).unwrap_or_default();
                    self.line();
                }
                self.rest.extend(bytes);
                if self.rest.len() > self.limit {
                    self.warn("input line too long, inserting a newline");
                    self.line();
                }
                Input::Open
            }
            Err(error) => self.unread(&error, Input::Open),
        }
    }

    /// Reads to the end of the line that has begun, and no further: what follows is the next
    /// logger's.
    fn take_last(&mut self, stdin: &mut File) -> Input {
        let mut byte = [0];
        loop {
            match stdin.read(&mut byte) {
                Ok(0) => return self.end(),
                Ok(_) if matches!(byte, [b'\n' | 0]) => break,
                Ok(_) => self.rest.extend(byte),
                Err(error) => return self.unread(&error, Input::Last),
            }
            if self.rest.len() > self.limit {
                self.warn("input line too long, stopping before the end");
                break;
            }
        }
        self.line();
        Input::Over
    }

    fn unread(&mut self, error: &io::Error, input: Input) -> Input {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => input,
            _ => {
                self.warn(&format!("unable to read from stdin: {error}"));
                self.end()
            }
        }
    }

    /// What has no line end when all is over is a line all the same.
    fn end(&mut self) -> Input {
        if !self.rest.is_empty() {
            self.line();
        }
        Input::Over
    }

    fn warn(&self, text: &str) {
        if self.verbosity > 0 {
            tell(b"s6-log", &format!("warning: {text}"));
        }
    }

    /// Sends the line that is gathered its way.
    fn line(&mut self) {
        let line = std::mem::take(&mut self.rest);
        let now = clock::wall();
        let steps = taken(&self.steps, &line);
        let mut folder = 0;
        for (index, step) in self.steps.iter().enumerate() {
            for action in &step.actions {
                let number = folder;
                folder += usize::from(matches!(action.way, Way::Folder(_)));
                if !steps.contains(&index) {
                    continue;
                }
                let stamp = stamp(action, now);
                match &action.way {
                    Way::Out if self.out_is_broken => {}
                    Way::Out => {
                        let whole = [stamp.as_bytes(), &line, b"\n"].concat();
                        if let Err(errno) = write_all(1, &whole) {
                            let text = "warning: unable to write to stdout, closing the stream";
                            tell(b"s6-log", &format!("{text}: {}", Why(errno)));
                            self.out_is_broken = true;
                        }
                    }
                    Way::Alert(max) => alert(&stamp, &line, *max),
                    Way::File(name, size) => {
                        if let Err(error) = status(name, &stamp, &line, *size) {
                            let why = Why::from(error);
                            let name = path(name).display();
                            tell(
                                b"s6-log",
                                &format!("warning: unable to write status file {name}: {why}"),
                            );
                        }
                    }
                    Way::Folder(_) => {
                        let whole = [stamp.as_bytes(), &line, b"\n"].concat();
                        if let Some(folder) = self.folders.get_mut(number) {
                            put(folder, &whole, &self.env);
                        }
                    }
                }
            }
        }
        // Its room serves the next line.
        self.rest = line;
        self.rest.clear();
    }

    fn finish(&self) {
        for folder in &self.folders {
            if let Err(error) = folder.close() {
                let why = Why::from(error);
                self.warn(&format!(
                    "unable to close {}/current: {why}",
                    folder.dir.display()
                ));
            }
        }
    }
}

/// A disk that is full is waited for: a line that is not written would be lost.
fn put(folder: &mut Folder, line: &[u8], env: &Environment) {
    loop {
        match folder.write(line) {
            Ok(true) => return folder.rotate(env),
            Ok(false) => return,
            Err(error) => {
                let why = Why::from(error);
                let name = folder.dir.display();
                tell(
                    b"s6-log",
                    &format!("warning: unable to write to {name}/current: {why}"),
                );
                inplace::pause(folder.settings.retry.max(Duration::from_millis(10)));
            }
        }
    }
}

fn stamp(action: &Action, now: Duration) -> String {
    let mut stamp = String::new();
    if action.tai {
        stamp = tai::label(now) + " ";
    }
    if action.local {
        let [year, month, day, hour, minute, second] = clock::local(now);
        let nanos = now.subsec_nanos();
        let date = format!("{year:04}-{month:02}-{day:02}");
        let time = format!("{hour:02}:{minute:02}:{second:02}.{nanos:09}");
        stamp.extend([&date, " ", &time, "  "]);
    }
    stamp
}

fn alert(stamp: &str, line: &[u8], max: usize) {
    let cut = line.get(..max).filter(|_| max > 0 && max + 3 < line.len());
    let (line, end): (&[u8], &[u8]) = cut.map_or((line, b"\n"), |cut| (cut, b"...\n"));
    // Nobody reads it: then nobody misses it.
    let _ = write_all(
        2,
        &[b"s6-log: alert: ", stamp.as_bytes(), line, end].concat(),
    );
}

/// The line alone in a file, filled up with line ends to a size that never changes (0: not).
fn status(name: &[u8], stamp: &str, line: &[u8], size: usize) -> io::Result<()> {
    let mut text = [stamp.as_bytes(), line, b"\n"].concat();
    if size > 0 {
        text.resize(size, b'\n');
    }
    let beside = [name, b".new"].concat();
    let mut file = File::create(path(&beside))?;
    file.write_all(&text)?;
    drop(file);
    std::fs::rename(path(&beside), path(name))
}
