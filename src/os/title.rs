//! How a process is called in `ps`: its words and its name, written over those it was started with.

use std::fs;

use crate::os::signals::{self, SignalSet};

/// Where the kernel finds the words of a process: fields 48, 49 and 51 of `/proc/PID/stat`, counted
/// from the third, which is the first behind the name (proc_pid_stat(5)).
const ARG_START: usize = 45;
const ARG_END: usize = 46;
const ENV_END: usize = 48;

/// The words of this process are these two from now on, and its name is the first. Its environment
/// may be gone with that: only for a process that needs none any more. Without `/proc`, where
/// nobody could see it, nothing is done.
fn rename(first: &str, second: &str) {
    let Some((start, arg_end, end)) = area() else {
        return;
    };
    // More than the old words had room for: then the kernel takes all up to the first NUL.
    let fits = first.len() + second.len() + 2 <= arg_end - start;
    let title = format!("{first}{}{second}\0", if fits { '\0' } else { ' ' });
    if title.len() > end - start {
        return;
    }
    let to = start as *mut u8;
    // SAFETY: from `start` to `end` lie the words and variables that the kernel has put on our
    // stack; they are ours to write, and nobody reads them as text again (see above).
    unsafe {
        std::ptr::write_bytes(to, 0, (arg_end - start).max(title.len()));
        std::ptr::copy_nonoverlapping(title.as_ptr(), to, title.len());
    }
    let name = format!("{first}\0");
    // SAFETY: a string that is alive; the kernel takes fifteen bytes of it.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr(), 0, 0, 0) };
}

fn area() -> Option<(usize, usize, usize)> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |at: usize| fields.get(at)?.parse::<usize>().ok();
    let (start, arg_end, end) = (field(ARG_START)?, field(ARG_END)?, field(ENV_END)?);
    (start > 0 && start < arg_end && arg_end <= end).then_some((start, arg_end, end))
}

/// Goes on as a process that does nothing but be there under these words, and ends with `parent`
/// (or by a signal). For a copy of a process of one thread.
pub fn stand_in(first: &str, second: &str, parent: u32) -> ! {
    rename(first, second);
    // SAFETY: each takes numbers. No descriptor is used after this: what they lead to must not
    // seem to be open because of us.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
        libc::syscall(libc::SYS_close_range, 0, u32::MAX, 0);
    }
    signals::put_back(SignalSet::EMPTY);
    // It may have ended before it was said that we end with it.
    while std::os::unix::process::parent_id() == parent {
        // SAFETY: takes nothing; a signal ends us, or it returns.
        unsafe { libc::pause() };
    }
    crate::os::inplace::leave(0)
}
