//! The files of a service that are executed: `run` and `finish`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// A file that is executed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Executable {
    /// Where it is, which need not be where it is started.
    pub path: PathBuf,
    /// What executes it in place of the kernel, which does not without a run bit: the words of its
    /// `#!` line. Empty: the kernel does.
    pub by: Vec<OsString>,
}

impl<P: Into<PathBuf>> From<P> for Executable {
    /// One with a run bit.
    fn from(path: P) -> Self {
        Self {
            path: path.into(),
            by: Vec::new(),
        }
    }
}

/// s6's `finish` file and its time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finish {
    /// The file.
    pub file: Executable,
    /// It is killed after this; `None` is s6's 0, for ever.
    pub timeout: Option<Duration>,
}
