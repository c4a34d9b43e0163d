//! How a process is started: everything is prepared here, then `clone`d with fork's meaning, and
//! `os/child.rs` does the rest in the copy. Neither posix_spawn (no groups, limits, capabilities)
//! nor vfork (it holds PID 1 until the exec) would do.

use std::io::{self, Write};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{getgroups, getresgid, getresuid, pipe2};

use crate::os::attempt::{Attempt, ExecError, Wishes};
use crate::os::child::{Credentials, KernelLimit, Move, Prepared, child_main};
use crate::os::pid1::Nofile;
use crate::os::plan::{Plan, Session, Texts, capability_set, pointers};
use crate::os::signals::{self, SignalSet};
use crate::os::step::{Failure, Step};
use crate::service::limits::{Limit, Resource};
use crate::values::Pid;

/// A process that was started.
#[derive(Debug)]
pub struct Spawned {
    /// Its pid, which is also its group (and session), as soon as it has come that far.
    pub pid: Pid,
    /// Tells whether it reaches its exec.
    pub attempt: Attempt,
}

/// What every start needs to know of ourselves, read once.
pub struct Spawner {
    resets: SignalSet,
    nofile: Option<Nofile>,
    bounding: u64,
    /// uid, gid and groups, if real, effective and saved ones agree.
    ourselves: Option<(u32, u32, Vec<u32>)>,
}

impl Spawner {
    /// Reads our dispositions and capabilities: to be made after the handlers are in place.
    /// `nofile` is the limit that children get back, from `pid1::raise_nofile`.
    pub fn new(nofile: Option<Nofile>) -> Self {
        Self {
            resets: signals::to_reset(),
            nofile,
            bounding: bounding_set(),
            ourselves: ourselves(),
        }
    }

    /// Starts a process. It may still fail to reach its exec: the attempt tells, and so does its
    /// exit code (127 not found, 126 anything else).
    ///
    /// # Errors
    /// What shows at once: a NUL byte in a text, no descriptors, no memory, no pids.
    pub fn spawn(&self, plan: &Plan<'_>) -> Result<Spawned, ExecError> {
        let texts = Texts::of(plan);
        let fail = |step, errno: Errno| {
            let failure = Failure::new(step, errno as i32);
            ExecError::new(Wishes::of(plan, Vec::new()), failure)
        };
        let texts = texts.ok_or_else(|| fail(Step::Prepare, Errno::EINVAL))?;
        let (read, write) =
            pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).map_err(|errno| fail(Step::Pipe, errno))?;
        let limits = self.limits(plan);
        let mut moves: Vec<Move> = plan
            .descriptors
            .iter()
            .map(|(from, to)| Move {
                from: from.as_raw_fd(),
                to: *to,
            })
            .collect();
        let (argv, envp) = (pointers(&texts.argv), pointers(texts.variables.texts()));
        let candidates: Vec<_> = texts.candidates.iter().map(|path| path.as_ptr()).collect();
        let keep = plan.capabilities.as_deref().map(capability_set);
        let oom_score = oom_text(plan.oom_score_adj);
        let mut prepared = Prepared {
            resets: self.resets.bits(),
            foreground: plan.session == Session::Foreground,
            umask: plan.umask,
            nice: plan.nice,
            oom_score: oom_score.as_deref(),
            limits: &limits,
            moves: &mut moves,
            bounding_drop: keep.map_or(0, |keep| self.bounding & !keep),
            keep,
            credentials: self.credentials(plan),
            no_new_privileges: plan.no_new_privileges,
            workdir: texts.workdir.as_ref().map(|path| path.as_ptr()),
            candidates: &candidates,
            argv: argv.as_ptr(),
            envp: envp.as_ptr(),
            status: write.as_raw_fd(),
        };
        let pid = clone(&mut prepared).map_err(|errno| fail(Step::Fork, errno))?;
        Ok(Spawned {
            pid,
            attempt: Attempt::new(read, Wishes::of(plan, texts.candidates)),
        })
    }

    /// The plan's limits, after the number of descriptors that we raised for ourselves only.
    fn limits(&self, plan: &Plan<'_>) -> Vec<(u32, KernelLimit)> {
        let restored = self
            .nofile
            .filter(|_| {
                plan.limits
                    .iter()
                    .all(|(resource, _)| *resource != Resource::Nofile)
            })
            .map(|Nofile { soft, hard }| (number(Resource::Nofile), KernelLimit { soft, hard }));
        // Last, so that the index in a failure is the plan's own.
        let wanted = plan.limits.iter().map(|(resource, limit)| {
            let value = match limit {
                Limit::At(value) => *value,
                Limit::Unlimited => u64::MAX,
            };
            (
                number(*resource),
                KernelLimit {
                    soft: value,
                    hard: value,
                },
            )
        });
        wanted.chain(restored).collect()
    }

    /// Whom the child has to become; `None` if it is that already, which needs no privilege.
    fn credentials<'a>(&self, plan: &'a Plan<'_>) -> Option<Credentials<'a>> {
        let user = plan.user.as_ref()?;
        let same = self.ourselves.as_ref().is_some_and(|(uid, gid, groups)| {
            (*uid, *gid) == (user.uid, user.gid) && *groups == user.groups
        });
        (!same).then_some(Credentials {
            uid: user.uid,
            gid: user.gid,
            groups: &user.groups,
        })
    }
}

