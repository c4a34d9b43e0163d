//! A command run to its end while its caller waits: in a group of its own, with a time limit, what
//! it says kept up to a bound. For roles beside PID 1, in a thread that may wait.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{pipe2, read, write};

use crate::os::attempt::{Attempt, Progress};
use crate::os::output::set_nonblocking;
use crate::os::plan::Plan;
use crate::os::reaper::reap_one;
use crate::os::spawner::Spawner;
use crate::os::{clock, kill};
use crate::values::{Exit, Moment, Pid, Signal};

/// How much is kept of what a command says, bytes: Serf keeps as much of a handler's.
pub const OUTPUT_BYTES_MAX: usize = 8 << 10;
/// After SIGKILL a process ends, unless the kernel holds it: then it is left alone.
const KILL_WAIT: Duration = Duration::from_secs(1);
/// How often the child is looked at where it has no descriptor (before Linux 5.3, or forbidden).
const LOOK: Duration = Duration::from_millis(5);

/// How a command ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ending {
    /// By itself.
    Exit(Exit),
    /// It took longer than it may, and its whole group was killed.
    Late,
    /// It was not run: why.
    NotRun(String),
}

/// A command that has ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// How.
    pub ending: Ending,
    /// The first of what it wrote to stdout and stderr.
    pub output: Vec<u8>,
}

/// Runs a command with this environment and input, for at most so long.
pub fn run(
    argv: &[String],
    env: Vec<(OsString, OsString)>,
    input: &[u8],
    timeout: Duration,
) -> Ended {
    let by = clock::now() + timeout;
    let argv = argv.iter().map(OsString::from).collect();
    match Running::start(argv, env) {
        Ok(mut running) => {
            let ending = running.attend(input, by);
            running.take_output();
            Ended {
                ending,
                output: running.output,
            }
        }
        Err(why) => Ended {
            ending: Ending::NotRun(why),
            output: Vec::new(),
        },
    }
}

struct Running {
    pid: Pid,
    attempt: Attempt,
    /// Readable when the process has ended.
    handle: Option<OwnedFd>,
    /// `None`: all was written, or nobody reads it.
    stdin: Option<OwnedFd>,
    written: usize,
    stdout: OwnedFd,
    is_silent: bool,
    output: Vec<u8>,
}

impl Running {
    fn start(argv: Vec<OsString>, env: Vec<(OsString, OsString)>) -> Result<Self, String> {
        let said = |error: io::Error| format!("cannot make a pipe: {error}");
        let (from, stdin) = pipe2(OFlag::O_CLOEXEC).map_err(|errno| said(errno.into()))?;
        let (stdout, into) = pipe2(OFlag::O_CLOEXEC).map_err(|errno| said(errno.into()))?;
        for ours in [&stdin, &stdout] {
            set_nonblocking(ours).map_err(said)?;
        }
        let mut plan = Plan::new(argv, env);
        plan.descriptors = vec![(from.as_fd(), 0), (into.as_fd(), 1), (into.as_fd(), 2)];
        let spawned = Spawner::new(None)
            .spawn(&plan)
            .map_err(|error| error.to_string())?;
        Ok(Self {
            pid: spawned.pid,
            attempt: spawned.attempt,
            handle: handle(spawned.pid),
            stdin: Some(stdin),
            written: 0,
            stdout,
            is_silent: false,
            output: Vec::new(),
        })
    }

    /// Feeds and reads it until it has ended, or the time is over.
    fn attend(&mut self, input: &[u8], by: Moment) -> Ending {
        loop {
            self.feed(input);
            self.take_output();
            if let Some(exit) = reap_one(self.pid) {
                return match self.attempt.progress() {
                    Progress::Failed(error) => Ending::NotRun(error.to_string()),
                    Progress::Executed | Progress::Pending => Ending::Exit(exit),
                };
            }
            let left = by.since(clock::now());
            if left.is_zero() {
                self.kill();
                return Ending::Late;
            }
            self.wait(left);
        }
    }

    fn wait(&self, left: Duration) {
        let mut all = Vec::with_capacity(3);
        if !self.is_silent {
            all.push(PollFd::new(self.stdout.as_fd(), PollFlags::POLLIN));
        }
        if let Some(stdin) = &self.stdin {
            all.push(PollFd::new(stdin.as_fd(), PollFlags::POLLOUT));
        }
        let left = match &self.handle {
            Some(handle) => {
                all.push(PollFd::new(handle.as_fd(), PollFlags::POLLIN));
                left
            }
            None => left.min(LOOK),
        };
        // A millisecond more than none, so that the end of the time is not spun on.
        let ms = u16::try_from(left.as_millis() + 1).unwrap_or(u16::MAX);
        // A signal or a shortage wakes us early, and all is looked at again.
        let _ = poll(&mut all, PollTimeout::from(ms));
    }

