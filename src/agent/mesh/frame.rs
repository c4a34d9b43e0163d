//! What agents say to each other in a session, a frame each: written, and read with a bound on
//! everything. Pure.
//!
//! A frame's first byte says what it is: see the constants.

use crate::agent::gossip::knowledge::Entry;
use crate::agent::mesh::link::FRAME_BYTES_MAX;
use crate::members::record::{Input, Record};

/// The dialler wants to compare: entries follow, then [`DONE`]; then the other's.
const COMPARE: u8 = 1;
/// The dialler watches: our records follow, for ever.
const WATCH: u8 = 2;
/// Some entries.
const ENTRIES: u8 = 3;
/// There are no more.
const DONE: u8 = 4;
/// A record of the member that is watched.
const RECORD: u8 = 5;
/// The watcher has acted on the record of this life and number.
const HEARD: u8 = 6;
/// The watcher is there; its kernel learns whether ours is.
const PING: u8 = 7;

/// One frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Frame {
    /// The dialler wants to compare: entries follow, then [`Frame::Done`]; then the other's.
    Compare,
    /// The dialler watches: our records follow, for ever.
    Watch,
    /// Some entries.
    Entries(Vec<Entry>),
    /// There are no more.
    Done,
    /// A record of the member that is watched.
    Record(Box<Record>),
    /// The watcher has acted on the record of this life and number.
    Heard(u64, u32),
    /// The watcher is there; its kernel learns whether ours is.
    Ping,
}

impl Frame {
    /// Reads a frame, and all of these bytes; `None`: an agent does not say that.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let mut input = Input(rest);
        let frame = match *kind {
            COMPARE => Self::Compare,
            WATCH => Self::Watch,
            DONE => Self::Done,
            PING => Self::Ping,
            ENTRIES => {
                let mut found = Vec::new();
                while !input.0.is_empty() {
                    found.push(Entry::read(&mut input)?);
                }
                Self::Entries(found)
            }
            RECORD => return Some(Self::Record(Record::read(rest)?.into())),
            HEARD => Self::Heard(
                u64::from_be_bytes(input.array()?),
                u32::from_be_bytes(input.array()?),
            ),
            _other => return None,
        };
        input.0.is_empty().then_some(frame)
    }
}

/// The frame of a dialler who wants to compare.
pub fn compare() -> Vec<u8> {
    vec![COMPARE]
}

/// The frame of a dialler who watches.
pub fn watch() -> Vec<u8> {
    vec![WATCH]
}

/// The frame of a watcher who is there.
pub fn ping() -> Vec<u8> {
    vec![PING]
}

/// The frames with these entries, and the one that says that there are no more.
pub fn entries(all: &[Entry]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut frame = vec![ENTRIES];
    for entry in all {
        let mut bytes = Vec::new();
        entry.put(&mut bytes);
        if frame.len() + bytes.len() > FRAME_BYTES_MAX {
            frames.push(std::mem::replace(&mut frame, vec![ENTRIES]));
        }
        frame.extend(bytes);
    }
    frames.push(frame);
    frames.push(vec![DONE]);
    frames
}

/// The frame with this record.
pub fn record(record: &Record) -> Option<Vec<u8>> {
    Some([&[RECORD][..], &record.bytes()?].concat())
}

/// The frame that says that we have acted on this.
pub fn heard(life: u64, sequence: u32) -> Vec<u8> {
    [&[HEARD][..], &life.to_be_bytes(), &sequence.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        for (bytes, frame) in [
            (compare(), Frame::Compare),
            (watch(), Frame::Watch),
            (ping(), Frame::Ping),
            (heard(7, 3), Frame::Heard(7, 3)),
        ] {
            assert_eq!(Frame::read(&bytes), Some(frame));
            assert_eq!(Frame::read(&[&bytes[..], &[0]].concat()), None);
        }
        let none = entries(&[]);
        let read: Vec<_> = none.iter().map(|frame| Frame::read(frame)).collect();
        assert_eq!(read, [Some(Frame::Entries(vec![])), Some(Frame::Done)]);
        for bad in [&[][..], &[0], &[8], &[HEARD, 1], &[RECORD], &[ENTRIES, 4]] {
            assert_eq!(Frame::read(bad), None, "{bad:?}");
        }
    }
}
