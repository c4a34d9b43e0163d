//! A child between its birth and its exec. It runs in a copy of PID 1 that may have been taken at
//! any moment, so it makes raw system calls only: it never allocates, never panics, takes no lock,
//! and calls nothing of libc that keeps state (libc's setuid, for one, synchronises threads that
//! do not exist here). Everything it needs was prepared before.

use std::os::fd::RawFd;

use crate::os::sight;
use crate::os::signals::KernelAction;
use crate::os::step::{Failure, HEAD_BYTES, Sight, Step};

/// A limit as prlimit(2) reads it.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct KernelLimit {
    pub(super) soft: u64,
    pub(super) hard: u64,
}

/// One descriptor's way: the parent's number, the child's number.
#[derive(Clone, Copy)]
pub(super) struct Move {
    pub(super) from: RawFd,
    pub(super) to: RawFd,
}

/// Who the child becomes.
pub(super) struct Credentials<'a> {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: &'a [u32],
}

/// Everything that a child needs, in the kernel's own forms, with nothing left to compute.
pub(super) struct Prepared<'a> {
    pub(super) resets: u64,
    pub(super) foreground: bool,
    pub(super) umask: Option<u32>,
    pub(super) nice: Option<i32>,
    pub(super) oom_score: Option<&'a [u8]>,
    pub(super) limits: &'a [(u32, KernelLimit)],
    pub(super) moves: &'a mut [Move],
    pub(super) bounding_drop: u64,
    pub(super) keep: Option<u64>,
    pub(super) credentials: Option<Credentials<'a>>,
    pub(super) no_new_privileges: bool,
    pub(super) workdir: Option<*const libc::c_char>,
    pub(super) candidates: &'a [*const libc::c_char],
    pub(super) argv: *const *const libc::c_char,
    pub(super) envp: *const *const libc::c_char,
    pub(super) status: RawFd,
}

/// The child's whole life. It never returns: it becomes the program, or tells why not and exits
/// as a shell would (127 not found, 126 not runnable).
///
/// # Safety
/// Only in a process that was just cloned, with every signal blocked; the pointers in `plan` must
/// be NUL-terminated strings, and arrays of such that end with a null pointer.
pub(super) unsafe extern "C" fn child_main(plan: &mut Prepared<'_>) -> ! {
    let failure = match prepare(plan) {
        Ok(()) => execute(plan),
        Err(failure) => failure,
    };
    report(plan, failure);
    loop {
        let code = usize::from(failure.code());
        let _ = call(libc::SYS_exit_group, [code, 0, 0, 0, 0]);
    }
}

/// Tells the failure, and with it how the file begins that could not be executed.
fn report(plan: &Prepared<'_>, failure: Failure) {
    let mut head = [0; HEAD_BYTES];
    let length = match (failure.step, failure.errno) {
        // It was a regular file to the kernel, so that reading it does nothing else.
        (Step::Exec, libc::ENOENT | libc::ENOEXEC) if failure.sight != Sight::Absent => {
            let path = plan.candidates.get(usize::from(failure.index));
            path.map_or(0, |path| sight::head(*path, &mut head))
        }
        _ => 0,
    };
    let bytes = failure.to_bytes();
    let part = |bytes: &[u8]| libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let parts = [part(&bytes), part(head.get(..length).unwrap_or_default())];
    let (first, count) = (parts.as_ptr().expose_provenance(), parts.len());
    // If this cannot be written, nobody reads it.
    let _ = call(libc::SYS_writev, [number(plan.status), first, count, 0, 0]);
}

/// Every step before the exec, in the order of DESIGN section 10.
fn prepare(plan: &mut Prepared<'_>) -> Result<(), Failure> {
    reset_signals(plan.resets);
    if plan.foreground {
        // Before the mask is emptied: SIGTTOU would stop a background process that does this,
        // but a blocked one lets it pass (tcsetpgrp(3)).
        take_foreground().map_err(|errno| Failure::new(Step::Foreground, errno))?;
    }
    empty_mask();
    if !plan.foreground {
        tell(Step::Session, call(libc::SYS_setsid, [0; 5]))?;
    }
    if let Some(umask) = plan.umask {
        let _ = call(libc::SYS_umask, [word(umask), 0, 0, 0, 0]);
    }
    if let Some(nice) = plan.nice {
        let which = [PRIO_PROCESS, 0, number(nice), 0, 0];
        tell(Step::Nice, call(libc::SYS_setpriority, which))?;
    }
    if let Some(text) = plan.oom_score {
        write_oom_score(text).map_err(|errno| Failure::new(Step::OomScore, errno))?;
    }
    for (index, (resource, limit)) in plan.limits.iter().enumerate() {
        let limit = (&raw const *limit).expose_provenance();
        call(libc::SYS_prlimit64, [0, word(*resource), limit, 0, 0])
            .map_err(|errno| Failure::at(Step::Limit, index, errno))?;
    }
    place_descriptors(plan.moves, &mut plan.status)?;
    become_user(plan)?;
    if plan.no_new_privileges {
        tell(
            Step::NoNewPrivileges,
            prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0),
        )?;
    }
    if let Some(path) = plan.workdir {
        tell(
            Step::Workdir,
            call(libc::SYS_chdir, [path.expose_provenance(), 0, 0, 0, 0]),
        )?;
    }
    Ok(())
}

