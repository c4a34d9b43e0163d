//! The terminal that a container may have: who is in front of it.

use std::io;

use nix::unistd::{getpgrp, tcsetpgrp};

use crate::os::pid1;
use crate::os::signals::{self, SignalSet};

/// Whether this descriptor is a terminal.
pub fn is_at(fd: i32) -> bool {
    // SAFETY: takes a number; one that is not open is no terminal.
    unsafe { libc::isatty(fd) == 1 }
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
