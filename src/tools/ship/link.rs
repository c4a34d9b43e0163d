//! The way to the collector: looked up, dialled, used, lost, and tried again after a pause.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Duration;

use nix::poll::PollFlags;

use crate::os::clock;
use crate::os::reason::reason;
use crate::syslog::backlog::Backlog;
use crate::syslog::handed::Handed;
use crate::syslog::pause::Pause;
use crate::tools::ship::remark;
use crate::tools::ship::tally::{Tally, lines};
use crate::tools::ship::target::Target;
use crate::tools::ship::wire::Wire;
use crate::values::Moment;
use crate::values::span::show_span;

/// An address that has not answered by then is passed over.
const CONNECT: Duration = Duration::from_secs(5);
/// A connection that stood so long was a good one: the pauses begin anew.
const GOOD: Duration = Duration::from_secs(5);
/// The same failure is told again after so long.
const RETELL: Duration = Duration::from_secs(60);
/// How many lines are sent before stdin has its turn again.
const BATCH: usize = 256;

/// The way.
pub struct Link {
    target: Target,
    state: State,
    pause: Pause,
    /// The line that is being sent, and how much of it the kernel has.
    sending: Option<(Box<[u8]>, usize)>,
    handed: Handed,
    /// The last failure, and when it was told.
    told: Option<(String, Moment)>,
}

enum State {
    Idle { until: Moment },
    Asking(Lookup),
    Dialling(Dialling),
    Up { wire: Wire, since: Moment },
}

/// Addresses still to try, and the one that is being tried.
struct Dialling {
    wire: Wire,
    address: SocketAddr,
    rest: VecDeque<SocketAddr>,
    by: Moment,
}

/// A name that is being resolved, on a thread of its own, for libc's resolver blocks.
struct Lookup {
    answer: Receiver<io::Result<VecDeque<SocketAddr>>>,
    /// Its other end is closed when there is an answer.
    bell: UnixStream,
}

impl Lookup {
    fn begin(target: &Target) -> io::Result<Self> {
        let (tell, answer) = channel();
        let (bell, ring) = UnixStream::pair()?;
        let (host, port) = (target.host.clone(), target.port);
        std::thread::Builder::new()
            .name("lookup".into())
            .spawn(move || {
                let found = (host.as_str(), port).to_socket_addrs();
                // Whoever asked may have ended.
                let _ = tell.send(found.map(Iterator::collect));
                drop(ring);
            })?;
        Ok(Self { answer, bell })
    }
}

impl Link {
    /// A way that is not yet tried.
    pub fn new(target: Target, now: Moment) -> Self {
        Self {
            target,
            state: State::Idle { until: now },
            pause: Pause::default(),
            sending: None,
            handed: Handed::default(),
            told: None,
        }
    }

    /// What to wait for.
    pub fn interest(&self, has_work: bool) -> Option<(BorrowedFd<'_>, PollFlags)> {
        match &self.state {
            State::Idle { .. } => None,
            State::Asking(lookup) => Some((lookup.bell.as_fd(), PollFlags::POLLIN)),
            State::Dialling(dialling) => Some((dialling.wire.as_fd(), PollFlags::POLLOUT)),
            State::Up { wire, .. } if has_work || self.sending.is_some() => {
                Some((wire.as_fd(), PollFlags::POLLIN | PollFlags::POLLOUT))
            }
            State::Up { wire, .. } => Some((wire.as_fd(), PollFlags::POLLIN)),
        }
    }

    /// When to look again, whatever happens.
    pub fn deadline(&self) -> Option<Moment> {
        match &self.state {
            State::Idle { until } => Some(*until),
            State::Dialling(dialling) => Some(dialling.by),
            State::Asking(_) | State::Up { .. } => None,
        }
    }

    /// Whether nothing of ours is on its way any more, as far as that can be known.
    pub fn is_settled(&self) -> bool {
        match &self.state {
            State::Up { wire, .. } => self.sending.is_none() && wire.unconfirmed() == 0,
            State::Idle { .. } | State::Asking(_) | State::Dialling(_) => self.sending.is_none(),
        }
    }

    /// Goes as far as it can without waiting.
    pub fn turn(&mut self, backlog: &mut Backlog, tally: &mut Tally, now: Moment) {
        match std::mem::replace(&mut self.state, State::Idle { until: now }) {
            State::Idle { until } if until > now => self.state = State::Idle { until },
            State::Idle { .. } => self.look_up(now),
            State::Asking(lookup) => match lookup.answer.try_recv() {
                Ok(Ok(addresses)) => self.dial(addresses, io::Error::other("no address"), now),
                Ok(Err(error)) => self.wait(&reason(&error), now),
                Err(TryRecvError::Empty) => self.state = State::Asking(lookup),
                Err(TryRecvError::Disconnected) => self.wait("the resolver has died", now),
            },
            State::Dialling(dialling) => match dialling.wire.is_connected() {
                Ok(true) => self.stand(dialling.wire, dialling.address, now),
                Ok(false) if now < dialling.by => self.state = State::Dialling(dialling),
                Ok(false) => self.dial(dialling.rest, io::ErrorKind::TimedOut.into(), now),
                Err(error) => self.dial(dialling.rest, error, now),
            },
            State::Up { mut wire, since } => {
                let went = wire
                    .listen()
                    .and_then(|()| self.send(&wire, backlog, tally));
                match went {
                    Ok(()) => self.state = State::Up { wire, since },
                    Err(error) => self.lose(&wire, &error, since, backlog, tally, now),
                }
            }
        }
    }

