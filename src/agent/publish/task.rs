//! Every template's turns in one place: what is offered to them, and the threads that go the way.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use tokio::task::JoinSet;

use crate::agent::config::Template;
use crate::agent::publish::job::{Done, How, Job, Outcome};
use crate::agent::publish::turn::{Turn, Urgency};
use crate::members::member::{Readiness, Status as MemberStatus};
use crate::members::roster::{Change, Event, Roster};
use crate::os::clock;
use crate::template::data::Data;
use crate::template::view::{Own, data};
use crate::values::Moment;

/// What one template has come to, for `status`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Status {
    /// Its file.
    pub to: PathBuf,
    /// Turns in which the text was rendered.
    pub renders: u64,
    /// Turns in which it was the file's already.
    pub same: u64,
    /// Reloads of its reader, and runs of its command.
    pub reloads: u64,
    /// Commands that haproxy's Runtime API took.
    pub api_calls: u64,
    /// Texts that are not in effect.
    pub rejected: u64,
    /// Why the last one is not; `None`: it is.
    pub why: Option<String>,
}

/// One turn's end, for the log and `events`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// The template's file.
    pub to: PathBuf,
    /// What became of it.
    pub outcome: Outcome,
    /// From its begin.
    pub took: Duration,
}

struct Slot {
    to: PathBuf,
    turn: Turn,
    /// `None` while a thread has it.
    job: Option<Box<Job>>,
    /// There is a file for its reader: a good one of ours, or an old one.
    has_file: bool,
    status: Status,
}

/// What a thread gives back: which, its job, its end, when it began.
type Ended = (usize, Box<Job>, Done, Moment);

/// All templates of an agent.
pub struct Publisher {
    slots: Vec<Slot>,
    running: JoinSet<Ended>,
    own: Own,
    data: Option<Data>,
    /// When there is no use in waiting for a first answer any more.
    first_by: Moment,
    has_begun: bool,
}

impl Publisher {
    /// These templates; the first answer of a source is waited for until `first_sync` is over.
    pub fn new(templates: &[Template], own: Own, first_sync: Duration, now: Moment) -> Self {
        let slot = |template: &Template| Slot {
            to: template.to.clone(),
            turn: Turn::new(template.settle, now),
            job: Some(Box::new(Job::new(template.clone()))),
            has_file: template.to.exists(),
            status: Status {
                to: template.to.clone(),
                renders: 0,
                same: 0,
                reloads: 0,
                api_calls: 0,
                rejected: 0,
                why: None,
            },
        };
        Self {
            slots: templates.iter().map(slot).collect(),
            running: JoinSet::new(),
            own,
            data: None,
            first_by: now + first_sync,
            has_begun: false,
        }
    }

    /// The members have changed. Returns at once; the newest offer wins.
    pub fn offer(&mut self, roster: &Roster, events: &[Event], now: Moment) {
        if self.slots.is_empty() {
            return;
        }
        self.data = Some(data(roster, &self.own));
        self.has_begun |= roster.has_answer();
        let urgency = events.iter().map(urgency).max();
        for slot in &mut self.slots {
            slot.turn.changed(urgency.unwrap_or(Urgency::Settles), now);
        }
    }

    /// The templates are to be read again, whatever the members do.
    pub fn again(&mut self, now: Moment) {
        for slot in &mut self.slots {
            slot.turn.changed(Urgency::Now, now);
        }
    }

    /// Whether every template has had its first turn and its file is there, so that who needs the
    /// files may start.
    pub fn has_rendered(&self) -> bool {
        let has = |slot: &Slot| slot.has_file && slot.status.renders > 0;
        self.slots.iter().all(has)
    }

    /// Whether all that was offered is in effect, or was refused.
    pub fn is_idle(&self) -> bool {
        self.running.is_empty() && self.due().is_none()
    }

    /// What this node says of itself.
    pub fn own(&self) -> &Own {
        &self.own
    }

    /// What each template has come to.
    pub fn status(&self) -> impl Iterator<Item = &Status> {
        self.slots.iter().map(|slot| &slot.status)
    }

