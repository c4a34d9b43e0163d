//! The story that PID 1 tells on the container's stderr: few lines, each worth reading at 3 a.m.
//! Pure: changes in, lines out.

use crate::machine::fleet::Fleet;
use crate::machine::shutdown::{Reason, Shutdown};
use crate::machine::slot::{Change, Ix, Slot};
use crate::machine::unit::{Cause, Next, State};
use crate::supervisor::ends::{again, ended, failed, gone_before, is_killed, planned, stopped};
use crate::supervisor::why::{self, Faults};
use crate::values::Moment;
use crate::values::span::show_span;

/// A line of the story.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Line {
    /// Of which service; `None`: of pidone itself.
    pub(super) service: Option<String>,
    /// How bad it is.
    pub(super) level: Level,
    /// What happened.
    pub(super) text: String,
}

/// How bad a line of the story is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Level {
    /// As it should be.
    Info,
    /// Somebody should look.
    Warn,
    /// Something does not work.
    Error,
}

/// The boot's line is told in parts of about this many bytes: a thousand services would not fit
/// into one message.
const BOOT_LINE_BYTES: usize = 1000;

/// Tells the story, and remembers how much of the boot it has told.
#[derive(Debug)]
pub(super) struct Narrator {
    /// `db ready in 1.1s · web ready in 1.2s`, while the boot goes on.
    boot: Option<String>,
    since: Moment,
}

impl Narrator {
    /// A narrator for a boot that begins now.
    pub(super) fn new(now: Moment) -> Self {
        Self {
            boot: Some(String::new()),
            since: now,
        }
    }

    /// Whether the boot goes on: not everything enabled has arrived, or has failed to.
    pub(super) fn is_booting(&self) -> bool {
        self.boot.is_some()
    }

    /// A service has changed. `faults` is what its last start and probe complained of; `is_last`:
    /// the fleet has not gone further than this.
    pub(super) fn changed(
        &mut self,
        change: &Change,
        fleet: &Fleet,
        faults: Faults<'_>,
        is_last: bool,
    ) -> Vec<Line> {
        let Some(slot) = fleet.slot(change.ix) else {
            return Vec::new();
        };
        let mut lines = Vec::new();
        let line = self.line(change, slot, fleet, faults);
        let boots = self.boot.is_some() && fleet.ending().is_none();
        match (line, &mut self.boot) {
            (Some(line), Some(boot)) if boots && is_arrival(change) => {
                let dot = if boot.is_empty() { "" } else { " · " };
                for part in [dot, slot.service.name.as_str(), " ", &line.text] {
                    boot.push_str(part);
                }
                if boot.len() > BOOT_LINE_BYTES {
                    lines.push(info(None, std::mem::take(boot)));
                }
            }
            (line, _) => lines.extend(line),
        }
        // In the order of things: first that it was there, then that it is no more.
        let is_told = !lines.is_empty() && boots && change.from.satisfies();
        if let Some(boot) = self
            .boot
            .as_mut()
            .filter(|boot| is_told && !boot.is_empty())
        {
            lines.insert(0, info(None, std::mem::take(boot)));
        }
        let is_over = is_last && fleet.slots().iter().all(has_arrived);
        if is_over || fleet.ending().is_some() {
            lines.splice(0..0, self.rest_of_boot());
        }
        lines
    }

    /// What the boot's line still has to tell, once.
    fn rest_of_boot(&mut self) -> Option<Line> {
        let arrived = self.boot.take()?;
        (!arrived.is_empty()).then(|| info(None, arrived))
    }

    /// What a change is worth telling.
    fn line(
        &self,
        change: &Change,
        slot: &Slot,
        fleet: &Fleet,
        faults: Faults<'_>,
    ) -> Option<Line> {
        let took = show_span(change.at.since(change.since));
        let is_first = self.boot.is_some() && is_arrival(change);
        let since_boot = show_span(change.at.since(self.since));
        let line = match change.to {
            State::Ready { .. } if matches!(change.from, State::Unready { .. }) => {
                about(slot, format!("ready again after {took}"))
            }
            State::Unready { .. } => warn(slot, format!("unready: {}", why::unready(slot, faults))),
            State::Ready { .. } if is_first => about(slot, format!("ready in {since_boot}")),
            State::Ready { pid, .. } => about(slot, format!("ready in {took}, pid {pid}")),
            State::Scheduled { .. } => planned(change, slot)?,
            State::Finished | State::Undoable if is_first => {
                about(slot, format!("finished in {since_boot}"))
            }
            State::Finished | State::Undoable => about(slot, format!("finished in {took}")),
            State::Down => match change.from {
                // It has been told that it was killed.
                State::Stopping { kill_at: None, .. } if is_killed(slot) => return None,
                State::BeforeStop { .. } => gone_before(slot, &took),
                State::Finishing { .. } if slot.service.down.is_some() => {
                    about(slot, format!("undone in {took}"))
                }
                State::Stopping { .. } | State::Finishing { .. } => stopped(slot, &took),
                _never_ran => return None,
            },
            State::Stopping {
                next: Next::Policy(Cause::NotReady),
                ..
            } => warn(
                slot,
                format!("{}: stopping it", why::not_ready(slot, faults)),
            ),
            State::BeforeStop {
                next: Next::Policy(Cause::Unhealthy),
                ..
            }
            | State::Stopping {
                next: Next::Policy(Cause::Unhealthy),
                ..
            } => warn(
                slot,
                format!("{}: stopping it", why::unhealthy(slot, faults)),
            ),
            State::Failed(failure) => failed(change.ix, slot, failure, fleet, faults),
            State::Backoff { until, .. } => {
                let wait = until.since(change.at);
                again(change, slot, faults, &format!("in {}", show_span(wait)))
            }
            State::Waiting | State::Spawning | State::Starting(_) if is_retry(&change.from) => {
                again(change, slot, faults, "now")
            }
            State::Waiting
            | State::Spawning
            | State::Starting(_)
            | State::BeforeStop { .. }
            | State::Stopping { .. }
            | State::SpawningFinish { .. }
            | State::Finishing { .. } => return None,
        };
        Some(line)
    }

