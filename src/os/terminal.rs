//! The terminal that a container may have: who is in front of it.

use std::io;

use nix::errno::Errno;
use nix::unistd::{Pid, getpgrp, setpgid, tcsetpgrp};

use crate::os::pid1;
use crate::os::signals::{self, SignalSet};

/// Whether this descriptor is a terminal.
pub fn is_at(fd: i32) -> bool {
    // SAFETY: takes a number; one that is not open is no terminal.
    unsafe { libc::isatty(fd) == 1 }
}

/// Puts this process into a group of its own, in front of the terminal if fd 0 is one. SIGTTOU
/// must be blocked.
///
/// # Errors
/// The call that failed, and why; ENOTTY and ENXIO of `tcsetpgrp` mean that there is no terminal.
pub fn lead() -> Result<(), (&'static str, Errno)> {
    setpgid(Pid::from_raw(0), Pid::from_raw(0)).map_err(|errno| ("setpgid", errno))?;
    tcsetpgrp(io::stdin(), getpgrp()).map_err(|errno| ("tcsetpgrp", errno))
}

/// Gives up the controlling terminal, if fd 0 is it.
///
/// # Errors
/// As ioctl(2): ENOTTY without one.
pub fn give_up() -> Result<(), Errno> {
    // SAFETY: takes numbers; the request has no argument.
    Errno::result(unsafe { libc::ioctl(0, libc::TIOCNOTTY) }).map(drop)
}

/// Makes fd 0 the controlling terminal of our session, which we lead.
///
/// # Errors
/// As ioctl(2): ENOTTY if it is none, EPERM if another session has it.
pub fn take() -> Result<(), Errno> {
    // SAFETY: takes numbers; 0 takes it from nobody.
    Errno::result(unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) }).map(drop)
}

/// Puts our own group in front of the terminal again, after CMD, which had it, has ended; without
/// a terminal there is nothing to do. (CMD takes it by itself: `Session::Foreground`.)
///
/// # Errors
/// As tcsetpgrp(3): the terminal on fd 0 is not ours, or was hung up.
pub fn take_back() -> io::Result<()> {
    if !pid1::has_terminal() {
        return Ok(());
    }
    // A process in the background that does this gets SIGTTOU; pid 1, which no default action
    // reaches, would get it again and again. Blocked, the kernel lets it pass.
    let old = signals::swap_mask(SignalSet::ALL);
    let done = tcsetpgrp(io::stdin(), getpgrp());
    signals::swap_mask(old);
    Ok(done?)
}
