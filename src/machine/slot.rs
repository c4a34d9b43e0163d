//! The words between the fleet and the loop: what can happen, what is to be done, and what is known
//! of each service.

use std::rc::Rc;
use std::time::Duration;

use crate::machine::shutdown::Reason;
use crate::machine::unit::{Action, Event, Failure, State, Unit};
use crate::machine::with::Part;
use crate::service::definition::Service;
use crate::values::{Exit, Moment, Pid, Signal};

/// A service's number, from 0. It is never given to another one.
pub type Ix = usize;

/// Whether a service is meant to be up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Want {
    /// Up, or on its way there.
    Up,
    /// Down since the boot: not enabled.
    Off,
    /// Down because somebody stopped it, or what it needs.
    Down,
    /// Down for good: its directory is gone.
    Gone,
}

/// What can happen to the fleet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input {
    /// Something happens to one service.
    Unit(Ix, Event),
    /// A child is gone; `oom`: the kernel killed it for memory.
    Exited {
        /// Which.
        pid: Pid,
        /// How.
        exit: Exit,
        /// By the kernel's OOM killer.
        oom: bool,
    },
    /// A person (or the boot) wants it up, and what it needs.
    Start(Ix),
    /// A person wants it down, and what needs it.
    Stop(Ix),
    /// A person wants it stopped and started.
    Restart(Ix),
    /// A person wants this run of it to be the last.
    Once(Ix),
    /// The wall clock has come to a moment that somebody waits for, or was set.
    Clock,
    /// The container is to end.
    Shutdown(Reason),
    /// The answer to [`Order::Vanish`].
    Vanished(Ix),
    /// `waitpid` says that there is no child.
    Childless,
    /// Time has passed.
    Tick,
}

/// What the fleet asks to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// Something for one service.
    Act(Ix, Action),
    /// A service has changed: tell whoever listens.
    Changed(Change),
    /// It is another program's from the next start on: its output goes another way, or it tells in
    /// another way how it is.
    Rewired(Ix),
    /// It has left for good: forget it, and answer with [`Input::Vanished`] in this turn.
    Vanish(Ix),
    /// The end of the container has begun.
    Ending,
    /// This signal to every process that belongs to no service.
    Strays(Signal),
    /// Flush the output and exit with this code.
    Exit(u8),
}

/// One change of one service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// Which service.
    pub ix: Ix,
    /// What it was.
    pub from: State,
    /// What it is.
    pub to: State,
    /// Since when it had been what it was.
    pub since: Moment,
    /// When it changed.
    pub at: Moment,
    /// How often it had been started again after a death.
    pub restarts: u32,
}

/// A run of a oneshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    /// When it began.
    pub began: Moment,
    /// When it was over.
    pub ended: Option<Moment>,
}

/// A service and what became of it.
#[derive(Clone, Debug)]
pub struct Slot {
    /// Its number.
    pub ix: Ix,
    /// Its definition.
    pub service: Rc<Service>,
    /// The definition that takes the place of that one as soon as its process is gone.
    pub(super) next: Option<Rc<Service>>,
    /// Its state and its retries.
    pub unit: Unit,
    /// Whether it is meant to be up.
    pub want: Want,
    /// Whom a person named who wanted it down: itself, or what it needs.
    pub stopped_with: Option<Ix>,
    /// Since when it has been in its state, as users see states.
    pub entered: Moment,
    /// How often it was started.
    pub starts: u32,
    /// How often it was started again after a death.
    pub restarts: u32,
    /// Its last run by itself, if it has a schedule.
    pub run: Option<Box<Run>>,
    /// How its main process last ended.
    pub exit: Option<Exit>,
    /// The kernel killed that process for memory.
    pub oom: bool,
    /// The logger that reads its output: started with it, and not stopped with it.
    pub(super) logger: Option<Ix>,
    /// What it was when the end began: what it has become since is no cause of anything.
    pub(super) at_end: Option<Box<State>>,
    /// It had to be killed since the end began.
    pub(super) killed: bool,
    /// Its run is the last one: it is stopped when that is over.
    pub(super) once: bool,
    /// What it needs, and what comes before it.
    pub(super) needs: Box<[Ix]>,
    pub(super) after: Box<[Ix]>,
    /// Who is restarted with it.
    pub(super) followers: Box<[Ix]>,
    /// What its last start means to them.
    pub(super) part: Part,
    /// Who needs it, and who comes after it.
    pub(super) needed_by: Box<[Ix]>,
    pub(super) followed_by: Box<[Ix]>,
}

impl Slot {
    /// A service that is down, is not wanted, and knows nobody.
    pub(super) fn new(service: Rc<Service>, now: Moment) -> Self {
        Self {
            ix: 0,
            service,
            next: None,
            unit: Unit::new(),
            want: Want::Off,
            stopped_with: None,
            entered: now,
            starts: 0,
            restarts: 0,
            run: None,
            exit: None,
            oom: false,
            logger: None,
            at_end: None,
            killed: false,
            once: false,
            needs: Box::default(),
            after: Box::default(),
            needed_by: Box::default(),
            followed_by: Box::default(),
            followers: Box::default(),
            part: Part::None,
        }
    }

    /// What it is, or what it was when the end of the container began.
    pub fn standing(&self) -> &State {
        self.at_end.as_deref().unwrap_or(&self.unit.state)
    }

    /// Whether it is to be up from now on, run after run: what s6 calls wanted.
    pub fn is_kept_up(&self) -> bool {
        let has_finished = matches!(self.unit.state, State::Finished | State::Undoable);
        let has_failed = self.failure().is_some_and(|it| it != Failure::Need);
        let has_given_up = has_finished || has_failed;
        self.want == Want::Up && !self.once && !has_given_up
    }

    /// Whether its process is to be replaced by one of a new definition.
    pub fn is_changing(&self) -> bool {
        self.next.is_some()
    }

    /// Nothing lives and nothing is due, unless somebody stops it.
    pub(super) fn is_idle(&self) -> bool {
        let state = &self.unit.state;
        state.is_at_rest() || *state == State::Undoable && self.want == Want::Up
    }

    /// Why it has failed, if it has.
    pub fn failure(&self) -> Option<Failure> {
        match self.unit.state {
            State::Failed(failure) => Some(failure),
            State::Down
            | State::Waiting
            | State::Spawning
            | State::Starting(_)
            | State::Ready { .. }
            | State::Unready { .. }
            | State::BeforeStop { .. }
            | State::Stopping { .. }
            | State::SpawningFinish { .. }
            | State::Finishing { .. }
            | State::Backoff { .. }
            | State::Scheduled { .. }
            | State::Finished
            | State::Undoable => None,
        }
    }
}

/// The limits of a fleet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// How long the end of the container may take (`PIDONE_STOP_TIMEOUT`).
    pub stop: Duration,
    /// How long CMD waits for the others (`PIDONE_CMD_WAIT`).
    pub cmd_wait: Duration,
}
