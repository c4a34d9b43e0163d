//! The desk's loop: letters become requests to PID 1, what PID 1 tells becomes files and letters.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::control::client::{Client, Failure, PATIENCE, places};
use crate::control::protocol::{Event, EventKind, Reply, Request, ServiceStatus, State};
use crate::diag::Diagnostic;
use crate::os::clock;
use crate::os::reason::reason;
use crate::os::signals::{Incoming, SignalSet};
use crate::tools::s6::tell;
use crate::values::{Moment, Signal};

use super::post::{Control, Post, is_closed};
use super::record::Told;
use super::standins::StandIns;

/// Who can be heard: signals, PID 1, the directory's own control, and from `FIRST` on the services.
const SIGNALS: u64 = 0;
const EVENTS: u64 = 1;
const SCANNER: u64 = 2;
const FIRST: u64 = 3;

/// So many are served in one turn; the others come in the next.
const BATCH: usize = 64;

/// What was told in the moment of the end has come by then.
const LAST_LOOK: Duration = Duration::from_millis(2);

/// A supervisor that has left a service is back after so long, as under `s6-svscan`.
const BACK_AFTER: Duration = Duration::from_secs(1);

/// The desk.
pub(super) struct Desk {
    dir: PathBuf,
    epoll: Epoll,
    signals: Incoming,
    /// Where PID 1 tells what happens.
    events: Client,
    /// Where it is asked.
    pub(super) asks: Client,
    pub(super) scanner: Option<Control>,
    pub(super) posts: BTreeMap<String, Post>,
    /// By the number that the epoll set knows them by.
    pub(super) numbers: BTreeMap<u64, String>,
    next: u64,
    /// Those that were left, and when they are taken up again.
    left: Vec<(Moment, String)>,
    stand_ins: StandIns,
    /// What was said once.
    said: BTreeSet<&'static str>,
}

impl Desk {
    /// Connects to PID 1, and makes the files of every service.
    ///
    /// # Errors
    /// PID 1 cannot be asked, or there are no descriptors left.
    pub(super) fn open(dir: PathBuf, stand_ins: bool) -> Result<Self, Diagnostic> {
        let failed = |failure: Failure| failure.diagnostic();
        let places = places();
        let mut events = Client::connect(&places).map_err(failed)?;
        let follow = Request::Events {
            last: Some(0),
            follow: true,
        };
        events.send(&follow).map_err(failed)?;
        let first = events.next_now().map_err(failed)?;
        let cannot = |why: io::Error| Diagnostic::error(format!("cannot wait: {}", reason(&why)));
        let epoll =
            Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(|why| cannot(why.into()))?;
        let mut desk = Self {
            dir,
            epoll,
            signals: Incoming::new(SignalSet::ALL).map_err(cannot)?,
            events,
            asks: Client::connect(&places).map_err(failed)?,
            scanner: None,
            posts: BTreeMap::new(),
            numbers: BTreeMap::new(),
            next: FIRST,
            left: Vec::new(),
            stand_ins: StandIns::new(stand_ins),
            said: BTreeSet::new(),
        };
        desk.listen(desk.signals.as_fd(), SIGNALS).map_err(cannot)?;
        desk.listen(desk.events.as_fd(), EVENTS).map_err(cannot)?;
        if let Some(Reply::Status(status)) = first {
            desk.take_up(&status.services);
        }
        match Control::open(&desk.dir.join(".s6-svscan")) {
            Ok(scanner) => {
                desk.listen(scanner.fifo.as_fd(), SCANNER).map_err(cannot)?;
                desk.scanner = Some(scanner);
            }
            Err(error) => desk.say_closed(".s6-svscan", &error),
        }
        Ok(desk)
    }

