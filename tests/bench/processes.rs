//! Processes as /proc shows them: who supervises in a namespace, and what that costs.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::signal::Signal;

use crate::house::owned;

/// A line that a helper's program has written: when by the monotonic clock in ns, and what.
pub(crate) struct Stamp {
    pub(crate) at: i64,
    pub(crate) what: String,
}

/// The lines of this file.
pub(crate) fn stamps(file: &Path) -> Vec<Stamp> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = |line: &str| {
        let (at, what) = line.split_once(' ')?;
        Some(Stamp {
            at: at.parse().ok()?,
            what: what.to_owned(),
        })
    };
    text.lines().filter_map(line).collect()
}

/// How many lines this file has.
pub(crate) fn lines(file: &Path) -> usize {
    let bytes = fs::read(file).unwrap_or_default();
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

/// The monotonic clock in ns, as the helpers' programs read it.
pub(crate) fn now() -> i64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).expect("a clock");
    now.tv_sec() * 1_000_000_000 + now.tv_nsec()
}

/// The children of a process, zombies too.
pub(crate) fn children(pid: i32) -> Vec<i32> {
    fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect()
}

/// A descriptor that stands for this process, whatever becomes of its number.
pub(crate) fn handle(pid: i32) -> OwnedFd {
    // SAFETY: pidfd_open takes two numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    owned(fd).expect("the process is there")
}

/// A signal to the process that this stands for.
pub(crate) fn signal(handle: &OwnedFd, signal: Signal) -> Result<(), Errno> {
    let none = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open, and no information goes along.
    let sent = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            handle.as_raw_fd(),
            signal as i32,
            none,
            0,
        )
    };
    Errno::result(sent).map(drop)
}

/// Everybody in the namespace of this PID 1, and whether one runs a helper's program.
fn all(pid1: i32, programs: &Path) -> Vec<(i32, bool)> {
    let space = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let Some(own) = space(pid1) else {
        return Vec::new();
    };
    let entries = fs::read_dir("/proc").expect("/proc");
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    numbers
        .filter(|pid| space(*pid).as_ref() == Some(&own))
        .filter_map(|pid| {
            // A zombie has no program and costs nothing.
            let program = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
            Some((pid, program.starts_with(programs)))
        })
        .collect()
}

/// The supervising processes of a namespace: PID 1, and who runs no helper's program.
pub(crate) fn supervisors(pid1: i32, programs: &Path) -> Vec<i32> {
    let found = all(pid1, programs).into_iter();
    found
        .filter(|(pid, helper)| *pid == pid1 || !helper)
        .map(|(pid, _)| pid)
        .collect()
}

/// The others: the services.
pub(crate) fn services(pid1: i32, programs: &Path) -> Vec<i32> {
    let found = all(pid1, programs).into_iter();
    found
        .filter(|(pid, helper)| *pid != pid1 && *helper)
        .map(|(pid, _)| pid)
        .collect()
}

/// KiB of memory, all of them together.
#[derive(Clone, Copy, Default)]
pub(crate) struct Memory {
    pub(crate) pss: f64,
    pub(crate) rss: f64,
    pub(crate) dirty: f64,
}

/// What these processes use.
pub(crate) fn memory(pids: &[i32]) -> Memory {
    let mut sum = Memory::default();
    for pid in pids {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let (name, kib) = (words.next(), words.next());
            let kib: f64 = kib.and_then(|kib| kib.parse().ok()).unwrap_or(0.0);
            match name {
                Some("Pss:") => sum.pss += kib,
                Some("Rss:") => sum.rss += kib,
                Some("Private_Dirty:") => sum.dirty += kib,
                _ => {}
            }
        }
    }
    sum
}

/// The files of this name of every thread of these processes.
fn of_threads<'a>(pids: &'a [i32], name: &'a str) -> impl Iterator<Item = String> + 'a {
    pids.iter()
        .filter_map(|pid| fs::read_dir(format!("/proc/{pid}/task")).ok())
        .flatten()
        .filter_map(move |task| fs::read_to_string(task.ok()?.path().join(name)).ok())
}

/// Context switches so far: a process that sleeps and is not woken has no new ones.
pub(crate) fn switches(pids: &[i32]) -> u64 {
    let count = |line: &str| {
        let (name, count) = line.split_once(":\t")?;
        name.ends_with("ctxt_switches")
            .then(|| count.parse::<u64>().ok())?
    };
    of_threads(pids, "status")
        .map(|text| text.lines().filter_map(count).sum::<u64>())
        .sum()
}

/// Seconds of CPU so far.
#[allow(clippy::cast_precision_loss, reason = "a figure for people")]
pub(crate) fn cpu(pids: &[i32]) -> f64 {
    of_threads(pids, "schedstat")
        .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok())
        .map(|ns| ns as f64 / 1e9)
        .sum()
}
