//! What a client is still to be sent, bounded. Who reads too slowly misses the oldest lines.

use std::collections::VecDeque;
use std::rc::Rc;

/// How many bytes of lines and events wait for one client at most, so that 128 clients that never
/// read cost PID 1 no more than 32 MiB.
pub const QUEUE_BYTES_MAX: usize = 256 * 1024;

/// How many bytes are written at once: a quarter of the socket's own buffer.
const CHUNK_BYTES: usize = 16 * 1024;

/// The queue of one client.
#[derive(Default, Debug)]
pub struct Outbox {
    items: VecDeque<Item>,
    /// Of the items that may be missed.
    bytes: usize,
    skipped: u64,
}

#[derive(Debug)]
struct Item {
    text: Rc<str>,
    may_be_missed: bool,
    is_last: bool,
}

/// What is to be written next.
#[derive(PartialEq, Eq, Debug)]
pub enum Next {
    /// Nothing.
    Nothing,
    /// First of all, that so many lines were missed.
    Skipped(u64),
    /// These bytes.
    Bytes {
        /// Whole lines.
        bytes: Vec<u8>,
        /// They end the answer.
        is_last: bool,
    },
}

impl Outbox {
    /// A part of an answer that must arrive. There is at most one answer at a time.
    pub fn push(&mut self, text: Rc<str>, is_last: bool) {
        self.items.push_back(Item {
            text,
            may_be_missed: false,
            is_last,
        });
    }

    /// A line or an event. When there is no room, the oldest of them make it.
    pub fn push_line(&mut self, text: Rc<str>) {
        self.bytes += text.len();
        self.items.push_back(Item {
            text,
            may_be_missed: true,
            is_last: false,
        });
        while self.bytes > QUEUE_BYTES_MAX {
            let Some(at) = self.items.iter().position(|item| item.may_be_missed) else {
                return;
            };
            if let Some(item) = self.items.remove(at) {
                self.bytes -= item.text.len();
                self.skipped += 1;
            }
        }
    }

    /// Takes what is to be written next: whole lines, up to the next gap or the answer's end.
    pub fn take(&mut self) -> Next {
        let mut bytes = Vec::new();
        while bytes.len() < CHUNK_BYTES {
            if self.is_at_gap() {
                if bytes.is_empty() {
                    return Next::Skipped(std::mem::take(&mut self.skipped));
                }
                break;
            }
            let Some(item) = self.items.pop_front() else {
                break;
            };
            bytes.extend_from_slice(item.text.as_bytes());
            if item.may_be_missed {
                self.bytes -= item.text.len();
            }
            if item.is_last {
                let is_last = true;
                return Next::Bytes { bytes, is_last };
            }
        }
        let is_last = false;
        if bytes.is_empty() {
            Next::Nothing
        } else {
            Next::Bytes { bytes, is_last }
        }
    }

    /// Lines were missed just before what is next.
    fn is_at_gap(&self) -> bool {
        self.skipped > 0 && self.items.front().is_none_or(|item| item.may_be_missed)
    }

    /// Nothing is left to be written.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && self.skipped == 0
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_lines_make_room_and_are_counted() {
        let mut outbox = Outbox::default();
        let kibibyte: Rc<str> = "x".repeat(1024).into();
        outbox.push("status\n".into(), false);
        for _ in 0..256 {
            outbox.push_line(kibibyte.clone());
        }
        for _ in 0..3 {
            outbox.push_line("new\n".into());
        }
        let status = Next::Bytes {
            bytes: b"status\n".to_vec(),
            is_last: false,
        };
        assert_eq!(outbox.take(), status);
        assert_eq!(outbox.take(), Next::Skipped(1));
        let mut rest = Vec::new();
        while let Next::Bytes { bytes, .. } = outbox.take() {
            rest.extend(bytes);
        }
        assert!(rest.ends_with(b"xnew\nnew\nnew\n"));
        assert_eq!(outbox.bytes, 0);
        assert_eq!(outbox.take(), Next::Nothing);
    }

    #[test]
    fn an_answer_ends_a_chunk() {
        let mut outbox = Outbox::default();
        outbox.push_line("a\n".into());
        outbox.push("end\n".into(), true);
        outbox.push_line("b\n".into());
        let expected = Next::Bytes {
            bytes: b"a\nend\n".to_vec(),
            is_last: true,
        };
        assert_eq!(outbox.take(), expected);
    }
}
