//! Who is compared: how each is set up, its command line, and how it is told to stop.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::house::House;

/// A supervisor, or the floor below all of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Peer {
    /// A loop of `posix_spawn` in C.
    Floor,
    Pidone,
    S6,
    Runit,
    Daemontools,
    Supervisord,
    Horust,
    Tini,
    DumbInit,
    Catatonit,
}

/// All, in the order of the tables.
pub(crate) const ALL: [Peer; 10] = [
    Peer::Floor,
    Peer::Pidone,
    Peer::S6,
    Peer::Runit,
    Peer::Daemontools,
    Peer::Supervisord,
    Peer::Horust,
    Peer::Tini,
    Peer::DumbInit,
    Peer::Catatonit,
];

/// Where a service's output goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Output {
    /// As the peer has it in a container when nothing else is said.
    Usual,
    /// The supervisor's own stdout, handed down.
    Inherited,
    /// Through pidone, in this format.
    Format(&'static str),
    /// Through the peer's own means: a logger beside each service, or a copy.
    Logged,
}

/// Services to be written down: each runs the same helper's program.
pub(crate) struct Fleet<'a> {
    pub(crate) count: usize,
    pub(crate) program: &'a str,
    /// The program's arguments; `%` is the service's number, in two digits.
    pub(crate) arguments: &'a [&'a str],
    pub(crate) output: Output,
}

impl<'a> Fleet<'a> {
    /// So many services of a program without arguments.
    pub(crate) fn of(count: usize, program: &'a str) -> Self {
        Self {
            count,
            program,
            arguments: &[],
            output: Output::Usual,
        }
    }

    fn words(&self, house: &House, number: usize) -> Vec<String> {
        let arguments = self.arguments.iter();
        std::iter::once(house.program(self.program))
            .chain(arguments.map(|word| word.replace('%', &format!("{number:02}"))))
            .collect()
    }
}

impl Peer {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Floor => "bare loop",
            Self::Pidone => "pidone",
            Self::S6 => "s6",
            Self::Runit => "runit",
            Self::Daemontools => "daemontools",
            Self::Supervisord => "supervisord",
            Self::Horust => "horust",
            Self::Tini => "tini",
            Self::DumbInit => "dumb-init",
            Self::Catatonit => "catatonit",
        }
    }

    /// The program that is started.
    pub(crate) fn command(self) -> &'static str {
        match self {
            Self::Floor => "cc",
            Self::Pidone => "pidone",
            Self::S6 => "s6-svscan",
            Self::Runit => "runsvdir",
            Self::Daemontools => "svscan",
            Self::Supervisord => "supervisord",
            Self::Horust => "horust",
            Self::Tini => "tini",
            Self::DumbInit => "dumb-init",
            Self::Catatonit => "catatonit",
        }
    }

    /// Debian's packages of it; none where it does not come from there.
    pub(crate) fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Floor | Self::Pidone | Self::Horust => &[],
            Self::S6 => &["s6"],
            Self::Runit => &["runit"],
            Self::Daemontools => &["daemontools"],
            Self::Supervisord => &["supervisor"],
            Self::Tini => &["tini"],
            Self::DumbInit => &["dumb-init"],
            Self::Catatonit => &["catatonit"],
        }
    }

    /// Whether it runs more than one service, and restarts them.
    pub(crate) fn supervises(self) -> bool {
        match self {
            Self::Pidone
            | Self::S6
            | Self::Runit
            | Self::Daemontools
            | Self::Supervisord
            | Self::Horust => true,
            Self::Floor | Self::Tini | Self::DumbInit | Self::Catatonit => false,
        }
    }

    /// What tells it to stop with all its services.
    pub(crate) fn stop_signal(self) -> Option<Signal> {
        match self {
            Self::Pidone
            | Self::S6
            | Self::Supervisord
            | Self::Horust
            | Self::Tini
            | Self::DumbInit
            | Self::Catatonit => Some(Signal::SIGTERM),
            // It sends TERM to each `runsv`, and does not wait for them.
            Self::Runit => Some(Signal::SIGHUP),
            // As PID 1 it has no handler for any signal.
            Self::Floor | Self::Daemontools => None,
        }
    }

    /// How it is called to run these services, of which it finds definitions in `dir`; none if it
    /// cannot.
    pub(crate) fn set_up(self, house: &House, dir: &Path, fleet: &Fleet) -> Option<Vec<String>> {
        let one = fleet.words(house, 0);
        let path = dir.display().to_string();
        let call = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let command: Vec<String> = match self {
            Self::Floor => {
                let count = fleet.count.to_string();
                [vec![house.program("spawn_loop"), count], one].concat()
            }
            Self::Pidone => {
                pidone(house, dir, fleet);
                let binary = house.pidone.display().to_string();
                call(&[&binary, "init", "--services", &path])
            }
            Self::S6 => {
                run_scripts(house, dir, fleet);
                call(&["s6-svscan", "-c", "4096", &path])
            }
            Self::Runit => {
                run_scripts(house, dir, fleet);
                call(&["runsvdir", &path])
            }
            Self::Daemontools => {
                run_scripts(house, dir, fleet);
                call(&["svscan", &path])
            }
            Self::Supervisord => {
                supervisord(house, dir, fleet);
                let file = format!("{path}/supervisord.conf");
                call(&["supervisord", "-n", "-s", "-c", &file])
            }
            Self::Horust => {
                horust(house, dir, fleet);
                call(&["horust", "--services-path", &path])
            }
            Self::Tini | Self::DumbInit | Self::Catatonit if fleet.count > 1 => return None,
            Self::Tini | Self::DumbInit | Self::Catatonit => {
                [call(&[self.command(), "--"]), one].concat()
            }
        };
        Some(command)
    }

    /// Its version, or why it is not there.
    pub(crate) fn version(self, house: &House) -> Result<String, String> {
        let said = match self {
            Self::Floor => return Ok("posix_spawn in C".into()),
            Self::Pidone => said(&house.pidone.display().to_string(), &["--version"]),
            Self::Horust => said("horust", &["--help"]).map(|_| horust_version()),
            Self::S6
            | Self::Runit
            | Self::Daemontools
            | Self::Supervisord
            | Self::Tini
            | Self::DumbInit
            | Self::Catatonit => said("which", &[self.command()])
                .filter(|path| !path.is_empty())
                .and_then(|_| {
                    let format = ["-W", "-f=${Version}", self.packages()[0]];
                    said("dpkg-query", &format).map(|version| format!("Debian {version}"))
                }),
        };
        said.ok_or_else(|| format!("`{}` is not installed", self.command()))
    }
}

