//! What a process of the fake world does with its life.

use std::time::Duration;

use pidone::values::{Exit, Signal};

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
            on_term: Some((moment * 9, Exit::Signal(Signal::TERM))),
            is_undying: false,
            orphans: 0,
            stubborn_orphans: false,
            before: Some(moment * 3),
            finish: Some((moment, Exit::Code(0))),
        }
    }
}
