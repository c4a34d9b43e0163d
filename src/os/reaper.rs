//! The sole owner of waiting for anybody: our children and the orphans that the kernel hands to us.

use std::io;

use nix::errno::Errno;

use crate::values::{Exit, Pid, Signal};

/// How many deaths one call tells. A flood of orphans must not keep the loop from its other work.
pub const BATCH: usize = 256;

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

/// What there is to take in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// This one has ended so. It keeps its number until it is collected.
    Dead(Pid, Exit),
    /// Children live, none of them dead.
    NoneYet,
    /// There is no child at all.
    Childless,
}

/// Collects the dead, at most a batch of them, without waiting.
pub fn reap() -> (Vec<(Pid, Exit)>, Children) {
    let mut dead = Vec::new();
    while dead.len() < BATCH {
        match next() {
            Next::Dead(pid, exit) => {
                collect(pid);
                dead.push((pid, exit));
            }
            Next::NoneYet => return (dead, Children::Some),
            Next::Childless => return (dead, Children::None),
        }
    }
    (dead, Children::More)
}

/// Collects this child if it is dead, without waiting: for a role that is nobody's PID 1.
pub fn reap_one(child: Pid) -> Option<Exit> {
    one(child, libc::WNOHANG).ok().flatten()
}

/// Waits for this child's end, and collects it: for a tool, which has nothing else to do.
///
/// # Errors
/// As waitid(2): there is no such child.
pub fn wait_one(child: Pid) -> io::Result<Exit> {
    loop {
        match one(child, 0) {
            Ok(Some(exit)) => return Ok(exit),
            Ok(None) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn one(child: Pid, flags: i32) -> Result<Option<Exit>, Errno> {
    let id = libc::id_t::try_from(child.raw()).map_err(|_negative| Errno::ECHILD)?;
    // SAFETY: all zeros are a `siginfo_t`: what waitid(2) leaves when the child lives.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: `info` is alive.
    let done = unsafe { libc::waitid(libc::P_PID, id, &raw mut info, libc::WEXITED | flags) };
    Errno::result(done)?;
    // SAFETY: these fields are what waitid(2) writes, or the zeros from above.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    Ok(Pid::new(pid).and_then(|_| exit(info.si_code, status)))
}

/// Looks at one of the dead, without waiting, and leaves it where it is.
pub fn next() -> Next {
    // SAFETY: all zeros are a `siginfo_t`: what waitid(2) leaves when nobody is dead.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `info` is alive; WNOHANG keeps the call from blocking.
    if unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, flags) } != 0 {
        // ECHILD: with WNOHANG and valid arguments there is no other error (waitid(2)).
        return Next::Childless;
    }
    // SAFETY: these fields are what waitid(2) writes, or the zeros from above.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    match (Pid::new(pid), exit(info.si_code, status)) {
        (Some(pid), Some(exit)) => Next::Dead(pid, exit),
        (None, _) | (_, None) => Next::NoneYet,
    }
}

/// Takes away one of the dead that `next` has shown.
pub fn collect(dead: Pid) {
    // SAFETY: the kernel writes no status where none is wanted; WNOHANG keeps the call from
    // blocking.
    let _ = unsafe { libc::waitpid(dead.raw(), std::ptr::null_mut(), libc::WNOHANG) };
}

/// What waitid(2) says of an end; `None` if it is none (a tracer's business).
fn exit(code: i32, status: i32) -> Option<Exit> {
    match code {
        libc::CLD_EXITED => u8::try_from(status & 0xff).ok().map(Exit::Code),
        libc::CLD_KILLED => Signal::new(status).map(Exit::Signal),
        libc::CLD_DUMPED => Signal::new(status).map(Exit::Core),
        _no_end => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_read_as_the_kernel_writes_it() {
        assert_eq!(exit(libc::CLD_EXITED, 0), Some(Exit::Code(0)));
        assert_eq!(exit(libc::CLD_EXITED, 255), Some(Exit::Code(255)));
        assert_eq!(exit(libc::CLD_KILLED, 15), Some(Exit::Signal(Signal::TERM)));
        assert_eq!(exit(libc::CLD_DUMPED, 3), Some(Exit::Core(Signal::QUIT)));
        assert_eq!(exit(libc::CLD_KILLED, 37), Some(Exit::Signal(Signal::HALT)));
        assert_eq!(exit(libc::CLD_STOPPED, 19), None);
        assert_eq!(exit(libc::CLD_CONTINUED, 18), None);
    }
}
