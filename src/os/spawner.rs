//! How a process is started: everything is prepared here, then `clone`d with fork's meaning, and
//! `os/child.rs` does the rest in the copy. Neither posix_spawn (no groups, limits, capabilities)
//! nor vfork (it holds PID 1 until the exec) would do.

use std::ffi::{CString, OsStr, OsString};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{getgroups, getresgid, getresuid, pipe2};

use crate::os::attempt::{Attempt, ExecError, Wishes};
use crate::os::child::{Credentials, KernelLimit, Move, Prepared, child_main};
use crate::os::pid1::Nofile;
use crate::os::signals::{self, SignalSet};
use crate::os::step::{Failure, Step};
use crate::os::users::User;
use crate::service::definition::{Limit, Resource};
use crate::values::Pid;

/// Where execvp(3) looks if the environment has no PATH: what Docker gives its containers.
const PATH_DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// More directories than this in a PATH are not searched.
const CANDIDATES_MAX: usize = 256;
/// Descriptors that one child can be given.
const DESCRIPTORS_MAX: usize = 16;

/// Where a child stands towards the terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Session {
    /// A session of its own, without a terminal: a service.
    New,
    /// Our session, in a process group of its own, in front of the terminal if fd 0 is one: CMD.
    Foreground,
}

/// A child before it is one. Descriptors 0, 1 and 2 that are not given are ours.
#[derive(Clone, Debug)]
pub struct Plan<'fd> {
    /// The program and its arguments. A name without a slash is looked up in the PATH of `env`;
    /// one with a slash is taken as it is, from `workdir`.
    pub argv: Vec<OsString>,
    /// The whole environment.
    pub env: Vec<(OsString, OsString)>,
    /// chdir(2).
    pub workdir: Option<PathBuf>,
    /// Whom it becomes; `None` leaves ids and groups as they are.
    pub user: Option<User>,
    /// umask(2).
    pub umask: Option<u32>,
    /// setpriority(2), −20 to 19.
    pub nice: Option<i32>,
    /// −1000 to 1000, see proc_pid_oom_score_adj(5).
    pub oom_score_adj: Option<i32>,
    /// Soft and hard alike.
    pub limits: Vec<(Resource, Limit)>,
    /// PR_SET_NO_NEW_PRIVS.
    pub no_new_privileges: bool,
    /// The only capabilities that are left to it (numbers of capabilities(7)); `None` leaves them.
    pub capabilities: Option<Vec<u8>>,
    /// Session and terminal.
    pub session: Session,
    /// Our descriptor, its number there. Each number at most once.
    pub descriptors: Vec<(BorrowedFd<'fd>, RawFd)>,
}

impl Plan<'_> {
    /// Runs `argv` in `env`, everything else as we are, in a session of its own.
    pub fn new(argv: Vec<OsString>, env: Vec<(OsString, OsString)>) -> Self {
        Self {
            argv,
            env,
            workdir: None,
            user: None,
            umask: None,
            nice: None,
            oom_score_adj: None,
            limits: Vec::new(),
            no_new_privileges: false,
            capabilities: None,
            session: Session::New,
            descriptors: Vec::new(),
        }
    }
}

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
            resets: signals::not_default(),
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
        let wishes = Wishes::of(plan, texts.as_ref().map_or(&[], |texts| &texts.candidates));
        let fail =
            |step, errno: Errno| ExecError::new(wishes.clone(), Failure::new(step, errno as i32));
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
        let (argv, envp) = (pointers(&texts.argv), pointers(&texts.env));
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
            attempt: Attempt::new(read, wishes),
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

/// The plan's texts as C strings.
struct Texts {
    candidates: Vec<CString>,
    argv: Vec<CString>,
    env: Vec<CString>,
    workdir: Option<CString>,
}

impl Texts {
    /// `None`: something has a NUL byte inside, there is no program, or a descriptor is no number.
    fn of(plan: &Plan<'_>) -> Option<Self> {
        let c_string = |text: &OsStr| CString::new(text.as_bytes()).ok();
        let variable = |(name, value): &(OsString, OsString)| {
            let mut text = name.clone();
            text.push("=");
            text.push(value);
            CString::new(text.into_vec()).ok()
        };
        let fits = plan.descriptors.len() <= DESCRIPTORS_MAX
            && plan.descriptors.iter().all(|(_, to)| *to >= 0);
        let workdir = match &plan.workdir {
            Some(path) => Some(c_string(path.as_os_str())?),
            None => None,
        };
        fits.then_some(Self {
            candidates: candidates(plan.argv.first()?, path_of(&plan.env))?,
            argv: plan
                .argv
                .iter()
                .map(|text| c_string(text))
                .collect::<Option<_>>()?,
            env: plan.env.iter().map(variable).collect::<Option<_>>()?,
            workdir,
        })
    }
}

/// An array as execve(2) reads it: pointers that live as long as `texts`, then a null one.
fn pointers(texts: &[CString]) -> Vec<*const libc::c_char> {
    texts
        .iter()
        .map(|text| text.as_ptr())
        .chain([std::ptr::null()])
        .collect()
}

fn path_of(env: &[(OsString, OsString)]) -> &OsStr {
    env.iter()
        .find(|(name, _)| name == "PATH")
        .map_or(OsStr::new(PATH_DEFAULT), |(_, value)| value)
}

/// The files that execvp(3) would try, in its order: an empty directory of PATH is the current one.
fn candidates(program: &OsStr, path: &OsStr) -> Option<Vec<CString>> {
    let program = program.as_bytes();
    if program.is_empty() || program.contains(&b'/') {
        return Some(vec![CString::new(program).ok()?]);
    }
    path.as_bytes()
        .split(|byte| *byte == b':')
        .take(CANDIDATES_MAX)
        .map(|dir| {
            let slash: &[u8] = if dir.is_empty() { b"" } else { b"/" };
            CString::new([dir, slash, program].concat()).ok()
        })
        .collect()
}

fn capability_set(capabilities: &[u8]) -> u64 {
    capabilities
        .iter()
        .filter_map(|number| 1_u64.checked_shl(u32::from(*number)))
        .fold(0, |set, bit| set | bit)
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
    groups.sort_unstable();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn found(program: &str, path: &str) -> Vec<String> {
        candidates(OsStr::new(program), OsStr::new(path))
            .unwrap()
            .into_iter()
            .map(|path| path.into_string().unwrap())
            .collect()
    }

    #[test]
    fn path_is_searched_as_execvp_does() {
        assert_eq!(found("node", "/a:/b/"), ["/a/node", "/b//node"]);
        assert_eq!(found("node", ":/b:"), ["node", "/b/node", "node"]);
        assert_eq!(found("node", ""), ["node"]);
        assert_eq!(found("./run", "/a"), ["./run"]);
        assert_eq!(found("/bin/sh", "/a"), ["/bin/sh"]);
        assert_eq!(found("", "/a"), [""]);
        assert!(candidates(OsStr::new("a\0b"), OsStr::new("/a")).is_none());
        let env = vec![("PATH".into(), "/x".into())];
        assert_eq!(path_of(&env), "/x");
        assert_eq!(path_of(&[]), PATH_DEFAULT);
    }

    #[test]
    fn capabilities_become_bits() {
        assert_eq!(capability_set(&[0, 10, 40, 200]), 1 | 1 << 10 | 1 << 40);
    }
}
