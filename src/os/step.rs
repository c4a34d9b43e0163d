//! The steps of a start, and how a child tells which of them failed.

/// What a child does, in this order. The number is what the status pipe carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Step {
    /// Before the clone: the texts of the plan.
    Prepare,
    /// Before the clone: the status pipe.
    Pipe,
    /// The clone itself.
    Fork,
    /// setpgid(2), and the terminal's foreground by tcsetpgrp(3).
    Foreground,
    /// setsid(2).
    Session,
    /// setpriority(2).
    Nice,
    /// `/proc/self/oom_score_adj`.
    OomScore,
    /// prlimit(2).
    Limit,
    /// dup3(2).
    Descriptor,
    /// PR_CAPBSET_DROP.
    Bounding,
    /// PR_SET_KEEPCAPS.
    KeepCapabilities,
    /// setgroups(2).
    Groups,
    /// setresgid(2).
    Gid,
    /// setresuid(2).
    Uid,
    /// capset(2).
    Capabilities,
    /// PR_CAP_AMBIENT.
    Ambient,
    /// PR_SET_NO_NEW_PRIVS.
    NoNewPrivileges,
    /// chdir(2).
    Workdir,
    /// execve(2).
    Exec,
}

impl Step {
    /// Every step, by its number.
    pub(super) const ALL: [Self; 19] = [
        Self::Prepare,
        Self::Pipe,
        Self::Fork,
        Self::Foreground,
        Self::Session,
        Self::Nice,
        Self::OomScore,
        Self::Limit,
        Self::Descriptor,
        Self::Bounding,
        Self::KeepCapabilities,
        Self::Groups,
        Self::Gid,
        Self::Uid,
        Self::Capabilities,
        Self::Ambient,
        Self::NoNewPrivileges,
        Self::Workdir,
        Self::Exec,
    ];
}

/// What a file that could not be executed looks like, seen by the child itself, so that PID 1
/// need not touch a file system that may hang.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Sight {
    /// It is not there, or cannot be seen.
    Absent,
    /// It is there, without permission to run.
    Present,
    /// It is there and has a run bit.
    Runnable,
    /// It is a directory.
    Directory,
}

/// So much of a file that could not be executed is told: its first line, or the headers of a
/// program with the loader's name behind them. With a failure it fits PIPE_BUF: it comes whole.
pub(super) const HEAD_BYTES: usize = 1024;

impl Sight {
    const ALL: [Self; 4] = [Self::Absent, Self::Present, Self::Runnable, Self::Directory];
}

/// What went wrong, as it goes through the pipe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Failure {
    pub(super) step: Step,
    pub(super) sight: Sight,
    /// Which of several: the descriptor, the limit, the capability, the candidate path.
    pub(super) index: u16,
    pub(super) errno: i32,
}

/// The length of a failure in the pipe: far below PIPE_BUF, so it comes whole or not at all.
pub(super) const FAILURE_BYTES: usize = 8;

impl Failure {
    pub(super) fn new(step: Step, errno: i32) -> Self {
        Self {
            step,
            sight: Sight::Absent,
            index: 0,
            errno,
        }
    }

    pub(super) fn at(step: Step, index: usize, errno: i32) -> Self {
        Self {
            index: u16::try_from(index).unwrap_or(u16::MAX),
            ..Self::new(step, errno)
        }
    }

    /// As shells and Docker have it: 127 for a program that is not there, 126 for all else.
    pub(super) fn code(self) -> u8 {
        match (self.step, self.errno) {
            (Step::Exec, libc::ENOENT) => 127,
            _ => 126,
        }
    }

    pub(super) fn to_bytes(self) -> [u8; FAILURE_BYTES] {
        let [i0, i1] = self.index.to_ne_bytes();
        let [e0, e1, e2, e3] = self.errno.to_ne_bytes();
        [self.step as u8, self.sight as u8, i0, i1, e0, e1, e2, e3]
    }

    /// What a child wrote; `None` if that was something else.
    pub(super) fn from_bytes(bytes: [u8; FAILURE_BYTES]) -> Option<Self> {
        let [step, sight, i0, i1, e0, e1, e2, e3] = bytes;
        Some(Self {
            step: *Step::ALL.get(usize::from(step))?,
            sight: *Sight::ALL.get(usize::from(sight))?,
            index: u16::from_ne_bytes([i0, i1]),
            errno: i32::from_ne_bytes([e0, e1, e2, e3]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_survives_the_pipe() {
        for (number, step) in Step::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(step as u8), number);
            let failure = Failure {
                sight: Sight::Present,
                ..Failure::at(step, 300, libc::ENOEXEC)
            };
            assert_eq!(Failure::from_bytes(failure.to_bytes()), Some(failure));
        }
        assert_eq!(Failure::from_bytes([99; FAILURE_BYTES]), None);
    }
}
