//! What was found on disk, as plain data: `os/files.rs` fills it in, the rest of this folder
//! judges it. So every fault of a file can be made up in a test without a file.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use crate::diag::Diagnostic;

/// A definition, or any other small file of a service directory, has at most so many bytes.
pub const FILE_BYTES_MAX: u64 = 64 * 1024;

/// So many bytes of a script are looked at: execve(2) itself reads 256 for the `#!` line.
pub const HEAD_BYTES: usize = 256;

/// More service directories than this are a mistake (a root pointed at a data directory), and
/// each costs descriptors and memory.
pub const SERVICES_MAX: usize = 10_000;

/// Everything found in all service roots.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Found {
    /// One for each name, sorted by name; a later root has replaced an earlier one's.
    pub directories: Vec<Directory>,
    /// What could not be read at all.
    pub diagnostics: Vec<Diagnostic>,
}

/// One service directory.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Directory {
    /// The entry's name as the file system has it; whether it is a service name is not yet known.
    pub name: OsString,
    /// The directory, as the user would name it.
    pub path: PathBuf,
    /// `service.toml`.
    pub definition: File,
    /// `run`.
    pub run: Script,
    /// `finish`.
    pub finish: Script,
    /// `down`: whatever is in it, it says "not at boot".
    pub down: bool,
    /// `down-signal`.
    pub down_signal: File,
    /// `timeout-kill`, milliseconds.
    pub timeout_kill: File,
    /// `timeout-finish`, milliseconds.
    pub timeout_finish: File,
    /// `notification-fd`.
    pub notification_fd: File,
    /// `max-death-tally`.
    pub max_death_tally: File,
    /// `lock-fd`: whatever is in it.
    pub lock_fd: bool,
    /// `log/`, a service directory of its own.
    pub log: Option<Box<Directory>>,
}

impl Directory {
    /// One of s6's, whose files come from elsewhere than a disk; by their names in it.
    pub fn of(
        name: OsString,
        path: PathBuf,
        file: impl Fn(&str) -> File,
        script: impl Fn(&str) -> Script,
    ) -> Self {
        Self {
            name,
            path,
            run: script("run"),
            finish: script("finish"),
            down_signal: file("down-signal"),
            timeout_kill: file("timeout-kill"),
            timeout_finish: file("timeout-finish"),
            notification_fd: file("notification-fd"),
            max_death_tally: file("max-death-tally"),
            ..Self::default()
        }
    }
}

/// A small file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum File {
    /// There is none.
    #[default]
    Absent,
    /// All that is in it.
    Content(Vec<u8>),
    /// It is there and cannot be used: the reason, for the user.
    Unreadable(String),
}

/// A file that is to be executed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Script {
    /// There is none.
    #[default]
    Absent,
    /// A regular file.
    Present {
        /// Somebody may execute it.
        executable: bool,
        /// Its first `HEAD_BYTES`; `None` if we may not read it (a program may still be run then).
        head: Option<Vec<u8>>,
        /// The interpreter of its `#!` line.
        interpreter: Interpreter,
    },
    /// It is there and cannot be used: the reason, for the user.
    Unreadable(String),
}

/// Whether what a `#!` line names is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interpreter {
    /// It names none.
    None,
    /// It is.
    Found,
    /// It is not.
    Missing,
}

/// The interpreter's path in the `#!` line of a script, as execve(2) takes it: up to the first
/// blank. A carriage return belongs to the path, which is why scripts with CRLF do not start.
pub fn interpreter(head: &[u8]) -> Option<&[u8]> {
    let line = head.strip_prefix(b"#!")?.split(|b| *b == b'\n').next()?;
    line.split(|b| *b == b' ' || *b == b'\t')
        .find(|word| !word.is_empty())
}

/// What execve(2) makes of a script's first line: the interpreter, and the rest as one word.
pub fn interpreter_words(head: &[u8]) -> Option<Vec<OsString>> {
    let is_blank = |b: &u8| *b == b' ' || *b == b'\t';
    let path = interpreter(head)?;
    let line = head.strip_prefix(b"#!")?.split(|b| *b == b'\n').next()?;
    let begin = line.iter().position(|b| !is_blank(b))?;
    let rest = line.get(begin + path.len()..)?;
    let first = rest.iter().position(|b| !is_blank(b));
    let last = rest.iter().rposition(|b| !is_blank(b));
    let word = first
        .zip(last)
        .and_then(|(first, last)| rest.get(first..=last));
    let words = std::iter::once(path).chain(word);
    Some(
        words
            .map(|word| OsString::from_vec(word.to_owned()))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_the_first_line_is_one_word() {
        for (head, words) in [
            (&b"#!/bin/sh\nexit"[..], Some(&["/bin/sh"][..])),
            (
                b"#! \t/usr/bin/env bash -e \t\n",
                Some(&["/usr/bin/env", "bash -e"]),
            ),
            (
                b"#!/command/with-contenv  bash",
                Some(&["/command/with-contenv", "bash"]),
            ),
            (b"#!/bin/sh \t ", Some(&["/bin/sh"])),
            (b"#!\n/bin/sh", None),
            (b"\x7fELF", None),
            (b"", None),
        ] {
            let words = words.map(|words| words.iter().map(OsString::from).collect());
            assert_eq!(interpreter_words(head), words, "{head:?}");
        }
    }

    #[test]
    fn the_interpreter_is_the_first_word() {
        for (head, path) in [
            (&b"#!/bin/sh\n"[..], Some(&b"/bin/sh"[..])),
            (b"#! \t/bin/sh -e\n", Some(b"/bin/sh")),
            (b"#!/bin/sh\r\n", Some(b"/bin/sh\r")),
            (b"#!/bin/sh", Some(b"/bin/sh")),
            (b"#!\n/bin/sh", None),
            (b"#!", None),
            (b"echo", None),
            (b"", None),
        ] {
            assert_eq!(interpreter(head), path, "{head:?}");
        }
    }
}
