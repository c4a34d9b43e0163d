//! A role as a process of its own, with a folder of its own.

use std::fs;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::support::{Log, PIDONE, SOON, eventually, process};

/// A folder that goes with the test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    /// A new one. Short, for the path of a socket has 108 bytes.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("roles-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A path in it, as text.
    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A process, killed when it is dropped.
pub(crate) struct Role {
    child: Child,
    /// Its stdin, until it is closed.
    pub(crate) stdin: Option<ChildStdin>,
    /// Its stdout.
    pub(crate) out: Log,
    /// Its stderr.
    pub(crate) err: Log,
}

impl Role {
    /// `pidone ARGS…`.
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut command = Command::new(PIDONE);
        command.args(args);
        Self::of(command)
    }

    /// Any command.
    pub(crate) fn of(mut command: Command) -> Self {
        let (out, one) = std::io::pipe().unwrap();
        let (err, two) = std::io::pipe().unwrap();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(OwnedFd::from(one))
            .stderr(OwnedFd::from(two))
            .spawn()
            .unwrap();
        // The command holds copies of the streams; they must not keep a pipe open.
        drop(command);
        Self {
            stdin: child.stdin.take(),
            child,
            out: Log::of(out.into()),
            err: Log::of(err.into()),
        }
    }

    /// Its pid.
    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Writes to its stdin.
    pub(crate) fn say(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, number: i32) {
        process::send(self.pid(), number).unwrap();
    }

    /// Waits for its end; its exit code.
    pub(crate) fn wait(&mut self) -> i32 {
        let mut status = None;
        eventually("it ends", SOON, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        self.out.finish(SOON);
        self.err.finish(SOON);
        let status = status.unwrap();
        status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
    }

    /// TERM, and its exit code.
    pub(crate) fn stop(&mut self) -> i32 {
        self.signal(libc::SIGTERM);
        self.wait()
    }

    /// Its resident memory, KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let text = process::field(self.pid(), "VmRSS").unwrap_or_default();
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        digits.parse().unwrap_or(0)
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
