//! Whether a started process reaches its exec, and the sentence for when it does not.

use std::ffi::CString;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::unistd::read;

use crate::os::plan::Plan;
use crate::os::reason::said;
use crate::os::step::{FAILURE_BYTES, Failure, HEAD_BYTES, Sight, Step};
use crate::service::elf::{self, Elf};
use crate::service::limits::Resource;
use crate::service::program::Flaw;
use crate::service::source::Interpreter;

/// A start that is under way. Readable as soon as its end is known.
#[derive(Debug)]
pub struct Attempt {
    status: OwnedFd,
    wishes: Wishes,
}

/// How far a start has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Progress {
    /// Not known yet: ask again when the descriptor is readable.
    Pending,
    /// It runs its program, or was killed before it could: its death tells which.
    Executed,
    /// It does not, and has exited.
    Failed(ExecError),
}

impl Attempt {
    pub(super) fn new(status: OwnedFd, wishes: Wishes) -> Self {
        Self { status, wishes }
    }

    /// Asks, without waiting.
    pub fn progress(&self) -> Progress {
        let mut bytes = [0; FAILURE_BYTES + HEAD_BYTES];
        match read(&self.status, &mut bytes) {
            Err(Errno::EAGAIN | Errno::EINTR) => Progress::Pending,
            // The pipe's other end is closed by the exec.
            Ok(0) | Err(_) => Progress::Executed,
            Ok(length) => {
                let told = bytes.get(..length).and_then(<[u8]>::split_first_chunk);
                match told.and_then(|(told, head)| Some((Failure::from_bytes(*told)?, head))) {
                    Some((failure, head)) => {
                        let error = ExecError::new(self.wishes.clone(), failure);
                        Progress::Failed(error.of_a_file(head))
                    }
                    None => Progress::Executed,
                }
            }
        }
    }
}

impl AsFd for Attempt {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.status.as_fd()
    }
}

/// What the plan asked for, as far as a message may have to name it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Wishes {
    program: String,
    candidates: Vec<CString>,
    workdir: PathBuf,
    user: String,
    uid: u32,
    gid: u32,
    nice: i32,
    limits: Vec<Resource>,
    descriptors: Vec<i32>,
}

impl Wishes {
    pub(super) fn of(plan: &Plan<'_>, candidates: Vec<CString>) -> Self {
        let user = plan.user.as_ref();
        Self {
            program: plan
                .program()
                .map(|program| program.to_string_lossy().into_owned())
                .unwrap_or_default(),
            candidates,
            workdir: plan.workdir.clone().unwrap_or_default(),
            user: user.map(|user| user.name.clone()).unwrap_or_default(),
            uid: user.map_or(0, |user| user.uid),
            gid: user.map_or(0, |user| user.gid),
            nice: plan.nice.unwrap_or_default(),
            limits: plan.limits.iter().map(|(resource, _)| *resource).collect(),
            descriptors: plan.descriptors.iter().map(|(_, number)| *number).collect(),
        }
    }
}

/// Why a program does not run. Reads as "cannot VERB NOUN: cause".
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExecError {
    wishes: Box<Wishes>,
    failure: Failure,
    /// What is wrong with the file, as far as that was seen.
    flaw: Option<Flaw>,
}

impl ExecError {
    pub(super) fn new(wishes: Wishes, failure: Failure) -> Self {
        Self {
            wishes: Box::new(wishes),
            failure,
            flaw: None,
        }
    }

    /// The same, of a file that begins so; with nothing, if it could not be read.
    fn of_a_file(self, head: &[u8]) -> Self {
        let Failure { errno, sight, .. } = self.failure;
        let script = |interpreter| Flaw::Script {
            head: head.to_owned(),
            interpreter,
        };
        let flaw = match (errno, elf::read(head)) {
            (libc::EACCES, _) if sight == Sight::Directory => Some(Flaw::Directory),
            _ if head.is_empty() => None,
            (libc::ENOENT, Elf::Native { loader }) => loader.map(Flaw::NoLoader),
            (libc::ENOENT, Elf::Unknown) => Some(script(Interpreter::Missing)),
            (libc::ENOEXEC, Elf::Foreign) => Some(Flaw::Machine),
            (libc::ENOEXEC, Elf::Unknown) => Some(script(Interpreter::Found)),
            _ => None,
        };
        Self { flaw, ..self }
    }

    /// What is said of that, and what to do.
    fn told(&self) -> Option<(String, String)> {
        self.flaw.as_ref()?.told(&self.file())
    }

    /// The step that failed.
    pub fn step(&self) -> Step {
        self.failure.step
    }

    /// Its error, see errno(3).
    pub fn errno(&self) -> i32 {
        self.failure.errno
    }

