//! One service's life as values: its states, what can happen to it, and what it asks to be done.

use std::time::Duration;

use crate::values::{Exit, Moment, Pid};

/// Where a service is in its life. A state carries exactly what exists in it: a pid only where a
/// process lives, a deadline only where something is due. Deadlines are part of the state, so a
/// timer can be neither forgotten nor stale.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum State {
    /// No process, and none is due.
    #[default]
    Down,
    /// It is to start, once what it needs is ready.
    Waiting,
    /// `Action::Spawn` was asked for in this turn, and its answer comes in this turn.
    Spawning,
    /// Its process lives and is not ready yet.
    Starting(Starting),
    /// Its process lives and is ready.
    Ready {
        /// The main process.
        pid: Pid,
        /// Since when.
        since: Moment,
        /// What is due for its health.
        health: Health,
        /// It has passed no check yet, so that failures within `start-period` do not count.
        on_trial: bool,
    },
    /// Its process lives and was ready, but its health fails, or it has said that it is stopping.
    Unready {
        /// The main process.
        pid: Pid,
        /// What is due for its health.
        health: Health,
        /// So many checks in a row has it failed; at most `retries`.
        failed: u32,
    },
    /// It is to end, and `stop.before` runs first.
    BeforeStop {
        /// The main process.
        pid: Pid,
        /// It is asked to end when that command has ended, and by then at the latest.
        until: Moment,
        /// SIGKILL is due then at the latest, whatever `[stop]` says.
        by: Option<Moment>,
        /// What follows its end.
        next: Next,
    },
    /// Its process was asked to end.
    Stopping {
        /// The main process.
        pid: Pid,
        /// SIGKILL is due then; `None` when it was sent, or never will be.
        kill_at: Option<Moment>,
        /// What follows its end.
        next: Next,
    },
    /// `Action::SpawnFinish` was asked for in this turn, and its answer comes in this turn.
    SpawningFinish {
        /// How the service ended.
        exit: Exit,
        /// What follows `finish`.
        next: Next,
    },
    /// Its process is gone and `finish` runs.
    Finishing {
        /// The process of `finish`.
        pid: Pid,
        /// How the service ended.
        exit: Exit,
        /// SIGKILL is due then; `None` when it was sent, or never will be.
        kill_at: Option<Moment>,
        /// What follows its end.
        next: Next,
    },
    /// It died, and waits before it is started again.
    Backoff {
        /// Started again then.
        until: Moment,
        /// Why it is gone.
        cause: Cause,
    },
    /// It runs by its schedule, and not now.
    Scheduled {
        /// Its next run is due then; `None`: that was asked for in this turn, and its answer comes
        /// in this turn.
        at: Option<Moment>,
    },
    /// It ended well and is not to be started again.
    Finished,
    /// It did not, and is not to be started again.
    Failed(Failure),
}

/// A process that lives and is not ready yet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Starting {
    /// The main process.
    pub pid: Pid,
    /// How far it is.
    pub step: StartStep,
    /// Not ready by then is a failed start; `None` waits for ever.
    pub ready_by: Option<Moment>,
}

/// How far a start is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StartStep {
    /// Between clone and exec. A child that hangs there is killed.
    Exec {
        /// The exec must have happened by then.
        by: Moment,
    },
    /// Nobody asks: the service tells by itself, or ends (a oneshot).
    Listen,
    /// It is asked at this moment.
    ProbeAt(Moment),
    /// It has been asked, and the answer is on its way.
    Probing,
}

/// What is due for the health of a service that runs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Health {
    /// Nothing: it has no `[health]`, or has said that it is stopping.
    Unwatched,
    /// It is asked at this moment.
    AskAt(Moment),
    /// It has been asked, and the answer is on its way.
    Asked,
    /// It gives a sign of life by then, or has failed once more.
    SignBy(Moment),
}

/// What follows the end of a process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Next {
    /// Nothing: it was asked to stop.
    Down,
    /// A new start at once: it was asked to restart.
    Restart,
    /// Whatever the restart policy says about such a death.
    Policy(Cause),
}

/// Why a process is gone that nobody asked to go.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Cause {
    /// It ended by itself.
    Died,
    /// It was not ready in time.
    NotReady,
    /// It could not be executed, or not in time.
    Exec,
    /// Its health failed `retries` times in a row.
    Unhealthy,
}

