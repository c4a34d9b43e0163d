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
        if event.event == EventKind::Gone {
            let line = self.line("gone, since its directory is");
            return Some(match self.goal {
                Goal::Stop | Goal::BeDown => Verdict::Yes(line),
                Goal::Start | Goal::Restart | Goal::Reload | Goal::BeReady => Verdict::No(line),
            });
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
                State::Ready | State::Scheduled | State::Finished => Some(self.yes(reached)),
                State::Failed => Some(self.no(reached)),
                _other => None,
            },
            Goal::Stop | Goal::BeDown => is_at_rest(reached.state).then(|| self.yes(reached)),
            Goal::Reload => match reached.state {
                State::Ready | State::Unready | State::Starting | State::Waiting => None,
                _gone => Some(self.no(reached)),
            },
        }
    }

    fn on_the_way_up(&self, reached: &Reached<'_>) -> Option<Verdict> {
        match reached.state {
            State::Ready | State::Finished => {
                (self.tried || self.goal == Goal::Start).then(|| self.yes(reached))
            }
            // It has run, and will again.
            State::Scheduled => self.tried.then(|| match reached.exit {
                Some(exit) if *exit != (ExitStatus::Code { code: 0 }) => self.no(reached),
                Some(_) | None => self.yes(reached),
            }),
            // Somebody else has stopped it, or what it needs has failed.
            State::Down | State::Failed => Some(self.no(reached)),
            State::WaitingToRestart => self.tried.then(|| self.no(reached)),
            State::Waiting
            | State::Starting
            | State::Unready
            | State::Stopping
            | State::Finishing => None,
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
        let exit = reached.exit.map(|exit| printable(&exit.to_string()));
        let how = match (reached.state, self.goal) {
            (State::Ready, _) => pid_part(reached.pid),
            (State::Finished | State::Scheduled, _) => String::new(),
            // Why it is down, somebody has just said himself.
            (_at_rest, Goal::Stop) => exit.map_or(String::new(), |exit| format!(", {exit}")),
            (_at_rest, _waited) => cause(reached).map_or(String::new(), |how| format!(", {how}")),
        };
        let after = self.after_part(reached.at_ms);
        Verdict::Yes(self.line(&format!("{}{after}{how}", reached.state)))
    }

    fn no(&self, reached: &Reached<'_>) -> Verdict {
        let after = self.after_part(reached.at_ms);
        let cause = cause(reached).map_or(String::new(), |cause| format!(": {cause}"));
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

/// How the process ended, and what else is said about it.
fn cause(reached: &Reached<'_>) -> Option<String> {
    let exit = reached.exit.map(ToString::to_string);
    let why = reached.why.map(str::to_owned);
    let parts: Vec<String> = exit.into_iter().chain(why).collect();
    (!parts.is_empty()).then(|| printable(&parts.join("; ")))
}

fn is_at_rest(state: State) -> bool {
    matches!(state, State::Down | State::Finished | State::Failed)
}

fn pid_part(pid: Option<i32>) -> String {
    pid.map_or(String::new(), |pid| format!(", pid {pid}"))
}
