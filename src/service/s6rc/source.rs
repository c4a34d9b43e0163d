//! A tree of s6-rc's source definitions as it was found on disk; nothing in it is trusted yet.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::service::source::{Directory, File};

/// One definition: a directory of the tree, or what two trees say of one bundle.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Entry {
    /// Its name, its path, and what s6-supervise would read of a longrun.
    pub directory: Directory,
    /// `type`.
    pub kind: File,
    /// `contents.d` and `contents`, of a bundle.
    pub contents: Listed,
    /// `dependencies.d` and `dependencies`.
    pub dependencies: Listed,
    /// `up`, of a oneshot.
    pub up: File,
    /// `down`, of a oneshot.
    pub down: File,
    /// `timeout-up`, milliseconds.
    pub timeout_up: File,
    /// `timeout-down`, milliseconds.
    pub timeout_down: File,
    /// `producer-for`: the one that reads its output.
    pub producer_for: File,
    /// `consumer-for`: those whose output it reads.
    pub consumer_for: File,
    /// `pipeline-name`: a bundle of everybody up to this last consumer.
    pub pipeline_name: File,
    /// `flag-essential`: only a stop of everything ends it.
    pub essential: bool,
}

/// Names that a definition lists.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Listed {
    /// The files of the directory `NAME.d`, whatever is in them.
    pub files: Vec<OsString>,
    /// The older file `NAME`: one name a line.
    pub lines: File,
}

impl Listed {
    /// Adds what another directory lists.
    pub fn add(&mut self, other: Self) {
        self.files.extend(other.files);
        if self.lines == File::Absent {
            self.lines = other.lines;
        }
    }
}

/// What was found below one or several roots.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tree {
    /// In the order of their names.
    pub entries: Vec<Entry>,
    /// Where bundles of the user's own may be defined: a missing `type` means a bundle there.
    pub bundles: Vec<PathBuf>,
}
