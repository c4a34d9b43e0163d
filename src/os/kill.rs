//! Signals to others: one process, its group, and whoever is left at the end.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read};

use nix::errno::Errno;

use crate::os::pid1;
use crate::values::{Pid, Signal};

/// More processes than this are not looked at; the kernel's default pid_max.
const PROCESSES_MAX: usize = 32_768;
/// `/proc/PID/stat` is one line of some 50 numbers.
const STAT_BYTES_MAX: u64 = 4096;

/// Sends a signal to a process.
///
/// # Errors
/// As kill(2): ESRCH if it is gone, EPERM if it is somebody else's.
pub fn process(pid: Pid, signal: Signal) -> io::Result<()> {
    Ok(kill(pid.raw(), signal)?)
}

/// Sends a signal to the process group that `leader` made of itself, or to `leader` alone if it
/// has not come so far yet: it then still blocks the signal, and gets it before its exec.
///
/// # Errors
/// As kill(2); EINVAL for pid 1, whose negative number would mean everybody.
pub fn group(leader: Pid, signal: Signal) -> io::Result<()> {
    if leader.raw() == 1 {
        return Err(Errno::EINVAL.into());
    }
    match kill(-leader.raw(), signal) {
        Err(Errno::ESRCH) => process(leader, signal),
        other => Ok(other?),
    }
}

/// SIGKILL to everybody in the process group of a process that has ended and is not reaped yet: its
/// number, and with it the group's, is nobody else's so long. It need not have made a group.
pub fn rest(dead: Pid) {
    if dead.raw() != 1 {
        // Nobody is left, or those who are have become somebody else's.
        let _ = kill(-dead.raw(), Signal::KILL);
    }
}

/// Whether anybody is in this process group, be it that they are ending.
pub fn is_group(leader: Pid) -> bool {
    // SAFETY: takes two numbers and touches no memory of ours; signal 0 is none.
    leader.raw() != 1 && unsafe { libc::kill(-leader.raw(), 0) } == 0
}

/// Whom a signal to the strays has reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Strays {
    /// We are pid 1: everybody but us.
    All,
    /// We are not: so many of our descendants.
    Found(usize),
    /// We are not, and without /proc we cannot see our descendants.
    Unseen,
}

/// Sends a signal to everybody who is left: as pid 1 to all processes of the container, else to
/// our descendants, among them those that the kernel gave us as their subreaper.
pub fn strays(signal: Signal) -> Strays {
    if pid1::is_pid1() {
        // The only place with this number: anywhere but in pid 1 it would end a whole machine.
        let _ = kill(-1, signal);
        return Strays::All;
    }
    if !pid1::has_proc() {
        return Strays::Unseen;
    }
    let ours = descendants(nix::unistd::getpid().as_raw(), parents());
    let reached = ours.into_iter().filter(|pid| kill(*pid, signal).is_ok());
    Strays::Found(reached.count())
}

fn kill(pid: i32, signal: Signal) -> Result<(), Errno> {
    // SAFETY: takes two numbers and touches no memory of ours.
    Errno::result(unsafe { libc::kill(pid, signal.raw()) }).map(drop)
}

/// Every living process that /proc shows: pid, parent's pid.
fn parents() -> Vec<(i32, i32)> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pid = |entry: io::Result<fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
    let parent = |pid: i32| {
        let mut text = Vec::new();
        let file = fs::File::open(format!("/proc/{pid}/stat")).ok()?;
        file.take(STAT_BYTES_MAX).read_to_end(&mut text).ok()?;
        Some((pid, parse_parent(&String::from_utf8_lossy(&text))?))
    };
    let pids = entries.filter_map(pid).take(PROCESSES_MAX);
    pids.filter_map(parent).collect()
}

/// The parent in a line of `/proc/PID/stat` (proc_pid_stat(5)): `PID (COMM) STATE PPID …`, where
/// COMM may hold anything, brackets too. `None` for the dead, who hear no signal.
fn parse_parent(stat: &str) -> Option<i32> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(parent)
}

/// All whose chain of parents leads to `root`, parents before children. Who was born since the
/// look is not among them: the caller asks again until nobody is found.
fn descendants(root: i32, parents: Vec<(i32, i32)>) -> Vec<i32> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for (pid, parent) in parents {
        children.entry(parent).or_default().push(pid);
    }
    let mut found = Vec::new();
    let mut next = vec![root];
    // Each list is taken out when it is read, so this ends even if pids were used twice while we
    // were looking.
    while let Some(parent) = next.pop() {
        let born = children.remove(&parent).unwrap_or_default();
        found.extend(&born);
        next.extend(born);
    }
    found.retain(|pid| *pid > 1 && *pid != root);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_read_behind_any_name() {
        assert_eq!(parse_parent("12 (sh) S 7 12 12 0 -1"), Some(7));
        assert_eq!(parse_parent("12 (a) Z 1 (b) R 8 1"), Some(8));
        assert_eq!(parse_parent("12 (gone) Z 7 1"), None);
        for bad in ["", "12", "12 (x", "12 (x)", "12 (x) S", "12 (x) S y"] {
            assert_eq!(parse_parent(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn descendants_are_found_through_any_chain() {
        let tree = vec![(9, 5), (5, 2), (3, 1), (2, 1), (7, 3), (8, 2), (2, 2)];
        let mut found = descendants(2, tree.clone());
        found.sort_unstable();
        assert_eq!(found, [5, 8, 9]);
        assert_eq!(descendants(4, tree), Vec::<i32>::new());
        // A snapshot that was taken while pids were used anew may hold a circle.
        assert_eq!(descendants(10, vec![(11, 10), (12, 11), (11, 12)]).len(), 3);
    }

    #[test]
    fn the_group_of_pid_1_is_nobodys() {
        assert!(group(Pid::new(1).unwrap(), Signal::CONT).is_err());
    }
}