    /// The end has begun.
    pub(super) fn ending(&mut self, ending: &Shutdown, fleet: &Fleet) -> Vec<Line> {
        let name = |ix: Ix| {
            fleet
                .slot(ix)
                .map_or_else(String::new, |slot| slot.service.name.to_string())
        };
        let why = match ending.reason {
            Reason::Signal(signal) => signal.to_string(),
            Reason::Asked(_) => "asked by `pidone shutdown`".into(),
            Reason::Main(ix, exit) => format!("{} ended ({})", name(ix), ended(exit)),
            Reason::Unhealthy(ix, _) => format!("{} is unhealthy", name(ix)),
            Reason::MainFailed(ix) => format!("{} could not start", name(ix)),
            Reason::CmdWait(ix) => {
                let waits = why::waits_for(fleet, ix).unwrap_or_default();
                format!("{} is not started: it {waits} for too long", name(ix))
            }
            Reason::Limit(ix, _) => format!("{} has reached its limit", name(ix)),
            Reason::Empty(_) => "nothing is left to run".into(),
        };
        let budget = show_span(ending.deadline.since(ending.since));
        let text = match ending.services {
            0 => why,
            1 => format!("{why}: stopping 1 service, at most {budget}"),
            many => format!("{why}: stopping {many} services, at most {budget}"),
        };
        self.rest_of_boot()
            .into_iter()
            .chain([info(None, text)])
            .collect()
    }

    /// A service gets SIGKILL.
    pub(super) fn killed(slot: &Slot, now: Moment) -> Line {
        let since = now.since(slot.entered);
        let took = show_span(since);
        let text = match slot.unit.state {
            State::Finishing { .. } => format!("its finish still runs after {took}: SIGKILL"),
            // It has not even been asked: what stands on it took all the time there was.
            _stopping if since.as_millis() == 0 => "no time is left to ask it: SIGKILL".into(),
            _stopping => format!("still up after {took}: SIGKILL"),
        };
        Line {
            service: Some(slot.service.name.to_string()),
            level: Level::Warn,
            text,
        }
    }

    /// What a death has left behind gets SIGKILL.
    pub(super) fn cleared(slot: &Slot) -> Line {
        warn(
            slot,
            "left processes behind: SIGKILL to its process group".into(),
        )
    }

    /// The last line.
    pub(super) fn done(ending: &Shutdown, orphans: u64, code: u8) -> Line {
        let clean = ending.services.saturating_sub(ending.killed);
        let killed = (ending.killed > 0).then(|| format!(", {} killed", ending.killed));
        let strays = if ending.killed_strays {
            ", strays killed"
        } else {
            ""
        };
        let orphans = match orphans {
            0 => None,
            1 => Some(", 1 orphan reaped".to_owned()),
            many => Some(format!(", {many} orphans reaped")),
        };
        let (killed, orphans) = (killed.unwrap_or_default(), orphans.unwrap_or_default());
        info(
            None,
            format!("done: {clean} clean{killed}{strays}{orphans}; exit {code}"),
        )
    }
}

/// Whether the boot need not wait for this one: it is there, it is not to come, or it has failed
/// once already. What fails again and again would make the boot last for ever.
fn has_arrived(slot: &Slot) -> bool {
    let state = &slot.unit.state;
    let was_ready = matches!(state, State::Unready { .. });
    let is_planned = matches!(state, State::Scheduled { .. });
    let is_there = was_ready || is_planned || state.satisfies() || state.is_at_rest();
    !slot.service.enabled || is_there || slot.restarts > 0
}

/// Whether this change is a service's arrival, which the boot's one line tells; what had to be
/// started again has lines of its own.
fn is_arrival(change: &Change) -> bool {
    let is_again = matches!(change.from, State::Unready { .. });
    let has_arrived = matches!(
        change.to,
        State::Ready { .. } | State::Finished | State::Undoable
    );
    has_arrived && !is_again && change.restarts == 0
}

/// Whether what follows this state, if it is a start, follows a death and no person's wish.
fn is_retry(from: &State) -> bool {
    match from {
        // From spawning: no process could be made, and it is tried again.
        State::Spawning | State::Starting(_) | State::Ready { .. } | State::Unready { .. } => true,
        State::BeforeStop { next, .. }
        | State::Stopping { next, .. }
        | State::SpawningFinish { next, .. }
        | State::Finishing { next, .. } => matches!(next, Next::Policy(_)),
        State::Down
        | State::Waiting
        | State::Scheduled { .. }
        | State::Backoff { .. }
        | State::Finished
        | State::Undoable
        | State::Failed(_) => false,
    }
}

pub(super) fn info(service: Option<String>, text: String) -> Line {
    Line {
        service,
        level: Level::Info,
        text,
    }
}

pub(super) fn about(slot: &Slot, text: String) -> Line {
    info(Some(slot.service.name.to_string()), text)
}

pub(super) fn warn(slot: &Slot, text: String) -> Line {
    let service = Some(slot.service.name.to_string());
    Line {
        service,
        level: Level::Warn,
        text,
    }
}
