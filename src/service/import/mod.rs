//! Other supervisors' definitions → native service directories, and what is lost on the way.
//! Values to values: what is read and what is written is text.

use std::path::PathBuf;

use crate::diag::{Diagnostic, Place};
use crate::values::Name;

pub mod ini;

mod words;

mod percent;

mod keys;

mod native;

mod ranks;

mod reader;

mod outputs;

mod program;

pub mod supervisord;

pub mod tree;

mod defined;

mod s6rc;

mod scripts;

mod attributes;

mod stages;

pub mod overlay;

pub mod mark;

/// A definition has at most so many services: more is a slip of `numprocs`.
pub const MADE_MAX: usize = 1000;

/// What an import comes to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Imported {
    /// The services, in the order of their names.
    pub services: Vec<Made>,
    /// What became of a line that is not simply carried over, in the order of the lines.
    pub remarks: Vec<Remark>,
    /// Why nothing can be made of it. With any of them nothing is written.
    pub faults: Vec<Diagnostic>,
}

/// A service directory that is to be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Made {
    /// Its name.
    pub name: Name,
    /// Its `service.toml`.
    pub definition: String,
    /// What stands beside that, in the order of the paths.
    pub extras: Vec<Extra>,
}

/// A file of a service directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Extra {
    /// Its path from there.
    pub path: String,
    /// All that is in it.
    pub content: Vec<u8>,
    /// Whether it is to be executed.
    pub is_program: bool,
}

/// What became of a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Remark {
    /// The line.
    pub place: Place,
    /// What stood there.
    pub what: String,
    /// What becomes of it.
    pub instead: String,
    /// Whether something is lost by it, or only done otherwise.
    pub lost: bool,
}

impl Remark {
    /// `supervisord.conf:12: [program:web] exitcodes = 0,2: only 0 is expected`.
    pub fn line(&self) -> String {
        let spot = self.place.spot.as_ref();
        let line = spot.map_or_else(String::new, |spot| format!(":{}", spot.line));
        format!(
            "{}{line}: {}: {}",
            self.place.path.display(),
            self.what,
            self.instead
        )
    }
}

/// The order in which lines stand: file by file.
fn order(place: &Place) -> (PathBuf, usize) {
    let line = place.spot.as_ref().map_or(0, |spot| spot.line);
    (place.path.clone(), line)
}
