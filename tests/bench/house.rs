//! Where everything runs: a directory with the helpers' programs, and supervisors as PID 1 of
//! fresh namespaces, each gone with its value.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::processes::{self, Stamp};

/// How long anything may take that is not itself measured.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Who has slept for so long is idle.
const QUIET: Duration = Duration::from_millis(1500);

/// How often a condition is looked at.
const NAP: Duration = Duration::from_millis(2);

/// The helpers' programs: the name, its source, and what it is built with.
const PROGRAMS: [(&str, &str, &[&str]); 10] = [
    ("accept", "accept.c", &[]),
    ("brief", "stamp.c", &["-DBRIEF"]),
    ("copy", "copy.c", &[]),
    ("drain", "drain.c", &[]),
    ("flood", "flood.c", &[]),
    ("launch", "launch.c", &[]),
    ("orphans", "orphans.c", &[]),
    ("spawn_loop", "spawn_loop.c", &[]),
    ("stamp", "stamp.c", &[]),
    ("stubborn", "stamp.c", &["-DSTUBBORN"]),
];

/// What a namespace runs first: `/run` of its own, then perhaps a wait until somebody looks on.
const ENTRY: &str = "mount -t tmpfs tmpfs /run || exit 1
    [ -z \"$GATE\" ] || read -r go <\"$GATE\" || exit 1
    unset GATE
    exec \"$@\"";

/// Waits until `condition` gives something; `None` after `within`.
pub(crate) fn until<T>(within: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let by = Instant::now() + within;
    loop {
        let found = condition();
        if found.is_some() || Instant::now() > by {
            return found;
        }
        sleep(NAP);
    }
}

/// The directory of one run of the benchmark.
pub(crate) struct House {
    pub(crate) dir: PathBuf,
    pub(crate) pidone: PathBuf,
    serial: std::cell::Cell<usize>,
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl House {
    /// Builds the helpers' programs.
    pub(crate) fn new(pidone: PathBuf) -> Self {
        let dir = std::env::temp_dir().join(format!("pidone-bench-{}", std::process::id()));
        fs::create_dir_all(dir.join("bin")).expect("a directory");
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/programs");
        for (name, source, options) in PROGRAMS {
            let made = Command::new("cc")
                .args(["-O2", "-static", "-o"])
                .arg(dir.join("bin").join(name))
                .args(options)
                .arg(sources.join(source))
                .status();
            assert!(made.is_ok_and(|code| code.success()), "cc {source}");
        }
        let serial = std::cell::Cell::new(0);
        Self {
            dir,
            pidone,
            serial,
        }
    }

    /// The path of a helper's program.
    pub(crate) fn program(&self, name: &str) -> String {
        self.dir.join("bin").join(name).display().to_string()
    }

    /// A directory that was not there before.
    pub(crate) fn fresh_dir(&self) -> PathBuf {
        self.serial.set(self.serial.get() + 1);
        let dir = self.dir.join(self.serial.get().to_string());
        fs::create_dir_all(&dir).expect("a directory");
        dir
    }

    /// Starts this as PID 1 of a fresh pid namespace.
    pub(crate) fn up(&self, command: &[String]) -> Running {
        self.up_with(command, Stdio::null(), false)
    }

    /// The same with its output elsewhere; behind a gate it waits for [`Running::open`].
    pub(crate) fn up_with(&self, command: &[String], out: Stdio, gated: bool) -> Running {
        let dir = self.fresh_dir();
        let stamps = dir.join("stamps");
        File::create(&stamps).expect("a file");
        let gate = dir.join("gate");
        if gated {
            nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU).expect("a fifo");
        }
        let errors = dir.join("stderr");
        let mut outer = Command::new("unshare");
        outer
            .args([
                "--fork",
                "--kill-child",
                "--pid",
                "--mount",
                "--mount-proc",
                "--",
            ])
            .args(["sh", "-c", ENTRY, "sh"])
            .args(command)
            .env("STAMP", &stamps)
            .env("GATE", if gated { gate.as_os_str() } else { "".as_ref() })
            .env("PIDONE_SOCKET", dir.join("socket"))
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(File::create(&errors).expect("a file"));
        let outer = outer.spawn().expect("unshare");
        let outside = i32::try_from(outer.id()).expect("a pid");
        let pid1 = until(PATIENCE, || processes::children(outside).first().copied());
        let pid1 = pid1.expect("unshare has a child");
        Running {
            outer,
            pid1,
            ended: processes::handle(pid1),
            dir,
        }
    }
}

/// A supervisor as PID 1 of its namespace.
pub(crate) struct Running {
    outer: Child,
    /// Its pid outside.
    pub(crate) pid1: i32,
    ended: OwnedFd,
    /// Its directory: stamps, stderr, the gate, pidone's socket.
    pub(crate) dir: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = processes::signal(&self.ended, Signal::SIGKILL);
        let _ = self.outer.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Running {
    /// Lets who waits behind the gate go on.
    pub(crate) fn open(&self) {
        let gate = OpenOptions::new().write(true).open(self.dir.join("gate"));
        gate.and_then(|mut gate| gate.write_all(b"go\n"))
            .expect("somebody waits at the gate");
    }

    /// What services have stamped so far.
    pub(crate) fn stamps(&self) -> Vec<Stamp> {
        processes::stamps(&self.dir.join("stamps"))
    }

    /// Waits for so many stamps; false if they do not come in time, or if PID 1 ends.
    pub(crate) fn stamped(&self, count: usize, within: Duration) -> bool {
        let stamps = self.dir.join("stamps");
        let lines = || processes::lines(&stamps) >= count;
        let done = until(within, || {
            (lines() || self.has_ended(Duration::ZERO)).then_some(())
        });
        done.is_some() && lines()
    }

    /// Whether PID 1 has ended, or does in so long.
    pub(crate) fn has_ended(&self, within: Duration) -> bool {
        let mut polled = [PollFd::new(self.ended.as_fd(), PollFlags::POLLIN)];
        let millis = u16::try_from(within.as_millis()).unwrap_or(u16::MAX);
        loop {
            match poll(&mut polled, millis) {
                Ok(count) => return count > 0,
                Err(Errno::EINTR) => {}
                Err(error) => panic!("poll: {error}"),
            }
        }
    }

    /// The milliseconds from this signal to the end of PID 1 and all of its namespace.
    pub(crate) fn stop(&self, signal: Signal, within: Duration) -> Option<f64> {
        let began = Instant::now();
        processes::signal(&self.ended, signal).ok()?;
        self.has_ended(within)
            .then(|| began.elapsed().as_secs_f64() * 1e3)
    }

    /// Waits until the supervisors have slept for a while; those that wake up all the time are
    /// waited for twice as long. pidone gives back what its boot needed a second after it.
    pub(crate) fn settle(&self, programs: &Path) -> Vec<i32> {
        let supervisors = processes::supervisors(self.pid1, programs);
        let mut seen = (processes::switches(&supervisors), Instant::now());
        until(QUIET * 2, || {
            let now = processes::switches(&supervisors);
            if now != seen.0 {
                seen = (now, Instant::now());
            }
            (seen.1.elapsed() > QUIET).then_some(())
        });
        supervisors
    }

    /// What it said on stderr, its last lines.
    pub(crate) fn errors(&self) -> String {
        let text = fs::read(self.dir.join("stderr")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(3)..].join("\n")
    }
}

/// A signal to a process of a namespace, by its pid outside.
pub(crate) fn strike(pid: i32) {
    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
}

/// A pipe whose ends this process closes when they are dropped.
pub(crate) fn pipe() -> (OwnedFd, OwnedFd) {
    nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).expect("a pipe")
}

/// A descriptor that the kernel has just given to us.
pub(crate) fn owned(fd: i64) -> Option<OwnedFd> {
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0)?;
    // SAFETY: the kernel made it for this call, and nobody else knows its number.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}
