//! How long to wait before the collector is tried again: doubling, and spread, so that a hundred
//! containers do not all come at once to a collector that has just started.

use std::time::Duration;

/// The first pause.
const FIRST: Duration = Duration::from_millis(100);
/// No pause is longer: a collector that is back gets its logs soon.
const LONGEST: Duration = Duration::from_secs(10);

/// The pauses of one collector.
#[derive(Debug)]
pub struct Pause {
    next: Duration,
}

impl Default for Pause {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Pause {
    /// The next pause: from half of what is due to the whole of it, as `chance` (of 256) has it.
    pub fn next(&mut self, chance: u8) -> Duration {
        let due = self.next;
        self.next = (due * 2).min(LONGEST);
        due / 2 + due / 512 * u32::from(chance)
    }

    /// All was well for a while.
    pub fn reset(&mut self) {
        self.next = FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit() {
        let mut pause = Pause::default();
        let mut least = FIRST / 2;
        for _ in 0..20 {
            let waited = pause.next(0);
            assert!(waited >= least && waited <= LONGEST);
            least = waited;
        }
        assert_eq!(least, LONGEST / 2);
        assert!(pause.next(255) < LONGEST && pause.next(255) > LONGEST * 9 / 10);
        pause.reset();
        assert_eq!(pause.next(0), FIRST / 2);
    }
}
