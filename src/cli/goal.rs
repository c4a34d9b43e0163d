//! What somebody waits for, told from what happens: pure, so that its sentences can be tested.

use crate::control::protocol::{
    Accepted, Before, Event, EventKind, ExitStatus, ServiceStatus, State,
};
use crate::diag::printable;

use crate::cli::status::span;

/// What a service is to reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Goal {
    /// It is ready (or finished); the first death is a no. After `start`.
    Start,
    /// It has been started anew and is ready; the first death is a no. After `restart`.
    Restart,
    /// It has told of its reload. After `reload`.
    Reload,
    /// It is down. After `stop`.
    Stop,
    /// It is ready, after whatever may come before; only a failure is a no. `wait --ready`.
    BeReady,
    /// It is down. `wait --down`.
    BeDown,
}

/// How the waiting for one service ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It has reached the goal; the line says how.
    Yes(String),
    /// It will not; the line says why.
    No(String),
}

/// One service on its way to its goal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Watch {
    /// The service.
    pub name: String,
    goal: Goal,
    /// What happened before does not count; monotonic milliseconds.
    since_ms: u64,
    state: State,
    /// It has been started since then.
    tried: bool,
    /// [`ServiceStatus::starts`] at the beginning.
    starts: u64,
}

/// What is known of a state that was just reached.
struct Reached<'a> {
    state: State,
    pid: Option<i32>,
    exit: Option<&'a ExitStatus>,
    why: Option<&'a str>,
    at_ms: u64,
}

impl Watch {
    /// What a command has set going, or what there was nothing to do for.
    pub fn after(goal: Goal, before: &Before, accepted: &Accepted) -> (Self, Option<Verdict>) {
        let watch = Self {
            name: before.name.clone(),
            goal,
            since_ms: accepted.mono_ms,
            state: before.state,
            tried: before.state == State::Starting && goal == Goal::Start,
            starts: before.starts,
        };
        let there = match (goal, before.state) {
            (Goal::Start, State::Ready) => true,
            (Goal::Stop, state) => is_at_rest(state),
            _on_its_way => false,
        };
        let verdict = there.then(|| {
            let pid = pid_part(before.pid);
            Verdict::Yes(watch.line(&format!("already {}{pid}", before.state)))
        });
        (watch, verdict)
    }

    /// What somebody waits for without having asked for it.
    pub fn from_now(goal: Goal, now: &ServiceStatus) -> (Self, Option<Verdict>) {
        let mut watch = Self {
            name: now.name.clone(),
            goal,
            since_ms: 0,
            state: now.state,
            tried: false,
            starts: now.starts,
        };
        let verdict = watch.resync(now);
        (watch, verdict)
    }

    /// Something has happened.
    pub fn take(&mut self, event: &Event) -> Option<Verdict> {
        if event.service.as_deref() != Some(&self.name) || event.mono_ms < self.since_ms {
            return None;
        }
        if event.event == EventKind::Reload && self.goal == Goal::Reload {
            return Some(self.reloaded(event));
        }
        self.reach(&Reached {
            state: event.reached()?,
            pid: event.pid,
            exit: event.exit.as_ref(),
            why: event.why.as_deref(),
            at_ms: event.mono_ms,
        })
    }

    /// Events were missed: this is how it is now.
    pub fn resync(&mut self, now: &ServiceStatus) -> Option<Verdict> {
        self.tried |= now.starts > self.starts;
        let changed = now.state != self.state || self.tried;
        let only_looks = matches!(self.goal, Goal::BeReady | Goal::BeDown);
        if !changed && !only_looks {
            return None;
        }
        self.reach(&Reached {
            state: now.state,
            pid: now.pid,
            exit: now.exit.as_ref(),
            why: now.note.as_deref(),
            at_ms: self.since_ms,
        })
    }

    /// The time is over.
    pub fn late(&self, after_ms: u64) -> Verdict {
        Verdict::No(self.line(&format!("still {} after {}", self.state, span(after_ms))))
    }

