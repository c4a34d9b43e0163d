//! The sole owner of `waitpid(-1)`: our children and the orphans that the kernel hands to us.

use crate::values::{Exit, Pid, Signal};

/// How many deaths one call tells. A flood of orphans must not keep the loop from its other work.
const BATCH: usize = 256;

/// Whether there is anybody left to wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Children {
    /// The batch was full: call again soon, no further SIGCHLD may come for the rest.
    More,
    /// Children live, none of them dead.
    Some,
    /// There is no child at all.
    None,
}

/// Collects the dead, at most a batch of them, without waiting.
pub fn reap() -> (Vec<(Pid, Exit)>, Children) {
    let mut dead = Vec::new();
    while dead.len() < BATCH {
        let mut status = 0;
        // SAFETY: `status` is alive; WNOHANG keeps the call from blocking.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
        match Pid::new(pid) {
            Some(pid) => dead.extend(exit(status).map(|exit| (pid, exit))),
            None if pid == 0 => return (dead, Children::Some),
            // ECHILD: with WNOHANG and valid arguments there is no other error (wait(2)).
            None => return (dead, Children::None),
        }
    }
    (dead, Children::More)
}

/// What a status of wait(2) says; `None` for a child that has not ended (a tracer's business).
pub(super) fn exit(status: i32) -> Option<Exit> {
    if libc::WIFEXITED(status) {
        return u8::try_from(libc::WEXITSTATUS(status)).ok().map(Exit::Code);
    }
    if !libc::WIFSIGNALED(status) {
        return None;
    }
    let signal = Signal::new(libc::WTERMSIG(status))?;
    Some(if libc::WCOREDUMP(status) {
        Exit::Core(signal)
    } else {
        Exit::Signal(signal)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_as_the_kernel_writes_it() {
        assert_eq!(exit(0), Some(Exit::Code(0)));
        assert_eq!(exit(255 << 8), Some(Exit::Code(255)));
        assert_eq!(exit(15), Some(Exit::Signal(Signal::TERM)));
        assert_eq!(exit(3 | 0x80), Some(Exit::Core(Signal::QUIT)));
        assert_eq!(exit(37), Some(Exit::Signal(Signal::HALT)));
        assert_eq!(exit(0x7f | 19 << 8), None, "stopped, not ended");
        assert_eq!(exit(0xffff), None, "continued, not ended");
    }
}
