//! The desk beside PID 1 under strain: killed, flooded, shut out; its stand-ins; `s6-rc`, `halt`.
//! The service directories are those of a plain `s6-svscan`, the clients Debian's own.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::side::{Folder, Tools};
use crate::support::{PIDONE, SOON, eventually};

/// A directory that is served, and ends with the test.
struct Scan {
    folder: Folder,
    supervisor: Child,
}

impl Scan {
    /// Serves these services, each by this line of shell, as `s6-svscan`.
    fn new(services: &[(&str, &str)]) -> Self {
        let folder = Folder::new();
        for (name, line) in services {
            make(&folder.0.join("d").join(name), line);
        }
        let link = folder.0.join("s6-svscan");
        symlink(PIDONE, &link).unwrap();
        let mut command = Command::new(link);
        command.arg("d");
        Self::start(folder, command)
    }

    fn start(folder: Folder, mut command: Command) -> Self {
        let said = fs::File::create(folder.0.join("said")).unwrap();
        let supervisor = command
            .current_dir(&folder.0)
            .env("PIDONE_SOCKET", folder.0.join("socket"))
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .spawn()
            .unwrap();
        Self { folder, supervisor }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.0.join(name)
    }

    fn said(&self) -> String {
        fs::read_to_string(self.path("said")).unwrap()
    }

    /// Runs a program here; its code and what it printed.
    fn run(&self, words: &[&str]) -> (i32, String) {
        let done = Command::new(words[0])
            .args(&words[1..])
            .current_dir(&self.folder.0)
            .env("PIDONE_SOCKET", self.path("socket"))
            .output()
            .unwrap();
        let text = [done.stdout, done.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        (done.status.code().unwrap_or(-1), text)
    }

    fn is(&self, service: &str, fields: &str) -> String {
        let dir = format!("d/{service}");
        let (_, text) = self.run(&["/usr/bin/s6-svstat", "-o", fields, &dir]);
        text.trim().to_owned()
    }

    fn until_up(&self, service: &str) {
        let what = format!("{service} is up");
        eventually(&what, SOON, || self.is(service, "up") == "true");
    }

    /// The pid of the one service `s6-svscan`.
    fn desk(&self) -> i32 {
        let (_, text) = self.run(&[PIDONE, "status", "-o", "pid", "s6-svscan"]);
        text.trim().parse().unwrap_or(0)
    }
}

impl Drop for Scan {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.supervisor.id().cast_signed());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.supervisor.wait();
    }
}

