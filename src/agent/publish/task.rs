//! Every template's turns in one place: what is offered to them, and the threads that go the way.

use std::path::PathBuf;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::agent::config::Template;
use crate::agent::publish::job::{Done, How, Job, Outcome};
use crate::agent::publish::leaving::Leaving;
use crate::agent::publish::servers::{Served, Servers, Wanted};
use crate::agent::publish::status::{Status, Told};
use crate::agent::publish::turn::{Reach, Step, Turn, Urgency};
use crate::members::member::{Readiness, Status as MemberStatus};
use crate::members::roster::{Change, Event, Roster};
use crate::os::clock;
use crate::template::data::Data;
use crate::template::view::{Own, data};
use crate::values::Moment;

struct Slot {
    template: Template,
    to: PathBuf,
    turn: Turn,
    /// `None` while a thread has it.
    servers: Option<Box<Servers>>,
    /// `None` while a thread has it.
    job: Option<Box<Job>>,
    /// The newest text, and why its reader is to take it from the file.
    text: (String, Option<String>),
    /// There is a file for its reader: a good one of ours, or an old one.
    has_file: bool,
    /// The first turn is over.
    has_begun: bool,
    status: Status,
}

/// What a thread gives back.
enum Ended {
    Servers(Box<Servers>, Served),
    File(Box<Job>, Done),
}

/// All templates of an agent.
pub struct Publisher {
    slots: Vec<Slot>,
    /// Those that take the place of all these once no thread has one.
    fresh: Option<Vec<Template>>,
    /// Which template's step, when it began, and its end.
    running: JoinSet<(usize, Moment, Ended)>,
    leaving: Leaving,
    own: Own,
    data: Option<Data>,
    /// When there is no use in waiting for a first answer any more.
    first_by: Moment,
    has_begun: bool,
}

impl Publisher {
    /// These templates; the first answer of a source is waited for until `first_sync` is over.
    pub fn new(templates: &[Template], own: Own, first_sync: Duration, now: Moment) -> Self {
        let slots = templates.iter().map(|template| Slot::new(template, now));
        Self {
            slots: slots.collect(),
            fresh: None,
            running: JoinSet::new(),
            leaving: Leaving::default(),
            own,
            data: None,
            first_by: now + first_sync,
            has_begun: false,
        }
    }

    /// The members have changed. Returns at once; the newest offer wins.
    pub fn offer(&mut self, roster: &Roster, events: &[Event], now: Moment) {
        if self.slots.is_empty() && self.fresh.is_none() {
            return;
        }
        self.data = Some(data(roster, &self.own));
        // Who is alone where somebody was may only have started again.
        let is_alone = roster
            .members()
            .all(|one| one.name.as_str() == self.own.name);
        let was_somebody = self.slots.iter().any(|slot| slot.to.exists());
        self.has_begun |= roster.has_answer() && !(is_alone && was_somebody);
        let urgency = events.iter().map(urgency).max();
        for slot in &mut self.slots {
            slot.turn.changed(urgency.unwrap_or(Urgency::Settles), now);
        }
    }

    /// These templates from now on, of a node that says this of itself: once no thread has one any
    /// more. What stays is not disturbed.
    pub fn replace(&mut self, templates: &[Template], own: Own) {
        self.own = own;
        self.fresh = Some(templates.to_vec());
    }

