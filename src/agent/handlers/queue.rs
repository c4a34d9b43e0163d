//! What handlers still have to be told: bounded, oldest first, one call for what belongs together.
//! Pure.

use std::collections::VecDeque;

use crate::members::member::Member;
use crate::members::roster::{Change, Event};

/// More calls than this do not wait: a handler that hangs for its whole time must not cost memory.
const CALLS_MAX: usize = 256;
/// Members in one call: what a pipe takes at once, roughly.
const MEMBERS_MAX: usize = 1000;

/// One run of a handler.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// Which handler, by its place in the configuration.
    pub handler: usize,
    /// What has happened.
    pub change: Change,
    /// To whom.
    pub members: Vec<Member>,
}

/// The calls that wait.
#[derive(Default, Debug)]
pub struct Queue {
    calls: VecDeque<Call>,
    /// Calls for which there was no room.
    pub dropped: u64,
}

impl Queue {
    /// Adds an event for this handler: to a call that waits, where that keeps each member's events
    /// in their order.
    pub fn add(&mut self, handler: usize, event: &Event) {
        let own = self.calls.iter_mut().rev();
        for call in own.filter(|call| call.handler == handler) {
            let known = call.members.iter().any(|m| m.name == event.member.name);
            if call.change == event.change && !known && call.members.len() < MEMBERS_MAX {
                call.members.push(event.member.clone());
                return;
            }
            if known && call.change == event.change && event.change == Change::Update {
                // Only the newest counts.
                call.members.retain(|m| m.name != event.member.name);
                call.members.push(event.member.clone());
                return;
            }
            if known {
                break;
            }
        }
        if self.calls.len() == CALLS_MAX {
            self.calls.pop_front();
            self.dropped += 1;
        }
        self.calls.push_back(Call {
            handler,
            change: event.change,
            members: vec![event.member.clone()],
        });
    }

    /// The next call.
    pub fn take(&mut self) -> Option<Call> {
        self.calls.pop_front()
    }

    /// The handlers are others: `now` tells each one's new place. The calls of those that are gone
    /// are dropped.
    pub fn renumber(&mut self, now: impl Fn(usize) -> Option<usize>) {
        self.calls.retain_mut(|call| match now(call.handler) {
            Some(number) => {
                call.handler = number;
                true
            }
            None => false,
        });
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::members::member::{Origin, Status};
    use crate::members::words::Tags;

    fn event(change: Change, name: &str) -> Event {
        let member = Member {
            name: name.parse().unwrap(),
            address: "10.0.0.1".parse().unwrap(),
            port: 0,
            tags: Tags::default(),
            services: Vec::new(),
            status: Status::Alive,
            incarnation: 0,
            origin: Origin::Gossip,
        };
        Event { change, member }
    }

    fn told(queue: &mut Queue) -> Vec<String> {
        let mut told = Vec::new();
        while let Some(call) = queue.take() {
            let names: Vec<&str> = call.members.iter().map(|m| m.name.as_str()).collect();
            told.push(format!(
                "{} {} {}",
                call.handler,
                call.change.word(),
                names.join(" ")
            ));
        }
        told
    }

    #[test]
    fn what_belongs_together_is_one_call() {
        let mut queue = Queue::default();
        for name in ["s1", "s2", "s3"] {
            queue.add(0, &event(Change::Join, name));
            queue.add(1, &event(Change::Join, name));
        }
        queue.add(0, &event(Change::Leave, "s2"));
        // Its join must not be told before its leave; s4 can join with the others.
        queue.add(0, &event(Change::Join, "s2"));
        queue.add(0, &event(Change::Join, "s4"));
        queue.add(0, &event(Change::Update, "s1"));
        queue.add(0, &event(Change::Update, "s1"));
        assert_eq!(
            told(&mut queue),
            [
                "0 member-join s1 s2 s3",
                "1 member-join s1 s2 s3",
                "0 member-leave s2",
                "0 member-join s2 s4",
                "0 member-update s1",
            ]
        );
    }

    #[test]
    fn who_stays_keeps_his_calls() {
        let mut queue = Queue::default();
        for (handler, name) in [(0, "s1"), (1, "s2"), (2, "s3")] {
            queue.add(handler, &event(Change::Join, name));
        }
        queue.renumber(|handler| [None, Some(1), Some(0)][handler]);
        assert_eq!(told(&mut queue), ["1 member-join s2", "0 member-join s3"]);
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let mut queue = Queue::default();
        for _ in 0..1000 {
            queue.add(0, &event(Change::Join, "s1"));
            queue.add(0, &event(Change::Failed, "s1"));
        }
        assert_eq!(queue.calls.len(), CALLS_MAX);
        assert_eq!(queue.dropped, 2000 - CALLS_MAX as u64);
    }
}
