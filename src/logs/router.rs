//! From the services' pipes to the container's output: who writes where, in which format, and what
//! is remembered. The loop waits in `wait`, works in `turn`, and nothing here ever blocks.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use crate::logs::farewell::End;
use crate::logs::format::{OWN_NAME, Origin, Writer};
use crate::logs::lane::{Lane, Setting, Task};
use crate::logs::loggers::Loggers;
use crate::logs::outlet::{Outlet, Outlets, Token};
use crate::logs::recent::{Recent, share};
use crate::logs::ring::{Line, Stream};
use crate::logs::story;
use crate::os::output::{Sink, is_same_file};
use crate::service::definition::Format;
use crate::values::{Name, Pid};

/// What the router is told once.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How pidone's own messages are written: as JSON, or with their prefix.
    pub format: Format,
    /// What all remembered lines may take, in bytes (`PIDONE_LOG_MEMORY`).
    pub memory: u64,
    /// How many services there are, which share that memory.
    pub services: usize,
    /// The width of the names, by `format::column`.
    pub column: usize,
}

/// Something to do, from `wait` for `turn`.
#[derive(Debug)]
pub struct Work {
    lane: usize,
    task: Task,
}

/// What came out of a service so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Count {
    /// Bytes read from its pipes.
    pub bytes: u64,
    /// Lines (and parts of long ones), pidone's own about it included.
    pub lines: u64,
}

/// The owner of the services' pipes and of the container's output.
pub struct Router {
    settings: Settings,
    /// stdout, stderr (unless it is the same file), and last those that are only remembered.
    pub(super) lanes: Vec<Lane>,
    stderr: usize,
    remembered: usize,
    /// What `inherit` hands over.
    own_stdout: OwnedFd,
    own_stderr: OwnedFd,
    pub(super) outlets: Outlets,
    pub(super) by_name: BTreeMap<Name, usize>,
    pub(super) loggers: Loggers,
    /// Services whose pipes are to be closed once they are read to the end.
    pub(super) ending: Vec<End>,
    /// What pidone says about itself.
    own: Recent,
}

const STDOUT: usize = 0;

impl Router {
    /// A router to these descriptors, whose flags stay as they are. Needs a running reactor.
    ///
    /// # Errors
    /// One of them is not open; no descriptors, memory or threads left.
    pub fn new(stdout: impl AsFd, stderr: impl AsFd, settings: Settings) -> io::Result<Self> {
        let own_stdout = stdout.as_fd().try_clone_to_owned()?;
        let own_stderr = stderr.as_fd().try_clone_to_owned()?;
        let mut lanes = vec![Lane::new(Some(Sink::new(own_stdout.try_clone()?)?))?];
        if !is_same_file(&own_stdout, &own_stderr)? {
            lanes.push(Lane::new(Some(Sink::new(own_stderr.try_clone()?)?))?);
        }
        let stderr = lanes.len() - 1;
        lanes.push(Lane::new(None)?);
        Ok(Self {
            settings,
            remembered: lanes.len() - 1,
            lanes,
            stderr,
            own_stdout,
            own_stderr,
            outlets: Outlets::new(),
            by_name: BTreeMap::new(),
            loggers: Loggers::default(),
            ending: Vec::new(),
            own: Recent::new(share(settings.memory, settings.services)),
        })
    }

    /// There are other services now: so many, with names of this width.
    pub fn set_services(&mut self, services: usize, column: usize) {
        self.settings.services = services;
        self.settings.column = column;
    }

    /// Where this service's stdout and stderr go: made when first asked for, the same until
    /// `forget`. With `inherit` they are PID 1's own.
    ///
    /// # Errors
    /// No descriptors left; `owner` cannot be given the pipes.
    pub fn pipes(
        &mut self,
        unit: usize,
        name: &Name,
        format: Format,
        owner: Option<(u32, u32)>,
    ) -> io::Result<(BorrowedFd<'_>, BorrowedFd<'_>)> {
        let [stdout, stderr] = Token::both(unit);
        self.open(stdout, name, format, owner)?;
        self.open(stderr, name, format, owner)?;
        Ok((self.write_end(stdout), self.write_end(stderr)))
    }