    fn take_over(&mut self, now: Moment) {
        let Some(fresh) = self.fresh.take_if(|_| self.running.is_empty()) else {
            return;
        };
        let mut old = std::mem::take(&mut self.slots);
        for template in fresh {
            let known = old.iter().position(|slot| slot.to == template.to);
            let known = known.map(|at| old.remove(at));
            self.slots.push(match known {
                Some(slot) if slot.template == template => slot,
                Some(slot) => Slot {
                    status: slot.status,
                    has_begun: slot.has_begun,
                    ..Slot::new(&template, now)
                },
                None => Slot::new(&template, now),
            });
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
        let has = |slot: &Slot| slot.has_file && slot.has_begun;
        self.slots.iter().all(has)
    }

    /// Whether all that was offered is in effect, or was refused, and who leaves has answered what
    /// it was asked. A file may still follow.
    pub fn is_in_effect(&self) -> bool {
        let in_effect = |slot: &Slot| slot.turn.is_in_effect();
        self.fresh.is_none() && self.leaving.is_over() && self.slots.iter().all(in_effect)
    }

    /// Whether the files, too, are as they are to be.
    pub fn is_over(&self) -> bool {
        self.slots.iter().all(|slot| slot.turn.is_over())
    }

    /// What this node says of itself.
    pub fn own(&self) -> &Own {
        &self.own
    }

    /// What each template has come to.
    pub fn status(&self) -> impl Iterator<Item = &Status> {
        self.slots.iter().map(|slot| &slot.status)
    }

    /// Goes on, and gives the end of the next step, if there is anything to tell of it.
    /// Cancel-safe: to be called again and again beside whatever else there is to wait for.
    pub async fn next(&mut self) -> Option<Told> {
        loop {
            self.begin(clock::now());
            let due = self.due().map(|due| due.since(clock::now()));
            tokio::select! {
                ended = self.running.join_next(), if !self.running.is_empty() => {
                    // A thread cannot fail where a panic aborts; in a test the step is lost.
                    if let Some(Ok((number, began, mut ended))) = ended {
                        let now = clock::now();
                        let slot = self.slots.get_mut(number)?;
                        if let Ended::Servers(_, served) = &mut ended {
                            let names = std::mem::take(&mut served.leaving);
                            self.leaving.begin(&slot.template.apply, names);
                        }
                        return slot.take(ended, now).map(|outcome| Told {
                            to: slot.to.clone(),
                            outcome,
                            took: now.since(began),
                        });
                    }
                }
                () = self.leaving.next() => return None,
                () = tokio::time::sleep(due.unwrap_or_default()), if due.is_some() => {}
            }
        }
    }

    /// When something is to be begun that does not wait for a thread.
    fn due(&self) -> Option<Moment> {
        if self.fresh.is_some() {
            return None;
        }
        let due = self.slots.iter().filter_map(|slot| slot.turn.due()).min()?;
        Some(if self.has_begun {
            due
        } else {
            due.max(self.first_by)
        })
    }

    fn begin(&mut self, now: Moment) {
        self.take_over(now);
        // Whoever is to be replaced begins nothing new.
        if self.fresh.is_some() || (!self.has_begun && now < self.first_by) {
            return;
        }
        let nobody = !self.has_begun;
        self.has_begun = true;
        for number in 0..self.slots.len() {
            if let Some(slot) = self.slots.get_mut(number)
                && nobody
                && slot.to.exists()
            {
                slot.keep();
                continue;
            }
            while let Some(step) = self
                .slots
                .get_mut(number)
                .and_then(|slot| slot.turn.begins(now))
            {
                self.start(number, step, now);
            }
        }
    }

    /// Gives the step to a thread.
    fn start(&mut self, number: usize, step: Step, now: Moment) {
        let Some(slot) = self.slots.get_mut(number) else {
            return;
        };
        match step {
            Step::Servers => {
                let Some(mut servers) = slot.servers.take() else {
                    return;
                };
                let empty = || data(&Roster::new(&[], 0), &self.own);
                let data = self.data.clone().unwrap_or_else(empty);
                self.running.spawn_blocking(move || {
                    let served = servers.run(&data);
                    (number, now, Ended::Servers(servers, served))
                });
            }
            Step::File(reach) => {
                let Some(mut job) = slot.job.take() else {
                    return;
                };
                let (text, why) = slot.text.clone();
                let take = (reach == Reach::Take).then(|| why.unwrap_or_default());
                self.running.spawn_blocking(move || {
                    let done = job.run(&text, take);
                    (number, now, Ended::File(job, done))
                });
            }
        }
    }
}

impl Slot {
    fn new(template: &Template, now: Moment) -> Self {
        Self {
            template: template.clone(),
            to: template.to.clone(),
            turn: Turn::new(template.settle, is_cheap(template), now),
            servers: Some(Box::new(Servers::new(template.clone()))),
            job: Some(Box::new(Job::new(template.clone()))),
            text: (String::new(), None),
            has_file: template.to.exists(),
            has_begun: false,
            status: Status {
                to: template.to.clone(),
                renders: 0,
                rendered_at: None,
                same: 0,
                reloads: 0,
                api_calls: 0,
                rejected: 0,
                why: None,
            },
        }
    }

