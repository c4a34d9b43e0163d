//! Services that tell by themselves how they are: their sockets (sd_notify(3)), who is heard, and
//! what becomes of it.

use std::collections::HashMap;
use std::path::PathBuf;

use nix::errno::Errno;

use crate::machine::slot::{Input, Ix};
use crate::machine::unit::{Event, Said, State};
use crate::os::clock;
use crate::os::notify::{DATAGRAM_BYTES_MAX, NotifySocket, is_of};
use crate::os::pid1;
use crate::os::poll::Poller;
use crate::os::reason::{reason, said};
use crate::service::definition::{Probe, Service};
use crate::service::notice::{Allowance, Word, words};
use crate::supervisor::Supervisor;
use crate::supervisor::history::What;
use crate::values::Pid;

/// So many datagrams of one service are read in one turn of the loop: a flood has its turn like
/// everybody else.
const DATAGRAMS_MAX: usize = 32;

/// The sockets of all services that have one.
#[derive(Default)]
pub(super) struct Notices {
    /// Made with the first of them.
    poller: Option<Poller>,
    sockets: HashMap<Ix, Ear>,
}

/// A service's socket.
struct Ear {
    socket: NotifySocket,
    /// What was complained of in this start: each once.
    told: Vec<Complaint>,
}

/// A datagram as it was read.
struct Heard {
    words: Result<Vec<Word>, Complaint>,
    sender: Option<Pid>,
}

/// What is wrong with a datagram.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Complaint {
    Stranger(Option<Pid>),
    TooLong,
    MainPid,
}

/// What a service has said of itself in this start.
#[derive(Default)]
pub(super) struct Sayings {
    /// `STATUS=`
    pub(super) status: Option<String>,
    /// `ERRNO=`, in words.
    pub(super) errno: Option<String>,
    /// It has said `RELOADING=1`, and not `READY=1` since.
    pub(super) is_reloading: bool,
    /// It was asked to reload, and is to say when that is done.
    is_asked: bool,
    /// `X_PIDONE_NOTE=`
    pub(super) note: Option<String>,
    /// What it may still tell by `X_PIDONE_EVENT=`.
    allowance: Allowance,
}

impl Notices {
    /// Waits until somebody has told something. Cancel-safe.
    pub(super) async fn wait(&self) -> Vec<u64> {
        match &self.poller {
            Some(poller) => poller.wait().await,
            None => std::future::pending().await,
        }
    }

    /// Who has told something, without waiting.
    fn ready(&self) -> Vec<u64> {
        self.poller.as_ref().map_or(Vec::new(), Poller::ready)
    }

    /// The socket of a service that is about to start, below the first of `dirs` that takes it.
    fn open(
        &mut self,
        ix: Ix,
        name: &str,
        dirs: &[PathBuf],
        owner: Option<(u32, u32)>,
    ) -> Result<PathBuf, String> {
        if let Some(ear) = self.sockets.get_mut(&ix) {
            ear.told.clear();
            let is_its_own = ear.socket.path().ends_with(name);
            // Its user may be another one now; and if the file is gone, nobody would find it.
            if is_its_own && ear.socket.give_to(owner).is_ok() {
                return Ok(ear.socket.path().to_owned());
            }
            self.forget(ix);
        }
        let socket = NotifySocket::make(dirs, name, owner)?;
        let path = socket.path().to_owned();
        let cannot = |error: std::io::Error| format!("cannot watch its socket: {}", reason(&error));
        let poller = match &mut self.poller {
            Some(poller) => poller,
            none => none.insert(Poller::new().map_err(cannot)?),
        };
        poller.add(&socket, ix as u64).map_err(cannot)?;
        let told = Vec::new();
        self.sockets.insert(ix, Ear { socket, told });
        Ok(path)
    }

    /// A service has left, or is another one now: its socket goes, and the file with it. It is
    /// taken out of the set by hand, since a child that has yet to reach its exec holds a copy
    /// (epoll(7)).
    pub(super) fn forget(&mut self, ix: Ix) {
        if let Some(ear) = self.sockets.remove(&ix)
            && let Some(poller) = &self.poller
        {
            poller.remove(&ear.socket);
        }
    }

