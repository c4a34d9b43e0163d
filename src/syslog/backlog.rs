//! What waits for the collector: a queue of records that is bounded in bytes. When it is full, the
//! oldest are dropped, and counted.

use std::collections::VecDeque;

/// What a record costs beside its octets: its place in the queue, and the allocator's own.
const OVERHEAD_BYTES: usize = 48;

/// The queue.
#[derive(Debug)]
pub struct Backlog {
    frames: VecDeque<Box<[u8]>>,
    bytes: usize,
    bytes_max: usize,
    dropped: u64,
}

impl Backlog {
    /// An empty queue that takes so many bytes.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            frames: VecDeque::new(),
            bytes: 0,
            bytes_max,
            dropped: 0,
        }
    }

    /// Adds the newest record; the oldest make room for it.
    pub fn push(&mut self, frame: Vec<u8>) {
        let cost = frame.len() + OVERHEAD_BYTES;
        if cost > self.bytes_max {
            self.dropped += 1;
            return;
        }
        while self.bytes + cost > self.bytes_max && self.take().is_some() {
            self.dropped += 1;
        }
        self.bytes += cost;
        self.frames.push_back(frame.into_boxed_slice());
    }

    /// Takes the oldest record.
    pub fn take(&mut self) -> Option<Box<[u8]>> {
        let frame = self.frames.pop_front()?;
        self.bytes -= frame.len() + OVERHEAD_BYTES;
        Some(frame)
    }

    /// Puts back what was taken and could not be sent; where there is no room left, it is the
    /// oldest, and dropped.
    pub fn put_back(&mut self, frame: Box<[u8]>) {
        let cost = frame.len() + OVERHEAD_BYTES;
        if self.bytes + cost > self.bytes_max {
            self.dropped += 1;
        } else {
            self.bytes += cost;
            self.frames.push_front(frame);
        }
    }

    /// Counts one that was taken and cannot be sent, ever.
    pub fn drop_one(&mut self) {
        self.dropped += 1;
    }

    /// How many records wait.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// How many records were dropped, ever.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_and_are_counted() {
        let mut backlog = Backlog::new(3 * (10 + OVERHEAD_BYTES));
        for n in 0..5_u8 {
            backlog.push(vec![n; 10]);
        }
        assert_eq!((backlog.len(), backlog.dropped()), (3, 2));
        let oldest = backlog.take().unwrap();
        assert_eq!(*oldest, [2; 10]);
        backlog.push(vec![5; 10]);
        backlog.put_back(oldest);
        assert_eq!((backlog.len(), backlog.dropped()), (3, 3));
        assert_eq!(backlog.take().as_deref(), Some(&[3_u8; 10][..]));
        backlog.push(vec![9; 1000]);
        assert_eq!((backlog.len(), backlog.dropped()), (2, 4));
        while backlog.take().is_some() {}
        assert_eq!((backlog.bytes, backlog.is_empty()), (0, true));
    }
}