    /// Nobody has answered yet: what the file says is better than an empty list.
    fn keep(&mut self) {
        self.status.renders = 1;
        (self.has_file, self.has_begun) = (true, true);
        self.status.why = Some("nobody has told of members yet; the file is kept".into());
        self.turn.skip();
    }

    /// A thread has given this back. Gives what there is to tell.
    fn take(&mut self, ended: Ended, now: Moment) -> Option<Outcome> {
        match ended {
            Ended::Servers(servers, served) => {
                self.servers = Some(servers);
                let told = self.served(served, now);
                self.has_begun |= self.turn.is_over();
                told
            }
            Ended::File(job, done) => {
                self.job = Some(job);
                // Its reader may be asked again meanwhile, which is the next turn.
                self.has_begun = true;
                self.filed(done, now)
            }
        }
    }

    fn served(&mut self, served: Served, now: Moment) -> Option<Outcome> {
        self.status.renders += 1;
        self.status.rendered_at = Some(clock::wall());
        self.status.api_calls += served.commands as u64;
        let (text, wanted) = match served.text {
            Ok(text) => text,
            Err(why) => {
                self.turn.served(None, served.is_left, now);
                return self.refused(why);
            }
        };
        self.turn.served(wanted.reach(), served.is_left, now);
        if let Some(servers) = &mut self.servers
            && self.turn.is_over()
        {
            servers.filed();
        }
        let told = match (&wanted, served.commands) {
            (Wanted::Nothing, 0) => {
                self.status.same += 1;
                Some(Outcome::Same)
            }
            (Wanted::Write | Wanted::Take(_), 0) => None,
            (_, commands) => Some(Outcome::Applied(How::Commands(commands))),
        };
        let why = match wanted {
            Wanted::Nothing => {
                self.has_file = true;
                self.status.why = None;
                None
            }
            Wanted::Write => None,
            Wanted::Take(why) => Some(why),
        };
        self.text = (text, why);
        told
    }

    fn filed(&mut self, done: Done, now: Moment) -> Option<Outcome> {
        self.turn.filed(done.is_left, now);
        self.status.reloads += u64::from(done.reloaded);
        let is_newest = self.turn.is_over();
        if let Some(servers) = &mut self.servers {
            servers.learn(done.reader);
        }
        match done.outcome {
            Outcome::Rejected(why) => self.refused(why),
            outcome @ (Outcome::Same | Outcome::Applied(_)) => {
                if let Some(servers) = &mut self.servers
                    && is_newest
                {
                    servers.filed();
                }
                self.has_file = true;
                self.status.why = None;
                (outcome != Outcome::Same).then_some(outcome)
            }
        }
    }

    /// What was told already is not told again.
    fn refused(&mut self, why: String) -> Option<Outcome> {
        if self.status.why.as_ref() == Some(&why) {
            return None;
        }
        self.status.rejected += 1;
        self.status.why = Some(why.clone());
        Some(Outcome::Rejected(why))
    }
}

/// Where haproxy can be told of servers, a change needs no new process.
fn is_cheap(template: &Template) -> bool {
    template.apply.haproxy.is_some() && template.apply.backend.is_some()
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