fn tell(step: Step, done: Result<usize, i32>) -> Result<(), Failure> {
    done.map(drop).map_err(|errno| Failure::new(step, errno))
}

/// Handlers too, although an exec resets them: until then a signal would run PID 1's handler,
/// which writes into PID 1's own pipe.
fn reset_signals(mut set: u64) {
    let default = KernelAction::DEFAULT;
    let default = (&raw const default).expose_provenance();
    while set != 0 {
        let signal = word(set.trailing_zeros()) + 1;
        let _ = call(libc::SYS_rt_sigaction, [signal, default, 0, 8, 0]);
        set &= set - 1;
    }
}

fn empty_mask() {
    let none = 0_u64;
    let set = (&raw const none).expose_provenance();
    let _ = call(libc::SYS_rt_sigprocmask, [SIG_SETMASK, set, 0, 8, 0]);
}

/// A process group of its own in PID 1's session, in front of the terminal if there is one.
fn take_foreground() -> Result<(), i32> {
    call(libc::SYS_setpgid, [0; 5])?;
    let group = call(libc::SYS_getpid, [0; 5])?;
    let group = i32::try_from(group).unwrap_or(0);
    match call(
        libc::SYS_ioctl,
        [0, TIOCSPGRP, (&raw const group).expose_provenance(), 0, 0],
    ) {
        // No terminal, not ours, or hung up: then there is no foreground to be had.
        Err(libc::ENOTTY | libc::ENXIO | libc::EBADF | libc::EIO | libc::EINVAL) => Ok(()),
        other => other.map(drop),
    }
}

fn write_oom_score(text: &[u8]) -> Result<(), i32> {
    let path = c"/proc/self/oom_score_adj".as_ptr().expose_provenance();
    let fd = call(
        libc::SYS_openat,
        [number(libc::AT_FDCWD), path, O_WRONLY_CLOEXEC, 0, 0],
    )?;
    let written = call(
        libc::SYS_write,
        [fd, text.as_ptr().expose_provenance(), text.len(), 0, 0],
    );
    let _ = call(libc::SYS_close, [fd, 0, 0, 0, 0]);
    written.map(drop)
}

/// Moves the descriptors to their places. What stands on a place that another one needs first
/// steps above all places, so that no order of moves can hurt.
fn place_descriptors(moves: &mut [Move], status: &mut RawFd) -> Result<(), Failure> {
    let top = moves
        .iter()
        .fold(2, |top, m| top.max(m.to))
        .saturating_add(1);
    let aside = |fd: RawFd| {
        call(
            libc::SYS_fcntl,
            [number(fd), F_DUPFD_CLOEXEC, number(top), 0, 0],
        )
        .map(|fd| RawFd::try_from(fd).unwrap_or(-1))
    };
    for index in 0..moves.len() {
        let Some(here) = moves.get(index).copied() else {
            break;
        };
        if moves
            .iter()
            .any(|m| m.to == here.from && here.to != here.from)
        {
            let from = aside(here.from).map_err(|e| Failure::at(Step::Descriptor, index, e))?;
            if let Some(slot) = moves.get_mut(index) {
                slot.from = from;
            }
        }
    }
    if moves.iter().any(|m| m.to == *status) {
        *status = aside(*status).map_err(|e| Failure::new(Step::Descriptor, e))?;
    }
    for (index, Move { from, to }) in moves.iter().copied().enumerate() {
        // dup3(2) refuses to copy a descriptor onto itself; there only the flag has to go.
        let placed = if from == to {
            call(libc::SYS_fcntl, [number(from), F_SETFD, 0, 0, 0])
        } else {
            call(libc::SYS_dup3, [number(from), number(to), 0, 0, 0])
        };
        placed.map_err(|errno| Failure::at(Step::Descriptor, index, errno))?;
    }
    Ok(())
}

/// Capabilities and ids, in the only order that works: what needs a capability comes before the
/// change of user that loses it.
fn become_user(plan: &Prepared<'_>) -> Result<(), Failure> {
    let mut drop_set = plan.bounding_drop;
    while drop_set != 0 {
        let capability = drop_set.trailing_zeros();
        prctl(libc::PR_CAPBSET_DROP, word(capability), 0)
            .map_err(|errno| Failure::at(Step::Bounding, word(capability), errno))?;
        drop_set &= drop_set - 1;
    }
    if let Some(who) = &plan.credentials {
        if plan.keep.is_some() {
            tell(Step::KeepCapabilities, prctl(libc::PR_SET_KEEPCAPS, 1, 0))?;
        }
        let groups = [
            who.groups.len(),
            who.groups.as_ptr().expose_provenance(),
            0,
            0,
            0,
        ];
        tell(Step::Groups, call(libc::SYS_setgroups, groups))?;
        let (uid, gid) = (word(who.uid), word(who.gid));
        tell(Step::Gid, call(libc::SYS_setresgid, [gid, gid, gid, 0, 0]))?;
        tell(Step::Uid, call(libc::SYS_setresuid, [uid, uid, uid, 0, 0]))?;
    }
    if let Some(keep) = plan.keep {
        keep_capabilities(keep)?;
    }
    Ok(())
}