    /// The exit code that a shell would have: 127 for a program that is not there, else 126.
    pub fn code(&self) -> u8 {
        self.failure.code()
    }

    /// The next step for the reader, where one is known.
    pub fn hint(&self) -> Option<String> {
        if let Some((_, hint)) = self.told() {
            return Some(hint);
        }
        let text = match (self.failure.step, self.failure.errno, self.failure.sight) {
            (Step::Exec, libc::ENOENT, Sight::Present | Sight::Runnable) => {
                "a first line with a carriage return, or a program in an image without its loader"
            }
            (Step::Exec, libc::ENOENT, Sight::Absent) if !self.wishes.program.contains('/') => {
                "it is in no directory of PATH"
            }
            (Step::Exec, libc::ENOEXEC, _) => {
                "a script starts with a line such as `#!/bin/sh`; a program is built for this \
                 machine"
            }
            (Step::Exec, libc::EACCES, Sight::Present) => {
                return Some(format!(
                    "it has no run bit (`chmod +x {}`), or its file system is mounted noexec",
                    self.file()
                ));
            }
            (Step::Exec, libc::EACCES, Sight::Runnable) => {
                "an interpreter without a run bit, or a file system mounted noexec"
            }
            (Step::Exec, libc::EACCES, Sight::Absent) => {
                "a directory on the way to it cannot be entered by its user"
            }
            (Step::Prepare, ..) => "a NUL byte in an argument or variable, or no program at all",
            (Step::Groups | Step::Gid | Step::Uid, libc::EPERM, _) => {
                "only root, with SETUID and SETGID, can become somebody else"
            }
            (
                Step::Bounding | Step::Capabilities | Step::Ambient | Step::KeepCapabilities,
                libc::EPERM,
                _,
            ) => "only what the container has can be kept, and to drop the rest needs SETPCAP",
            (Step::Nice, libc::EPERM | libc::EACCES, _) => "below 0 needs the capability SYS_NICE",
            (Step::Limit, libc::EPERM, _) => "above the container's hard limit needs SYS_RESOURCE",
            _ => return None,
        };
        Some(text.into())
    }

    /// The very file, where the search found one.
    fn file(&self) -> String {
        self.wishes
            .candidates
            .get(usize::from(self.failure.index))
            .filter(|_| self.failure.sight != Sight::Absent)
            .map_or_else(
                || self.wishes.program.clone(),
                |path| path.to_string_lossy().into_owned(),
            )
    }

    fn limit(&self) -> String {
        let limit = self.wishes.limits.get(usize::from(self.failure.index));
        limit.map_or("nofile".into(), |limit| format!("{limit:?}").to_lowercase())
    }

    fn deed(&self) -> String {
        let wishes = &self.wishes;
        let index = usize::from(self.failure.index);
        match self.failure.step {
            Step::Prepare => format!("prepare `{}`", wishes.program),
            Step::Pipe => "make a pipe".into(),
            Step::Fork => "start a process".into(),
            Step::Foreground => "put it in front of the terminal".into(),
            Step::Session => "start a session".into(),
            Step::Nice => format!("set nice {}", wishes.nice),
            Step::OomScore => "set oom-score-adj".into(),
            Step::Limit => format!("set the limit {}", self.limit()),
            Step::Descriptor => match wishes.descriptors.get(index) {
                Some(number) => format!("hand over descriptor {number}"),
                None => "hand over descriptors".into(),
            },
            Step::Bounding => format!("drop capability {index}"),
            Step::KeepCapabilities | Step::Capabilities => "keep the capabilities".into(),
            Step::Groups => format!("take the groups of user `{}`", wishes.user),
            Step::Gid => format!("take group {}", wishes.gid),
            Step::Uid => format!("become user {}", wishes.uid),
            Step::Ambient => format!("keep capability {index}"),
            Step::NoNewPrivileges => "give up new privileges".into(),
            Step::Workdir => format!("enter `{}`", wishes.workdir.display()),
            Step::Exec => format!("execute `{}`", self.file()),
        }
    }
}

impl fmt::Display for ExecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((what, _)) = self.told() {
            return write!(f, "cannot {}: it {what}", self.deed());
        }
        let cause = match (self.failure.step, self.failure.errno, self.failure.sight) {
            (Step::Exec, libc::ENOENT, Sight::Present | Sight::Runnable) => {
                "its interpreter is not there".to_owned()
            }
            // fork(2); and execve(2), where the user has too many.
            (Step::Fork | Step::Exec, libc::EAGAIN, _) => {
                "the limit of processes is reached (nproc, or the container's pids)".to_owned()
            }
            _ => said(Errno::from_raw(self.failure.errno)),
        };
        write!(f, "cannot {}: {cause}", self.deed())
    }
}

impl std::error::Error for ExecError {}
