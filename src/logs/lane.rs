//! One way through PID 1: from the pipes of services to one sink. A lane whose sink is full reads
//! nothing, so that the services feel the slow reader and nobody else does.

use std::ops::Range;
use std::time::Duration;

use std::io;

use memchr::memchr;
use nix::errno::Errno;
use nix::unistd::read;

use crate::logs::format::Writer;
use crate::logs::lines::{LINE_BYTES_MAX, Piece};
use crate::logs::outlet::{Outlets, Token};
use crate::os::memory::Mapping;
use crate::os::output::Sink;
use crate::os::poll::Poller;

/// How many reads one turn makes: a mebibyte, half a millisecond, then the loop sees to the rest.
const READS_PER_TURN: usize = 16;

/// How many reads the end of a process is worth: a pipe's largest usual size. Its children may go
/// on writing for ever.
const READS_AT_END: usize = 16;

/// Formatted lines are written once there are this many bytes, while they are in the cache.
const PUMP_BYTES: usize = 32 << 10;

/// What the sink's thread is known by in the poller; no service has this index.
const REPORT: u64 = u64::MAX;

/// What a lane has to do now.
#[derive(Debug)]
pub(super) enum Task {
    /// These can be read (or older work can go on).
    Read(Vec<u64>),
    /// The sink may have room.
    Write,
}

/// The sources of one sink; without a sink, those that are only remembered.
pub(super) struct Lane {
    sink: Option<Sink>,
    poller: Poller,
    buffer: Mapping,
    /// Whole lines in the buffer that have yet to be formatted.
    left: Option<Left>,
    /// Streams whose process has ended and which have yet to be read to their end.
    ending: Vec<Token>,
    /// Whose line stands unfinished on the output: raw output may end anywhere.
    unfinished: Option<Token>,
    report_watched: bool,
}

struct Left {
    token: Token,
    writer: Writer,
    range: Range<usize>,
}

/// What formatting needs to know beside the lines.
#[derive(Clone, Copy)]
pub(super) struct Setting {
    /// Since 1970 UTC.
    pub(super) wall: Duration,
    /// The width of the names.
    pub(super) column: usize,
}

impl Lane {
    pub(super) fn new(sink: Option<Sink>) -> io::Result<Self> {
        Ok(Self {
            sink,
            poller: Poller::new()?,
            buffer: Mapping::new(LINE_BYTES_MAX)?,
            left: None,
            ending: Vec::new(),
            unfinished: None,
            report_watched: false,
        })
    }

    pub(super) fn poller(&self) -> &Poller {
        &self.poller
    }

    pub(super) fn sink(&mut self) -> Option<&mut Sink> {
        self.sink.as_mut()
    }

    pub(super) fn into_sink(self) -> Option<Sink> {
        self.sink
    }

    pub(super) fn lost(&self) -> u64 {
        self.sink.as_ref().map_or(0, Sink::lost)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sink.as_ref().is_some_and(Sink::is_closed)
    }

    pub(super) fn has_room(&self) -> bool {
        self.sink.as_ref().is_none_or(Sink::has_room)
    }

    /// Whether all that was read has gone out, and nothing is known to be left to read.
    pub(super) fn is_settled(&self) -> bool {
        let idle = self.sink.as_ref().is_none_or(Sink::is_idle);
        idle && self.left.is_none() && self.ending.is_empty()
    }

    /// Whether a stream of which this holds has yet to be read to its end.
    pub(super) fn is_ending(&self, of: impl FnMut(&Token) -> bool) -> bool {
        let left = self.left.as_ref().map(|left| &left.token);
        self.ending.iter().chain(left).any(of)
    }

    /// Waits until there is something to do. Cancel-safe.
    pub(super) async fn wait(&self) -> Task {
        let room = self.has_room();
        if room && (self.left.is_some() || !self.ending.is_empty()) {
            return Task::Read(Vec::new());
        }
        let busy = self.sink.as_ref().filter(|sink| !sink.is_idle());
        match busy {
            None => Task::Read(self.poller.wait().await),
            Some(sink) => tokio::select! {
                tokens = self.poller.wait(), if room => Task::Read(tokens),
                () = sink.writable() => Task::Write,
            },
        }
    }

    /// Does it, without waiting.
    pub(super) fn turn(&mut self, task: Task, outlets: &mut Outlets, setting: Setting) {
        if let Task::Read(tokens) = task {
            self.write_left();
            self.finish_endings(outlets, setting);
            for raw in tokens.into_iter().take(READS_PER_TURN) {
                if raw == REPORT {
                    self.read_report();
                } else if self.is_free() {
                    self.read(Token::from_raw(raw), outlets, setting);
                }
                self.pump_above(PUMP_BYTES);
            }
        }
        self.pump_above(0);
    }

    /// The stream's process has ended: what it wrote is read, and its open line is closed, now or
    /// as soon as there is room.
    pub(super) fn end(&mut self, token: Token, outlets: &mut Outlets, setting: Setting) {
        if !self.ending.contains(&token) {
            self.ending.push(token);
        }
        self.finish_endings(outlets, setting);
        self.pump_above(0);
    }

    /// Writes one line that did not come from a pipe. The caller has asked `has_room`.
    pub(super) fn say(&mut self, writer: &Writer, text: &[u8]) {
        let piece = Piece {
            text,
            continues: false,
            open: false,
        };
        put(&mut self.sink, &mut self.unfinished, None, writer, piece);
    }