    /// The same for stderr alone, of a service whose stdout goes to its logger.
    ///
    /// # Errors
    /// As `pipes`.
    pub fn stderr_pipe(
        &mut self,
        unit: usize,
        name: &Name,
        format: Format,
        owner: Option<(u32, u32)>,
    ) -> io::Result<BorrowedFd<'_>> {
        let [_, stderr] = Token::both(unit);
        self.open(stderr, name, format, owner)?;
        Ok(self.write_end(stderr))
    }

    /// The pipe into this logger: what it reads, and what its producer (the `owner`) writes to.
    ///
    /// # Errors
    /// As `pipes`.
    pub fn logger_pipe(
        &mut self,
        unit: usize,
        owner: Option<(u32, u32)>,
    ) -> io::Result<(BorrowedFd<'_>, BorrowedFd<'_>)> {
        self.loggers.pipe(unit, owner)
    }

    /// The logger reads to the end once its producer has ended too: its input has no other writer.
    pub fn close_logger_input(&mut self, unit: usize) {
        self.loggers.close_input(unit);
    }

    /// This process writes from now on.
    pub fn started(&mut self, unit: usize, pid: Pid) {
        if let Some(outlet) = self.outlets.get_mut(&unit) {
            outlet.pid = Some(pid);
        }
    }

    /// The service's process has ended: what it left in its pipes is read and its open line passed
    /// on, now or (with a slow reader) as soon as there is room.
    pub fn drain(&mut self, unit: usize, wall: Duration) {
        for token in Token::both(unit) {
            let setting = self.setting(wall);
            if let Some(lane) = self.lane_of(token)
                && let Some(lane) = self.lanes.get_mut(lane)
            {
                lane.end(token, &mut self.outlets, setting);
            }
        }
        self.tell_failures();
    }

    /// The name of a service that has or had pipes.
    pub fn name(&self, unit: usize) -> Option<&str> {
        self.outlets.get(&unit).map(|outlet| outlet.name.as_str())
    }

    /// Waits until something can be read that has somewhere to go, or written. Cancel-safe; one
    /// branch of the loop's `select!`.
    pub async fn wait(&self) -> Work {
        let lane = async |at: usize| match self.lanes.get(at) {
            Some(lane) => {
                let task = lane.wait().await;
                Work { lane: at, task }
            }
            None => std::future::pending().await,
        };
        tokio::select! {
            work = lane(0) => work,
            work = lane(1) => work,
            work = lane(2) => work,
        }
    }

    /// Does what `wait` found, for at most about a mebibyte.
    pub fn turn(&mut self, work: Work, wall: Duration) {
        let setting = self.setting(wall);
        if let Some(lane) = self.lanes.get_mut(work.lane) {
            lane.turn(work.task, &mut self.outlets, setting);
        }
        self.tell_failures();
    }

    /// Writes what pidone itself said through `tracing` since the last call, as far as there is
    /// room. To be called once a turn.
    pub fn tell_story(&mut self, wall: Duration) {
        if !story::is_waiting() {
            return;
        }
        let mut at = self.stderr;
        if self.lanes.get(at).is_none_or(Lane::is_closed) {
            at = STDOUT;
        }
        let setting = self.setting(wall);
        while let Some(lane) = self.lanes.get_mut(at).filter(|lane| lane.has_room()) {
            let Some(message) = story::take() else {
                break;
            };
            let unit = message
                .service
                .as_deref()
                .and_then(|name| name.parse::<Name>().ok())
                .and_then(|name| self.by_name.get(&name));
            let outlet = unit.and_then(|unit| self.outlets.get_mut(unit));
            let origin = Origin {
                name: message.service.as_deref().unwrap_or(OWN_NAME),
                pid: outlet.as_ref().and_then(|outlet| outlet.pid),
                stream: Stream::Pidone,
                wall,
            };
            let writer = Writer::new(self.settings.format, origin, setting.column);
            let recent = outlet.map_or(&mut self.own, |outlet| &mut outlet.recent);
            for line in message.text.lines() {
                lane.say(&writer, line.as_bytes());
                recent.push(wall, Stream::Pidone, false, line.as_bytes());
            }
        }
        if let Some(lane) = self.lanes.get_mut(at) {
            lane.pump_above(0);
        }
    }

    /// Everything that was written comes out, unless it takes longer than `within`; then false.
    /// Nothing can be written afterwards. Needs tokio's clock.
    pub async fn flush(mut self, within: Duration, wall: Duration) -> bool {
        let all = async {
            self.settle(wall).await;
            for lane in self.lanes {
                if let Some(sink) = lane.into_sink() {
                    sink.finish().await;
                }
            }
        };
        tokio::time::timeout(within, all).await.is_ok()
    }

    /// The remembered lines of a service (`None`: of pidone itself) from number `from` on.
    pub fn lines(&self, unit: Option<usize>, from: u64) -> impl Iterator<Item = Line<'_>> {
        self.recent(unit)
            .into_iter()
            .flat_map(move |recent| recent.lines(from))
    }

    /// The last `count` lines.
    pub fn last_lines(&self, unit: Option<usize>, count: u64) -> impl Iterator<Item = Line<'_>> {
        let (_, next) = self.numbers(unit);
        self.lines(unit, next.saturating_sub(count))
    }

    /// The number of the oldest remembered line, and of the one to come: a follower that has seen
    /// all before `n` has missed `first - n` lines if that is positive.
    pub fn numbers(&self, unit: Option<usize>) -> (u64, u64) {
        self.recent(unit).map_or((0, 0), Recent::numbers)
    }

    /// What came out of a service so far.
    pub fn count(&self, unit: usize) -> Count {
        self.outlets
            .get(&unit)
            .map_or(Count::default(), |outlet| Count {
                bytes: outlet.bytes,
                lines: outlet.recent.numbers().1,
            })
    }

    /// Whether all that was read and said has gone out.
    pub fn is_settled(&self) -> bool {
        !story::is_waiting() && self.lanes.iter().all(Lane::is_settled)
    }

    /// How many bytes were thrown away because nobody reads the container's output any more.
    pub fn lost(&self) -> u64 {
        self.lanes.iter().map(Lane::lost).sum()
    }

    fn recent(&self, unit: Option<usize>) -> Option<&Recent> {
        match unit {
            None => Some(&self.own),
            Some(unit) => self.outlets.get(&unit).map(|outlet| &outlet.recent),
        }
    }

    fn setting(&self, wall: Duration) -> Setting {
        Setting {
            wall,
            column: self.settings.column,
        }
    }

    /// The lane that serves a stream; `None` if the service is unknown or has no pipes.
    pub(super) fn lane_of(&self, token: Token) -> Option<usize> {
        let outlet = self.outlets.get(&token.unit)?;
        match outlet.format {
            Format::None => Some(self.remembered),
            Format::Inherit => None,
            Format::Prefix | Format::Raw | Format::Json if token.stderr => Some(self.stderr),
            Format::Prefix | Format::Raw | Format::Json => Some(STDOUT),
        }
    }

    fn open(
        &mut self,
        token: Token,
        name: &Name,
        format: Format,
        owner: Option<(u32, u32)>,
    ) -> io::Result<()> {
        let share = share(self.settings.memory, self.settings.services);
        let outlet = self
            .outlets
            .entry(token.unit)
            .or_insert_with(|| Box::new(Outlet::new(name.clone(), format, Recent::new(share))));
        self.by_name.insert(name.clone(), token.unit);
        // The next start has come before the last lines went out.
        self.ending.retain(|end| end.unit != token.unit);
        if !outlet.has_pipes() {
            outlet.format = format;
        }
        if outlet.write_end(token.stderr).is_some() || outlet.format == Format::Inherit {
            return outlet.give_again(token.stderr, owner);
        }
        let Some(lane) = self.lane_of(token).and_then(|at| self.lanes.get(at)) else {
            return Ok(());
        };
        if let Some(outlet) = self.outlets.get_mut(&token.unit) {
            let source = outlet.open(token.stderr, owner)?;
            lane.poller().add(&source.read, token.raw())?;
        }
        Ok(())
    }

    fn write_end(&self, token: Token) -> BorrowedFd<'_> {
        let own = if token.stderr {
            &self.own_stderr
        } else {
            &self.own_stdout
        };
        self.outlets
            .get(&token.unit)
            .and_then(|outlet| outlet.write_end(token.stderr))
            .unwrap_or(own.as_fd())
    }

    /// Says, once for each, that an output cannot be written any more.
    fn tell_failures(&mut self) {
        for (at, lane) in self.lanes.iter_mut().enumerate() {
            let Some(error) = lane.sink().and_then(Sink::take_failure) else {
                continue;
            };
            let output = if at == STDOUT { "stdout" } else { "stderr" };
            tracing::warn!(
                "cannot write to {output}: {}; what cannot be written is thrown away",
                error.desc()
            );
        }
    }

    async fn settle(&mut self, wall: Duration) {
        let units: Vec<usize> = self.outlets.keys().copied().collect();
        for unit in units {
            self.drain(unit, wall);
        }
        loop {
            self.tell_story(wall);
            if self.is_settled() {
                return;
            }
            let work = self.wait().await;
            self.turn(work, wall);
        }
    }
}
