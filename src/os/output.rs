//! The way out: writes to the container's stdout or stderr without ever blocking, whatever they
//! are, and without `O_NONBLOCK`, which would change them for everybody who shares them.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{MsgFlags, send};
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::{pipe2, read, write};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::os::chunks::{CHUNK_BYTES_MAX, each_chunk, splice_out};
use crate::os::queue::{QUEUE_BYTES_HIGH, Queue};
use crate::os::waiter::{self, Report};

/// The container's stdout or stderr. Needs a running tokio reactor.
#[derive(Debug)]
pub struct Sink {
    /// What has room or not: the descriptor itself, or our end of the thread's pipe.
    to: AsyncFd<OwnedFd>,
    way: Way,
    queue: Queue,
    /// Set for ever once nobody can read what we write.
    closed: bool,
    failure: Option<Errno>,
    lost: u64,
}

/// How bytes get into a descriptor that may block.
#[derive(Debug)]
enum Way {
    /// A pipe: through a pipe of our own and splice(2), which alone can be told not to wait.
    Splice {
        from: OwnedFd,
        into: OwnedFd,
        /// Bytes in our own pipe.
        held: usize,
    },
    /// A socket: send(2) can be told not to wait.
    Send,
    /// Anything else: a thread waits in our place. It reports here, and closes this at its end.
    Thread { report: OwnedFd },
}

impl Sink {
    /// A sink that writes to `fd`, whose flags stay as they are.
    ///
    /// # Errors
    /// No descriptors, memory or threads left.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        let mode = fstat(&fd)?.st_mode & SFlag::S_IFMT.bits();
        if mode == SFlag::S_IFIFO.bits() {
            let (from, into) = private_pipe()?;
            let way = Way::Splice {
                from,
                into,
                held: 0,
            };
            Self::with(fd, way)
        } else if mode == SFlag::S_IFSOCK.bits() {
            Self::with(fd, Way::Send)
        } else {
            let (from, into) = private_pipe()?;
            let report = waiter::start(from, fd)?;
            Self::with(into, Way::Thread { report })
        }
    }

    fn with(to: OwnedFd, way: Way) -> io::Result<Self> {
        Ok(Self {
            to: watch(to, Interest::WRITABLE)?,
            way,
            queue: Queue::new()?,
            closed: false,
            failure: None,
            lost: 0,
        })
    }

    /// Where formatted lines go. Call `pump` after writing. Nothing should be written to a sink
    /// that is closed or has no room.
    pub fn queue(&mut self) -> &mut Queue {
        &mut self.queue
    }

    /// Whether more may be queued.
    pub fn has_room(&self) -> bool {
        self.closed || self.queue.len() < QUEUE_BYTES_HIGH
    }

    /// Whether everything given has gone out (or into the thread's pipe).
    pub fn is_idle(&self) -> bool {
        let held = match self.way {
            Way::Splice { held, .. } => held,
            Way::Send | Way::Thread { .. } => 0,
        };
        self.queue.is_empty() && held == 0
    }

    /// Whether nobody reads any more: everything is lost from now on.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Why writing failed, told once.
    pub fn take_failure(&mut self) -> Option<Errno> {
        self.failure.take()
    }

    /// How many bytes were thrown away.
    pub fn lost(&self) -> u64 {
        self.lost + self.queue.lost
    }

    /// Counts bytes that were not even queued because the sink is closed.
    pub fn lose(&mut self, bytes: usize) {
        self.lost += bytes as u64;
    }

    /// Writes `bytes` (whole lines) behind what is queued: directly, if nothing is and it pays.
    pub fn put(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        if self.queue.is_empty() && bytes.len() >= CHUNK_BYTES_MAX {
            let (taken, result) = self.write_now(Some(bytes));
            rest = bytes.get(taken..).unwrap_or_default();
            self.settle(result);
        }
        if self.closed {
            self.lose(rest.len());
        } else {
            self.queue.push(rest);
        }
    }

    /// Writes what is queued, as far as there is room.
    pub fn pump(&mut self) {
        if !self.is_idle() {
            let (taken, result) = self.write_now(None);
            self.queue.consume(taken);
            self.settle(result);
        }
    }

    /// Waits until `pump` may get further. Cancel-safe.
    pub async fn writable(&self) {
        if self.to.writable().await.is_err() {
            // The reactor is gone, so we are about to end; never spin.
            std::future::pending::<()>().await;
        }
    }

    /// Where the thread, if there is one, tells of failed writes; readable then.
    pub fn report(&self) -> Option<BorrowedFd<'_>> {
        match &self.way {
            Way::Thread { report } => Some(report.as_fd()),
            Way::Splice { .. } | Way::Send => None,
        }
    }

    /// Reads one report, if there is one. False at the thread's end.
    pub fn read_report(&mut self) -> bool {
        let mut record = [0; Report::BYTES];
        let count = match self.report() {
            Some(report) => read(report, &mut record),
            None => Ok(0),
        };
        match count {
            Ok(0) => false,
            Ok(_) => {
                let report = Report::from_bytes(record);
                if self.lost == 0 {
                    self.failure = Some(report.errno);
                }
                self.lost += u64::from(report.lost);
                true
            }
            Err(_) => true,
        }
    }

    /// Waits until a thread has written what it was given. To be bounded by the caller.
    pub async fn finish(self) {
        let Self { to, way, .. } = self;
        drop(to);
        let Way::Thread { report } = way else {
            return;
        };
        let Ok(report) = watch(report, Interest::READABLE) else {
            return;
        };
        let mut record = [0; Report::BYTES];
        while let Ok(mut guard) = report.readable().await {
            match guard.try_io(|fd| Ok(read(fd.get_ref(), &mut record)?)) {
                Ok(Ok(0)) => return,
                Ok(Err(error)) if error.kind() != io::ErrorKind::Interrupted => return,
                Ok(_) | Err(_) => {}
            }
        }
    }

    /// Writes as much as there is room for, of `bytes` or of the queue; returns how much was taken.
    fn write_now(&mut self, bytes: Option<&[u8]>) -> (usize, nix::Result<()>) {
        let bytes = bytes.unwrap_or(self.queue.bytes());
        let mut taken = 0;
        let result = match &mut self.way {
            Way::Splice { from, into, held } => {
                splice_out(&self.to, from, into, held, bytes, &mut taken)
            }
            Way::Send => each_chunk(&self.to, bytes, &mut taken, |fd, chunk| {
                let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
                send(fd.as_raw_fd(), chunk, flags)
            }),
            Way::Thread { .. } => {
                each_chunk(&self.to, bytes, &mut taken, |fd, chunk| write(fd, chunk))
            }
        };
        (taken, result)
    }

    fn settle(&mut self, result: nix::Result<()>) {
        match result {
            Ok(()) => {}
            Err(error) if self.is_refused(error) => {
                if let Err(error) = self.write_by_thread() {
                    self.close(Errno::try_from(error).unwrap_or(Errno::EIO));
                }
            }
            Err(error) => self.close(error),
        }
    }

    /// Whether splice(2) itself cannot be had (an old kernel, a sandbox, a seccomp profile).
    fn is_refused(&self, error: Errno) -> bool {
        matches!(self.way, Way::Splice { .. })
            && matches!(error, Errno::EINVAL | Errno::ENOSYS | Errno::EPERM)
    }

    /// Gives the destination and our own pipe to a thread.
    fn write_by_thread(&mut self) -> io::Result<()> {
        let Way::Splice { from, into, .. } = std::mem::replace(&mut self.way, Way::Send) else {
            return Ok(());
        };
        let into = watch(into, Interest::WRITABLE)?;
        let to = std::mem::replace(&mut self.to, into).into_inner();
        let report = waiter::start(from, to)?;
        self.way = Way::Thread { report };
        Ok(())
    }

    fn close(&mut self, error: Errno) {
        self.closed = true;
        self.failure = Some(error);
        self.lost += self.queue.len() as u64;
        self.queue.consume(self.queue.len());
        if let Way::Splice { held, .. } = &mut self.way {
            self.lost += std::mem::take(held) as u64;
        }
    }
}