fn make(dir: &Path, line: &str) {
    fs::create_dir_all(dir).unwrap();
    let run = dir.join("run");
    fs::write(&run, format!("#!/bin/sh\n{line}\n")).unwrap();
    fs::set_permissions(run, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_desk_that_is_killed_comes_back_and_nobody_else_notices() {
    if !Tools::Skarnet.are_there() {
        return;
    }
    let scan = Scan::new(&[("a", "exec sleep 60"), ("b", "exec sleep 60")]);
    scan.until_up("a");
    scan.until_up("b");
    scan.run(&["/usr/bin/s6-svc", "-O", "d/b"]);
    eventually("b is not wanted", SOON, || {
        scan.is("b", "wantedup") == "false"
    });
    let before = (
        scan.is("a", "pid,updownsince"),
        scan.is("b", "pid,wantedup"),
    );
    let desk = scan.desk();
    assert!(desk > 1);
    scan.run(&["kill", "-9", &desk.to_string()]);
    eventually("another desk", SOON, || ![0, desk].contains(&scan.desk()));
    scan.until_up("b");
    let after = (
        scan.is("a", "pid,updownsince"),
        scan.is("b", "pid,wantedup"),
    );
    assert_eq!(before, after);
    let (code, text) = scan.run(&["timeout", "10", "/usr/bin/s6-svc", "-wD", "-d", "d/a"]);
    assert_eq!((code, text.as_str()), (0, ""));
    assert_eq!(scan.is("a", "up,signal"), "false SIGTERM");
}

#[test]
fn a_flood_of_letters_and_of_rubbish_holds_up_nobody() {
    if !Tools::Skarnet.are_there() {
        return;
    }
    let scan = Scan::new(&[("a", "exec sleep 60"), ("b", "exec sleep 60")]);
    scan.until_up("a");
    scan.until_up("b");
    let pids = (scan.is("a", "pid"), scan.is("b", "pid"));
    let control = scan.path("d/a/supervise/control");
    fs::write(&control, "u".repeat(1000)).unwrap();
    fs::write(&control, "uO".repeat(500)).unwrap();
    fs::write(&control, [0xff, 0, b'\n', b'Z', b'z'].repeat(5000)).unwrap();
    let (code, _) = scan.run(&["timeout", "10", "/usr/bin/s6-svc", "-wD", "-d", "d/b"]);
    assert_eq!(code, 0);
    assert_eq!(scan.is("a", "pid"), pids.0);
    // Every letter of the flood has been read once this is answered.
    let (code, _) = scan.run(&["timeout", "10", "/usr/bin/s6-svc", "-wd", "-d", "d/a"]);
    assert_eq!(code, 0);
}

#[test]
fn a_directory_that_is_taken_away_is_left_alone() {
    if !Tools::Skarnet.are_there() {
        return;
    }
    let scan = Scan::new(&[("a", "exec sleep 60"), ("b", "exec sleep 60")]);
    scan.until_up("a");
    scan.until_up("b");
    let pid = scan.is("a", "pid");
    fs::remove_dir_all(scan.path("d/b")).unwrap();
    scan.run(&["/usr/bin/s6-svscanctl", "-an", "d"]);
    let names = || scan.run(&[PIDONE, "status", "-o", "name"]).1;
    eventually("b is gone", SOON, || !names().contains('b'));
    assert_eq!(scan.is("a", "up,pid"), format!("true {pid}"));
}

#[test]
fn a_directory_that_cannot_be_written_to_is_told_once() {
    if !Tools::Skarnet.are_there() {
        return;
    }
    let folder = Folder::new();
    for name in ["a", "b", "c"] {
        make(&folder.0.join("d").join(name), "exec sleep 60");
    }
    let script =
        format!("mount --bind d d && mount -o remount,bind,ro d && exec {PIDONE} s6 s6-svscan d");
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", &script]);
    if !crate::support::can_contain() {
        return;
    }
    let scan = Scan::start(folder, command);
    let up = || {
        scan.run(&[PIDONE, "status", "-o", "state", "a", "b", "c"])
            .1
    };
    eventually("all run", SOON, || up() == "ready\nready\nready\n");
    eventually("it is told", SOON, || scan.said().contains("read-only"));
    let said = scan.said();
    assert_eq!(said.matches("read-only file system").count(), 1, "{said}");
}

#[test]
fn each_service_has_its_stand_in() {
    if !Tools::Skarnet.are_there() {
        return;
    }
    let folder = Folder::new();
    make(&folder.0.join("d/svc-nginx"), "exec sleep 60");
    let dir = folder.0.join("d").display().to_string();
    let desk = folder.0.join("d/s6-svscan");
    fs::create_dir_all(&desk).unwrap();
    let asks =
        r#"["status", "events", "start:*", "stop:*", "once:*", "signal:*", "rescan", "shutdown"]"#;
    let text = format!(
        "command = [\"{PIDONE}\", \"s6\", \"desk\", \"--stand-ins\", \"{dir}\"]\ncontrol = {asks}\n"
    );
    fs::write(desk.join("service.toml"), text).unwrap();
    let mut command = Command::new(PIDONE);
    command.args(["init", "--services", "d"]);
    let scan = Scan::start(folder, command);
    scan.until_up("svc-nginx");
    // Of other tests' as well: ours is a child of our desk.
    let found = || {
        let desk = scan.desk().to_string();
        scan.run(&["pgrep", "-P", &desk, "-f", "s6-supervise svc-nginx"])
            .1
    };
    eventually("a stand-in", SOON, || !found().is_empty());
    let pid = found().trim().to_owned();
    let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
    assert_eq!(comm, "s6-supervise\n");
    let links = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    assert_eq!(links.count(), 0, "it holds nothing open");
    scan.run(&["kill", &pid]);
    eventually("another", SOON, || !["", &pid].contains(&found().trim()));
    let last = found().trim().to_owned();
    scan.run(&["kill", "-9", &scan.desk().to_string()]);
    let path = format!("/proc/{last}");
    eventually("it ends with its desk", SOON, || !Path::new(&path).exists());
}

#[test]
fn s6_rc_lists_and_changes() {
    if !Tools::Skarnet.are_there() {
        return;
    }
    let scan = Scan::new(&[("db", "exec sleep 60"), ("web", "exec sleep 60")]);
    scan.until_up("web");
    scan.until_up("db");
    let live = scan.path("live");
    fs::create_dir(&live).unwrap();
    let tree = "longrun db\nlongrun web\nneeds web db\nbundle user web\nessential db\n";
    fs::write(live.join("pidone-tree"), tree).unwrap();
    let rc = |line: &str| {
        let words = ["s6", "s6-rc", "-l", "live"].into_iter();
        let words: Vec<&str> = [PIDONE]
            .into_iter()
            .chain(words)
            .chain(line.split(' '))
            .collect();
        let (code, text) = scan.run(&words);
        format!("{text}= {code}")
    };
    assert_eq!(rc("-a list"), "db\nweb\n= 0");
    assert_eq!(rc("list user"), "web\n= 0");
    assert_eq!(rc("listall user"), "db\nweb\n= 0");
    assert_eq!(rc("-d listall db"), "db\nweb\n= 0");
    let told = "s6-rc: info: service web: stopping\n\
                s6-rc: info: service web successfully stopped\n= 0";
    assert_eq!(rc("-v 2 -d change user"), told);
    assert_eq!(rc("-a list"), "db\n= 0");
    assert_eq!(rc("-da list"), "web\n= 0");
    assert_eq!(
        rc("-n 0 start user"),
        "s6-rc-dryrun: info: service web: starting\n= 0"
    );
    assert_eq!(rc("-t 5000 start user"), "= 0");
    assert_eq!(rc("diff"), "= 0");
    let warned = "s6-rc: warning: service db is essential: not stopped\n= 0";
    assert_eq!(rc("-d change db"), warned);
    assert_eq!(rc("-a list"), "db\n= 0");
    assert_eq!(rc("-D change db"), "= 0");
    assert_eq!(rc("-a list"), "= 0");
    let unknown = "s6-rc: fatal: foo is not a recognized identifier in \
                   live/compiled/resolve.cdb\n= 3";
    assert_eq!(rc("-u change foo"), unknown);
    assert!(rc("frobnicate").ends_with("= 100") && rc("-Z list").ends_with("= 100"));
    fs::write(scan.path("d/web/run"), "#!/bin/sh\nexit 1\n").unwrap();
}

#[test]
fn halt_ends_it_and_may_be_asked_again() {
    let mut scan = Scan::new(&[(
        "a",
        "trap 'sleep 0.3; exit' TERM; while :; do sleep 0.05; done",
    )]);
    scan.until_up("a");
    for name in ["halt", "poweroff", "shutdown"] {
        symlink(PIDONE, scan.path(name)).unwrap();
        let path = scan.path(name).display().to_string();
        let (code, text) = scan.run(&[&path]);
        assert_eq!((code, text.as_str()), (0, ""), "{name}");
    }
    assert_eq!(scan.supervisor.wait().unwrap().code(), Some(0));
}
