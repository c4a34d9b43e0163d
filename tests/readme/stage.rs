//! Where the page is played: its definitions in a directory of their own, and a pidone that
//! supervises them as a subreaper, on a socket of its own.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::page::of;

/// The binary under test.
pub(crate) const PIDONE: &str = env!("CARGO_BIN_EXE_pidone");
/// Longer than anything here takes.
const SOON: Duration = Duration::from_secs(20);

/// The page's `node`: it migrates, or listens and ends when it is asked to.
const NODE: &str = r#"#!/usr/bin/perl
use IO::Socket::INET;
$| = 1;
if ($ARGV[0] =~ /migrate/) { print "the schema is at version 7\n"; exit 0 }
$SIG{INT} = sub { exit 0 };
my $door = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => $ENV{STAGE_PORT},
    Listen => 5, ReuseAddr => 1) or die "cannot listen: $!";
print "app listens on port 3000\n";
while (1) {
    my $guest = $door->accept or next;
    print $guest "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n";
    close $guest;
}
"#;

/// What a command gave.
pub(crate) struct Done {
    /// Its exit code.
    pub(crate) code: i32,
    /// Its stdout.
    pub(crate) out: String,
    /// Its stderr.
    pub(crate) err: String,
}

impl Done {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// A directory of definitions, and perhaps a pidone that runs them. Both go with it.
pub(crate) struct Stage {
    /// It holds `services.d`.
    pub(crate) dir: Dir,
    port: u16,
    running: Option<Child>,
}

impl Stage {
    /// Lays out the page's definitions, each changed like this. `name` is the test's own.
    pub(crate) fn new(name: &str, change: impl Fn(String) -> String) -> Self {
        let dir = fresh_dir(name);
        for block in of("toml") {
            let (first, _) = block.text.split_once('\n').unwrap();
            let path = dir.join(first.strip_prefix("# ").expect("the path of the file"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, change(block.text.clone())).unwrap();
        }
        fs::create_dir(dir.join("bin")).unwrap();
        let node = dir.join("bin/node");
        fs::write(&node, NODE).unwrap();
        fs::set_permissions(node, fs::Permissions::from_mode(0o755)).unwrap();
        let port = free_port();
        Self {
            dir,
            port,
            running: None,
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(PIDONE);
        let path = std::env::var("PATH").unwrap();
        command
            .current_dir(&*self.dir)
            .env("PATH", format!("{}/bin:{path}", self.dir.display()))
            .env("STAGE_PORT", self.port.to_string())
            .env("PIDONE_SOCKET", self.dir.join("socket"))
            .stdin(Stdio::null());
        command
    }

    /// Runs pidone to its end.
    pub(crate) fn pidone(&self, args: &[&str]) -> Done {
        self.pidone_with(&[], args)
    }

    /// The same, with variables.
    pub(crate) fn pidone_with(&self, env: &[(&str, &str)], args: &[&str]) -> Done {
        let mut command = self.command();
        Done::of(
            command
                .envs(env.iter().copied())
                .args(args)
                .output()
                .unwrap(),
        )
    }

    /// Starts the services. Their port is not the page's, nor is their user without root.
    pub(crate) fn boot(&mut self) {
        let file = self.dir.join("services.d/web/service.toml");
        let text = fs::read_to_string(&file).unwrap();
        let text = text.replace(":3000", &format!(":{}", self.port));
        let text = if nix::unistd::geteuid().is_root() {
            text
        } else {
            text.replace("user = \"www-data\"\n", "")
        };
        fs::write(file, text).unwrap();
        let log = fs::File::create(self.dir.join("log")).unwrap();
        let mut command = self.command();
        command.args(["init", "--services", "services.d"]);
        command.stdout(log.try_clone().unwrap()).stderr(log);
        self.running = Some(command.spawn().unwrap());
    }

    /// Waits until `pidone status` shows this.
    pub(crate) fn until(&self, wanted: &str) {
        self.wait(wanted, |status| status.contains(wanted));
    }

    /// Waits until `web` is there again.
    pub(crate) fn until_restarted(&self) {
        self.wait("a restarted web", |status| {
            let row = status.lines().find(|line| line.starts_with("web "));
            row.is_some_and(|row| row.contains(" ready ") && row.ends_with(" 1"))
        });
    }

    fn wait(&self, what: &str, holds: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + SOON;
        loop {
            let done = self.pidone(&["status"]);
            if holds(&done.out) {
                return;
            }
            let seen = format!("{}{}{}", done.out, done.err, self.log());
            assert!(Instant::now() < deadline, "not seen: {what}\n{seen}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends a signal to the service.
    pub(crate) fn signal(&self, signal: &str) {
        let done = self.pidone(&["signal", signal, "web"]);
        assert_eq!(done.code, 0, "{}", done.err);
    }

    fn log(&self) -> String {
        let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        log.replace(&*self.dir.to_string_lossy(), "/etc")
    }

    /// As `docker stop` does it: TERM, and the end. Gives the exit code, and all that was written.
    pub(crate) fn stop(&mut self) -> (i32, String) {
        let mut pidone = self.running.take().expect("it runs");
        send_term(&pidone);
        let code = end(&mut pidone);
        (code, self.log())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(mut pidone) = self.running.take() {
            send_term(&pidone);
            let _ = pidone.wait();
        }
    }
}

fn send_term(child: &Child) {
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    let _ = nix::sys::signal::kill(pid, nix::sys::signal::SIGTERM);
}

/// The exit code, within the time that an engine gives.
fn end(child: &mut Child) -> i32 {
    let deadline = Instant::now() + SOON;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap_or(-1);
        }
        assert!(Instant::now() < deadline, "it does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A directory that goes when its test does.
pub(crate) struct Dir(PathBuf);

impl std::ops::Deref for Dir {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An empty directory that other users may enter.
pub(crate) fn fresh_dir(name: &str) -> Dir {
    let dir = std::env::temp_dir().join(format!("pidone-readme-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
    Dir(dir)
}

fn free_port() -> u16 {
    let door = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    door.local_addr().unwrap().port()
}

/// Runs pidone in this directory.
pub(crate) fn in_dir(dir: &Path, args: &[&str]) -> Done {
    let mut command = Command::new(PIDONE);
    Done::of(command.current_dir(dir).args(args).output().unwrap())
}

/// Runs a program.
pub(crate) fn run(program: &str, args: &[&str]) -> Done {
    let done = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output();
    Done::of(done.unwrap_or_else(|error| panic!("{program}: {error}")))
}

/// Runs lines of a shell, each of which must succeed.
pub(crate) fn shell(script: &str, socket: &Path) -> Done {
    let mut shell = Command::new("sh");
    shell.args(["-e", "-s"]).env("PIDONE_SOCKET", socket);
    shell
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut shell = shell.spawn().unwrap();
    shell
        .stdin
        .take()
        .unwrap()
        .write_all(script.as_bytes())
        .unwrap();
    Done::of(shell.wait_with_output().unwrap())
}

/// `pidone [VERB] --help`.
pub(crate) fn help(verb: &[&str]) -> String {
    let done = run(PIDONE, &[verb, &["--help"]].concat());
    assert_eq!(done.code, 0, "{verb:?} --help: {}", done.err);
    done.out
}

/// A screen without what differs from run to run: durations, process numbers, widths of columns,
/// and that a test's pidone is not PID 1.
pub(crate) fn shape(screen: &str) -> String {
    let mut shape = String::new();
    for line in screen.replace(", as a subreaper", "").lines() {
        let words = line.split_whitespace().collect::<Vec<_>>();
        let mut after_pid = false;
        for (at, word) in words.iter().enumerate() {
            let (bare, comma) = match word.strip_suffix(',') {
                Some(bare) => (bare, ","),
                None => (*word, ""),
            };
            let is_number = bare.parse::<u32>().is_ok();
            // The column of PIDs is the third.
            let is_pid = is_number && (after_pid || at == 2 && words.len() == 5);
            let plain = if is_pid {
                "PID"
            } else if is_span(bare) {
                "SPAN"
            } else {
                bare
            };
            after_pid = bare == "pid";
            shape += [if at == 0 { "" } else { " " }, plain, comma]
                .concat()
                .as_str();
        }
        shape.push('\n');
    }
    shape
}

/// `7ms`, `0.3s`, `12s`, `5m`; but not `9s`, the promise of a stop.
fn is_span(word: &str) -> bool {
    let number = word.trim_end_matches(['m', 's']);
    number.len() < word.len() && word != "9s" && number.parse::<f32>().is_ok()
}
