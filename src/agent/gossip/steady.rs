//! A clock that never goes back. The kernel promises as much of its monotonic clock, but a machine
//! that is moved while it runs has been seen to break that; a timer would then wait for as long as
//! the clock went back, and this node notice no death meanwhile.

use std::time::Duration;

use crate::values::Moment;

/// What the clock showed last, and how far it has gone back in all.
#[derive(Debug)]
pub(super) struct Steady {
    seen: Moment,
    back: Duration,
}

impl Steady {
    pub(super) fn new(now: Moment) -> Self {
        Self {
            seen: now,
            back: Duration::ZERO,
        }
    }

    /// The steady time, when the clock shows this.
    pub(super) fn read(&mut self, now: Moment) -> Moment {
        self.back += self.seen.since(now);
        self.seen = now;
        now + self.back
    }

    /// What the clock shows at this steady time.
    pub(super) fn shown(&self, steady: Moment) -> Moment {
        steady.before(self.back)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stands_still_when_the_clock_goes_back() {
        let at = |s| Moment::at(Duration::from_secs(s));
        let mut steady = Steady::new(at(100));
        assert_eq!(steady.read(at(110)), at(110));
        assert_eq!(steady.read(at(40)), at(110));
        assert_eq!(steady.read(at(45)), at(115));
        assert_eq!(steady.shown(at(120)), at(50));
        assert_eq!(steady.read(at(1000)), at(1070));
    }
}
