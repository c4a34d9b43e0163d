//! What people, scripts and the kernel do to a container in the soak.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::chance::Chance;
use crate::fleet::{self, KEPT_UP, define};
use crate::support::process::{children, send};

/// What can be done.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Deed {
    Kill,
    Restart,
    StopAndStart,
    Reload,
    Change,
    Add,
    Remove,
    HangUp,
    Status,
    Logs,
    Follow,
    Leave,
    Garbage,
    Client,
    SocketRemoved,
}

/// All of them.
pub(crate) const ALL: [Deed; 15] = [
    Deed::Kill,
    Deed::Restart,
    Deed::StopAndStart,
    Deed::Reload,
    Deed::Change,
    Deed::Add,
    Deed::Remove,
    Deed::HangUp,
    Deed::Status,
    Deed::Logs,
    Deed::Follow,
    Deed::Leave,
    Deed::Garbage,
    Deed::Client,
    Deed::SocketRemoved,
];

/// Between two deeds of a driver.
const PAUSE: Duration = Duration::from_millis(5);

/// Somebody who does one thing after the other.
pub(crate) struct Driver {
    /// PID 1.
    pid: i32,
    /// What both sides see.
    of: PathBuf,
    chance: Chance,
    pub(crate) counts: BTreeMap<Deed, u64>,
    /// A client that follows, and reads nothing.
    follows: Option<UnixStream>,
}

impl Driver {
    pub(crate) fn new(pid: i32, of: &Path, chance: Chance) -> Self {
        Self {
            pid,
            of: of.to_owned(),
            chance,
            counts: BTreeMap::new(),
            follows: None,
        }
    }

    /// Does one thing by chance.
    pub(crate) fn act(&mut self) {
        // The client and its namespaces are slow, and the socket is seldom taken away.
        let deed = match self.chance.below(60) {
            0 => Deed::Client,
            1 => Deed::SocketRemoved,
            _other => self.chance.of(&ALL[..13]),
        };
        self.perform(deed);
        *self.counts.entry(deed).or_default() += 1;
        std::thread::sleep(PAUSE);
    }

    fn perform(&mut self, deed: Deed) {
        let name = self.chance.of(&KEPT_UP);
        match deed {
            Deed::Kill => {
                let all = children(self.pid);
                if !all.is_empty() {
                    let signal = self
                        .chance
                        .of(&[libc::SIGKILL, libc::SIGTERM, libc::SIGSEGV]);
                    let _ = send(self.chance.of(&all), signal);
                }
            }
            Deed::Restart => self.ask(&format!("\"restart\",\"names\":[\"{name}\"]")),
            Deed::StopAndStart => {
                self.ask(&format!("\"stop\",\"names\":[\"{name}\"]"));
                self.ask(&format!("\"start\",\"names\":[\"{name}\"]"));
            }
            Deed::Reload => self.ask(&format!("\"reload\",\"names\":[\"{name}\"]")),
            Deed::Change => {
                let toml = fleet::changed(name, self.chance.below(8));
                if let Some(toml) = toml {
                    define(&self.of, name, &toml);
                }
                self.ask("\"rescan\"");
            }
            Deed::Add => {
                define(&self.of, "extra", "command = [\"sleep\", \"1000\"]\n");
                self.ask("\"rescan\"");
            }
            Deed::Remove => {
                let _ = fs::remove_dir_all(self.of.join("services/extra"));
                self.ask("\"rescan\"");
            }
            Deed::HangUp => send(self.pid, libc::SIGHUP).unwrap(),
            Deed::Status => self.ask("\"status\",\"detail\":true"),
            Deed::Logs => self.ask("\"logs\",\"last\":20"),
            Deed::Follow => {
                let what = self.chance.of(&["logs", "events"]);
                self.follows = self.say(&format!("\"{what}\",\"follow\":true"));
            }
            Deed::Leave => self.follows = None,
            Deed::Garbage => drop(self.say("\u{7}\"}{][")),
            Deed::Client => {
                let word = self.chance.of(&["status", "health", "events", "graph"]);
                let pid = self.pid.to_string();
                let mut command = Command::new("nsenter");
                let args = ["-t", &pid, "-m", "-p", "-n", "-u", "-i", "-w/", "--"];
                let _ = command.args(args).args(["/mnt/pidone", word]).output();
            }
            Deed::SocketRemoved => {
                let path = format!("/proc/{}/root/run/pidone/control.sock", self.pid);
                let _ = fs::remove_file(path);
            }
        }
    }

    /// Asks, and reads the first line of the answer.
    fn ask(&self, request: &str) {
        if let Some(stream) = self.say(request) {
            let mut line = String::new();
            let _ = BufReader::new(stream).read_line(&mut line);
        }
    }

    /// The connection on which this was asked; none while nobody listens, or all seats are taken.
    fn say(&self, request: &str) -> Option<UnixStream> {
        let path = format!("/proc/{}/root/run/pidone/control.sock", self.pid);
        let mut stream = UnixStream::connect(path).ok()?;
        let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
        let message = format!("{{\"version\":1,\"verb\":{request}}}\n");
        stream.write_all(message.as_bytes()).ok()?;
        Some(stream)
    }
}
