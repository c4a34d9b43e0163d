//! How a container is described and brought up.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::pty::{Winsize, openpty};

use super::{Container, Log, PIDONE, SOON, eventually, process, watch};

/// What a container has of its own. `--kill-child`: nothing outlives `unshare`.
pub const NAMESPACES: [&str; 8] = [
    "--fork",
    "--kill-child",
    "--pid",
    "--mount",
    "--net",
    "--uts",
    "--ipc",
    "--mount-proc",
];

/// The PATH of Debian's images.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs inside, before the program: `sh -c THIS sh BOX BINARY PROGRAM…`.
const SETUP: &str = r#"set -e
mount --bind "$1" /mnt
mount --bind "$2" /mnt/pidone
mount -t tmpfs -o "mode=1777,$BOX_TMP" tmpfs /tmp
mount -t tmpfs -o "mode=755,$BOX_RUN" tmpfs /run
shift 2
ip link set lo up
hostname box
if [ -n "$BOX_RO" ]; then
    while read -r _ at _; do
        case "$at" in /proc*|/run|/tmp|/dev*) ;; *) mount -o remount,bind,ro "$at" || : ;; esac
    done </proc/mounts 2>/dev/null
fi
if [ -n "$BOX_NO_PROC" ]; then mount -t tmpfs -o ro tmpfs /proc; fi
unset BOX_TMP BOX_RUN BOX_RO BOX_NO_PROC
cd /
"#;

/// What stands at the container's stdout and stderr.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Stdout {
    /// A pipe each.
    #[default]
    Pipes,
    /// One pipe for both.
    OnePipe,
    /// The files `stdout` and `stderr` of the box.
    Files,
    /// A terminal, which is the controlling one of PID 1's session and its stdin too.
    Terminal,
}

/// A container to be.
#[derive(Default)]
pub struct Recipe {
    files: Vec<(String, String, u32)>,
    env: Vec<(String, String)>,
    uid: Option<u32>,
    no_caps: bool,
    read_only: bool,
    no_proc: bool,
    run_unwritable: bool,
    tmp_unwritable: bool,
    stdin_closed: bool,
    below: bool,
    through: String,
    stdout: Stdout,
    cmd: Vec<String>,
    program: Option<Vec<String>>,
}

impl Recipe {
    /// A file of the box.
    pub fn file(mut self, path: &str, text: &str) -> Self {
        self.files.push((path.into(), text.into(), 0o644));
        self
    }

    /// An executable file of the box.
    pub fn script(mut self, path: &str, text: &str) -> Self {
        self.files.push((path.into(), text.into(), 0o755));
        self
    }

    /// A service by its `service.toml`.
    pub fn service(self, name: &str, toml: &str) -> Self {
        self.file(&format!("services/{name}/service.toml"), toml)
    }

    /// A variable of the container's environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// PID 1 runs as this user and group.
    pub fn uid(mut self, uid: u32) -> Self {
        self.uid = Some(uid);
        self
    }

    /// Every capability is dropped.
    pub fn no_caps(mut self) -> Self {
        self.no_caps = true;
        self
    }

    /// The root, and the box, are read-only.
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// There is no /proc.
    pub fn no_proc(mut self) -> Self {
        self.no_proc = true;
        self
    }

    /// Nobody can write to /run.
    pub fn run_unwritable(mut self) -> Self {
        self.run_unwritable = true;
        self
    }

    /// Nobody can write to /tmp.
    pub fn tmp_unwritable(mut self) -> Self {
        self.tmp_unwritable = true;
        self
    }

    /// Descriptor 0 is closed.
    pub fn stdin_closed(mut self) -> Self {
        self.stdin_closed = true;
        self
    }

    /// Something else is PID 1; pidone is its child.
    pub fn below(mut self) -> Self {
        self.below = true;
        self
    }

    /// Words of a command that execs pidone, such as `env --ignore-signal=PIPE` or `prlimit`.
    pub fn through(mut self, words: &str) -> Self {
        self.through = words.into();
        self
    }

    /// What stands at its stdout and stderr.
    pub fn stdout(mut self, stdout: Stdout) -> Self {
        self.stdout = stdout;
        self
    }

    /// What follows `--`: the container's CMD.
    pub fn cmd(mut self, cmd: &[&str]) -> Self {
        self.cmd = cmd.iter().map(ToString::to_string).collect();
        self
    }

    /// This program in place of `pidone init`; it is PID 1.
    pub fn program(mut self, program: &[&str]) -> Self {
        self.program = Some(program.iter().map(ToString::to_string).collect());
        self
    }

    /// Brings it up, and waits until the program stands as PID 1.
    pub fn start(self) -> Container {
        let container = self.launch();
        let wanted = container.name.clone();
        let mut running = container.running;
        // What ends at once may be gone before it was ever seen.
        eventually("PID 1 stands", SOON, || {
            running.pid = container_pid(running.outer, container.depth).unwrap_or(running.pid);
            let name = process::Process::of(running.pid).map(|p| p.name);
            let gone = process::Process::of(running.outer).is_none_or(|p| p.state == 'Z');
            // A script that is to become pidone may have done so already.
            gone || name.is_some_and(|name| name == wanted || name == "pidone")
        });
        running
    }

