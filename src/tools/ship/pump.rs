//! The shipper's loop: waits for its source, its collector and its own output, and lets none of
//! them hold up the others.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::diag::Diagnostic;
use crate::os::clock;
use crate::os::ending::Ending;
use crate::os::reason::reason;
use crate::syslog::backlog::Backlog;
use crate::syslog::record::{Carrier, Format, Record, frame};
use crate::tools::ship::echo::Echo;
use crate::tools::ship::link::Link;
use crate::tools::ship::source::{Came, Item, Source};
use crate::tools::ship::tally::{Tally, lines};
use crate::tools::ship::target::Target;
use crate::tools::ship::{complain, remark};
use crate::values::Moment;
use crate::values::stamp;

/// Drops are told no more often than this.
const REMARK_EVERY: Duration = Duration::from_secs(1);
/// At the end: how often the kernel is asked whether the collector's has acknowledged everything.
const LOOK: Duration = Duration::from_millis(10);
/// At the end: pidone has told everything when it has been silent for so long.
const QUIET: Duration = Duration::from_millis(20);
/// The longest text of a datagram: as JSON, where a byte may become six, it still fits into one.
const DATAGRAM_TEXT_MAX: usize = 8 << 10;

/// What never changes.
pub struct Shape {
    /// How lines are written.
    pub format: Format,
    /// In a stream or in datagrams.
    pub carrier: Carrier,
    /// The container.
    pub host: String,
    /// The service whose lines stdin has.
    pub app: String,
}

/// The role at work.
pub struct Pump {
    shape: Shape,
    ending: Ending,
    /// `None` once there is nothing more to read.
    source: Option<Source>,
    echo: Echo,
    backlog: Backlog,
    link: Link,
    tally: Tally,
    flush: Duration,
    told_to_end: bool,
    /// When something was last read, or it was told to end.
    quiet_since: Moment,
    /// When to give up sending.
    end_by: Option<Moment>,
    remarked: Remarked,
}

/// What was last told of lines that are lost.
#[derive(Clone, Copy, Default)]
struct Remarked {
    at: Option<Moment>,
    /// How many were dropped here, until then.
    dropped: u64,
    /// How many were skipped by pidone, until then.
    skipped: u64,
}

/// What can be done now.
#[derive(Clone, Copy, Default)]
struct Ready {
    ending: bool,
    /// `None`: not asked, for there is no room.
    source: Option<bool>,
    echo: bool,
}

impl Pump {
    /// A loop that has not begun. The times are as the options say.
    pub fn new(
        shape: Shape,
        target: Target,
        (ending, source): (Ending, Source),
        (buffer_bytes, flush): (usize, Duration),
        echoes: bool,
    ) -> Self {
        Self {
            shape,
            ending,
            source: Some(source),
            echo: Echo::new(echoes),
            backlog: Backlog::new(buffer_bytes),
            link: Link::new(target, clock::now()),
            tally: Tally::default(),
            flush,
            told_to_end: false,
            quiet_since: clock::now(),
            end_by: None,
            remarked: Remarked::default(),
        }
    }

    /// Runs until the source ends, or it is told to end; then sends what it has, for a bounded
    /// time, and gives its account.
    ///
    /// # Errors
    /// As `poll(2)` and `read(2)`.
    pub fn run(mut self) -> io::Result<()> {
        let mut failed = Ok(());
        loop {
            let now = clock::now();
            self.link.turn(&mut self.backlog, &mut self.tally, now);
            self.remark(now);
            if self.is_over(now) {
                break;
            }
            let ready = self.wait(now)?;
            if ready.ending {
                self.told_to_end = true;
                self.quiet_since = clock::now();
                self.end_by.get_or_insert(clock::now() + self.flush);
            }
            if ready.echo
                && let Err(error) = self.echo.write()
            {
                complain(&Diagnostic::warning(format!(
                    "lines go to the collector only: cannot write to stdout: {}",
                    reason(&error)
                )));
            }
            if let Err(error) = self.read(ready.source) {
                // What was read before is still sent.
                failed = Err(error);
                self.finish_source();
            }
        }
        self.link.close(&mut self.backlog, &mut self.tally);
        self.last_words();
        failed
    }

    fn is_over(&self, now: Moment) -> bool {
        let Some(by) = self.end_by else { return false };
        let all_sent = self.backlog.is_empty() && self.link.is_settled();
        now >= by || (all_sent && self.source.is_none() && self.echo.left() == 0)
    }