/// capget(2)'s header and data, version 3: two words of 32 capabilities.
fn keep_capabilities(keep: u64) -> Result<(), Failure> {
    const VERSION_3: u32 = 0x2008_0522;
    let header: [u32; 2] = [VERSION_3, 0];
    let low = u32::try_from(keep & u64::from(u32::MAX)).unwrap_or(0);
    let high = u32::try_from(keep >> 32).unwrap_or(0);
    // Effective, permitted, inheritable; twice.
    let data: [u32; 6] = [low, low, low, high, high, high];
    let (header, data) = (
        (&raw const header).expose_provenance(),
        (&raw const data).expose_provenance(),
    );
    tell(
        Step::Capabilities,
        call(libc::SYS_capset, [header, data, 0, 0, 0]),
    )?;
    let ambient = |what: libc::c_int, capability: usize| {
        prctl(libc::PR_CAP_AMBIENT, number(what), capability)
            .map_err(|errno| Failure::at(Step::Ambient, capability, errno))
    };
    ambient(libc::PR_CAP_AMBIENT_CLEAR_ALL, 0)?;
    let mut set = keep;
    while set != 0 {
        ambient(libc::PR_CAP_AMBIENT_RAISE, word(set.trailing_zeros()))?;
        set &= set - 1;
    }
    Ok(())
}

/// Tries the candidates as execvp(3) does; returns only if none could be executed. A script
/// without `#!` is not handed to a shell: the exec form means what it says.
fn execute(plan: &Prepared<'_>) -> Failure {
    let mut denied = None;
    let mut errno = libc::ENOENT;
    for (index, path) in plan.candidates.iter().enumerate() {
        let path = path.expose_provenance();
        let (argv, envp) = (plan.argv.expose_provenance(), plan.envp.expose_provenance());
        errno = call(libc::SYS_execve, [path, argv, envp, 0, 0])
            .err()
            .unwrap_or(0);
        match errno {
            // Not this one: the search goes on, and remembers what it was not allowed.
            libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT => {}
            libc::EACCES => denied = denied.or(Some(index)),
            _ => return seen(plan, index, errno),
        }
    }
    // Looked at only now, so that a search that succeeds costs one call for each miss.
    match denied {
        Some(index) => seen(plan, index, libc::EACCES),
        None if plan.candidates.len() == 1 => seen(plan, 0, errno),
        // A file that is there all the same lacks its interpreter: worth telling of.
        None => (0..plan.candidates.len())
            .map(|index| seen(plan, index, libc::ENOENT))
            .find(|failure| failure.sight != Sight::Absent)
            .unwrap_or(Failure::new(Step::Exec, libc::ENOENT)),
    }
}

fn seen(plan: &Prepared<'_>, index: usize, errno: i32) -> Failure {
    let path = plan.candidates.get(index).copied();
    Failure {
        sight: path.map_or(Sight::Absent, sight::look),
        ..Failure::at(Step::Exec, index, errno)
    }
}

const SIG_SETMASK: usize = 2;
const PRIO_PROCESS: usize = 0;
const F_SETFD: usize = 2;
const F_DUPFD_CLOEXEC: usize = 1030;
const TIOCSPGRP: usize = 0x5410;
/// Equal on x86-64 and AArch64, as are the four above.
const O_WRONLY_CLOEXEC: usize = 0o2_000_001;

/// The kernel reads only the low half of what it declares as `int`, so a negative number may come
/// zero-extended.
pub(super) fn number(value: i32) -> usize {
    word(value.cast_unsigned())
}

fn word(value: u32) -> usize {
    value as usize
}

fn prctl(option: libc::c_int, first: usize, second: usize) -> Result<usize, i32> {
    call(libc::SYS_prctl, [number(option), first, second, 0, 0])
}

/// One system call; `Err` is its errno.
pub(super) fn call(which: libc::c_long, arguments: [usize; 5]) -> Result<usize, i32> {
    let [first, second, third, fourth, fifth] = arguments;
    // SAFETY: `syscall` keeps no state but errno, which is this thread's own. Every caller gives
    // numbers, or addresses of live values of the sizes that the call reads; only `fcntl`,
    // `prctl` and their like change anything, and only in the child itself.
    let result = unsafe { libc::syscall(which, first, second, third, fourth, fifth) };
    usize::try_from(result).map_err(|_| {
        // SAFETY: the address of errno of this thread is always valid.
        unsafe { *libc::__errno_location() }
    })
}
