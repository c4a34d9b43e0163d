//! What waits for the container's output: a bounded queue in memory that children do not inherit.

use std::io::{self, Write};

use crate::os::memory::Mapping;

/// Above this much in the queue, nothing more is read from the services.
pub const QUEUE_BYTES_HIGH: usize = 256 << 10;

/// Below the high mark anything that one read can become must fit: two long pieces (JSON makes six
/// bytes of one at worst). The memory is not used unless it is needed.
const QUEUE_BYTES_MAX: usize = QUEUE_BYTES_HIGH + (1 << 20);

/// Bytes on their way out. `Write` never fails: what has no room is counted in `lost`.
#[derive(Debug)]
pub struct Queue {
    memory: Mapping,
    start: usize,
    end: usize,
    pub(super) lost: u64,
}

impl Queue {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            memory: Mapping::new(QUEUE_BYTES_MAX)?,
            start: 0,
            end: 0,
            lost: 0,
        })
    }

    /// How many bytes wait.
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.end == self.start
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.memory.get(self.start..self.end).unwrap_or_default()
    }

    pub(super) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.memory.len() - self.end < bytes.len() {
            self.memory.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        match self.memory.get_mut(self.end..self.end + bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.end += bytes.len();
            }
            None => self.lost += bytes.len() as u64,
        }
    }
}

impl Write for Queue {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.push(bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_in_order_and_what_has_no_room_is_counted() {
        let mut queue = Queue::new().expect("there is memory");
        let line: Vec<u8> = (0..=255).cycle().take(100_003).collect();
        let (mut went_in, mut came_out) = (Vec::new(), Vec::new());
        for round in 0..100 {
            if queue.len() < QUEUE_BYTES_HIGH {
                queue.push(&line);
                went_in.extend_from_slice(&line);
            }
            let count = (round * 7919) % 120_000;
            let count = count.min(queue.len());
            came_out.extend_from_slice(&queue.bytes()[..count]);
            queue.consume(count);
        }
        came_out.extend_from_slice(queue.bytes());
        assert!(went_in == came_out && queue.lost == 0);
        for _ in 0..20 {
            queue.push(&line);
        }
        assert!(queue.lost > 0 && queue.len() <= QUEUE_BYTES_MAX);
        queue.consume(queue.len());
        assert!(queue.is_empty());
    }
}