    /// Brings it up; its setup may still be under way.
    pub fn launch(self) -> Launched {
        let box_dir = self.lay_out();
        let (stdio, out, err) = self.streams(&box_dir);
        let mut command = Command::new("unshare");
        let (inner, below) = (self.inner(), self.below);
        command
            .args(NAMESPACES)
            .args(["--", "sh", "-c", &format!("{SETUP}{inner}"), "sh"])
            .arg(&box_dir)
            .arg(binary())
            .args(self.argv())
            .env_clear()
            .env("PATH", PATH)
            .env("BOX_TMP", if self.tmp_unwritable { "ro" } else { "rw" })
            .env("BOX_RUN", if self.run_unwritable { "ro" } else { "rw" })
            .env("BOX_RO", if self.read_only { "1" } else { "" })
            .env("BOX_NO_PROC", if self.no_proc { "1" } else { "" })
            .envs(self.env.iter().cloned());
        let [zero, one, two] = stdio;
        let child = command
            .stdin(zero)
            .stdout(one)
            .stderr(two)
            .spawn()
            .expect("unshare runs");
        // The command holds copies of the streams; they must not keep a pipe open.
        drop(command);
        let outer = i32::try_from(child.id()).unwrap();
        let depth = if below { 2 } else { 1 };
        let mut pid = outer;
        eventually("the container has a first process", SOON, || {
            pid = container_pid(outer, 1).unwrap_or(pid);
            pid != outer || process::Process::of(outer).is_none_or(|p| p.state == 'Z')
        });
        let program = self.program.as_ref().map_or("pidone", |p| p[0].as_str());
        Launched {
            name: program.rsplit('/').next().unwrap_or("").to_owned(),
            depth,
            running: Container {
                pid,
                out,
                err,
                box_dir,
                outer,
                exited: watch(child),
                ended: None,
                since: Instant::now(),
                uid: self.uid,
                env: self.env,
            },
        }
    }

    /// Makes the box and its files.
    fn lay_out(&self) -> PathBuf {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("box-{}-{number}", std::process::id()));
        fs::create_dir_all(dir.join("services")).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).unwrap();
        fs::write(dir.join("pidone"), "").unwrap();
        for (path, text, mode) in &self.files {
            let path = dir.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
        }
        dir
    }

    /// Descriptors 0, 1 and 2, and who reads them here.
    fn streams(&self, box_dir: &std::path::Path) -> ([Stdio; 3], Log, Log) {
        let pipe = || {
            let (read, write) = std::io::pipe().unwrap();
            (Log::of(OwnedFd::from(read)), OwnedFd::from(write))
        };
        match self.stdout {
            Stdout::Pipes => {
                let ((out, one), (err, two)) = (pipe(), pipe());
                ([Stdio::null(), one.into(), two.into()], out, err)
            }
            Stdout::OnePipe => {
                let (out, one) = pipe();
                let two = one.try_clone().unwrap();
                ([Stdio::null(), one.into(), two.into()], out.clone(), out)
            }
            Stdout::Files => {
                let file = |name| fs::File::create(box_dir.join(name)).unwrap();
                let (one, two) = (file("stdout"), file("stderr"));
                let none = Log::nothing;
                ([Stdio::null(), one.into(), two.into()], none(), none())
            }
            Stdout::Terminal => {
                let size = Winsize {
                    ws_row: 24,
                    ws_col: 80,
                    ws_xpixel: 0,
                    ws_ypixel: 0,
                };
                let pty = openpty(&size, None).unwrap();
                for end in [&pty.master, &pty.slave] {
                    keep(end);
                }
                let copy = || pty.slave.try_clone().unwrap();
                let stdio = [copy().into(), copy().into(), copy().into()];
                let out = Log::of_terminal(pty.master);
                (stdio, out.clone(), out)
            }
        }
    }

    /// The end of the setup script: how the program is called.
    fn inner(&self) -> String {
        let mut words = Vec::new();
        if self.stdout == Stdout::Terminal {
            words.push("setsid --ctty".to_owned());
        }
        if self.uid.is_some() || self.no_caps {
            words.push("setpriv".into());
            if let Some(uid) = self.uid {
                words.push(format!("--reuid {uid} --regid {uid} --clear-groups"));
            }
            if self.no_caps {
                words.push("--inh-caps=-all --bounding-set=-all".into());
            }
        }
        words.push(self.through.clone());
        let call = format!(
            "{} \"$@\"{}",
            words.join(" "),
            if self.stdin_closed { " <&-" } else { "" }
        );
        if self.below {
            // `exit` keeps the shell from becoming the program.
            format!("{call}; exit $?\n")
        } else {
            format!("exec {call}\n")
        }
    }

    fn argv(&self) -> Vec<String> {
        if let Some(program) = &self.program {
            return program.clone();
        }
        let mut argv: Vec<String> = ["/mnt/pidone", "init", "--services", "/mnt/services"]
            .map(String::from)
            .into();
        if !self.cmd.is_empty() {
            argv.push("--".into());
            argv.extend(self.cmd.iter().cloned());
        }
        argv
    }
}

/// The binary under test: that of this build, or what `PIDONE_BINARY` names.
fn binary() -> std::ffi::OsString {
    std::env::var_os("PIDONE_BINARY").unwrap_or_else(|| PIDONE.into())
}

/// Keeps a descriptor from whoever is started.
pub fn keep(fd: &OwnedFd) {
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
}

/// A container whose setup may still be under way.
pub struct Launched {
    /// The container.
    pub running: Container,
    name: String,
    depth: usize,
}

/// The process this many levels below `unshare`.
fn container_pid(outer: i32, depth: usize) -> Option<i32> {
    (0..depth).try_fold(outer, |pid, _| process::children(pid).first().copied())
}
