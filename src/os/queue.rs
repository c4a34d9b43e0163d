//! What waits for the container's output: a bounded queue in memory that children do not inherit.

use std::io::{self, Write};

use memchr::memchr;

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
                copy(room, bytes);
                self.end += bytes.len();
            }
            None => self.lost += bytes.len() as u64,
        }
    }

    /// Queues whole lines, each behind `lead`, until so much is queued that the writer should wait;
    /// returns how many bytes of `lines` that took.
    pub fn push_lines(&mut self, lead: &[u8], lines: &[u8]) -> usize {
        let mut rest = lines;
        while self.len() < QUEUE_BYTES_HIGH
            && let Some(end) = memchr(b'\n', rest)
        {
            let (line, after) = rest.split_at(end + 1);
            let room = self.memory.get_mut(self.end..);
            let room = room.and_then(|room| room.split_at_mut_checked(lead.len()));
            let room = room.and_then(|(first, room)| Some((first, room.get_mut(..line.len())?)));
            match room {
                Some((first, second)) => {
                    copy(first, lead);
                    copy(second, line);
                    self.end += lead.len() + line.len();
                }
                None => {
                    self.push(lead);
                    self.push(line);
                }
            }
            rest = after;
        }
        lines.len() - rest.len()
    }
}

/// Below this, copying by hand is faster than a call of memcpy(3), whose set-up is as long as a
/// usual line takes.
const COPIED_BY_HAND: usize = 512;

/// Copies all of `from` to `to`, which is as long.
#[inline]
fn copy(to: &mut [u8], from: &[u8]) {
    if from.len() > COPIED_BY_HAND {
        return to.copy_from_slice(from);
    }
    // The last sixteen overlap with what was copied before them.
    if let (Some(last), Some(end)) = (from.last_chunk::<16>(), to.last_chunk_mut::<16>()) {
        *end = *last;
        for (to, from) in to
            .as_chunks_mut::<16>()
            .0
            .iter_mut()
            .zip(from.as_chunks::<16>().0)
        {
            *to = *from;
        }
    } else if let (Some(last), Some(end)) = (from.last_chunk::<8>(), to.last_chunk_mut::<8>()) {
        *end = *last;
        if let (Some(first), Some(begin)) = (from.first_chunk::<8>(), to.first_chunk_mut::<8>()) {
            *begin = *first;
        }
    } else {
        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
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

    #[test]
    fn copies_of_every_length_are_exact() {
        let bytes: Vec<u8> = (0..=255).cycle().take(2 * COPIED_BY_HAND).collect();
        for len in 0..bytes.len() {
            let mut room = vec![0; len];
            copy(&mut room, &bytes[..len]);
            assert!(room == bytes[..len], "{len}");
        }
    }

    #[test]
    fn lines_go_in_behind_their_lead_until_there_is_enough() {
        let mut queue = Queue::new().expect("there is memory");
        let lines: Vec<u8> = (0..900)
            .flat_map(|len| [vec![b'x'; len], b"\n".to_vec()].concat())
            .collect();
        let expected: Vec<u8> = lines
            .split_inclusive(|byte| *byte == b'\n')
            .flat_map(|line| [b"web | ", line].concat())
            .collect();
        let (mut taken, mut came_out) = (0, Vec::new());
        while taken < lines.len() {
            let count = queue.push_lines(b"web | ", &lines[taken..]);
            taken += count;
            // Full, or done: a line more than enough at most.
            assert!(queue.len() >= QUEUE_BYTES_HIGH || taken == lines.len());
            assert!(queue.len() < QUEUE_BYTES_HIGH + 1000);
            let count = queue.len().min(100_003);
            came_out.extend_from_slice(&queue.bytes()[..count]);
            queue.consume(count);
        }
        came_out.extend_from_slice(queue.bytes());
        assert!(came_out == expected && queue.lost == 0);
        assert_eq!(queue.push_lines(b"web | ", b"no end"), 0);
    }
}