    fn feed(&mut self, input: &[u8]) {
        while let Some(stdin) = &self.stdin {
            let rest = input.get(self.written..).unwrap_or_default();
            match write(stdin, rest) {
                Ok(count) if !rest.is_empty() => self.written += count,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                // All is written, or it does not read: both end its input.
                Ok(_) | Err(_) => self.stdin = None,
            }
        }
    }

    /// Reads what is there; what is above the bound is thrown away.
    fn take_output(&mut self) {
        let mut bytes = [0; 4096];
        while !self.is_silent {
            match read(&self.stdout, &mut bytes) {
                Ok(0) => self.is_silent = true,
                Ok(count) => {
                    let room = OUTPUT_BYTES_MAX.saturating_sub(self.output.len());
                    let kept = bytes.get(..count.min(room)).unwrap_or_default();
                    self.output.extend_from_slice(kept);
                    if room == 0 {
                        // Whoever writes without end is not read without end.
                        return;
                    }
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                Err(_) => self.is_silent = true,
            }
        }
    }

    fn kill(&self) {
        // It may have ended just now: then its group may live on, and is what is meant.
        let _ = kill::group(self.pid, Signal::KILL);
        let by = clock::now() + KILL_WAIT;
        while reap_one(self.pid).is_none() && clock::now() < by {
            let mut all: Vec<PollFd<'_>> = Vec::new();
            let handle = self.handle.as_ref();
            all.extend(handle.map(|handle| PollFd::new(handle.as_fd(), PollFlags::POLLIN)));
            let ms = u16::try_from(LOOK.as_millis()).unwrap_or(u16::MAX);
            let _ = poll(&mut all, PollTimeout::from(ms));
        }
    }
}

/// pidfd_open(2), where it is to be had.
fn handle(pid: Pid) -> Option<OwnedFd> {
    // SAFETY: the call takes two numbers and gives a new descriptor (close-on-exec) or an error.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.raw(), 0) };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0)?;
    // SAFETY: the kernel has just made it, and nobody else knows of it.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, input: &[u8], timeout: Duration) -> (Ending, String) {
        let argv = ["sh", "-c", script].map(str::to_owned);
        let env = vec![("PATH".into(), "/usr/bin:/bin".into())];
        let ended = run(&argv, env, input, timeout);
        let output = String::from_utf8_lossy(&ended.output).into_owned();
        (ended.ending, output)
    }

    const LONG: Duration = Duration::from_secs(10);

    #[test]
    fn it_reads_its_input_and_its_words_are_kept() {
        let code = |n| Ending::Exit(Exit::Code(n));
        assert_eq!(
            shell("cat; echo oops >&2; exit 3", b"a\tb\n", LONG),
            (code(3), "a\tb\noops\n".into())
        );
        let (ending, output) = shell("yes | head -c 1000000; wc -c", &vec![b'x'; 200_000], LONG);
        assert_eq!((ending, output.len()), (code(0), OUTPUT_BYTES_MAX));
        // Nobody reads the input.
        assert_eq!(shell("exit 0", &vec![b'x'; 200_000], LONG).0, code(0));
    }

    #[test]
    fn its_whole_group_ends_with_its_time() {
        let before = clock::now();
        let script = "sleep 300 & echo $!; sleep 300";
        let (ending, output) = shell(script, b"", Duration::from_millis(200));
        assert_eq!(ending, Ending::Late);
        assert!(clock::now().since(before) < Duration::from_secs(5));
        let other = Pid::new(output.trim().parse().unwrap()).unwrap();
        let deadline = clock::now() + LONG;
        let mut state = String::new();
        // It was killed with its parent; whoever reaps orphans may take a moment.
        while clock::now() < deadline {
            let path = format!("/proc/{}/stat", other.raw());
            state = std::fs::read_to_string(path).unwrap_or_default();
            if state.is_empty() || state.contains(") Z ") {
                return;
            }
        }
        panic!("it lives: {state}");
    }

    #[test]
    fn a_child_that_lives_on_is_not_waited_for() {
        let before = clock::now();
        let (ending, _) = shell("sleep 5 & exit 0", b"", LONG);
        assert_eq!(ending, Ending::Exit(Exit::Code(0)));
        assert!(clock::now().since(before) < Duration::from_secs(4));
    }

    #[test]
    fn what_is_not_there_is_told() {
        let ended = run(&["/nowhere/at all".into()], Vec::new(), b"", LONG);
        let Ending::NotRun(why) = ended.ending else {
            panic!("{ended:?}");
        };
        assert!(why.contains("/nowhere/at all"), "{why}");
    }
}
