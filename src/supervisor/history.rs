//! What has happened, as far as it is remembered: facts in little room, which become the wire's
//! words only when somebody asks.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::control::protocol::{
    Change as WireChange, Event, EventKind, ExitStatus, Phase, State as WireState,
};
use crate::machine::slot::Ix;
use crate::values::stamp::rfc3339;
use crate::values::{Exit, Name, Pid};

/// How many changes of one service are remembered, for its page.
const CHANGES_MAX: usize = 8;

/// How many events are remembered, for those who ask later.
const EVENTS_MAX: usize = 256;

/// So many of them are what services told themselves, who must not make all else forgotten.
const TOLD_MAX: usize = 64;

/// How the kernel's memory killer is named.
const OOM: &str = "killed by the kernel's OOM killer";

/// Something that happened.
pub(super) struct Deed {
    /// Milliseconds since 1970 UTC.
    pub(super) wall_ms: u64,
    /// Milliseconds on the monotonic clock.
    pub(super) mono_ms: u64,
    /// To whom; `None`: to pidone itself.
    pub(super) ix: Option<u32>,
    pub(super) what: What,
    /// The service's process after it.
    pub(super) pid: Option<Pid>,
    /// How a process ended, if that is what happened.
    pub(super) exit: Option<Exit>,
    /// The kernel killed that process for memory.
    pub(super) oom: bool,
    pub(super) why: Option<Box<str>>,
}

/// What happened.
#[derive(Clone, Copy)]
pub(super) enum What {
    /// A service is in another state.
    State { from: WireState, to: WireState },
    /// pidone itself is in another phase.
    Phase { from: Phase, to: Phase },
    /// A service was told to read its configuration again.
    Reload,
    /// A service was sent a signal by hand.
    Signal,
    /// A run by a schedule falls out.
    RunSkipped,
    /// The definitions were read again.
    Rescan,
    /// A service has vanished.
    Gone,
    /// A service has told of something itself.
    Told,
}

impl Deed {
    /// The service's number.
    pub(super) fn ix(&self) -> Option<Ix> {
        self.ix.map(|ix| ix as Ix)
    }

    /// As those who follow events read it. `name` is that of its service.
    pub(super) fn event(&self, name: Option<&str>) -> Event {
        let (event, from, to) = match self.what {
            What::State { from, to } => (EventKind::State, Some(from.word()), Some(to.word())),
            What::Phase { from, to } => (EventKind::Phase, Some(from.word()), Some(to.word())),
            What::Reload => (EventKind::Reload, None, None),
            What::Signal => (EventKind::Signal, None, None),
            What::RunSkipped => (EventKind::RunSkipped, None, None),
            What::Rescan => (EventKind::Rescan, None, None),
            What::Gone => (EventKind::Gone, None, None),
            What::Told => (EventKind::Told, None, None),
        };
        Event {
            ts: rfc3339(Duration::from_millis(self.wall_ms)),
            mono_ms: self.mono_ms,
            event,
            service: name.map(str::to_owned),
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
            pid: self.pid.map(Pid::raw),
            exit: self.exit.map(ExitStatus::from),
            why: match self.exit {
                Some(_) if self.oom => Some(OOM.into()),
                _ => self.why.as_deref().map(str::to_owned),
            },
        }
    }

    /// As the page of its service shows it; `None` if it is no change of state.
    fn change(&self) -> Option<WireChange> {
        let What::State { from, to } = self.what else {
            return None;
        };
        let reason = [
            self.exit.map(|exit| {
                if self.oom {
                    OOM.to_owned()
                } else {
                    exit.to_string()
                }
            }),
            self.why.as_deref().map(str::to_owned),
            self.pid.map(|pid| format!("pid {pid}")),
        ];
        Some(WireChange {
            ts: rfc3339(Duration::from_millis(self.wall_ms)),
            from,
            to,
            why: reason.into_iter().flatten().next(),
        })
    }
}

/// The last deeds, of all and of each service.
#[derive(Default)]
pub(super) struct History {
    events: VecDeque<Deed>,
    /// Changes of each service that are no longer among the events.
    older: HashMap<Ix, VecDeque<Deed>>,
    /// The names of services that are gone, as long as there are events of them.
    gone: HashMap<Ix, Name>,
}

