//! The faults of one file while it is read, each at its place.

use std::ops::Range;
use std::path::Path;

use crate::diag::{Diagnostic, Place, Spot};
use crate::values::lists;

/// So many faults of one file are told; each carries its line, and a line may be a whole file.
const FAULTS_MAX: usize = 100;

/// The faults of one file.
pub(crate) struct Faults<'a> {
    path: &'a Path,
    source: &'a str,
    found: Vec<Diagnostic>,
    /// How many more there were than are told.
    more: usize,
}

impl<'a> Faults<'a> {
    pub(crate) fn new(path: &'a Path, source: &'a str) -> Self {
        Self {
            path,
            source,
            found: Vec::new(),
            more: 0,
        }
    }

    /// Notes a fault at these bytes of the file.
    pub(crate) fn at(&mut self, span: Range<usize>, fault: Diagnostic) {
        if self.found.len() >= FAULTS_MAX {
            self.more += 1;
            return;
        }
        let spot = Spot::of(self.source, span);
        self.found.push(fault.at(self.path, spot));
    }

    /// Notes a fault of the file as a whole.
    pub(crate) fn whole(&mut self, fault: Diagnostic) {
        self.found.push(fault.in_file(self.path));
    }

    /// These bytes of the file as a place, for faults that are found later.
    pub(crate) fn place(&self, span: Range<usize>) -> Place {
        Place {
            path: self.path.to_owned(),
            spot: Some(Spot::of(self.source, span)),
        }
    }

    /// The part `at` of the string `text` whose value spans `span`; the whole of it, if escapes
    /// make the two differ.
    pub(crate) fn within(&self, span: Range<usize>, text: &str, at: &Range<usize>) -> Range<usize> {
        let start = span.start + 1;
        match self.source.get(start..start + text.len()) {
            Some(raw) if raw == text => start + at.start..start + at.end,
            _ => span,
        }
    }

    /// All of them, in the order of the file.
    pub(crate) fn sorted(mut self) -> Vec<Diagnostic> {
        let key = |fault: &Diagnostic| {
            let spot = fault.place.as_ref().and_then(|place| place.spot.as_ref());
            spot.map(|spot| (spot.line, spot.column))
        };
        lists::sort_by_key(&mut self.found, key);
        if self.more > 0 {
            let fault = Diagnostic::error(format!("{} more faults in this file", self.more));
            self.found.push(fault.in_file(self.path));
        }
        self.found
    }
}
