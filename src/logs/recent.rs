//! The memory behind `pidone logs`: a ring that takes no room until there is a line, little while
//! there are few, and its full size, out of the heap, only for those who talk.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use crate::logs::ring::{Line, Ring, Stream};
use crate::os::memory::Mapping;

/// A ring's size at first: with a hundred idle services that said a line or two each, a page for
/// each would be more than PID 1 may use.
const SMALL_BYTES: usize = 512;

/// The most that one service's lines take.
const BYTES_MAX: u64 = 64 << 10;

/// The least that is of use.
const BYTES_MIN: u64 = 4 << 10;

/// How much each ring may take, of `memory` bytes for so many services.
pub(super) fn share(memory: u64, services: usize) -> usize {
    let share = memory / (services.max(1) as u64);
    usize::try_from(share.clamp(BYTES_MIN, BYTES_MAX)).unwrap_or(SMALL_BYTES)
}

/// The last lines of one service (or of pidone itself).
#[derive(Debug)]
pub(super) struct Recent {
    ring: Option<Box<Ring<Storage>>>,
    bytes_max: usize,
}

#[derive(Debug)]
enum Storage {
    Small(Box<[u8]>),
    Full(Mapping),
}

impl Recent {
    /// Remembers nothing yet, and at most `bytes_max` bytes.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            ring: None,
            bytes_max,
        }
    }

    /// Remembers one line.
    pub(super) fn push(&mut self, wall: Duration, stream: Stream, partial: bool, text: &[u8]) {
        self.with_room(text.len()).push(wall, stream, partial, text);
    }

    /// Remembers whole lines.
    pub(super) fn extend(&mut self, wall: Duration, stream: Stream, lines: &[u8]) {
        if !lines.is_empty() {
            self.with_room(lines.len()).extend(wall, stream, lines);
        }
    }

    /// The remembered lines from number `from` on.
    pub(super) fn lines(&self, from: u64) -> impl Iterator<Item = Line<'_>> {
        self.ring.iter().flat_map(move |ring| ring.lines(from))
    }

    /// The number of the oldest remembered line, and of the one to come.
    pub(super) fn numbers(&self) -> (u64, u64) {
        self.ring
            .as_ref()
            .map_or((0, 0), |ring| (ring.first(), ring.next()))
    }

    fn is_full_size(&self) -> bool {
        let storage = self.ring.as_ref().map(|ring| ring.storage());
        matches!(storage, Some(Storage::Full(_)))
    }

    /// The ring, grown if these lines would push out others although there may be more room.
    fn with_room(&mut self, bytes: usize) -> &mut Ring<Storage> {
        let full_size = self.is_full_size();
        let ring = self.ring.take().unwrap_or_else(|| {
            let small = vec![0; SMALL_BYTES].into_boxed_slice();
            Box::new(Ring::new(Storage::Small(small)))
        });
        let ring = if full_size || ring.has_room(bytes) {
            ring
        } else {
            match Mapping::new(self.bytes_max) {
                Ok(mapping) => Box::new(ring.moved(Storage::Full(mapping))),
                // Without memory the small one has to do.
                Err(_) => ring,
            }
        };
        self.ring.insert(ring)
    }
}

impl Deref for Storage {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Small(bytes) => bytes,
            Self::Full(mapping) => mapping,
        }
    }
}

impl DerefMut for Storage {
    fn deref_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Small(bytes) => bytes,
            Self::Full(mapping) => mapping,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares() {
        assert_eq!(share(16 << 20, 10), 64 << 10);
        assert_eq!(share(16 << 20, 1024), 16 << 10);
        assert_eq!(share(0, 0), 4 << 10);
    }

    #[test]
    fn it_grows_without_forgetting() {
        let mut recent = Recent::new(64 << 10);
        assert_eq!(recent.numbers(), (0, 0));
        for n in 0..100 {
            recent.push(
                Duration::ZERO,
                Stream::Stdout,
                false,
                format!("{n}").as_bytes(),
            );
            assert_eq!(recent.is_full_size(), n >= 32, "{n}");
        }
        recent.extend(Duration::ZERO, Stream::Stdout, b"100\n101\n");
        assert_eq!(recent.numbers(), (0, 102));
        for (n, line) in recent.lines(0).enumerate() {
            assert_eq!(line.text.as_ref(), n.to_string().as_bytes());
        }
    }
}
