//! What is in the files of a service directory, read within bounds, whatever they are.

use std::ffi::{CStr, OsStr};
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::sys::stat::fstat;

use crate::os::folder::{Folder, Hint};
use crate::os::reason::{reason, said};
use crate::service::source::{self, FILE_BYTES_MAX, HEAD_BYTES, Interpreter, Script};

/// Opens a regular file; gives its length, too. What the directory does not call one is asked for
/// its kind first, which keeps a device from being opened at all, which can have effects; asking
/// again after the open keeps the answer true.
fn open(folder: &Folder, name: &CStr, hint: Hint) -> Result<(File, u64), String> {
    if hint == Hint::Other {
        regular(folder.stat(name).map_err(said)?.st_mode)?;
    }
    let file = folder.file(name).map_err(said)?;
    let kind = fstat(&file).map_err(said)?;
    regular(kind.st_mode)?;
    Ok((file, u64::try_from(kind.st_size).unwrap_or(0)))
}

fn regular(mode: u32) -> Result<(), String> {
    let word = match mode & libc::S_IFMT {
        libc::S_IFREG => return Ok(()),
        libc::S_IFDIR => "a directory",
        libc::S_IFIFO => "a FIFO",
        libc::S_IFSOCK => "a socket",
        _ => "a device",
    };
    Err(format!("it is {word}, not a file"))
}

/// The file at a path, whole. Its directory need not be readable: those of secrets often are not.
pub(super) fn bounded(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    regular(fs::metadata(path).map_err(|why| reason(&why))?.mode())?;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
        .map_err(|why| reason(&why))?;
    let kind = file.metadata().map_err(|why| reason(&why))?;
    regular(kind.mode())?;
    whole(file, kind.size(), bytes_max)
}

/// A small file, whole.
pub(super) fn small(folder: &Folder, name: &CStr, hint: Hint) -> source::File {
    match open(folder, name, hint).and_then(|(file, length)| whole(file, length, FILE_BYTES_MAX)) {
        Ok(content) => source::File::Content(content),
        Err(why) => source::File::Unreadable(why),
    }
}

/// All of a file of this length. A file may grow while it is read, or lie (those of /proc have the
/// length 0), so the bound is held while reading, too.
fn whole(mut file: File, length: u64, bytes_max: u64) -> Result<Vec<u8>, String> {
    let too_big = || format!("it is larger than {} KiB", bytes_max / 1024);
    let length = usize::try_from(length.min(bytes_max + 1)).unwrap_or(usize::MAX);
    if length as u64 > bytes_max {
        return Err(too_big());
    }
    // A byte more than there should be: a read that gives less than that has come to the end.
    let mut content = vec![0; length + 1];
    let count = file.read(&mut content).map_err(|why| reason(&why))?;
    content.truncate(count);
    if count > 0 && count == length {
        return Ok(content);
    }
    let mut bounded = file.take(bytes_max + 1 - count as u64);
    bounded
        .read_to_end(&mut content)
        .map_err(|why| reason(&why))?;
    if content.len() as u64 > bytes_max {
        return Err(too_big());
    }
    Ok(content)
}

/// A script: its run bit, its first bytes, and whether its interpreter is there.
pub(super) fn script(folder: &Folder, name: &CStr, hint: Hint) -> Script {
    let mode = match folder.stat(name) {
        Ok(kind) => kind.st_mode,
        Err(why) => return Script::Unreadable(said(why)),
    };
    if let Err(why) = regular(mode) {
        return Script::Unreadable(why);
    }
    let head = open(folder, name, hint).ok().and_then(|(file, _)| {
        let mut head = Vec::new();
        let mut bounded = file.take(HEAD_BYTES as u64);
        bounded.read_to_end(&mut head).is_ok().then_some(head)
    });
    let interpreter = match head.as_deref().and_then(source::interpreter) {
        None => Interpreter::None,
        Some(path) if fs::metadata(OsStr::from_bytes(path)).is_ok() => Interpreter::Found,
        Some(_) => Interpreter::Missing,
    };
    Script::Present {
        executable: mode & 0o111 != 0,
        head,
        interpreter,
    }
}