/// The clone, all signals blocked around it, so that no handler of ours runs in the child.
fn clone(prepared: &mut Prepared<'_>) -> Result<Pid, Errno> {
    let old = signals::swap_mask(SignalSet::ALL);
    // SAFETY: the flags ask for fork's meaning: a copy of everything, SIGCHLD at its end. The
    // child calls `child_main`, which keeps to raw system calls and never returns, so nothing of
    // this process's state (locks, buffers) is used twice. All other arguments are zero, so their
    // order, which differs on AArch64, does not matter.
    let pid = unsafe {
        libc::syscall(
            libc::SYS_clone,
            libc::c_long::from(libc::SIGCHLD),
            0_usize,
            0_usize,
            0_usize,
            0_usize,
        )
    };
    if pid == 0 {
        // SAFETY: we are the copy, all signals are blocked, and `prepared` points to strings and
        // arrays that live in our caller's frame.
        unsafe { child_main(prepared) }
    }
    let errno = Errno::last();
    signals::swap_mask(old);
    i32::try_from(pid).ok().and_then(Pid::new).ok_or(errno)
}

/// Our bounding set, asked of the kernel one by one until it knows no more: /proc may be missing.
fn bounding_set() -> u64 {
    // SAFETY: PR_CAPBSET_READ reads a number and changes nothing.
    let read = |number: u32| unsafe {
        libc::prctl(libc::PR_CAPBSET_READ, libc::c_ulong::from(number), 0, 0, 0)
    };
    (0..64)
        .map(|number| (number, read(number)))
        .take_while(|(_, answer)| *answer >= 0)
        .filter(|(_, answer)| *answer == 1)
        .fold(0, |set, (number, _)| set | 1 << number)
}

fn ourselves() -> Option<(u32, u32, Vec<u32>)> {
    let (uid, gid) = (getresuid().ok()?, getresgid().ok()?);
    let one = uid.real == uid.effective
        && uid.real == uid.saved
        && gid.real == gid.effective
        && gid.real == gid.saved;
    let mut groups: Vec<u32> = getgroups()
        .ok()?
        .into_iter()
        .map(nix::unistd::Gid::as_raw)
        .collect();
    // Where a runtime has not listed the primary group, it counts all the same.
    groups.push(gid.real.as_raw());
    groups.sort_unstable();
    groups.dedup();
    one.then_some((uid.real.as_raw(), gid.real.as_raw(), groups))
}

fn oom_text(score: Option<i32>) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    // Writing to memory cannot fail.
    let _: io::Result<()> = write!(text, "{}", score?);
    Some(text)
}

/// The kernel's number of a resource (asm-generic/resource.h; the same on both architectures).
fn number(resource: Resource) -> u32 {
    match resource {
        Resource::Cpu => 0,
        Resource::Fsize => 1,
        Resource::Data => 2,
        Resource::Stack => 3,
        Resource::Core => 4,
        Resource::Nproc => 6,
        Resource::Nofile => 7,
        Resource::Memlock => 8,
        Resource::As => 9,
        Resource::Rtprio => 14,
    }
}
