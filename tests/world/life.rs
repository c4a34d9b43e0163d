//! What a process of the fake world does with its life.

use std::time::Duration;

use pidone::machine::slot::Ix;
use pidone::values::{Exit, Moment, Signal};

/// As the end of a `finish`: no process could be made for it.
pub(crate) const NO_FINISH: Exit = Exit::Code(255);

/// As the time of a `stop.before`: no process could be made for it.
pub(crate) const NO_BEFORE: Duration = Duration::MAX;

/// The life of one process, from spawn to end.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) exec: Exec,
    /// Ready so long after its exec; `None`: never.
    pub(crate) ready: Option<Duration>,
    /// It ends by itself so long after its exec.
    pub(crate) ends: Option<(Duration, Exit)>,
    /// It is not well for this long, so long after its exec.
    pub(crate) sick: Option<(Duration, Duration)>,
    /// It says that it is stopping, so long after its exec.
    pub(crate) leaves: Option<Duration>,
    /// How it ends when asked to; `None`: it does not care.
    pub(crate) on_term: Option<(Duration, Exit)>,
    /// Not even SIGKILL ends it (a process in state D).
    pub(crate) is_undying: bool,
    /// So many daemons does it leave behind.
    pub(crate) orphans: u32,
    /// They do not care for SIGTERM.
    pub(crate) stubborn_orphans: bool,
    /// How long its `stop.before` takes; `None`: it hangs, `NO_BEFORE`: it cannot be run.
    pub(crate) before: Option<Duration>,
    /// How its `finish` ends; `None`: it hangs.
    pub(crate) finish: Option<(Duration, Exit)>,
}

/// The way from spawn to exec.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exec {
    /// It becomes the program after this.
    After(Duration),
    /// It cannot, and says so after this.
    Fails(Duration),
    /// It never does.
    Hangs,
    /// There is no process at all.
    NoProcess,
}

impl Default for Life {
    /// It becomes ready at once, runs for ever, and ends when asked to.
    fn default() -> Self {
        let moment = Duration::from_millis(1);
        Self {
            exec: Exec::After(moment),
            ready: Some(moment),
            ends: None,
            sick: None,
            leaves: None,
            on_term: Some((moment * 9, Exit::Signal(Signal::TERM))),
            is_undying: false,
            orphans: 0,
            stubborn_orphans: false,
            before: Some(moment * 3),
            finish: Some((moment, Exit::Code(0))),
        }
    }
}

/// A process that lives.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) ix: Ix,
    /// It is `finish`, not the service itself.
    pub(crate) is_finish: bool,
    pub(crate) life: Life,
    /// It answers probes from then on.
    pub(super) ready_at: Option<Moment>,
    /// It is not well from then on, until then.
    pub(super) sick: Option<(Moment, Moment)>,
    pub(super) has_execed: bool,
    /// Its end is under way.
    pub(super) is_doomed: bool,
}

impl Process {
    /// It answers that it is.
    pub(super) fn is_well(&self, now: Moment) -> bool {
        let is_sick = self.sick.is_some_and(|(from, to)| from <= now && now < to);
        self.ready_at.is_some_and(|at| at <= now) && !is_sick
    }
}
