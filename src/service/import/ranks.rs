//! Who starts after whom, by `priority`: a group's orders groups, a program's those in its group.

use std::collections::BTreeMap;

use crate::values::Name;

/// Where a process stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rank<'a> {
    /// The priority of its group; a program that is in none is a group of its own.
    pub(super) outer: i64,
    /// The group.
    pub(super) group: &'a str,
    /// The priority of its program.
    pub(super) inner: i64,
}

/// All processes that start by themselves.
#[derive(Default)]
pub(super) struct Ranks<'a>(Vec<(Rank<'a>, Name)>);

impl<'a> Ranks<'a> {
    /// Adds a process.
    pub(super) fn add(&mut self, rank: Rank<'a>, name: Name) {
        self.0.push((rank, name));
    }

    /// Those that a process of this rank starts after: the next lower ones, which start after
    /// those below them.
    pub(super) fn before(&self, rank: Rank<'a>) -> Vec<Name> {
        let names = |wanted: &dyn Fn(&Rank<'a>) -> bool| {
            let found = self.0.iter().filter(|(rank, _)| wanted(rank));
            found.map(|(_, name)| name.clone()).collect::<Vec<_>>()
        };
        let others = self.0.iter().map(|(other, _)| other);
        let within = others.filter(|other| other.group == rank.group && other.inner < rank.inner);
        if let Some(inner) = within.map(|other| other.inner).max() {
            return names(&|other| other.group == rank.group && other.inner == inner);
        }
        let others = self.0.iter().map(|(other, _)| other);
        let Some(outer) = others.map(|r| r.outer).filter(|o| *o < rank.outer).max() else {
            return Vec::new();
        };
        let mut last: BTreeMap<&str, i64> = BTreeMap::new();
        for (other, _) in self.0.iter().filter(|(other, _)| other.outer == outer) {
            let inner = last.entry(other.group).or_insert(other.inner);
            *inner = other.inner.max(*inner);
        }
        names(&|other| other.outer == outer && last.get(other.group) == Some(&other.inner))
    }
}