    fn listen(&self, to: impl AsFd, number: u64) -> io::Result<()> {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, number);
        Ok(self.epoll.add(to, event)?)
    }

    /// Serves until it is told to end; gives the exit code.
    ///
    /// # Errors
    /// PID 1 has hung up.
    pub(super) fn run(&mut self) -> Result<u8, Diagnostic> {
        loop {
            let mut found = [EpollEvent::empty(); BATCH];
            let count = match self.epoll.wait(&mut found, self.patience()) {
                Ok(count) => count,
                Err(Errno::EINTR) => 0,
                Err(why) => return Err(Diagnostic::error(format!("cannot wait: {why}"))),
            };
            let mut is_over = false;
            for event in found.iter().take(count) {
                match event.data() {
                    SIGNALS => is_over |= self.hear_signals(),
                    EVENTS => self.hear_events(PATIENCE)?,
                    SCANNER => self.hear_scanner(),
                    number => self.hear_letters(number),
                }
            }
            self.take_back();
            if is_over {
                // The last of them may have gone in the same moment.
                let _ = self.hear_events(LAST_LOOK);
                self.posts.values().for_each(|post| post.notify("x"));
                return Ok(0);
            }
        }
    }

    fn patience(&self) -> EpollTimeout {
        let left = self.left.iter().map(|(at, _)| *at).min();
        let first = [left, self.stand_ins.due()].into_iter().flatten().min();
        let Some(first) = first else {
            return EpollTimeout::NONE;
        };
        let left = first.since(clock::now()) + Duration::from_millis(1);
        EpollTimeout::try_from(left).unwrap_or(EpollTimeout::ZERO)
    }

    /// Whether it is the end.
    fn hear_signals(&mut self) -> bool {
        let mut is_over = false;
        while let Some(signal) = self.signals.take() {
            is_over |= matches!(signal, Signal::TERM | Signal::INT | Signal::QUIT);
        }
        self.stand_ins.collect(clock::now());
        is_over
    }

    fn hear_events(&mut self, patience: Duration) -> Result<(), Diagnostic> {
        let mut changed = BTreeSet::new();
        let mut unclear = BTreeSet::new();
        let mut is_rescan = false;
        let mut reply = self.events.next(Some(clock::now() + patience));
        loop {
            match reply {
                Ok(Some(Reply::Event(event))) => {
                    is_rescan |= matches!(event.event, EventKind::Rescan | EventKind::Gone);
                    match self.hear_event(&event) {
                        Some((name, true)) => changed.insert(name),
                        Some((name, false)) => unclear.insert(name),
                        None => false,
                    };
                }
                // Too slow once: what was missed is seen by looking.
                Ok(Some(Reply::Skipped { .. })) => is_rescan = true,
                Ok(Some(_)) => {}
                Ok(None) => return Err(Diagnostic::error("pidone has hung up")),
                Err(failure) => return Err(failure.diagnostic()),
            }
            reply = match self.events.arrived() {
                Ok(None) => break,
                other => other,
            };
        }
        if is_rescan || !unclear.is_empty() {
            self.look_around();
        } else if !changed.is_empty() {
            self.look_at(changed.into_iter().collect());
        }
        Ok(())
    }

    /// One event; the service that it is about, if that is one of ours, and whether it is newer
    /// than what is known of it.
    fn hear_event(&mut self, event: &Event) -> Option<(String, bool)> {
        let name = event.service.clone()?;
        let post = self.posts.get_mut(&name)?;
        let (from, to) = post.looked;
        if event.mono_ms < from {
            return None;
        }
        if event.mono_ms <= to {
            return Some((name, false));
        }
        let state = event.to.as_deref().and_then(State::from_word);
        if let (EventKind::State, Some(state)) = (event.event, state) {
            let told = Told {
                state,
                pid: event.pid,
                exit: event.exit.clone(),
                at: clock::wall(),
            };
            let done = post.hear(&told);
            self.say_failed(&name, done);
        }
        Some((name, true))
    }

    /// Looks whether these services are to be up: what they are is told by events, in order.
    pub(super) fn look_at(&mut self, names: Vec<String>) {
        match self.asks.status(names, false) {
            Ok(status) => self.want(&status.services),
            // One of them has gone: an event tells that.
            Err(Failure::Refused(_)) => {}
            Err(failure) => self.say_deaf(&failure),
        }
    }

    /// Looks at all of them, and at the directory.
    fn look_around(&mut self) {
        let from = monotonic();
        match self.asks.status(Vec::new(), false) {
            Ok(status) => {
                let looked = (from, monotonic());
                self.take_up(&status.services);
                for service in &status.services {
                    if let Some(post) = self.posts.get_mut(&service.name) {
                        post.looked = looked;
                        let done = post.look(service, clock::wall());
                        self.say_failed(&service.name, done);
                    }
                }
                self.want(&status.services);
            }
            Err(failure) => self.say_deaf(&failure),
        }
    }

    fn want(&mut self, services: &[ServiceStatus]) {
        for service in services {
            let Some(post) = self.posts.get_mut(&service.name) else {
                continue;
            };
            let done = post.want(service.wanted);
            let is_free = post.is_free();
            self.say_failed(&service.name, done);
            if is_free {
                self.leave(&service.name);
                self.left
                    .push((clock::now() + BACK_AFTER, service.name.clone()));
            }
        }
    }

    /// Serves every service that has a directory here, and no other.
    fn take_up(&mut self, services: &[ServiceStatus]) {
        let names: BTreeSet<&str> = services.iter().map(|it| it.name.as_str()).collect();
        let gone: Vec<String> = self
            .posts
            .keys()
            .filter(|name| !names.contains(name.as_str()) || !self.dir.join(name).is_dir())
            .cloned()
            .collect();
        gone.iter().for_each(|name| self.leave(name));
        for service in services {
            let is_new = !self.posts.contains_key(&service.name)
                && !self.left.iter().any(|(_, name)| *name == service.name);
            if is_new && self.dir.join(&service.name).is_dir() {
                self.open_post(service);
            }
        }
    }

    fn open_post(&mut self, service: &ServiceStatus) {
        let name = &service.name;
        let now = clock::wall();
        let opened = Post::open(self.dir.join(name), now).and_then(|mut post| {
            post.look(service, now)?;
            self.listen(post.control.fifo.as_fd(), self.next)?;
            Ok(post)
        });
        match opened {
            Ok(post) => {
                self.numbers.insert(self.next, name.clone());
                self.next += 1;
                self.posts.insert(name.clone(), post);
                self.stand_ins.add(name);
            }
            Err(error) if is_closed(&error) => self.say_closed(name, &error),
            Err(error) => {
                let text = format!("warning: cannot serve {name}: {}", reason(&error));
                tell(b"s6-svscan", &text);
            }
        }
    }

    /// No longer serves it.
    fn leave(&mut self, name: &str) {
        if let Some(post) = self.posts.remove(name) {
            post.notify("x");
            self.stand_ins.remove(name);
        }
        self.numbers.retain(|_, known| known != name);
    }

    /// Those whose supervisor had left are supervised again, and start unless a file says no.
    fn take_back(&mut self) {
        let now = clock::now();
        self.stand_ins.bring_back(now);
        let due: Vec<String> = self
            .left
            .extract_if(.., |(at, _)| *at <= now)
            .map(|(_, name)| name)
            .collect();
        if due.is_empty() {
            return;
        }
        self.look_around();
        for name in due {
            if self.posts.contains_key(&name) && !Post::is_marked(&self.dir.join(&name)) {
                self.ask(&Request::Start { names: vec![name] });
            }
        }
    }

    /// PID 1 does not answer: the next question goes over a new connection.
    pub(super) fn say_deaf(&mut self, failure: &Failure) {
        let text = format!("warning: {}", super::one_line(&failure.diagnostic()));
        tell(b"s6-svscan", &text);
        if let Ok(asks) = Client::connect(&places()) {
            self.asks = asks;
        }
    }

    pub(super) fn say_failed(&mut self, name: &str, done: io::Result<()>) {
        if let Err(error) = done
            && self.said.insert("files")
        {
            let name = self.dir.join(name);
            let text = format!(
                "warning: cannot write the status of {}: {}",
                name.display(),
                reason(&error)
            );
            tell(b"s6-svscan", &text);
        }
    }

    /// Nothing can be written there: said once, for all of them.
    fn say_closed(&mut self, name: &str, error: &io::Error) {
        if self.said.insert("closed") {
            let text = format!(
                "warning: cannot make the files of s6 in {}: {}; services run, but s6-svc and \
                 s6-svstat do not reach them",
                self.dir.join(name).display(),
                reason(error)
            );
            tell(b"s6-svscan", &text);
        }
    }
}

/// Now, on the clock of [`Event::mono_ms`].
fn monotonic() -> u64 {
    u64::try_from(clock::now().since_origin().as_millis()).unwrap_or(u64::MAX)
}
