//! Processes as /proc shows them, from outside of the container.

use std::fs;

use nix::errno::Errno;

/// A process of a container.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Process {
    /// Its pid outside.
    pub pid: i32,
    /// Its parent's pid outside.
    pub parent: i32,
    /// `Z` for a zombie; proc(5).
    pub state: char,
    /// The name of its program, at most 15 bytes.
    pub name: String,
}

impl Process {
    /// The process of this pid, if there is one.
    pub fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (head, tail) = stat.rsplit_once(')')?;
        let mut fields = tail.split_whitespace();
        Some(Self {
            pid,
            state: fields.next()?.chars().next()?,
            parent: fields.next()?.parse().ok()?,
            name: head.split_once('(')?.1.to_owned(),
        })
    }
}

/// Everything below this process. Who is orphaned in a container is PID 1's child, so below PID 1
/// is the whole container.
pub fn descendants(root: i32) -> Vec<Process> {
    let all: Vec<Process> = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(Process::of)
        .collect();
    let mut found: Vec<Process> = Vec::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        for process in all.iter().filter(|p| p.parent == parent) {
            parents.push(process.pid);
            found.push(process.clone());
        }
    }
    found
}

/// The children of a process, cheaply.
pub fn children(pid: i32) -> Vec<i32> {
    fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect()
}

/// A field of `/proc/PID/status`, such as `SigBlk`.
pub fn field(pid: i32, name: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// A mask of `/proc/PID/status` (`SigBlk`, `SigIgn`, `SigCgt`).
pub fn mask(pid: i32, name: &str) -> Option<u64> {
    u64::from_str_radix(&field(pid, name)?, 16).ok()
}

/// kill(2) by number, which reaches the real-time signals that nix has no name for.
pub fn send(pid: i32, number: i32) -> Result<(), Errno> {
    // SAFETY: kill takes two numbers and touches no memory of ours; the pid is a child's child
    // that this test started.
    Errno::result(unsafe { libc::kill(pid, number) }).map(drop)
}
