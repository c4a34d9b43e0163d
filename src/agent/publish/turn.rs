//! When a template's turn comes: changes settle first, what cannot wait does not, what failed for a
//! passing reason is tried again. Pure: time is an argument.

use std::time::Duration;

use crate::values::Moment;

/// Changes that follow each other without a pause do not put off a rendering for longer.
const SETTLE_MAX: Duration = Duration::from_millis(200);
/// Servers that could not be deleted yet, a haproxy that does not run yet: looked at again.
const AGAIN_FIRST: Duration = Duration::from_millis(100);
/// At last only so often.
const AGAIN_MAX: Duration = Duration::from_secs(2);

/// How much a change can wait.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Urgency {
    /// For others that may follow: somebody came.
    Settles,
    /// Not at all: somebody is about to leave, or is gone, and must get no more work.
    Now,
}

/// The clockwork of one template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Turn {
    settle: Duration,
    /// The first change that waits, and when it will have settled.
    waiting: Option<(Moment, Moment)>,
    /// When something is to be done again, and how long we waited for that.
    again: Option<(Moment, Duration)>,
}

impl Turn {
    /// A template whose changes settle for so long; it has not been rendered, which is a change.
    pub fn new(settle: Duration, now: Moment) -> Self {
        Self {
            settle: settle.min(SETTLE_MAX),
            waiting: Some((now, now)),
            again: None,
        }
    }

    /// Something has changed.
    pub fn changed(&mut self, urgency: Urgency, now: Moment) {
        let first = self.waiting.map_or(now, |(first, _)| first);
        let due = match urgency {
            Urgency::Now => now,
            Urgency::Settles => (now + self.settle).min(first + SETTLE_MAX),
        };
        // What cannot wait is not put off by what follows it.
        let due = self
            .waiting
            .filter(|(_, due)| *due <= now)
            .map_or(due, |(_, due)| due);
        self.waiting = Some((first, due));
    }

    /// When the turn comes; `None`: not before something changes.
    pub fn due(&self) -> Option<Moment> {
        let settled = self.waiting.map(|(_, due)| due);
        let again = self.again.map(|(at, _)| at);
        settled.into_iter().chain(again).min()
    }

    /// Whether it has come. Then it is over: what changes from now on is the next one's.
    pub fn comes(&mut self, now: Moment) -> bool {
        let comes = self.due().is_some_and(|due| due <= now);
        if comes {
            self.waiting = None;
            self.again = self.again.map(|(_, waited)| (now, waited));
        }
        comes
    }

    /// It was taken, and all is done.
    pub fn done(&mut self) {
        self.again = None;
    }

    /// It was taken, and something is left that time may bring.
    pub fn again(&mut self, now: Moment) {
        let waited = self.again.map_or(AGAIN_FIRST, |(_, waited)| waited * 2);
        let waited = waited.min(AGAIN_MAX);
        self.again = Some((now + waited, waited));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment::at(Duration::from_millis(ms))
    }

    /// A turn that has had its first rendering.
    fn turn() -> Turn {
        let mut turn = Turn::new(Duration::from_millis(20), at(0));
        assert!(turn.comes(at(0)));
        turn.done();
        turn
    }

    #[test]
    fn the_first_rendering_is_due_at_once_and_then_nothing_is() {
        assert_eq!(turn().due(), None);
        assert!(!turn().comes(at(1_000_000)));
    }

    #[test]
    fn a_change_waits_for_others_but_not_for_ever() {
        let mut turn = turn();
        turn.changed(Urgency::Settles, at(1000));
        assert_eq!(turn.due(), Some(at(1020)));
        let mut renders = 0;
        for ms in 1000..1600 {
            if ms % 10 == 0 && ms < 1500 {
                turn.changed(Urgency::Settles, at(ms));
            }
            if turn.comes(at(ms)) {
                renders += 1;
                turn.done();
            }
        }
        // 500 ms of changes without a pause: at 1200, 1410 and when it is quiet.
        assert_eq!(renders, 3);
        assert_eq!(turn.due(), None);
    }

    #[test]
    fn a_hundred_joins_within_200_ms_are_two_renderings_at_most() {
        let mut turn = turn();
        let mut renders = 0;
        for ms in 1000..2000 {
            if ms < 1200 && ms % 2 == 0 {
                turn.changed(Urgency::Settles, at(ms));
            }
            if turn.comes(at(ms)) {
                renders += 1;
                turn.done();
            }
        }
        assert!(renders <= 2, "{renders}");
    }

    #[test]
    fn who_leaves_is_not_waited_for() {
        let mut turn = turn();
        turn.changed(Urgency::Settles, at(1000));
        turn.changed(Urgency::Now, at(1005));
        assert_eq!(turn.due(), Some(at(1005)));
        // A join right behind does not put it off.
        turn.changed(Urgency::Settles, at(1005));
        assert_eq!(turn.due(), Some(at(1005)));
        assert!(turn.comes(at(1005)));
        turn.done();
        assert_eq!(turn.due(), None);
    }

    #[test]
    fn what_is_left_is_tried_again_less_and_less_often() {
        let mut turn = turn();
        turn.changed(Urgency::Now, at(1000));
        let mut now = at(1000);
        let mut waits = Vec::new();
        for _ in 0..7 {
            assert!(turn.comes(now));
            turn.again(now);
            let due = turn.due().unwrap();
            waits.push(due.since(now).as_millis());
            now = due;
        }
        assert_eq!(waits, [100, 200, 400, 800, 1600, 2000, 2000]);
        // A change does not wait for that, and what succeeds ends it.
        turn.changed(Urgency::Now, now.before(Duration::from_millis(500)));
        assert!(turn.comes(now.before(Duration::from_millis(500))));
        turn.done();
        assert_eq!(turn.due(), None);
    }
}
