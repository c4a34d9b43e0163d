//! Chance from a seed, so that a world by chance can be lived again.

use std::time::Duration;

use pidone::values::{Exit, Signal};

/// Chance from a seed (splitmix64, Steele, Lea and Flood 2014).
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    pub(crate) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn of<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())].clone()
    }

    /// Milliseconds, short ones more often than long ones.
    pub(crate) fn span(&mut self, longest: usize) -> Duration {
        let most = 1 + self.below(longest);
        Duration::from_millis(self.below(most) as u64)
    }

    pub(crate) fn exit(&mut self) -> Exit {
        match self.below(6) {
            0..3 => Exit::Code(0),
            3 => Exit::Signal(Signal::INT),
            _bad => Exit::Code(u8::try_from(1 + self.below(125)).unwrap()),
        }
    }
}
