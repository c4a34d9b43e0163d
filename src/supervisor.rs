//! THE LOOP: wait → event → fleet → orders → perform. It owns all state; what it decides is decided
//! by the machine, and what it tells is told by the narrator.

mod asked;
mod before;
mod checks;
pub mod crew;
mod dead;
mod ends;
mod heard;
mod helpers;
mod history;
mod last;
mod launch;
mod narrator;
mod notices;
mod outcome;
mod perform;
mod planned;
mod report;
mod rescan;
mod starts;
mod why;
mod wiring;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::control::server::Server;
use crate::logs::router::{Router, Work};
use crate::machine::fleet::Fleet;
use crate::machine::slot::{Input, Ix, Limits, Order};
use crate::machine::unit::State;
use crate::os::clock;
use crate::os::inherited;
use crate::os::memory;
use crate::os::oom::OomCounter;
use crate::os::signals::Signals;
use crate::os::spawner::Spawner;
use crate::service::definition::{Format, Service};
use crate::service::environment::Environment;
use crate::service::scandir;
use crate::values::{Moment, Signal};

use crew::Sources;
use helpers::Helpers;
use history::History;
use launch::Launcher;
use narrator::{Level, Line, Narrator};
use notices::Notices;
use outcome::Sides;
use planned::Runs;
use starts::Starts;

/// What the boot hands over.
pub struct Boot {
    /// Every service, sorted by name; CMD, if there is one, is the last.
    pub services: Vec<Service>,
    /// CMD's number.
    pub cmd: Option<Ix>,
    /// Where they were read, to be read again.
    pub sources: Sources,
    /// The container's environment.
    pub environment: Environment,
    /// The time that the end, and CMD's wait, may take.
    pub limits: Limits,
    /// The format of services that do not name one.
    pub format: Format,
    /// The container's output.
    pub router: Router,
    /// The control socket, if it could be had.
    pub server: Option<Server>,
    /// Starts processes.
    pub spawner: Spawner,
    /// The signals of an init.
    pub signals: Signals,
}

/// PID 1, once it runs.
pub struct Supervisor {
    fleet: Fleet,
    cmd: Option<Ix>,
    sources: Sources,
    format: Format,
    sides: Sides,
    launcher: Launcher,
    router: Router,
    server: Option<Server>,
    signals: Signals,
    starts: Starts,
    notices: Notices,
    helpers: Helpers,
    answers: (mpsc::Sender<Answer>, mpsc::Receiver<Answer>),
    runs: Runs,
    oom: OomCounter,
    narrator: Narrator,
    history: History,
    orders: VecDeque<Order>,
    /// Whose process group got SIGKILL when its main process died, which is yet to be told.
    cleared: BTreeSet<Ix>,
    /// The number of the next line of each service (`None`: of pidone) for those who follow.
    followed: BTreeMap<Option<Ix>, u64>,
    reap: bool,
    orphans: u64,
    /// When what only the boot needed is given back.
    settles: Option<Moment>,
    code: Option<u8>,
    /// Whoever has started us is told by it when the desk serves.
    tells: Option<OwnedFd>,
}

/// The answer of a probe that dialled.
struct Answer {
    ix: Ix,
    /// Of which start: an answer to an earlier one no longer matters.
    starts: u32,
    result: Result<(), String>,
}

/// What the loop can be woken by.
enum Wake {
    Signals(Vec<Signal>),
    Starts(Vec<u64>),
    Notices(Vec<u64>),
    Answer(Answer),
    Asked(asked::Asked),
    Output(Work),
    Clock,
    Tick,
}

/// The flush of the output at the end may take this long: with the farewell to clients, it is the
/// rest of the second that the machine leaves after its last SIGKILL.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(800);

/// So long after the boot it is quiet: nobody waits for the pages that are read again then.
const QUIET: Duration = Duration::from_secs(1);

/// The clients of the control socket have this long to take what is queued for them.
const FAREWELL_TIMEOUT: Duration = Duration::from_millis(100);

impl Supervisor {
    /// Takes over from the boot.
    ///
    /// # Errors
    /// No descriptors left.
    pub fn new(boot: Boot) -> std::io::Result<Box<Self>> {
        let now = clock::now();
        let count = boot.services.len();
        // In the heap: where it is made, the stack is given back after the boot.
        Ok(Box::new(Self {
            fleet: Fleet::new(boot.services, boot.limits, now),
            cmd: boot.cmd,
            tells: boot.sources.told_by(),
            sources: boot.sources,
            format: boot.format,
            sides: Sides::new(),
            launcher: Launcher::new(boot.spawner, boot.environment)?,
            router: boot.router,
            server: boot.server,
            signals: boot.signals,
            starts: Starts::new()?,
            notices: Notices::default(),
            helpers: Helpers::default(),
            // One question a service is under way at a time, so this is room for every answer.
            answers: mpsc::channel(count.max(1)),
            runs: Runs::default(),
            oom: OomCounter::find(),
            narrator: Narrator::new(now),
            history: History::default(),
            orders: VecDeque::new(),
            cleared: BTreeSet::new(),
            followed: BTreeMap::new(),
            reap: false,
            orphans: 0,
            settles: None,
            code: None,
        }))
    }

