//! `s6-setlock`: a program that runs while it holds a lock.

use std::fs::OpenOptions;
use std::os::fd::IntoRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use nix::errno::Errno;

use crate::os::descriptors;
use crate::os::locks::{self, Lock};

use super::call::{Call, Outcome, Stop, number, path, shown};

/// The exit code for a lock that somebody else has.
const TAKEN: u8 = 1;

/// `s6-setlock [-r | -w] [-n | -N | -t MS] FILE PROG…`
pub(super) fn setlock(mut call: Call) -> Outcome {
    let usage = || Stop::usage("s6-setlock [ -r | -w ] [ -n | -N | -t timeout ] lockfile prog...");
    let (mut shared, mut patience) = (false, None);
    for (option, value) in call.options("nNrwt:").map_err(|_| usage())? {
        match option {
            'r' => shared = true,
            'w' => shared = false,
            'n' => patience = Some(Duration::ZERO),
            'N' => patience = None,
            _ => {
                let ms: u32 = number(&value).ok_or_else(usage)?;
                patience = Some(Duration::from_millis(ms.into()));
            }
        }
    }
    if call.args.len() < 2 {
        return Err(usage());
    }
    let name = call.shift().ok_or_else(usage)?;
    let file = OpenOptions::new()
        .write(true)
        .read(shared)
        .create(true)
        .truncate(false)
        .mode(0o666)
        .custom_flags(libc::O_NONBLOCK)
        .open(path(&name))
        .map_err(|error| Stop::unable(format!("open {} for writing", shown(&name)), error))?;
    let kind = if shared {
        Lock::Shared
    } else {
        Lock::Exclusive
    };
    let fd = file.into_raw_fd();
    locks::take(fd, kind, patience).map_err(|errno| {
        let deed = if errno == Errno::ETIMEDOUT {
            "acquire lock".into()
        } else {
            format!("lock {}", shown(&name))
        };
        Stop::unable_as(TAKEN, deed, errno)
    })?;
    // The lock is the descriptor's: the program keeps both.
    descriptors::copy(fd, fd).map_err(|errno| Stop::unable("keep the lock", errno))?;
    Ok(call.go_on())
}