    /// Up to so many datagrams, and who sent them.
    fn read(&self, ix: Ix) -> Vec<Heard> {
        let Some(ear) = self.sockets.get(&ix) else {
            return Vec::new();
        };
        let mut buffer = [0; DATAGRAM_BYTES_MAX];
        let mut read = Vec::new();
        while read.len() < DATAGRAMS_MAX
            && let Some(datagram) = ear.socket.receive(&mut buffer)
        {
            let text = buffer.get(..datagram.bytes).unwrap_or_default();
            let words = if datagram.is_cut {
                Err(Complaint::TooLong)
            } else {
                Ok(words(text))
            };
            let sender = datagram.sender;
            read.push(Heard { words, sender });
        }
        read
    }

    /// Whether this is to be told: once in a start.
    fn is_new(&mut self, ix: Ix, complaint: Complaint) -> bool {
        let is_same =
            |other: &Complaint| std::mem::discriminant(other) == std::mem::discriminant(&complaint);
        self.sockets.get_mut(&ix).is_some_and(|ear| {
            let is_new = !ear.told.iter().any(is_same);
            ear.told.extend(is_new.then_some(complaint));
            is_new
        })
    }
}

/// What its environment tells a service that is to tell by itself. `WATCHDOG_PID` is left out, as
/// sd_watchdog_enabled(3) allows: behind a wrapper it would name the wrong process.
pub(super) fn variables(
    service: &Service,
    socket: PathBuf,
) -> Vec<(&'static str, std::ffi::OsString)> {
    let mut variables = vec![("NOTIFY_SOCKET", socket.into_os_string())];
    let health = service.health.as_ref();
    if let Some(health) = health.filter(|health| health.probe == Probe::Notify) {
        let usec = health.interval.as_micros().to_string();
        variables.push(("WATCHDOG_USEC", usec.into()));
    }
    variables
}

/// Whether a service tells by itself.
fn tells(service: &Service) -> bool {
    let ready = service.ready.as_ref().map(|ready| &ready.probe);
    let health = service.health.as_ref().map(|health| &health.probe);
    [ready, health].contains(&Some(&Probe::Notify))
}

impl Supervisor {
    /// Where a service that is about to start tells how it is, if it does. The error is for people.
    pub(super) fn notify_socket(
        &mut self,
        ix: Ix,
        service: &Service,
        owner: Option<(u32, u32)>,
    ) -> Result<Option<PathBuf>, String> {
        if !tells(service) {
            return Ok(None);
        }
        let control = self
            .server
            .as_ref()
            .and_then(|server| server.path().parent());
        let mut dirs: Vec<PathBuf> = control
            .filter(|dir| dir.is_absolute())
            .map(PathBuf::from)
            .into_iter()
            .collect();
        dirs.push("/run/pidone".into());
        dirs.push(format!("/tmp/pidone-{}", pid1::uid()).into());
        dirs.dedup();
        let path = self.notices.open(ix, service.name.as_str(), &dirs, owner)?;
        Ok(Some(path))
    }

    /// Everybody who has told something is heard: before the dead are collected, since who is
    /// collected is nobody's any more; and before time passes for a watchdog.
    pub(super) fn hear_all(&mut self) {
        let tokens = self.notices.ready();
        self.hear(&tokens);
    }

    /// These services have told something.
    pub(super) fn hear(&mut self, tokens: &[u64]) {
        for token in tokens {
            let Ok(ix) = Ix::try_from(*token) else {
                continue;
            };
            for Heard { words, sender } in self.notices.read(ix) {
                let slot = self.fleet.slot(ix);
                let Some(main) = slot.and_then(|slot| slot.unit.state.main_pid()) else {
                    continue;
                };
                if !sender.is_some_and(|sender| is_of(sender, main)) {
                    self.complain_of(ix, Complaint::Stranger(sender));
                    continue;
                }
                match words {
                    Ok(words) => words.into_iter().for_each(|word| self.heard(ix, word)),
                    Err(complaint) => self.complain_of(ix, complaint),
                }
            }
        }
    }

