//! The timers of the gossip, in their order, by a clock that stands still while this process does.
//! A node that did not run for a while has not heard the answers that came meanwhile: it must not
//! take its own sleep for the silence of others. So a timer that comes late sets the clock back by
//! as much, and everybody keeps all of the time to answer.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::time::Duration;

use foca::Timer;

use crate::agent::gossip::peer::Peer;
use crate::values::Moment;

/// The timers that are due at some time.
#[derive(Debug)]
pub struct Timers {
    due: BinaryHeap<Reverse<Due>>,
    /// Counts them, so that of two at one moment the first comes first.
    count: u64,
    /// How long this process has stood still in all.
    behind: Duration,
    /// Later than this is too late.
    slack: Duration,
}

/// A timer; `at` is on the clock that stands still.
#[derive(Debug)]
struct Due {
    at: Moment,
    number: u64,
    timer: Timer<Peer>,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl Timers {
    /// None yet; those that are late by more than `slack` show that this process stood still.
    pub fn new(slack: Duration) -> Self {
        Self {
            due: BinaryHeap::new(),
            count: 0,
            behind: Duration::ZERO,
            slack,
        }
    }

    /// Adds one.
    pub fn add(&mut self, timer: Timer<Peer>, after: Duration, now: Moment) {
        self.count += 1;
        self.due.push(Reverse(Due {
            at: now.before(self.behind) + after,
            number: self.count,
            timer,
        }));
    }

    /// When the next one is due.
    pub fn deadline(&self) -> Option<Moment> {
        self.due.peek().map(|Reverse(due)| due.at + self.behind)
    }

    /// The next one, if it is due.
    pub fn next(&mut self, now: Moment) -> Option<Timer<Peer>> {
        let at = self.deadline().filter(|at| *at <= now)?;
        let late = now.since(at);
        if late > self.slack {
            self.behind += late;
        }
        self.due.pop().map(|Reverse(due)| due.timer)
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.due.clear();
    }

    /// How long this process has stood still in all.
    pub fn behind(&self) -> Duration {
        self.behind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_sleep_moves_everything_by_as_much() {
        let mut timers = Timers::new(ms(80));
        let start = Moment::at(ms(1000));
        for (token, after) in [(2, 400), (0, 100), (1, 100)] {
            timers.add(Timer::PeriodicGossip(token), ms(after), start);
        }
        assert_eq!(timers.next(start + ms(99)), None);
        // A second too late; the one of the same moment is due too, and no other.
        let woken = start + ms(1100);
        assert_eq!(timers.next(woken), Some(Timer::PeriodicGossip(0)));
        assert_eq!(timers.next(woken), Some(Timer::PeriodicGossip(1)));
        assert_eq!(timers.next(woken), None);
        assert_eq!(timers.deadline(), Some(woken + ms(300)));
        // What is added now is due as it was ordered.
        timers.add(Timer::PeriodicGossip(3), ms(10), woken);
        assert_eq!(timers.deadline(), Some(woken + ms(10)));
        assert_eq!(timers.behind(), ms(1000));
    }
}