    /// Waits until something can be done.
    fn wait(&self, now: Moment) -> io::Result<Ready> {
        let mut fds = Vec::with_capacity(4);
        let mut add = |fd, flags| {
            fds.push(PollFd::new(fd, flags));
            fds.len() - 1
        };
        let ending = (!self.told_to_end).then(|| add(self.ending.as_fd(), PollFlags::POLLIN));
        let source = self.source.as_ref().filter(|_| self.echo.has_room());
        let source = source.map(|source| add(source.as_fd(), PollFlags::POLLIN));
        let echo = (self.echo.left() > 0).then(|| add(self.echo.as_fd(), PollFlags::POLLOUT));
        if let Some((fd, flags)) = self.link.interest(!self.backlog.is_empty()) {
            add(fd, flags);
        }
        match poll(&mut fds, self.patience(now)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let is_ready = |at: Option<usize>| {
            at.and_then(|at| fds.get(at).and_then(PollFd::any))
                .unwrap_or(false)
        };
        Ok(Ready {
            ending: is_ready(ending),
            source: source.map(|at| is_ready(Some(at))),
            echo: is_ready(echo),
        })
    }

    /// How long to wait at most.
    fn patience(&self, now: Moment) -> PollTimeout {
        let drops = self.remarked.at.filter(|_| self.unsaid() != (0, 0));
        let look = self.end_by.map(|by| by.min(now + LOOK));
        let times = [
            self.link.deadline(),
            drops.map(|at| at + REMARK_EVERY),
            look,
        ];
        let next = times.into_iter().flatten().min();
        next.map_or(PollTimeout::NONE, |next| {
            // Rounded up, or the last millisecond would be waited for in a hundred turns.
            let left = next.since(now) + Duration::from_millis(1);
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        })
    }

    /// Reads once, if there is something; told to end, until there is nothing more.
    fn read(&mut self, is_ready: Option<bool>) -> io::Result<()> {
        let Some(is_ready) = is_ready else {
            return Ok(());
        };
        let Some(mut source) = self.source.take() else {
            return Ok(());
        };
        if self.told_to_end && self.has_read_enough(&source, is_ready) {
            source.finish(&mut |item| self.take(item));
            return Ok(());
        }
        if !is_ready {
            self.source = Some(source);
            return Ok(());
        }
        self.quiet_since = clock::now();
        match source.read(&mut |item| self.take(item))? {
            Came::Some => self.source = Some(source),
            Came::Skipped(count) => {
                self.tally.skipped += count;
                self.source = Some(source);
            }
            Came::End => {
                self.source = Some(source);
                self.finish_source();
            }
        }
        Ok(())
    }

    /// Told to end: what is in the pipe is still ours, and who writes without end gets half of the
    /// time. pidone's tale goes on until those are down who are stopped beside us, or most of the
    /// time is up; its words may come a little later than its signal.
    fn has_read_enough(&self, source: &Source, is_ready: bool) -> bool {
        let now = clock::now();
        let to_send = self.flush / if source.is_stdin() { 2 } else { 8 };
        if self.end_by.is_some_and(|by| now + to_send >= by) {
            return true;
        }
        let is_quiet = source.is_stdin() || now.since(self.quiet_since) >= QUIET;
        !is_ready && is_quiet && !source.is_awaited()
    }

    /// Nothing more comes: the time to send the rest begins.
    fn finish_source(&mut self) {
        if let Some(mut source) = self.source.take() {
            source.finish(&mut |item| self.take(item));
        }
        self.end_by.get_or_insert(clock::now() + self.flush);
    }

    /// Queues a line for the collector and for stdout.
    fn take(&mut self, item: Item<'_>) {
        self.echo.add(item.text);
        let now = match item.ts {
            Some(_) => String::new(),
            None => stamp::rfc3339(clock::wall()),
        };
        let mut record = Record {
            ts: item.ts.unwrap_or(&now),
            host: &self.shape.host,
            service: item.service.unwrap_or(&self.shape.app),
            stream: item.stream,
            level: item.level,
            text: item.text,
            event: item.event,
        };
        let mut rest = item.text;
        loop {
            let length = match self.shape.carrier {
                Carrier::Stream => rest.len(),
                Carrier::Datagram => rest.len().min(DATAGRAM_TEXT_MAX),
            };
            (record.text, rest) = rest.split_at(length);
            self.tally.read += 1;
            let frame = frame(self.shape.format, self.shape.carrier, &record);
            self.backlog.push(frame);
            if rest.is_empty() {
                return;
            }
            record.event = None;
        }
    }

    /// How many lines were dropped here, and skipped by pidone, of which nobody has been told.
    fn unsaid(&self) -> (u64, u64) {
        (
            self.backlog.dropped() - self.remarked.dropped,
            self.tally.skipped - self.remarked.skipped,
        )
    }

    /// Tells of lines that are lost, once a second at most: where it follows the container's log,
    /// what it tells comes round to it.
    fn remark(&mut self, now: Moment) {
        let is_early = |at: Moment| now.since(at) < REMARK_EVERY;
        let (dropped, skipped) = self.unsaid();
        if (dropped, skipped) == (0, 0) || self.remarked.at.is_some_and(is_early) {
            return;
        }
        self.remarked = Remarked {
            at: Some(now),
            dropped: self.backlog.dropped(),
            skipped: self.tally.skipped,
        };
        if dropped > 0 {
            complain(&Diagnostic::warning(format!(
                "{} dropped, {} in all: the buffer is full",
                lines(dropped),
                self.backlog.dropped(),
            )));
        }
        if skipped > 0 {
            complain(&Diagnostic::warning(format!(
                "{} missed, {} in all: pidone had no room for them",
                lines(skipped),
                self.tally.skipped,
            )));
        }
    }

    fn last_words(&self) {
        if self.echo.left() > 0 {
            complain(&Diagnostic::warning(format!(
                "{} bytes were not written to stdout, which nobody reads",
                self.echo.left()
            )));
        }
        remark(
            &self
                .tally
                .report(self.backlog.dropped(), self.backlog.len()),
        );
    }
}