    fn complain_of(&mut self, ix: Ix, complaint: Complaint) {
        if !self.notices.is_new(ix, complaint) {
            return;
        }
        let service = self.name(ix);
        match complaint {
            Complaint::Stranger(Some(pid)) => tracing::warn!(
                service,
                "a notification from process {pid} is not heard: it is none of its own"
            ),
            Complaint::Stranger(None) => tracing::warn!(
                service,
                "a notification from outside the container is not heard"
            ),
            Complaint::TooLong => tracing::warn!(
                service,
                "a notification of more than {DATAGRAM_BYTES_MAX} bytes is not heard"
            ),
            Complaint::MainPid => tracing::warn!(
                service,
                "MAINPID is not heard: its main process is the one that was started"
            ),
        }
    }

    fn heard(&mut self, ix: Ix, word: Word) {
        match word {
            Word::Ready => {
                let sayings = self.sayings(ix);
                let was_reloading = std::mem::take(&mut sayings.is_reloading);
                let is_done = was_reloading && std::mem::take(&mut sayings.is_asked);
                self.tells(ix, Said::Ready);
                if is_done {
                    self.reloaded(ix, None);
                }
            }
            Word::Reloading => self.sayings(ix).is_reloading = true,
            Word::Stopping => self.tells(ix, Said::Stopping),
            Word::Alive => self.is_well(ix),
            Word::Alarm => {
                if self.has_watchdog(ix) {
                    let fault = Some("it sent WATCHDOG=trigger".to_owned());
                    self.sides.entry(ix).or_default().probe_fault = fault;
                }
                self.tells(ix, Said::Alarm);
            }
            Word::Extend(more) => self.tells(ix, Said::Extend(more)),
            Word::Status(text) => {
                self.sayings(ix).status = Some(text).filter(|text| !text.is_empty());
            }
            Word::Note(text) => {
                self.sayings(ix).note = Some(text).filter(|text| !text.is_empty());
            }
            Word::Event(text) => self.has_happened(ix, text),
            Word::Errno(number) => {
                let is_one = number != 0;
                self.sayings(ix).errno = is_one.then(|| said(Errno::from_raw(number)));
            }
            Word::MainPid(number) => {
                let slot = self.fleet.slot(ix);
                let main = slot.and_then(|slot| slot.unit.state.main_pid());
                // haproxy names the one that it is.
                if main.is_some_and(|main| main.raw() != number) {
                    self.complain_of(ix, Complaint::MainPid);
                }
            }
        }
    }

    /// It was sent the signal of a reload whose end it tells. Who is not ready yet has nothing
    /// to read again, and says `READY=1` for another reason.
    pub(super) fn awaits_reload(&mut self, ix: Ix) {
        let slot = self.fleet.slot(ix);
        let is_up = |state: &State| matches!(state, State::Ready { .. } | State::Unready { .. });
        if slot.is_some_and(|slot| is_up(&slot.unit.state)) {
            self.sayings(ix).is_asked = true;
        } else {
            self.reloaded(ix, None);
        }
    }

    /// It tells of something, as far as one service may.
    fn has_happened(&mut self, ix: Ix, what: String) {
        match self.sayings(ix).allowance.spend(clock::now()) {
            None => {}
            Some(0) => self.publish_deed(ix, What::Told, None, Some(what)),
            Some(dropped) => {
                let what = format!("{what} ({dropped} events before this are not told)");
                self.publish_deed(ix, What::Told, None, Some(what));
            }
        }
    }

    /// A sign of life.
    fn is_well(&mut self, ix: Ix) {
        if self.has_watchdog(ix) {
            let side = self.sides.entry(ix).or_default();
            side.passed += 1;
            side.probe_fault = None;
        }
        self.tells(ix, Said::Alive);
    }

    /// It is up, and has to give signs of life.
    fn has_watchdog(&self, ix: Ix) -> bool {
        self.fleet.slot(ix).is_some_and(|slot| {
            let health = slot.service.health.as_ref();
            let is_up = matches!(slot.unit.state, State::Ready { .. } | State::Unready { .. });
            is_up && health.is_some_and(|health| health.probe == Probe::Notify)
        })
    }

    fn tells(&mut self, ix: Ix, said: Said) {
        self.take(Input::Unit(ix, Event::Said(said)));
    }

    fn sayings(&mut self, ix: Ix) -> &mut Sayings {
        let side = self.sides.entry(ix).or_default();
        side.sayings.get_or_insert_default()
    }
}