    fn reach(&mut self, reached: &Reached<'_>) -> Option<Verdict> {
        self.state = reached.state;
        self.tried |= reached.state == State::Starting;
        match self.goal {
            Goal::Start | Goal::Restart => self.on_the_way_up(reached),
            Goal::BeReady => match reached.state {
                State::Ready | State::Finished => Some(self.yes(reached)),
                State::Failed => Some(self.no(reached)),
                _other => None,
            },
            Goal::Stop | Goal::BeDown => is_at_rest(reached.state).then(|| self.yes(reached)),
            Goal::Reload => match reached.state {
                State::Ready | State::Starting | State::Waiting => None,
                _gone => Some(self.no(reached)),
            },
        }
    }

    fn on_the_way_up(&self, reached: &Reached<'_>) -> Option<Verdict> {
        match reached.state {
            State::Ready | State::Finished => {
                (self.tried || self.goal == Goal::Start).then(|| self.yes(reached))
            }
            // Somebody else has stopped it, or what it needs has failed.
            State::Down | State::Failed => Some(self.no(reached)),
            State::WaitingToRestart => self.tried.then(|| self.no(reached)),
            State::Waiting | State::Starting | State::Stopping | State::Finishing => None,
        }
    }

    fn reloaded(&self, event: &Event) -> Verdict {
        let after = self.after_part(event.mono_ms);
        let well = ExitStatus::Code { code: 0 };
        match &event.exit {
            Some(exit) if *exit != well => {
                let exit = printable(&exit.to_string());
                Verdict::No(self.line(&format!("reload failed{after}: {exit}")))
            }
            _well => {
                let how = event
                    .why
                    .as_deref()
                    .map_or(String::new(), |why| format!(", {why}"));
                Verdict::Yes(self.line(&format!("reloaded{after}{}", printable(&how))))
            }
        }
    }

    fn yes(&self, reached: &Reached<'_>) -> Verdict {
        let how = match reached.state {
            State::Ready => pid_part(reached.pid),
            _at_rest => match (reached.why, reached.exit) {
                (Some(why), _) => format!(", {}", printable(why)),
                (None, Some(exit)) => format!(", {}", printable(&exit.to_string())),
                (None, None) => String::new(),
            },
        };
        let after = self.after_part(reached.at_ms);
        Verdict::Yes(self.line(&format!("{}{after}{how}", reached.state)))
    }

    fn no(&self, reached: &Reached<'_>) -> Verdict {
        let after = self.after_part(reached.at_ms);
        let exit = reached.exit.map(|exit| printable(&exit.to_string()));
        let cause = reached.why.map(printable).or(exit);
        let cause = cause.map_or(String::new(), |cause| format!(": {cause}"));
        Verdict::No(self.line(&format!("{}{after}{cause}", reached.state)))
    }

    fn line(&self, words: &str) -> String {
        format!("{}: {words}", printable(&self.name))
    }

    /// Only for what somebody has set going, and knows when.
    fn after_part(&self, at_ms: u64) -> String {
        match self.since_ms {
            0 => String::new(),
            since => format!(" after {}", span(at_ms.saturating_sub(since))),
        }
    }
}

fn is_at_rest(state: State) -> bool {
    matches!(state, State::Down | State::Finished | State::Failed)
}

