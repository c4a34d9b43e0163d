//! A container without an engine: the real binary as PID 1 in fresh pid, mount, net, uts and ipc
//! namespaces, with a box of files that both sides see.
//!
//! Inside, `/mnt` is the box: `/mnt/pidone` is the binary, `/mnt/services` the service directories.
//! `/run` and `/tmp` are empty and writable unless the test takes that away.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::struct_excessive_bools,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "each test file uses its part; a test may stop where it stands, and starts processes"
)]

pub mod log;
pub mod process;
pub mod setup;

use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::kill;
use nix::unistd::Pid;

pub use log::Log;
pub use process::Process;
#[allow(unused_imports, reason = "each test file uses its part")]
pub use setup::{Recipe, Stdout};

/// Longer than anything here takes, and short enough to learn of a hang: what a wait that should
/// succeed may take.
pub const SOON: Duration = Duration::from_secs(20);

/// The binary under test.
pub const PIDONE: &str = env!("CARGO_BIN_EXE_pidone");

/// A container to be described.
pub fn container() -> Recipe {
    Recipe::default()
}

/// Says aloud that a test proves nothing here; where everything is required, that is a failure.
pub fn skip(why: &str) {
    // Not `eprintln!`, which the test runner keeps to itself while a test passes.
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
    let required = std::env::var("PIDONE_REQUIRE_ALL").is_ok_and(|v| v == "1");
    assert!(!required, "skipped where everything is required: {why}");
}

/// Whether namespaces can be had; says so if not.
pub fn can_contain() -> bool {
    let tried = Command::new("unshare")
        .args(setup::NAMESPACES)
        .args(["--", "true"])
        .output();
    match tried {
        Ok(done) if done.status.success() => true,
        Ok(done) => {
            let why = String::from_utf8_lossy(&done.stderr);
            skip(&format!("namespaces cannot be had: {}", why.trim()));
            false
        }
        Err(error) => {
            skip(&format!("unshare cannot be run: {error}"));
            false
        }
    }
}

/// Asks until the answer is yes; panics, naming `what`, if it is still no at the deadline.
pub fn eventually(what: &str, within: Duration, mut holds: impl FnMut() -> bool) {
    assert!(poll(within, &mut holds), "not within {within:?}: {what}");
}