    /// The end: counts what may not have arrived.
    pub fn close(&mut self, backlog: &mut Backlog, tally: &mut Tally) {
        if let State::Up { wire, .. } = &mut self.state {
            let refused = wire
                .listen()
                .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
            tally.unconfirmed += u64::from(refused);
            let unconfirmed = wire.unconfirmed();
            self.count(unconfirmed, tally);
        }
        if let Some((frame, _)) = self.sending.take() {
            backlog.put_back(frame);
        }
    }

    fn look_up(&mut self, now: Moment) {
        if let Ok(ip) = self.target.host.parse::<IpAddr>() {
            let address = SocketAddr::new(ip, self.target.port);
            return self.dial([address].into(), io::Error::other("no address"), now);
        }
        match Lookup::begin(&self.target) {
            Ok(lookup) => self.state = State::Asking(lookup),
            Err(error) => self.wait(&reason(&error), now),
        }
    }

    /// Tries the first address that does not fail at once; `last` is why the one before did.
    fn dial(&mut self, mut rest: VecDeque<SocketAddr>, mut last: io::Error, now: Moment) {
        while let Some(address) = rest.pop_front() {
            match Wire::dial(self.target.carrier, address) {
                Ok(wire) => {
                    self.state = State::Dialling(Dialling {
                        wire,
                        address,
                        rest,
                        by: now + CONNECT,
                    });
                    return;
                }
                Err(error) => last = error,
            }
        }
        self.wait(&reason(&last), now);
    }

    fn stand(&mut self, wire: Wire, address: SocketAddr, now: Moment) {
        // Over UDP nothing is known yet: a failure that comes at once is told once a minute.
        let is_news = matches!(wire, Wire::Tcp(_)) || self.told.is_none();
        if is_news {
            remark(&format!("sending to {} ({address})", self.target));
            self.told = None;
        }
        self.state = State::Up { wire, since: now };
    }

    /// Waits before the next try, and tells why.
    fn wait(&mut self, why: &str, now: Moment) {
        // The clock's finest digits are as good as dice here.
        let chance = clock::wall().subsec_micros().to_le_bytes()[0];
        let pause = self.pause.next(chance);
        let known = |(text, at): &(String, Moment)| text == why && now.since(*at) < RETELL;
        if !self.told.as_ref().is_some_and(known) {
            let next = show_span(pause);
            remark(&format!(
                "cannot send to {}: {why}; next try in {next}",
                self.target
            ));
            self.told = Some((why.to_owned(), now));
        }
        self.state = State::Idle { until: now + pause };
    }

    /// Sends until the kernel takes no more, a batch at most.
    fn send(&mut self, wire: &Wire, backlog: &mut Backlog, tally: &mut Tally) -> io::Result<()> {
        for _ in 0..BATCH {
            let next = self
                .sending
                .take()
                .or_else(|| backlog.take().map(|frame| (frame, 0)));
            let Some((frame, done)) = next else { break };
            let sent = match wire.send(frame.get(done..).unwrap_or_default()) {
                Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => {
                    backlog.drop_one();
                    continue;
                }
                sent => sent,
            };
            let length = frame.len();
            let taken = done + sent.as_ref().map_or(0, |count| count.unwrap_or(0));
            if taken < length {
                self.sending = Some((frame, taken));
            }
            match sent? {
                None => break,
                Some(_) if taken < length => {}
                Some(_) => {
                    tally.sent += 1;
                    if matches!(wire, Wire::Tcp(_)) {
                        self.handed.add(length);
                    }
                }
            }
        }
        self.handed.confirm(wire.unconfirmed(), self.partial());
        Ok(())
    }

    /// How much the kernel has of a line that it has not whole.
    fn partial(&self) -> usize {
        self.sending.as_ref().map_or(0, |(_, done)| *done)
    }

    /// Counts what is unconfirmed of the connection that ends; in words, if there is anything.
    fn count(&mut self, unconfirmed: usize, tally: &mut Tally) -> String {
        let partial = self.partial();
        self.handed.confirm(unconfirmed, partial);
        let count = std::mem::take(&mut self.handed).len() as u64;
        if count == 0 {
            return String::new();
        }
        let bytes = unconfirmed.saturating_sub(partial) as u64;
        tally.unconfirmed += count;
        tally.unconfirmed_bytes += bytes;
        format!(", unconfirmed: {} ({bytes} bytes)", lines(count))
    }

    fn lose(
        &mut self,
        wire: &Wire,
        error: &io::Error,
        since: Moment,
        backlog: &mut Backlog,
        tally: &mut Tally,
        now: Moment,
    ) {
        let why = match wire {
            Wire::Tcp(_) => {
                let unconfirmed = self.count(wire.unconfirmed(), tally);
                format!("the connection is lost ({}){unconfirmed}", reason(error))
            }
            // The kernel tells of the datagram before: nobody listened.
            Wire::Udp(_) => {
                if error.kind() == io::ErrorKind::ConnectionRefused {
                    tally.unconfirmed += 1;
                }
                reason(error)
            }
        };
        if let Some((frame, _)) = self.sending.take() {
            backlog.put_back(frame);
        }
        if now.since(since) >= GOOD {
            self.pause.reset();
        }
        self.wait(&why, now);
    }
}
