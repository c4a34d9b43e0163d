//! Where lines come from: stdin, or pidone's control socket.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::read;

use crate::control::client::{Client, Failure, places, unexpected};
use crate::control::protocol::{Line, Reply, Request, Stream};
use crate::diag::Diagnostic;
use crate::logs::lines::{LINE_BYTES_MAX, Splitter};
use crate::os::clock;
use crate::syslog::record::Level;
use crate::tools::ship::From;
use crate::tools::ship::others::Others;

/// There is something to read; it may be only a part of a reply.
const AT_ONCE: Duration = Duration::from_millis(1);

/// One line.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// When it was written, if that is known better than "now".
    pub ts: Option<&'a str>,
    /// Whose it is, if that is known.
    pub service: Option<&'a str>,
    /// Where it was written.
    pub stream: Option<&'a str>,
    /// How bad it is.
    pub level: Level,
    /// What it says, without its line feed.
    pub text: &'a [u8],
    /// The same as a JSON object, if it is an event.
    pub event: Option<&'a [u8]>,
}

impl<'a> Item<'a> {
    fn bare(text: &'a [u8]) -> Self {
        Self {
            ts: None,
            service: None,
            stream: None,
            level: Level::Info,
            text,
            event: None,
        }
    }
}

/// A source.
pub enum Source {
    /// The lines that a service writes.
    Stdin(Box<Stdin>),
    /// What pidone tells, and who is on the way down as far as it tells.
    Pidone(Client, Others),
}

/// Stdin, and the line that has not ended yet.
pub struct Stdin {
    handle: io::Stdin,
    splitter: Splitter,
    bytes: Vec<u8>,
}

/// What came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Came {
    /// Something, or nothing yet.
    Some,
    /// There will be no more.
    End,
    /// pidone had no room for so many lines.
    Skipped(u64),
}

impl Source {
    /// Begins.
    ///
    /// # Errors
    /// pidone cannot be asked.
    pub fn open(from: From) -> Result<Self, Diagnostic> {
        let request = match from {
            From::Stdin => {
                return Ok(Self::Stdin(Box::new(Stdin {
                    handle: io::stdin(),
                    splitter: Splitter::default(),
                    bytes: vec![0; LINE_BYTES_MAX],
                })));
            }
            From::Logs => Request::Logs {
                names: Vec::new(),
                last: None,
                follow: true,
            },
            From::Events => Request::Events {
                last: None,
                follow: true,
            },
        };
        let asked = Client::connect(&places()).and_then(|mut client| {
            client.send(&request)?;
            Ok(Self::Pidone(client, Others::new(own_pid())))
        });
        asked.map_err(|failure| failure.diagnostic())
    }

    /// Whether what comes is a stream of bytes that is worth reading to its end.
    pub fn is_stdin(&self) -> bool {
        matches!(self, Self::Stdin(_))
    }

    /// Whether more is to come, though nothing is there: others are being stopped as we are.
    pub fn is_awaited(&self) -> bool {
        match self {
            Self::Stdin(_) => false,
            Self::Pidone(_, others) => others.are_leaving(),
        }
    }

    /// Reads once what is there. The caller has waited for it: reading does not block.
    ///
    /// # Errors
    /// As `read(2)`, or what pidone answers.
    pub fn read(&mut self, each: &mut dyn FnMut(Item<'_>)) -> io::Result<Came> {
        match self {
            Self::Stdin(stdin) => stdin.read(each),
            Self::Pidone(client, others) => replies(client, others, each),
        }
    }

    /// Passes on the line that never got its line feed.
    pub fn finish(&mut self, each: &mut dyn FnMut(Item<'_>)) {
        if let Self::Stdin(stdin) = self {
            stdin.splitter.flush(|piece| each(Item::bare(piece.text)));
        }
    }
}

impl Stdin {
    fn read(&mut self, each: &mut dyn FnMut(Item<'_>)) -> io::Result<Came> {
        let count = match read(&self.handle, &mut self.bytes) {
            Ok(0) => return Ok(Came::End),
            Ok(count) => count,
            Err(Errno::EINTR | Errno::EAGAIN) => return Ok(Came::Some),
            Err(error) => return Err(error.into()),
        };
        let batch = self.bytes.get(..count).unwrap_or_default();
        let whole = self
            .splitter
            .feed(batch, |piece| each(Item::bare(without_end(piece.text))));
        let whole = batch.get(whole).unwrap_or_default();
        for line in whole.split_inclusive(|byte| *byte == b'\n') {
            each(Item::bare(without_end(line)));
        }
        Ok(Came::Some)
    }
}

fn without_end(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Stdin(stdin) => stdin.handle.as_fd(),
            Self::Pidone(client, _) => client.as_fd(),
        }
    }
}

/// Reads once, and takes the replies that have come whole.
fn replies(
    client: &mut Client,
    others: &mut Others,
    each: &mut dyn FnMut(Item<'_>),
) -> io::Result<Came> {
    let mut skipped = 0;
    let mut next = match client.next(Some(clock::now() + AT_ONCE)) {
        Ok(None) => return Ok(Came::End),
        Ok(first) => first,
        Err(Failure::Late) => None,
        Err(failure) => return Err(broken(&failure)),
    };
    while let Some(reply) = next {
        match reply {
            Reply::End => return Ok(Came::End),
            Reply::Skipped { lines, .. } => skipped += lines,
            Reply::Line(line) => each(of_line(&line)),
            Reply::Event(event) => {
                others.hear(&event);
                let json = serde_json::to_vec(&event).unwrap_or_default();
                each(Item {
                    ts: Some(&event.ts),
                    service: Some(event.service.as_deref().unwrap_or("pidone")),
                    stream: Some("event"),
                    level: Level::Notice,
                    text: event.summary().as_bytes(),
                    event: Some(&json),
                });
            }
            // The picture in which the past ends and the future begins.
            Reply::Status(status) => others.picture(&status),
            Reply::Ok(_) | Reply::Rescanned(_) | Reply::Error(_) => {
                return Err(broken(&unexpected(&reply)));
            }
        }
        next = client.arrived().map_err(|failure| broken(&failure))?;
    }
    Ok(if skipped > 0 {
        Came::Skipped(skipped)
    } else {
        Came::Some
    })
}

/// By which pidone knows our service.
fn own_pid() -> i32 {
    nix::unistd::getpid().as_raw()
}

fn of_line(line: &Line) -> Item<'_> {
    let (stream, level) = match line.stream {
        Stream::Stdout => ("stdout", Level::Info),
        Stream::Stderr => ("stderr", Level::Warning),
        Stream::Pidone => ("pidone", Level::Notice),
    };
    Item {
        ts: Some(&line.ts),
        service: Some(&line.service),
        stream: Some(stream),
        level,
        text: line.text.as_bytes(),
        event: None,
    }
}

fn broken(failure: &Failure) -> io::Error {
    io::Error::other(failure.diagnostic().message)
}
