//! A tool in its own process: it becomes another program, or goes on twice. Never for PID 1's
//! supervisor, whose processes are `os::spawner`'s and whose dead are `os::reaper`'s.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollTimeout, poll};

use crate::os::plan::{PATH_DEFAULT, candidates, pointers};
use crate::values::Pid;

/// Becomes `program`, looked up in `path` (or where Docker would look) if its name has no slash;
/// returns only if it cannot, with the reason, as execvp(3) does: a file that may not be executed
/// counts for more than one that is not there, and no name at all is a directory's. EINVAL for a
/// NUL byte inside a text.
pub fn exec(
    program: &[u8],
    argv: &[Vec<u8>],
    env: &[(Vec<u8>, Vec<u8>)],
    path: Option<&[u8]>,
) -> Errno {
    if program.is_empty() {
        return Errno::EACCES;
    }
    let path = path.map_or(OsStr::new(PATH_DEFAULT), OsStr::from_bytes);
    let texts = |words: Vec<Vec<u8>>| {
        let made: Result<Vec<_>, _> = words.into_iter().map(CString::new).collect();
        made.ok()
    };
    let variable = |(name, value): &(Vec<u8>, Vec<u8>)| [name, &b"="[..], value].concat();
    let (Some(files), Some(argv), Some(env)) = (
        candidates(OsStr::from_bytes(program), path),
        texts(argv.to_vec()),
        texts(env.iter().map(variable).collect()),
    ) else {
        return Errno::EINVAL;
    };
    let (argv, env) = (pointers(&argv), pointers(&env));
    let mut reason = Errno::ENOENT;
    for file in files {
        // SAFETY: a string and two arrays of strings that end with a null pointer, all alive.
        unsafe { libc::execve(file.as_ptr(), argv.as_ptr(), env.as_ptr()) };
        match Errno::last() {
            Errno::ENOENT | Errno::ENOTDIR => {}
            Errno::EACCES => reason = Errno::EACCES,
            other => return other,
        }
    }
    reason
}

/// Whose turn it is after [`fork`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The one that called; the copy has this pid.
    Parent(Pid),
    /// The copy.
    Child,
}

/// Goes on twice. Only for a process of one thread, as every tool is: a copy has that thread alone.
///
/// # Errors
/// As fork(2).
pub fn fork() -> io::Result<Side> {
    // SAFETY: a tool has one thread, so no lock is held by a thread that the copy lacks.
    let pid = Errno::result(unsafe { libc::fork() })?;
    Ok(Pid::new(pid).map_or(Side::Child, Side::Parent))
}

/// A descriptor that can be read when this child has ended; `None` where the kernel has none (see
/// pidfd_open(2)).
pub fn watch(pid: Pid) -> Option<OwnedFd> {
    // SAFETY: takes numbers, gives a descriptor or an error.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.raw(), 0) };
    let fd = RawFd::try_from(fd).ok().filter(|fd| *fd >= 0)?;
    // SAFETY: the kernel has just opened it for us.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Waits, as a tool may that has nothing else to do; a signal ends it early.
pub fn pause(time: Duration) {
    let ms = u16::try_from(time.as_millis()).unwrap_or(u16::MAX);
    let _ = poll(&mut [], PollTimeout::from(ms));
}

/// Ends this process at once: for a copy, whose caller's ends are not its own.
pub fn leave(code: u8) -> ! {
    // SAFETY: it does not return, and runs nothing.
    unsafe { libc::_exit(code.into()) }
}

/// Takes these groups, this group, this user, each for good, in the order that works.
///
/// # Errors
/// The step that failed (`set supplementary group list`, `setgid`, `setuid`), and why.
pub fn become_user(
    groups: Option<&[u32]>,
    gid: Option<u32>,
    uid: Option<u32>,
) -> Result<(), (&'static str, Errno)> {
    if let Some(groups) = groups {
        // SAFETY: the array is alive and as long as told.
        let done = unsafe { libc::setgroups(groups.len(), groups.as_ptr()) };
        Errno::result(done).map_err(|errno| ("set supplementary group list", errno))?;
    }
    if let Some(gid) = gid {
        // SAFETY: takes a number.
        let done = unsafe { libc::setgid(gid) };
        Errno::result(done).map_err(|errno| ("setgid", errno))?;
    }
    if let Some(uid) = uid {
        // SAFETY: takes a number.
        let done = unsafe { libc::setuid(uid) };
        Errno::result(done).map_err(|errno| ("setuid", errno))?;
    }
    Ok(())
}