fn pid_part(pid: Option<i32>) -> String {
    pid.map_or(String::new(), |pid| format!(", pid {pid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a story: the state before, then what happens (from 1000 ms on, every 300 ms), and
    /// what is said at last.
    fn story(goal: Goal, before: State, then: &[(State, Option<u8>)]) -> Option<Verdict> {
        let accepted = Accepted {
            mono_ms: 1000,
            services: vec![],
        };
        let before = Before {
            name: "web".into(),
            state: before,
            pid: None,
            starts: 1,
        };
        let (mut watch, mut verdict) = Watch::after(goal, &before, &accepted);
        for (at, (state, code)) in then.iter().enumerate() {
            assert_eq!(verdict, None, "too early, before {state}");
            verdict = watch.take(&event(1000 + 300 * at as u64, *state, *code));
        }
        verdict
    }

    fn event(mono_ms: u64, to: State, code: Option<u8>) -> Event {
        Event {
            ts: "2026-11-22T10:03:59.123Z".into(),
            mono_ms,
            event: EventKind::State,
            service: Some("web".into()),
            from: None,
            to: Some(to.word().into()),
            pid: (to == State::Ready).then_some(31),
            exit: code.map(|code| ExitStatus::Code { code }),
            why: None,
        }
    }

    #[track_caller]
    fn says(verdict: Option<Verdict>, expected: &str) {
        let text = match verdict {
            None => "nothing".to_owned(),
            Some(Verdict::Yes(line)) => format!("yes {line}"),
            Some(Verdict::No(line)) => format!("no {line}"),
        };
        assert_eq!(text, expected);
    }

    #[test]
    fn start() {
        use State::*;
        let start = |before, then: &[_]| story(Goal::Start, before, then);
        says(start(Ready, &[]), "yes web: already ready");
        says(
            start(Down, &[(Waiting, None), (Starting, None), (Ready, None)]),
            "yes web: ready after 0.6s, pid 31",
        );
        says(
            start(
                WaitingToRestart,
                &[(Starting, None), (WaitingToRestart, Some(3))],
            ),
            "no web: waiting to restart after 0.3s: exit code 3",
        );
        says(
            start(Finished, &[(Starting, None), (Finished, Some(0))]),
            "yes web: finished after 0.3s, exit code 0",
        );
        says(
            start(Starting, &[(WaitingToRestart, Some(1))]),
            "no web: waiting to restart after 0ms: exit code 1",
        );
        says(start(Failed, &[]), "nothing");
    }

    #[test]
    fn restart_needs_a_new_start() {
        use State::*;
        let restart = |before, then: &[_]| story(Goal::Restart, before, then);
        says(restart(Ready, &[]), "nothing");
        says(
            restart(
                Ready,
                &[
                    (Stopping, None),
                    (Waiting, None),
                    (Starting, None),
                    (Ready, None),
                ],
            ),
            "yes web: ready after 0.9s, pid 31",
        );
        says(
            restart(
                Starting,
                &[
                    (Stopping, None),
                    (Waiting, None),
                    (Starting, None),
                    (Failed, Some(2)),
                ],
            ),
            "no web: failed after 0.9s: exit code 2",
        );
    }

    #[test]
    fn stop_and_time() {
        use State::*;
        says(story(Goal::Stop, Down, &[]), "yes web: already down");
        says(
            story(Goal::Stop, Ready, &[(Stopping, None), (Down, Some(0))]),
            "yes web: down after 0.3s, exit code 0",
        );
        let accepted = Accepted::default();
        let before = Before {
            name: "web".into(),
            state: Stopping,
            pid: None,
            starts: 1,
        };
        let (watch, _) = Watch::after(Goal::Stop, &before, &accepted);
        says(Some(watch.late(60_000)), "no web: still stopping after 1m");
    }

    #[test]
    fn what_was_before_does_not_count() {
        let accepted = Accepted {
            mono_ms: 1000,
            services: vec![],
        };
        let before = Before {
            name: "web".into(),
            state: State::WaitingToRestart,
            pid: None,
            starts: 1,
        };
        let (mut watch, _) = Watch::after(Goal::Start, &before, &accepted);
        says(watch.take(&event(999, State::Failed, Some(1))), "nothing");
        let mut other = event(1001, State::Ready, None);
        other.service = Some("db".into());
        says(watch.take(&other), "nothing");
        says(
            watch.take(&event(1001, State::Ready, None)),
            "yes web: ready after 1ms, pid 31",
        );
    }

    #[test]
    fn reload_is_told_by_its_event() {
        let accepted = Accepted {
            mono_ms: 1000,
            services: vec![],
        };
        let before = Before {
            name: "web".into(),
            state: State::Ready,
            pid: Some(31),
            starts: 1,
        };
        let (mut watch, _) = Watch::after(Goal::Reload, &before, &accepted);
        let mut done = event(1012, State::Ready, Some(1));
        done.event = EventKind::Reload;
        says(
            watch.take(&done),
            "no web: reload failed after 12ms: exit code 1",
        );
        done.exit = None;
        done.why = Some("SIGUSR2".into());
        says(watch.take(&done), "yes web: reloaded after 12ms, SIGUSR2");
        says(
            watch.take(&event(1013, State::Down, Some(1))),
            "no web: down after 13ms: exit code 1",
        );
    }
}