    /// Sends what is queued on its way, if it is more than this.
    pub(super) fn pump_above(&mut self, bytes: usize) {
        if let Some(sink) = &mut self.sink {
            if sink.queue().len() >= bytes {
                sink.pump();
            }
            if !self.report_watched
                && let Some(report) = sink.report()
            {
                self.report_watched = true;
                // Without it nobody hears why the thread cannot write; all else goes on.
                let _ = self.poller.add(report, REPORT);
            }
        }
    }

    fn is_free(&self) -> bool {
        self.left.is_none() && self.has_room()
    }

    fn read_report(&mut self) {
        if let Some(sink) = &mut self.sink
            && !sink.read_report()
            && let Some(report) = sink.report()
        {
            self.poller.remove(report);
        }
    }

    /// Reads one stream once; false if there was nothing.
    fn read(&mut self, token: Token, outlets: &mut Outlets, setting: Setting) -> bool {
        let Some(outlet) = outlets.get_mut(&token.unit) else {
            return false;
        };
        let Some((source, recent, writer)) = outlet.reading(token, setting.wall, setting.column)
        else {
            return false;
        };
        let count = loop {
            match read(&source.read, &mut self.buffer) {
                Err(Errno::EINTR) => {}
                // Nothing there, or (which cannot be: we hold the other end) the end.
                Err(_) | Ok(0) => return false,
                Ok(count) => break count,
            }
        };
        let batch = self.buffer.get(..count).unwrap_or_default();
        let (sink, unfinished) = (&mut self.sink, &mut self.unfinished);
        let range = source.splitter.feed(batch, |piece| {
            let partial = piece.open || piece.continues;
            recent.push(setting.wall, token.stream(), partial, piece.text);
            put(sink, unfinished, Some(token), &writer, piece);
        });
        let lines = batch.get(range.clone()).unwrap_or_default();
        recent.extend(setting.wall, token.stream(), lines);
        outlet.bytes += count as u64;
        self.left = Some(Left {
            token,
            writer,
            range,
        });
        self.write_left();
        true
    }

    /// Formats whole lines until the queue is full.
    fn write_left(&mut self) {
        let (Some(mut left), Some(sink)) = (self.left.take(), &mut self.sink) else {
            return;
        };
        let mut rest = self.buffer.get(left.range.clone()).unwrap_or_default();
        if rest.is_empty() {
            return;
        }
        if sink.is_closed() {
            sink.lose(rest.len());
            return;
        }
        finish_line_of_others(sink, &mut self.unfinished, Some(left.token));
        self.unfinished = None;
        if left.writer.is_raw() {
            sink.put(rest);
            return;
        }
        if let Some(prefix) = left.writer.prefix() {
            let taken = sink.queue().push_lines(prefix, rest);
            rest = rest.get(taken..).unwrap_or_default();
        } else {
            while sink.has_room()
                && let Some(end) = memchr(b'\n', rest)
            {
                let (line, after) = rest.split_at(end + 1);
                let piece = Piece {
                    text: line,
                    continues: false,
                    open: false,
                };
                left.writer.line(sink.queue(), piece);
                rest = after;
            }
        }
        if !rest.is_empty() {
            left.range.start = left.range.end - rest.len();
            self.left = Some(left);
        }
    }

    fn finish_endings(&mut self, outlets: &mut Outlets, setting: Setting) {
        while self.is_free()
            && let Some(token) = self.ending.pop()
        {
            for _ in 0..READS_AT_END {
                if !self.is_free() {
                    self.ending.push(token);
                    return;
                }
                if !self.read(token, outlets, setting) {
                    break;
                }
                self.pump_above(PUMP_BYTES);
            }
            self.flush_open_line(token, outlets, setting);
        }
    }

    fn flush_open_line(&mut self, token: Token, outlets: &mut Outlets, setting: Setting) {
        let Some(outlet) = outlets.get_mut(&token.unit) else {
            return;
        };
        if let Some((source, recent, writer)) = outlet.reading(token, setting.wall, setting.column)
        {
            let (sink, unfinished) = (&mut self.sink, &mut self.unfinished);
            source.splitter.flush(|piece| {
                recent.push(setting.wall, token.stream(), piece.continues, piece.text);
                put(sink, unfinished, Some(token), &writer, piece);
            });
        }
    }
}

/// Writes one line, or a part of one, into the queue.
fn put(
    sink: &mut Option<Sink>,
    unfinished: &mut Option<Token>,
    from: Option<Token>,
    writer: &Writer,
    piece: Piece<'_>,
) {
    let Some(sink) = sink else {
        return;
    };
    if sink.is_closed() {
        sink.lose(piece.text.len());
        return;
    }
    finish_line_of_others(sink, unfinished, from);
    writer.line(sink.queue(), piece);
    let ended = !writer.is_raw() || piece.text.ends_with(b"\n");
    *unfinished = if ended { None } else { from };
}

/// Where somebody left a line unfinished, another's line begins on a new one.
fn finish_line_of_others(sink: &mut Sink, unfinished: &mut Option<Token>, from: Option<Token>) {
    if unfinished.is_some() && *unfinished != from {
        // The queue is memory: writing to it cannot fail.
        let _ = io::Write::write_all(sink.queue(), b"\n");
        *unfinished = None;
    }
}