/// It does not tell its version itself.
fn horust_version() -> String {
    let done = Command::new("cargo").args(["install", "--list"]).output();
    let text = done.map_or_else(|_| Vec::new(), |done| done.stdout);
    let text = String::from_utf8_lossy(&text);
    let found = text.lines().find_map(|line| line.strip_prefix("horust v"));
    found.map_or_else(
        || "not installed by cargo".into(),
        |version| version.trim_end_matches(':').to_owned(),
    )
}

/// The first line that a command prints; none if it cannot be executed.
pub(crate) fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let done = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    Some(text.lines().next().unwrap_or("").trim().to_owned())
}

fn pidone(house: &House, dir: &Path, fleet: &Fleet) {
    let format = match fleet.output {
        Output::Usual | Output::Logged => None,
        Output::Inherited => Some("inherit"),
        Output::Format(format) => Some(format),
    };
    for number in 0..fleet.count {
        let service = dir.join(format!("s{number}"));
        fs::create_dir_all(&service).expect("a directory");
        let mut text = format!("command = {:?}\n", fleet.words(house, number));
        if let Some(format) = format {
            let _ = writeln!(text, "[log]\nformat = \"{format}\"");
        }
        fs::write(service.join("service.toml"), text).expect("a file");
    }
}

/// `s6`, `runit` and `daemontools`: an executable `run` in a directory, and `log/run` beside it.
fn run_scripts(house: &House, dir: &Path, fleet: &Fleet) {
    for number in 0..fleet.count {
        let service = dir.join(format!("s{number}"));
        fs::create_dir_all(&service).expect("a directory");
        if fleet.arguments.is_empty() {
            // No shell in between, for the least that each can do.
            symlink(house.program(fleet.program), service.join("run")).expect("a link");
        } else {
            let line = fleet.words(house, number).join(" ");
            script(&service.join("run"), &line);
        }
        if fleet.output == Output::Logged {
            fs::create_dir_all(service.join("log")).expect("a directory");
            script(&service.join("log/run"), "s6-log 1");
        }
    }
}

fn script(path: &Path, line: &str) {
    fs::write(path, format!("#!/bin/sh\nexec {line}\n")).expect("a file");
    fs::set_permissions(path, Permissions::from_mode(0o755)).expect("a file of ours");
}

fn supervisord(house: &House, dir: &Path, fleet: &Fleet) {
    // Each service needs descriptors; the default is 1024.
    let descriptors = if fleet.count > 300 { 8192 } else { 1024 };
    let mut text = format!(
        "[supervisord]\nnodaemon = true\nuser = root\nlogfile = /dev/null\nlogfile_maxbytes = 0\n\
         pidfile = {}/pid\nminfds = {descriptors}\n",
        dir.display()
    );
    for number in 0..fleet.count {
        let _ = writeln!(
            text,
            "[program:s{number}]\ncommand = {}\nautorestart = true\nredirect_stderr = true\n\
             stdout_logfile = /dev/fd/1\nstdout_logfile_maxbytes = 0",
            fleet.words(house, number).join(" ")
        );
    }
    fs::write(dir.join("supervisord.conf"), text).expect("a file");
}

fn horust(house: &House, dir: &Path, fleet: &Fleet) {
    for number in 0..fleet.count {
        let text = format!(
            "command = \"{}\"\n[restart]\nstrategy = \"always\"\n[environment]\nkeep-env = true\n",
            fleet.words(house, number).join(" ")
        );
        fs::write(dir.join(format!("s{number}.toml")), text).expect("a file");
    }
}
