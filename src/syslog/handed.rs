//! Records that the kernel has taken and the collector's kernel may not have: which of them are
//! unconfirmed is known from how many bytes are (SIOCOUTQ, tcp(7)).

use std::collections::VecDeque;

/// The records of one connection, oldest first, as far as they may be unconfirmed.
#[derive(Debug, Default)]
pub struct Handed {
    lengths: VecDeque<usize>,
    bytes: usize,
}

impl Handed {
    /// The kernel has taken a whole record of this length.
    pub fn add(&mut self, length: usize) {
        self.lengths.push_back(length);
        self.bytes += length;
    }

    /// Forgets what is confirmed: `unconfirmed` bytes are not, of which `partial` belong to a
    /// record that the kernel has not taken whole.
    pub fn confirm(&mut self, unconfirmed: usize, partial: usize) {
        let whole = unconfirmed.saturating_sub(partial);
        while let Some(oldest) = self.lengths.front()
            && self.bytes - oldest >= whole
        {
            self.bytes -= oldest;
            self.lengths.pop_front();
        }
    }

    /// How many records are kept here. After [`Self::confirm`]: how many are unconfirmed, the one
    /// included of which a part is.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_unconfirmed_until_its_last_byte_is_not() {
        for (unconfirmed, partial, left) in [
            (0, 0, 0),
            (1, 0, 1),
            (10, 0, 1),
            (11, 0, 2),
            (30, 0, 3),
            (99, 0, 3),
            (5, 5, 0),
            (5, 7, 0),
            (15, 5, 1),
            (16, 5, 2),
        ] {
            let mut handed = Handed::default();
            (0..3).for_each(|_| handed.add(10));
            handed.confirm(unconfirmed, partial);
            assert_eq!(handed.len(), left, "{unconfirmed} {partial}");
        }
    }
}
