//! Signals: blocked by the first act of `main`, caught by a handler that only leaves a note, read
//! in the one place where PID 1 waits. Masks go to the kernel by raw calls, because libc refuses
//! to touch the two signals that it keeps for its threads.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::sys::time::TimeSpec;
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::values::Signal;

/// What the init hears: the death of a child, the orders to stop (Docker, systemd, a terminal, the
/// power), and HUP, which is CMD's if there is one.
const HEARD: [Signal; 7] = [
    Signal::CHLD,
    Signal::HUP,
    Signal::TERM,
    Signal::INT,
    Signal::QUIT,
    Signal::PWR,
    Signal::HALT,
];

/// What is forwarded to CMD. Without one they stay blocked, as nobody is there to hear them: what
/// has no handler need not be put back in every child.
const FORWARDED: [Signal; 3] = [Signal::USR1, Signal::USR2, Signal::WINCH];

/// The size of the kernel's signal set, in bytes; it refuses any other (rt_sigprocmask(2)).
const KERNEL_SET_BYTES: libc::c_long = 8;

/// Nobody waits longer in one call; longer times could overflow the kernel's seconds.
const WAIT_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// A set of signals, laid out as the kernel's own: bit `n - 1` is signal `n`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SignalSet(u64);

impl SignalSet {
    /// Every signal.
    pub const ALL: Self = Self(u64::MAX);
    /// None.
    pub const EMPTY: Self = Self(0);
    /// SIGPIPE alone.
    pub const PIPE: Self = Self(1 << (libc::SIGPIPE - 1));

    /// This set and `signal`.
    #[must_use]
    pub fn with(self, signal: Signal) -> Self {
        Self(self.0 | Self::bit(signal))
    }

    /// This set, but not `signal`.
    #[must_use]
    pub fn without(self, signal: Signal) -> Self {
        Self(self.0 & !Self::bit(signal))
    }

    /// Whether `signal` is in it.
    pub fn contains(self, signal: Signal) -> bool {
        self.0 & Self::bit(signal) != 0
    }

    /// The set as the kernel writes it (`SigBlk` and its neighbours in `/proc/PID/status`).
    pub fn bits(self) -> u64 {
        self.0
    }

    fn bit(signal: Signal) -> u64 {
        1_u64
            .checked_shl(signal.raw().unsigned_abs().wrapping_sub(1))
            .unwrap_or(0)
    }
}

/// Blocks every signal for this thread: the first act of `main`, so that an order to stop that
/// comes during the boot is seen after it; and the first act of every other thread, so that signals
/// go to the thread that waits for them (and writing to the terminal from the background works).
/// Gives what was blocked before.
pub fn block_all() -> SignalSet {
    swap_mask(SignalSet::ALL)
}

/// Puts back what [`block_all`] gave: a tool's program is to find what the tool found.
pub fn put_back(born_with: SignalSet) {
    swap_mask(born_with);
}

/// Unblocks every signal for this thread: for roles that the user's ^C must reach.
pub fn unblock_all() {
    swap_mask(SignalSet::EMPTY);
}

/// Makes `set` the mask of this thread and gives the old one. It cannot fail with valid arguments
/// (rt_sigprocmask(2)); a kernel that refuses them all leaves the mask as it is.
pub(super) fn swap_mask(set: SignalSet) -> SignalSet {
    let mut old = SignalSet::EMPTY;
    // SAFETY: both pointers are to live 8-byte sets, which is the size that is told.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::c_long::from(libc::SIG_SETMASK),
            &raw const set.0,
            &raw mut old.0,
            KERNEL_SET_BYTES,
        );
    }
    old
}

/// The kernel's own `sigaction`, of which libc shows a rearranged copy. The same on x86-64 and
/// AArch64: handler, flags, restorer, mask.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct KernelAction {
    pub(super) handler: usize,
    pub(super) flags: usize,
    pub(super) restorer: usize,
    pub(super) mask: u64,
}

