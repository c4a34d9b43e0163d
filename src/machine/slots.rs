//! The slots of a fleet by their numbers. A number is never given twice: whatever still names a
//! service that is gone (a late answer, an old event) names nobody.

use crate::machine::slot::{Ix, Slot};

/// Slots in the order of their numbers, which have gaps where services are gone.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    /// The number of the next one.
    next: Ix,
}

impl Slots {
    /// These, numbered from 0.
    pub(super) fn new(slots: Vec<Slot>) -> Self {
        let next = slots.len();
        Self { slots, next }
    }

    pub(super) fn get(&self, ix: Ix) -> Option<&Slot> {
        self.position(ix).and_then(|at| self.slots.get(at))
    }

    pub(super) fn get_mut(&mut self, ix: Ix) -> Option<&mut Slot> {
        self.position(ix).and_then(|at| self.slots.get_mut(at))
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Slot> {
        self.slots.iter()
    }

    pub(super) fn iter_mut(&mut self) -> std::slice::IterMut<'_, Slot> {
        self.slots.iter_mut()
    }

    pub(super) fn as_slice(&self) -> &[Slot] {
        &self.slots
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [Slot] {
        &mut self.slots
    }

    /// The numbers in use.
    pub(super) fn numbers(&self) -> Vec<Ix> {
        self.slots.iter().map(|slot| slot.ix).collect()
    }

    /// Adds a slot, which gets the next number.
    pub(super) fn push(&mut self, slot: Slot) -> Ix {
        let ix = self.next;
        self.next += 1;
        self.slots.push(Slot { ix, ..slot });
        ix
    }

    pub(super) fn remove(&mut self, ix: Ix) {
        if let Some(at) = self.position(ix) {
            self.slots.remove(at);
        }
    }

    /// Until a service is gone, a slot stands where its number says.
    fn position(&self, ix: Ix) -> Option<usize> {
        if self.slots.get(ix).is_some_and(|slot| slot.ix == ix) {
            return Some(ix);
        }
        self.slots.binary_search_by_key(&ix, |slot| slot.ix).ok()
    }
}