    /// Runs until the container ends; gives its exit code.
    pub async fn run(mut self: Box<Self>) -> u8 {
        let mut orders = Vec::new();
        self.fleet.boot(self.cmd, clock::now(), &mut orders);
        self.orders.extend(orders);
        let mut booting = true;
        let code = loop {
            self.perform_all();
            self.tell_all();
            self.tell_ready();
            if booting && !self.narrator.is_booting() {
                booting = false;
                self.settles = Some(clock::now() + QUIET);
            }
            if let Some(code) = self.code {
                break code;
            }
            if let Some(server) = &mut self.server {
                server.look_after(clock::now());
            }
            let wake = self.wait().await;
            self.translate(wake);
        };
        if let Some(server) = &self.server {
            // Whoever follows the events learns of the end, if it reads.
            let drained = async {
                while !server.is_drained() {
                    sleep(Duration::from_millis(1)).await;
                }
            };
            let _ = timeout(FAREWELL_TIMEOUT, drained).await;
        }
        self.router.flush(FLUSH_TIMEOUT, clock::wall()).await;
        code
    }

    /// Once, when the desk serves; or at once, if there is none.
    fn tell_ready(&mut self) {
        if self.tells.is_none() {
            return;
        }
        let desk = self.find(scandir::DESK).and_then(|ix| self.fleet.slot(ix));
        let serves = desk.is_none_or(|slot| matches!(slot.unit.state, State::Ready { .. }));
        if let Some(by) = self.tells.take_if(|_| serves) {
            inherited::tell_ready(&by);
        }
    }

    /// The boot is over, and what followed it: what only they needed goes back to the kernel.
    fn settle(&mut self) {
        self.settles = None;
        self.orders.shrink_to_fit();
        self.starts.shrink();
        memory::give_back_when_idle();
    }

    /// Waits, and does nothing else.
    async fn wait(&mut self) -> Wake {
        let now = clock::now();
        self.runs.set(self.fleet.next_run());
        let deadline = [
            self.fleet.deadline(),
            self.helpers.deadline(),
            self.runs.deadline(),
            self.settles,
        ]
        .into_iter()
        .flatten()
        .min();
        let due = async {
            match deadline {
                Some(at) => sleep(at.since(now)).await,
                None => std::future::pending().await,
            }
        };
        let request = async {
            match &mut self.server {
                Some(server) => server.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            signals = self.signals.wait() => Wake::Signals(signals),
            tokens = self.starts.wait() => Wake::Starts(tokens),
            tokens = self.notices.wait() => Wake::Notices(tokens),
            Some(answer) = self.answers.1.recv() => Wake::Answer(answer),
            (client, peer, request) = request => {
                Wake::Asked(asked::Asked { client, peer, request })
            }
            work = self.router.wait() => Wake::Output(work),
            () = self.runs.wait() => Wake::Clock,
            () = due => Wake::Tick,
        }
    }

    /// Makes of what has woken us what the fleet understands.
    fn translate(&mut self, wake: Wake) {
        match wake {
            Wake::Signals(signals) => signals.into_iter().for_each(|signal| self.signal(signal)),
            Wake::Starts(tokens) => {
                for (ix, event, fault) in self.starts.read(&tokens) {
                    self.started(ix, event, fault);
                    // One after the other: the boot's one line is told when the last has arrived,
                    // and not when the first of these is told of.
                    self.perform_all();
                }
            }
            Wake::Notices(tokens) => self.hear(&tokens),
            Wake::Answer(Answer { ix, starts, result }) => self.answered(ix, starts, result),
            Wake::Asked(asked) => self.answer(asked),
            Wake::Output(work) => self.router.turn(work, clock::wall()),
            Wake::Clock => self.clock(),
            Wake::Tick => {
                if self.runs.deadline().is_some_and(|at| at <= clock::now()) {
                    self.clock();
                }
                self.end_helpers();
                self.hear_all();
                self.take(Input::Tick);
                if self.settles.is_some_and(|at| at <= clock::now()) {
                    self.settle();
                }
            }
        }
    }

    /// One thing happens to the fleet.
    fn take(&mut self, input: Input) {
        let mut orders = Vec::new();
        self.fleet.take(input, clock::now(), &mut orders);
        self.orders.extend(orders);
    }

    fn name(&self, ix: Ix) -> &str {
        self.fleet
            .slot(ix)
            .map_or("", |slot| slot.service.name.as_str())
    }

    fn tell(lines: impl IntoIterator<Item = Line>) {
        for Line {
            service,
            level,
            text,
        } in lines
        {
            let service = service.as_deref();
            match level {
                Level::Info => tracing::info!(service, "{text}"),
                Level::Warn => tracing::warn!(service, "{text}"),
                Level::Error => tracing::error!(service, "{text}"),
            }
        }
    }

    /// When something happened, for people and for programs.
    fn stamp() -> (Moment, Duration) {
        (clock::now(), clock::wall())
    }
}