/// Asks until the answer is yes or the time is up; the last answer.
pub fn poll(within: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + within;
    loop {
        if holds() {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// How a container is when it has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ended {
    /// Its exit code, or 128 + the signal that ended PID 1.
    pub code: i32,
    /// From its start, or from the last signal sent to PID 1.
    pub after: Duration,
}

/// What a command run in the container gave.
#[derive(Debug)]
pub struct Answer {
    /// Its exit code.
    pub code: i32,
    /// Its stdout.
    pub out: String,
    /// Its stderr.
    pub err: String,
}

/// A running container. Dropping it kills what it started, by pid, and removes its box.
pub struct Container {
    /// PID 1 as this side sees it (or pidone itself, where it is not PID 1).
    pub pid: i32,
    /// What came out of its stdout.
    pub out: Log,
    /// What came out of its stderr; the same as `out` on a terminal.
    pub err: Log,
    /// What both sides see: `/mnt` inside.
    pub box_dir: PathBuf,
    outer: i32,
    exited: Receiver<ExitStatus>,
    ended: Option<Ended>,
    since: Instant,
    uid: Option<u32>,
    env: Vec<(String, String)>,
}

impl Container {
    /// Sends this signal to PID 1, as an engine does.
    pub fn signal(&mut self, number: i32) {
        self.since = Instant::now();
        process::send(self.pid, number).expect("PID 1 is there to be signalled");
    }

    /// Waits for the end.
    pub fn wait(&mut self, within: Duration) -> Ended {
        self.try_wait(within).unwrap_or_else(|| {
            panic!(
                "not ended within {within:?}\nstdout:\n{}\nstderr:\n{}\nleft: {:#?}",
                self.out.text(),
                self.err.text(),
                self.processes()
            )
        })
    }

    /// Waits for the end; `None` if it goes on.
    pub fn try_wait(&mut self, within: Duration) -> Option<Ended> {
        if self.ended.is_none()
            && let Ok(status) = self.exited.recv_timeout(within)
        {
            let after = self.since.elapsed();
            let code = status
                .code()
                .unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
            self.ended = Some(Ended { code, after });
            self.out.finish(SOON);
            self.err.finish(SOON);
        }
        self.ended
    }

    /// Stops it with TERM and checks that it ended well: what most tests end with.
    pub fn stop(&mut self) -> Ended {
        self.signal(libc::SIGTERM);
        let ended = self.wait(SOON);
        assert_eq!(ended.code, 0, "{}", self.err.text());
        ended
    }

    /// Runs a command in the container's namespaces, as its user.
    pub fn run(&self, args: &[&str]) -> Answer {
        let mut command = Command::new("timeout");
        command.args(["-k", "1", "30", "nsenter", "-t"]);
        command
            .arg(self.pid.to_string())
            .args(["-m", "-u", "-i", "-n", "-p"]);
        if let Some(uid) = self.uid {
            command.args(["-S", &uid.to_string(), "-G", &uid.to_string()]);
        }
        let done = command
            .args(["-w/", "--"])
            .args(args)
            .env_clear()
            .env("PATH", setup::PATH)
            .envs(self.env.iter().cloned())
            .stdin(Stdio::null())
            .output()
            .expect("nsenter runs");
        Answer {
            code: done.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&done.stdout).into_owned(),
            err: String::from_utf8_lossy(&done.stderr).into_owned(),
        }
    }

    /// Runs the client inside.
    pub fn pidone(&self, args: &[&str]) -> Answer {
        self.run(&[&["/mnt/pidone"], args].concat())
    }

    /// `pidone status --json`, parsed; once it answers at all.
    pub fn status(&self) -> serde_json::Value {
        let mut answer = self.pidone(&["status", "--json"]);
        poll(SOON, || {
            if answer.code != 0 {
                answer = self.pidone(&["status", "--json"]);
            }
            answer.code == 0
        });
        serde_json::from_str(&answer.out)
            .unwrap_or_else(|error| panic!("status is not JSON: {error}: {answer:?}"))
    }

    /// One service of the status.
    pub fn service(&self, name: &str) -> serde_json::Value {
        let status = self.status();
        let services = status["services"].as_array().cloned().unwrap_or_default();
        services
            .into_iter()
            .find(|service| service["name"] == name)
            .unwrap_or_else(|| panic!("no `{name}` in {status}"))
    }

    /// Waits until a service is in this state (the JSON word).
    pub fn until(&self, name: &str, state: &str) -> serde_json::Value {
        let mut last = serde_json::Value::Null;
        let mut said = String::new();
        let came = poll(SOON, || {
            let answer = self.pidone(&["status", "--json"]);
            let status: serde_json::Value = serde_json::from_str(&answer.out).unwrap_or_default();
            said = format!("{answer:?}");
            last = status["services"]
                .as_array()
                .and_then(|all| all.iter().find(|s| s["name"] == name).cloned())
                .unwrap_or_default();
            last["state"] == state
        });
        assert!(
            came,
            "`{name}` is not {state}: {last}\n{said}\n{}",
            self.err.text()
        );
        last
    }

    /// Every process under PID 1, PID 1 apart.
    pub fn processes(&self) -> Vec<Process> {
        process::descendants(self.pid)
    }

    /// A path of the box, as this side sees it.
    pub fn path(&self, inner: &str) -> PathBuf {
        self.box_dir.join(inner)
    }

    /// Waits until a file of the box is there, whatever it holds.
    pub fn read_sign(&self, inner: &str) {
        let path = self.path(inner);
        let what = format!("{inner} is there\n{}", self.err.text());
        eventually(&what, SOON, || path.exists());
    }

    /// Waits until a file of the box is there and holds a whole line, and gives its content.
    pub fn read(&self, inner: &str) -> String {
        let path = self.path(inner);
        eventually(
            &format!("{inner} is written\n{}", self.err.text()),
            SOON,
            || read(&path).ends_with('\n'),
        );
        read(&path)
    }
}

/// A file's content; nothing if it is not there.
pub fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

impl Drop for Container {
    fn drop(&mut self) {
        if self.ended.is_none() {
            // Killing PID 1 kills its namespace; `unshare` reports its end.
            let _ = kill(Pid::from_raw(self.pid), nix::sys::signal::SIGKILL);
            if self.exited.recv_timeout(SOON).is_err() {
                let _ = kill(Pid::from_raw(self.outer), nix::sys::signal::SIGKILL);
            }
        }
        let _ = fs::remove_dir_all(&self.box_dir);
    }
}

/// Waits for a child on a thread of its own, so that a test can wait with a deadline.
fn watch(mut child: std::process::Child) -> Receiver<ExitStatus> {
    let (tell, exited) = channel();
    std::thread::spawn(move || {
        if let Ok(status) = child.wait() {
            let _ = tell.send(status);
        }
    });
    exited
}