/// Whether two descriptors lead to one file, so that they need one queue to keep their order.
///
/// # Errors
/// As fstat(2): one is not open.
pub fn is_same_file(one: impl AsFd, other: impl AsFd) -> io::Result<bool> {
    let (one, other) = (fstat(one)?, fstat(other)?);
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}

/// Makes reads or writes through this descriptor, which must be ours alone, return at once.
///
/// # Errors
/// As fcntl(2).
pub fn set_nonblocking(own: impl AsFd) -> io::Result<()> {
    fcntl(own, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(())
}

fn watch(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` gives the same descriptor each time and closes it only when dropped,
    // which the `AsyncFd` it lives in does after deregistering it.
    Ok(unsafe { AsyncFd::register_with_interest(fd, interest)? })
}

/// A pipe whose writing end does not block. Its ends are separate open files: the reading end does.
pub(super) fn private_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (from, into) = pipe2(OFlag::O_CLOEXEC)?;
    set_nonblocking(&into)?;
    Ok((from, into))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_takes_over_where_splice_is_refused() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let read_back = runtime.block_on(async {
            let (out, to_out) = pipe2(OFlag::O_CLOEXEC).expect("a pipe");
            let mut sink = Sink::new(to_out).expect("a sink");
            sink.put(b"before\n");
            sink.pump();
            sink.settle(Err(Errno::EPERM));
            assert!(sink.report().is_some() && !sink.is_closed());
            sink.put(b"after\n");
            while !sink.is_idle() {
                sink.writable().await;
                sink.pump();
            }
            sink.finish().await;
            let mut bytes = [0; 100];
            let count = read(&out, &mut bytes).expect("it was written");
            bytes[..count].to_vec()
        });
        assert_eq!(read_back, b"before\nafter\n");
    }

    #[test]
    fn a_full_device_is_reported() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let full = std::fs::File::options().write(true).open("/dev/full");
            let mut sink = Sink::new(full.expect("it exists").into()).expect("a sink");
            sink.put(b"lost\n");
            while !sink.is_idle() {
                sink.writable().await;
                sink.pump();
            }
            let report = sink.report().expect("there is a thread");
            let report = report.try_clone_to_owned().expect("a copy");
            let report = watch(report, Interest::READABLE).expect("it can be watched");
            let _ready = report.readable().await.expect("a report comes");
            assert!(sink.read_report());
            assert_eq!((sink.take_failure(), sink.lost()), (Some(Errno::ENOSPC), 5));
            assert_eq!(sink.take_failure(), None);
        });
    }
}