impl History {
    /// One more.
    pub(super) fn add(&mut self, deed: Deed) {
        if let What::Told = deed.what {
            self.make_room_for_told();
        }
        let Some(passed) = push_bounded(&mut self.events, deed, EVENTS_MAX) else {
            return;
        };
        if let Some(ix) = passed.ix().filter(|ix| self.gone.contains_key(ix)) {
            if !self.has_events_of(ix) {
                self.gone.remove(&ix);
            }
            return;
        }
        if let (Some(ix), What::State { .. }) = (passed.ix(), passed.what) {
            push_bounded(self.older.entry(ix).or_default(), passed, CHANGES_MAX);
        }
    }

    fn make_room_for_told(&mut self) {
        let is_told = |deed: &Deed| matches!(deed.what, What::Told);
        if self.events.iter().filter(|deed| is_told(deed)).count() < TOLD_MAX {
            return;
        }
        if let Some(oldest) = self.events.iter().position(is_told) {
            self.events.remove(oldest);
        }
    }

    /// This service is gone. What has happened to it stays among the events, by its name.
    pub(super) fn forget(&mut self, ix: Ix, name: &Name) {
        self.older.remove(&ix);
        if self.has_events_of(ix) {
            self.gone.insert(ix, name.clone());
        }
    }

    /// The name of a service that is gone.
    pub(super) fn name_of_gone(&self, ix: Ix) -> Option<&str> {
        self.gone.get(&ix).map(Name::as_str)
    }

    fn has_events_of(&self, ix: Ix) -> bool {
        self.events.iter().any(|deed| deed.ix() == Some(ix))
    }

    /// The last events, oldest first.
    pub(super) fn last(&self, count: Option<u32>) -> impl Iterator<Item = &Deed> {
        let count = count.map_or(EVENTS_MAX, |count| count as usize);
        let skip = self.events.len().saturating_sub(count);
        self.events.iter().skip(skip)
    }

    /// The last changes of a service, oldest first.
    pub(super) fn changes(&self, ix: Ix) -> Vec<WireChange> {
        let older = self.older.get(&ix).into_iter().flatten();
        let recent = self.events.iter().filter(|deed| deed.ix() == Some(ix));
        let mut changes: Vec<WireChange> = older.chain(recent).filter_map(Deed::change).collect();
        changes.drain(..changes.len().saturating_sub(CHANGES_MAX));
        changes
    }
}

/// Adds an item; gives the oldest one if it had to make room.
fn push_bounded<T>(queue: &mut VecDeque<T>, item: T, max: usize) -> Option<T> {
    let passed = if queue.len() >= max {
        queue.pop_front()
    } else {
        None
    };
    queue.push_back(item);
    passed
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A change to ready at this millisecond.
    fn change(ix: u32, at: usize) -> Deed {
        Deed {
            wall_ms: at as u64,
            mono_ms: at as u64,
            ix: Some(ix),
            what: What::State {
                from: WireState::Starting,
                to: WireState::Ready,
            },
            pid: None,
            exit: None,
            oom: false,
            why: None,
        }
    }

    #[test]
    fn a_service_keeps_its_last_changes_however_much_happens_to_others() {
        let mut history = History::default();
        for at in 0..CHANGES_MAX + 4 {
            history.add(change(1, at));
        }
        let own = history.changes(1);
        assert_eq!(own.len(), CHANGES_MAX);
        // While they go over from the events to what is older, and when they are all there.
        for at in 0..2 * EVENTS_MAX {
            history.add(change(2, at));
            assert_eq!(history.changes(1), own);
        }
        assert_eq!(history.last(None).count(), EVENTS_MAX);
        assert_eq!(history.changes(2).len(), CHANGES_MAX);
    }

    #[test]
    fn what_services_tell_does_not_make_all_else_forgotten() {
        let mut history = History::default();
        history.add(change(1, 0));
        for at in 0..2 * EVENTS_MAX {
            let what = What::Told;
            history.add(Deed {
                what,
                ..change(2, at)
            });
        }
        let kept = history.last(None).map(|deed| deed.ix);
        assert_eq!(kept.filter(|ix| *ix == Some(1)).count(), 1);
        assert_eq!(history.last(None).count(), 1 + TOLD_MAX);
        assert!(history.changes(2).is_empty());
    }

    #[test]
    fn who_is_gone_is_named_as_long_as_there_are_events_of_it() {
        let mut history = History::default();
        history.add(change(1, 0));
        history.forget(1, &"old".parse().unwrap());
        history.forget(2, &"silent".parse().unwrap());
        assert_eq!(history.name_of_gone(1), Some("old"));
        assert_eq!(history.name_of_gone(2), None);
        for at in 0..EVENTS_MAX {
            history.add(change(3, at));
        }
        assert_eq!(history.name_of_gone(1), None);
        assert!(history.gone.is_empty() && !history.older.contains_key(&1));
    }
}
