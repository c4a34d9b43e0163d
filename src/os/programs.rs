//! Looking for a program as execvp(3) would, without executing it. Only `pidone check` does so: a
//! start has the kernel's own answer.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::sys::statvfs::{FsFlags, statvfs};

use crate::diag::nearest;
use crate::service::elf::{self, ELF_BYTES, Elf};
use crate::service::program::{Flaw, Seen, Sought};
use crate::service::source::{HEAD_BYTES, Interpreter, interpreter};

/// So many names of a directory are compared with one that is not there.
const NAMES_MAX: usize = 5_000;

/// Looks.
pub fn look(sought: &Sought) -> Seen {
    let candidates = match &sought.path {
        _ if sought.program.contains('/') => {
            let dir = sought.workdir.clone().unwrap_or_default();
            vec![dir.join(&sought.program)]
        }
        None => return Seen::Runs,
        Some(path) => directories(path)
            .map(|dir| dir.join(&sought.program))
            .collect(),
    };
    let there = candidates.into_iter().filter_map(|path| {
        let kind = fs::metadata(&path).ok()?;
        Some((path, kind))
    });
    let there: Vec<(PathBuf, Metadata)> = there.collect();
    // What cannot be executed is passed over, and told of if nothing else is there.
    let runnable = |(_, kind): &&(PathBuf, Metadata)| kind.is_file() && kind.mode() & 0o111 != 0;
    match there.iter().find(runnable).or(there.first()) {
        None => Seen::Absent { near: near(sought) },
        Some((file, kind)) => match flaw(file, kind) {
            None => Seen::Runs,
            Some(flaw) => Seen::Unusable {
                file: file.clone(),
                flaw,
            },
        },
    }
}

fn directories(path: &OsStr) -> impl Iterator<Item = &Path> {
    let parts = path.as_bytes().split(|byte| *byte == b':');
    parts.map(|part| Path::new(OsStr::from_bytes(if part.is_empty() { b"." } else { part })))
}

fn flaw(file: &Path, kind: &Metadata) -> Option<Flaw> {
    if kind.is_dir() {
        return Some(Flaw::Directory);
    }
    if !kind.is_file() || kind.mode() & 0o111 == 0 {
        return Some(Flaw::NoRunBit);
    }
    if statvfs(file).is_ok_and(|system| system.flags().contains(FsFlags::ST_NOEXEC)) {
        return Some(Flaw::NoExec);
    }
    // One that may be executed need not be readable; then nothing more is known of it.
    let mut bytes = beginning(file)?;
    match elf::read(&bytes) {
        Elf::Foreign => Some(Flaw::Machine),
        Elf::Native { loader } => loader
            .filter(|loader| fs::metadata(loader).is_err())
            .map(Flaw::NoLoader),
        Elf::Unknown => {
            bytes.truncate(HEAD_BYTES);
            let interpreter = match interpreter(&bytes) {
                None => Interpreter::None,
                Some(path) if fs::metadata(OsStr::from_bytes(path)).is_ok() => Interpreter::Found,
                Some(_) => Interpreter::Missing,
            };
            Some(Flaw::Script {
                head: bytes,
                interpreter,
            })
        }
    }
}

fn beginning(path: &Path) -> Option<Vec<u8>> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file: File = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .ok()?;
    let mut bytes = Vec::new();
    file.take(ELF_BYTES as u64).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// A name like it: in PATH, or beside the file that is not there.
fn near(sought: &Sought) -> Option<String> {
    if let Some((dir, name)) = sought.program.rsplit_once('/') {
        let base = sought.workdir.clone().unwrap_or_default();
        let beside = if dir.is_empty() { "/" } else { dir };
        let found = nearest(name, names(base.join(beside)).iter().map(String::as_str))?.to_owned();
        return Some(format!("{dir}/{found}"));
    }
    let path = sought.path.as_deref()?;
    let names: Vec<String> = directories(path).flat_map(names).collect();
    nearest(&sought.program, names.iter().map(String::as_str)).map(str::to_owned)
}

fn names(dir: impl AsRef<Path>) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.take(NAMES_MAX).collect()
}

/// Whether a file is there that somebody may execute.
pub fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|kind| kind.is_file() && kind.mode() & 0o111 != 0)
}