    /// Goes on, and gives the end of the next turn. Cancel-safe: to be called again and again
    /// beside whatever else there is to wait for.
    pub async fn next(&mut self) -> Told {
        loop {
            self.begin(clock::now());
            let due = self.due().map(|due| due.since(clock::now()));
            tokio::select! {
                ended = self.running.join_next(), if !self.running.is_empty() => {
                    // A thread cannot fail where a panic aborts; in a test the turn is lost.
                    if let Some(Ok(ended)) = ended {
                        return self.take(ended, clock::now());
                    }
                }
                () = tokio::time::sleep(due.unwrap_or_default()), if due.is_some() => {}
                else => return std::future::pending().await,
            }
        }
    }

    /// When something is to be begun that does not wait for a thread.
    fn due(&self) -> Option<Moment> {
        let idle = self.slots.iter().filter(|slot| slot.job.is_some());
        let due = idle.filter_map(|slot| slot.turn.due()).min()?;
        Some(if self.has_begun {
            due
        } else {
            due.max(self.first_by)
        })
    }

    fn begin(&mut self, now: Moment) {
        if !self.has_begun && now < self.first_by {
            return;
        }
        let nobody = !self.has_begun;
        self.has_begun = true;
        for (number, slot) in self.slots.iter_mut().enumerate() {
            if nobody && slot.to.exists() {
                // Nobody has answered yet: what the file says is better than an empty list.
                slot.status.renders = 1;
                slot.has_file = true;
                slot.status.why = Some("nobody has told of members yet; the file is kept".into());
                slot.turn.comes(now);
                continue;
            }
            if slot.job.is_none() || !slot.turn.comes(now) {
                continue;
            }
            let Some(mut job) = slot.job.take() else {
                continue;
            };
            let empty = || data(&Roster::new(&[], 0), &self.own);
            let data = self.data.clone().unwrap_or_else(empty);
            self.running.spawn_blocking(move || {
                let done = job.run(&data);
                (number, job, done, now)
            });
        }
    }

    fn take(&mut self, (number, job, done, began): Ended, now: Moment) -> Told {
        let took = now.since(began);
        let Some(slot) = self.slots.get_mut(number) else {
            // Slots neither come nor go.
            return Told {
                to: PathBuf::new(),
                outcome: done.outcome,
                took,
            };
        };
        slot.job = Some(job);
        if done.is_left {
            slot.turn.again(now);
        } else {
            slot.turn.done();
        }
        slot.has_file |= match done.outcome {
            Outcome::Same | Outcome::Applied(_) => true,
            Outcome::Rejected(_) => false,
        };
        let status = &mut slot.status;
        status.renders += 1;
        status.api_calls += done.commands as u64;
        status.reloads += u64::from(done.reloaded);
        status.why = match &done.outcome {
            Outcome::Same => {
                status.same += 1;
                None
            }
            Outcome::Applied(_) => None,
            Outcome::Rejected(why) => {
                status.rejected += 1;
                Some(why.clone())
            }
        };
        Told {
            to: slot.to.clone(),
            outcome: done.outcome,
            took,
        }
    }
}

/// Who leaves must get no more work; who comes can wait for others that come.
fn urgency(event: &Event) -> Urgency {
    match event.change {
        Change::Leave | Change::Failed => Urgency::Now,
        Change::Join | Change::Reap => Urgency::Settles,
        Change::Update => {
            let member = &event.member;
            let is_out = |readiness| matches!(readiness, Readiness::Draining | Readiness::Unready);
            let is_going = member.status == MemberStatus::Leaving
                || member.services.iter().any(|one| is_out(one.readiness));
            if is_going {
                Urgency::Now
            } else {
                Urgency::Settles
            }
        }
    }
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (to, took) = (self.to.display(), self.took.as_millis());
        match &self.outcome {
            Outcome::Same => write!(f, "{to}: nothing new"),
            Outcome::Applied(How::Commands(count)) => {
                let plural = if *count == 1 { "" } else { "s" };
                write!(f, "{to}: {count} command{plural} to haproxy, {took} ms")
            }
            Outcome::Applied(How::Reload(why)) => write!(f, "{to}: reloaded in {took} ms ({why})"),
            Outcome::Applied(How::Command) => write!(f, "{to}: applied in {took} ms"),
            Outcome::Applied(How::Written) => write!(f, "{to}: written"),
            Outcome::Rejected(why) => write!(f, "{to}: not in effect: {why}"),
        }
    }
}