impl KernelAction {
    const SIG_DFL: usize = 0;
    const SIG_IGN: usize = 1;

    /// What a program finds when nobody has touched the signal.
    pub(super) const DEFAULT: Self = Self {
        handler: Self::SIG_DFL,
        flags: 0,
        restorer: 0,
        mask: 0,
    };
}

/// The signals that a child must put back, because they are ignored or handled in this process, for
/// whatever reason: inherited as ignored (`nohup`, a careless parent), or handled by us. An ignored
/// signal survives the child's exec and silently disables a reload by SIGHUP; a handled one does
/// not, but until then it would be lost in our handler. Of these SIGCHLD may be: a process that has
/// no children yet has nothing to hear from them.
pub fn to_reset() -> SignalSet {
    (1..=64)
        .filter_map(Signal::new)
        .filter(|signal| match handler(*signal) {
            KernelAction::SIG_DFL => false,
            KernelAction::SIG_IGN => true,
            _handled => *signal != Signal::CHLD,
        })
        .fold(SignalSet::EMPTY, SignalSet::with)
}

/// What happens at this signal; the kernel tells nothing of a number that it does not know.
fn handler(signal: Signal) -> usize {
    let mut action = KernelAction::DEFAULT;
    // SAFETY: no new action is given; the old one goes to a live struct of the kernel's layout.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            libc::c_long::from(signal.raw()),
            std::ptr::null::<KernelAction>(),
            &raw mut action,
            KERNEL_SET_BYTES,
        );
    }
    action.handler
}

/// Makes SIGCHLD default again, for who waits by [`wait_any`]: a parent that ignored it would
/// have made the kernel bury our children untold (wait(2)).
pub fn hear_of_children() {
    make_default(libc::SIGCHLD);
}

/// Takes back what Rust's runtime has set, once, so that no child has to: it ignores SIGPIPE, which
/// does as little while it is blocked (and [`Signals`] leaves it blocked), and would tell of an
/// overflow of the stack, of which PID 1's users cannot make anything.
pub fn undo_runtime() {
    [libc::SIGPIPE, libc::SIGSEGV, libc::SIGBUS]
        .into_iter()
        .for_each(make_default);
}

fn make_default(signal: libc::c_int) {
    let default = KernelAction::DEFAULT;
    // SAFETY: the new action is a live struct of the kernel's layout; the old one is not asked for.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            libc::c_long::from(signal),
            &raw const default,
            std::ptr::null_mut::<KernelAction>(),
            KERNEL_SET_BYTES,
        );
    }
}

/// Signals that come as bytes, for who waits by poll(2).
pub struct Incoming(File);

impl Incoming {
    /// Of these, which are blocked from now on.
    ///
    /// # Errors
    /// As signalfd(2).
    pub fn new(set: SignalSet) -> io::Result<Self> {
        swap_mask(set);
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        // SAFETY: the set has the size that is told, and is only read.
        let fd = unsafe {
            libc::syscall(
                libc::SYS_signalfd4,
                -1,
                &raw const set.0,
                KERNEL_SET_BYTES,
                flags,
            )
        };
        let fd = RawFd::try_from(fd).ok().filter(|fd| *fd >= 0);
        let fd = fd.ok_or_else(io::Error::last_os_error)?;
        // SAFETY: the kernel has just opened it for us.
        Ok(Self(unsafe { File::from_raw_fd(fd) }))
    }

    /// The next one, if one has come.
    pub fn take(&mut self) -> Option<Signal> {
        // signalfd_siginfo of signalfd(2): the number is its first field.
        let mut record = [0; 128];
        self.0.read_exact(&mut record).ok()?;
        let [a, b, c, d, ..] = record;
        Signal::new(i32::from_ne_bytes([a, b, c, d]))
    }
}

