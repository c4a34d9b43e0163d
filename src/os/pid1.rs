//! Who we are and where we stand: pid 1 or not, what was inherited, what can be had.

use std::ffi::c_uint;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, SealFlag, fcntl, open, readlink};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::Mode;
use nix::unistd::{getegid, geteuid, getpid, isatty};

/// Without close_range and /proc, descriptors above this are not looked for.
const DESCRIPTORS_MAX: RawFd = 65_536;

/// RLIMIT_NOFILE as it was before we raised it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Nofile {
    /// The soft limit.
    pub soft: u64,
    /// The hard limit.
    pub hard: u64,
}

/// Whether we are the init of our pid namespace.
pub fn is_pid1() -> bool {
    getpid().as_raw() == 1
}

/// Makes orphans among our descendants our children, which pid 1 has without asking.
///
/// # Errors
/// As prctl(2): only a kernel older than 3.4.
pub fn become_subreaper() -> io::Result<()> {
    Ok(nix::sys::prctl::set_child_subreaper(true)?)
}

/// Raises our soft limit of descriptors to the hard one, as every pipe costs us two; gives the old
/// limit, which children get back (programs that loop over all descriptors suffer from a high
/// one). `None` if there was nothing to raise.
pub fn raise_nofile() -> Option<Nofile> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    (soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok())
        .then_some(Nofile { soft, hard })
}

/// Makes the kernel's table of our descriptors large enough for `count` at once, as far as the
/// limit allows. It grows by doubling, and each time that waits for the whole machine (10 ms and
/// more) as soon as a second thread shares the table: so it grows before there is one.
pub fn reserve_descriptors(count: usize) {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft);
    let last = u64::try_from(count)
        .unwrap_or(u64::MAX)
        .min(limit)
        .saturating_sub(1);
    if let Ok(last) = RawFd::try_from(last) {
        // SAFETY: copies fd 0 to a number from `last` on that nobody uses, and closes that copy.
        unsafe {
            let copy = libc::fcntl(0, libc::F_DUPFD_CLOEXEC, last);
            if copy >= 0 {
                libc::close(copy);
            }
        }
    }
}

/// Opens `/dev/null` on those of 0, 1 and 2 that are closed, so that no pipe of ours ever gets one
/// of these numbers.
pub fn open_standard() {
    loop {
        // The kernel gives the lowest free number, so this ends when 0, 1 and 2 are taken.
        match null() {
            Ok(fd) if fd.as_raw_fd() <= 2 => {
                // Left open for good: it now is our standard descriptor.
                let fd = fd.into_raw_fd();
                // SAFETY: we have just opened it and nobody else closes it.
                let fd = unsafe { BorrowedFd::borrow_raw(fd) };
                let _ = fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty()));
            }
            _ => return,
        }
    }
}

/// Puts `/dev/null` on 0, for good: where nobody reads our input, every child finds that there
/// without having to be given it.
pub fn close_input() {
    if let Ok(null) = null() {
        // Should it fail, children read what PID 1 was given, of which nothing is lost.
        let _ = nix::unistd::dup2_stdin(&null);
    }
}

/// `/dev/null`, or, in an image without it, an empty file in memory that refuses writes.
///
/// # Errors
/// Neither can be had: no descriptors left.
pub fn null() -> io::Result<OwnedFd> {
    let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
    open("/dev/null", flags, Mode::empty()).or_else(|_| Ok(sealed_memory()?))
}

fn sealed_memory() -> Result<OwnedFd, Errno> {
    let fd = memfd_create(c"null", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
    let seals = SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    fcntl(&fd, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(fd)
}

/// Marks every inherited descriptor from 3 on to be closed at an exec, so that no child sees what
/// only we were given.
pub fn close_on_exec_inherited() {
    // SAFETY: changes a flag of descriptors and closes none.
    let done = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3 as c_uint,
            c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    if done == 0 {
        return;
    }
    // A kernel before 5.11, or a filter that does not know the call.
    let listed: Option<Vec<RawFd>> = std::fs::read_dir("/proc/self/fd").ok().map(|entries| {
        let number =
            |entry: io::Result<std::fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
        entries.filter_map(number).collect()
    });
    match listed {
        Some(listed) => listed
            .into_iter()
            .filter(|fd| *fd > 2)
            .for_each(close_on_exec),
        None => (3..DESCRIPTORS_MAX).for_each(close_on_exec),
    }
}

fn close_on_exec(fd: RawFd) {
    // SAFETY: F_SETFD changes a flag only; a number that is not open gives EBADF.
    unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
}

/// Whether fd 0 is a terminal.
pub fn has_terminal() -> bool {
    isatty(io::stdin()).unwrap_or(false)
}

/// Whether `/proc` is there and is that of our own pid namespace.
pub fn has_proc() -> bool {
    readlink("/proc/self").is_ok_and(|link| link.to_str() == Some(&getpid().to_string()))
}

/// Our effective user id.
pub fn uid() -> u32 {
    geteuid().as_raw()
}

/// Our effective group id.
pub fn gid() -> u32 {
    getegid().as_raw()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn without_dev_null_nothing_is_read_and_nothing_kept() {
        for fd in [null().unwrap(), sealed_memory().unwrap()] {
            let mut file = std::fs::File::from(fd);
            let mut text = String::new();
            assert_eq!(file.read_to_string(&mut text).unwrap(), 0);
        }
        let mut sealed = std::fs::File::from(sealed_memory().unwrap());
        assert!(sealed.write_all(b"x").is_err());
    }
}