/// Why a service has failed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Failure {
    /// It ended badly, and its policy is not to restart.
    Died,
    /// It was not ready in time, and its policy is not to restart.
    NotReady,
    /// It could not be executed, and its policy is not to restart.
    Exec,
    /// Its health failed, and its policy is not to restart.
    Unhealthy,
    /// It restarted more often than its limit allows.
    Limit,
    /// Its `finish` exited 125, s6's word for "do not restart me".
    Finish,
    /// Something that it needs has failed. It starts by itself when that recovers.
    Need,
}

/// One service as the machine knows it: where it is, and what its past restarts make of the next.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Unit {
    /// Where it is.
    pub state: State,
    /// What its past restarts make of the next.
    pub retry: Retry,
}

/// The memory of past restarts.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Retry {
    /// Restarts in a row, since it was last up for `reset-after`.
    pub failures: u32,
    /// When it was restarted, oldest first; at most `limit.times`, and empty without a limit.
    pub restarts: Vec<Moment>,
    /// Since when it has been trying to become ready.
    pub trying_since: Option<Moment>,
    /// When it told that it was ready, since its last start; kept only for the pace of s6.
    pub ready_at: Option<Moment>,
    /// Its start has failed, so what waits for it need not wait longer. Until it is ready.
    pub hopeless: bool,
}

/// What can happen to a service.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Event {
    /// It is to be up.
    Start,
    /// What it waits for is there.
    Go,
    /// Something that it needs has failed.
    NeedFailed,
    /// It is to be down; nothing of it may be left by this moment.
    Stop {
        /// SIGKILL is due then at the latest.
        by: Option<Moment>,
    },
    /// It is to be up by its schedule.
    Plan,
    /// The answer to `Plan`: its next run is due then, or now.
    Due(Moment),
    /// The wall clock has come to a moment that somebody waits for, or was set.
    Clock,
    /// It is to be stopped and started again.
    Restart,
    /// It is to be killed now.
    Kill,
    /// The answer to `Spawn` and `SpawnFinish`: the new process.
    Spawned(Pid),
    /// The answer to `Spawn` and `SpawnFinish`: there is none.
    SpawnFailed,
    /// The child has become the program.
    Execed,
    /// The child could not become the program; its end follows.
    ExecFailed,
    /// The answer to `Probe` and `CheckUp`.
    Probed {
        /// It is ready, or well.
        ready: bool,
    },
    /// It has told something by itself.
    Said(Said),
    /// The command of `stop.before` has ended, or could not be run.
    BeforeEnded,
    /// Its process (or that of `finish`) is gone.
    Exited(Exit),
    /// Time has passed; whatever is due is done.
    Tick,
}

/// What a service can tell of itself (sd_notify(3), and s6's newline).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Said {
    /// It is ready.
    Ready,
    /// It lives: what a watchdog waits for.
    Alive,
    /// It knows that it is not well: as if it had failed every check already.
    Alarm,
    /// It is on its way down.
    Stopping,
    /// Its start takes this much longer from now.
    Extend(Duration),
}

/// What the machine asks to be done.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// Start its process. The answer comes in this turn.
    Spawn,
    /// Run `finish` for this process, whose number its group still has, and which ended so. The
    /// answer comes in this turn.
    SpawnFinish(Pid, Exit),
    /// Say when its next run is due. The answer comes in this turn.
    Plan {
        /// After the boot or a run; else the clock only has to be looked at again.
        anew: bool,
    },
    /// Tell that a run by its schedule falls out, because what it needs has failed.
    Skip,
    /// Run the command of `stop.before`. Its end comes as `BeforeEnded`.
    RunBefore,
    /// SIGKILL to that command, if it still runs.
    KillBefore,
    /// Ask it to end, as `[stop]` says.
    Ask(Pid),
    /// SIGKILL to its process group.
    Kill(Pid),
    /// SIGKILL to who is left in the group of this process, which has just ended: it is to be
    /// started again. To be done before the dead one is reaped, while the number is still its own.
    KillRest(Pid),
    /// Ask it once whether it is ready.
    Probe,
    /// Ask it once whether it is well.
    CheckUp,
}

impl Unit {
    /// A service that has never run.
    pub fn new() -> Self {
        Self::default()
    }
}