impl AsFd for Incoming {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A signal in the C library's words.
pub fn described(signal: Signal) -> String {
    // SAFETY: strsignal gives a string, of libc's own or in a buffer that its next call uses anew;
    // it is copied at once.
    let text = unsafe { libc::strsignal(signal.raw()) };
    if text.is_null() {
        return signal.raw().to_string();
    }
    // SAFETY: a string, as strsignal says.
    unsafe { std::ffi::CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

/// Waits for one of `set`, which must be blocked, and takes it; `None` after `timeout`, or if the
/// wait was interrupted (a stop and its continuation do that), which is the same to a loop.
pub fn wait_any(set: SignalSet, timeout: Duration) -> Option<Signal> {
    let timeout = TimeSpec::from_duration(timeout.min(WAIT_MAX));
    // SAFETY: the set has the size that is told, no siginfo is asked for, the timeout is alive.
    let signal = unsafe {
        libc::syscall(
            libc::SYS_rt_sigtimedwait,
            &raw const set.0,
            std::ptr::null_mut::<libc::siginfo_t>(),
            &raw const timeout,
            KERNEL_SET_BYTES,
        )
    };
    i32::try_from(signal).ok().and_then(Signal::new)
}

/// The signals that the init hears, as they come.
pub struct Signals {
    delivery: SignalDelivery<AsyncFd<UnixStream>, SignalOnly>,
}

impl Signals {
    /// Handles the signals of an init (and those `for_cmd`), then unblocks everything else than
    /// SIGPIPE and what is for nobody: what came during the boot is delivered now. Needs a running
    /// tokio reactor.
    ///
    /// # Errors
    /// No descriptors left.
    pub fn new(for_cmd: bool) -> io::Result<Self> {
        let (read, write) = UnixStream::pair()?;
        read.set_nonblocking(true)?;
        write.set_nonblocking(true)?;
        // SAFETY: the stream owns its descriptor, gives the same one each time, and lives in the
        // `AsyncFd`, which deregisters it before it is dropped.
        let read = unsafe { AsyncFd::register_with_interest(read, Interest::READABLE)? };
        let forwarded: &[Signal] = if for_cmd { &FORWARDED } else { &[] };
        let heard = HEARD.iter().chain(forwarded).map(|signal| signal.raw());
        let delivery = SignalDelivery::with_pipe(read, write, SignalOnly, heard)?;
        let unheard: &[Signal] = if for_cmd { &[] } else { &FORWARDED };
        swap_mask(
            unheard
                .iter()
                .copied()
                .fold(SignalSet::PIPE, SignalSet::with),
        );
        Ok(Self { delivery })
    }

    /// Waits for signals: each at most once, however often it came, as the kernel itself keeps
    /// them. Cancel-safe: a signal that is not given now is given by the next call. Nothing is read
    /// before there is something: the loop passes by here at every turn.
    pub async fn wait(&mut self) -> Vec<Signal> {
        loop {
            match self.delivery.get_read().readable().await {
                // Cleared before the pipe is emptied: a note that comes in between wakes us once
                // in vain, where the other order would lose it.
                Ok(mut guard) => guard.clear_ready(),
                // The reactor is gone, so we are about to end; never spin.
                Err(_) => return std::future::pending().await,
            }
            let arrived = self.take();
            if !arrived.is_empty() {
                return arrived;
            }
        }
    }

    /// The signals that have come, without waiting.
    pub fn take(&mut self) -> Vec<Signal> {
        self.delivery.pending().filter_map(Signal::new).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_the_kernels() {
        let set = SignalSet::EMPTY.with(Signal::HUP).with(Signal::HALT);
        assert_eq!(set.bits(), 1 | 1 << 36);
        assert!(set.contains(Signal::HALT) && !set.contains(Signal::TERM));
        assert_eq!(
            set.without(Signal::HUP).without(Signal::HALT),
            SignalSet::EMPTY
        );
        let all = (1..=64)
            .filter_map(Signal::new)
            .fold(SignalSet::EMPTY, SignalSet::with);
        assert_eq!(all, SignalSet::ALL);
    }
}
