//! All that a node knows, for one that has just come: peers with their states, and what each has
//! said of itself.

use foca::Member;

use crate::agent::gossip::peer::{Peer, member, put_member};
use crate::members::record::{Input, Record};

/// One member, as a node knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Who, and how it is.
    pub member: Member<Peer>,
    /// What it has said; `None`: nothing that we heard.
    pub record: Option<Record>,
}

impl Entry {
    /// Adds the bytes of this entry.
    pub fn put(&self, out: &mut Vec<u8>) {
        put_member(out, &self.member);
        let record = self.record.as_ref().and_then(Record::bytes);
        let record = record.unwrap_or_default();
        out.extend(u16::try_from(record.len()).unwrap_or(0).to_be_bytes());
        out.extend(record);
    }

    /// Reads the next entry.
    pub fn read(input: &mut Input<'_>) -> Option<Self> {
        let member = member(input)?;
        let length = usize::from(u16::from_be_bytes(input.array()?));
        let bytes = input.take(length)?;
        let record = if bytes.is_empty() {
            None
        } else {
            Some(Record::read(bytes)?)
        };
        Some(Self { member, record })
    }
}
