//! The spawner with real children, which tell from inside what they found.
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::similar_names,
    clippy::unwrap_used,
    clippy::expect_used
)]

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Once;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal as Sig, pthread_sigmask, signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid as RawPid, geteuid, pipe2};
use pidone::os::attempt::{ExecError, Progress};
use pidone::os::pid1;
use pidone::os::plan::{Plan, Session};
use pidone::os::spawner::Spawner;
use pidone::os::step::Step;
use pidone::os::users::{User, resolve_in};
use pidone::service::limits::{Limit, Resource};

const PATIENCE: Duration = Duration::from_secs(20);

/// A parent as bad as can be: it ignores SIGHUP and SIGPIPE, handles SIGUSR1, blocks SIGTERM.
fn spawner() -> Spawner {
    static BAD: Once = Once::new();
    BAD.call_once(|| {
        pid1::close_on_exec_inherited();
        // SAFETY: no handler of ours runs; signal-hook's does nothing.
        unsafe {
            signal(Sig::SIGHUP, SigHandler::SigIgn).unwrap();
            signal_hook::low_level::register(libc::SIGUSR1, || {}).unwrap();
        }
    });
    let mut blocked = SigSet::empty();
    blocked.add(Sig::SIGTERM);
    pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&blocked), None).unwrap();
    Spawner::new(pid1::raise_nofile())
}

fn plan<'a>(argv: &[&str]) -> Plan<'a> {
    let env = vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())];
    Plan::new(argv.iter().map(OsString::from).collect(), env)
}

fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "no {what} in time");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Runs the plan to its end: what it wrote, its exit code (128+n), why it did not run.
fn run(plan: Plan<'_>) -> (String, i32, Option<ExecError>) {
    let (read, write) = pipe2(OFlag::O_CLOEXEC).unwrap();
    // From here on the plan lives no longer than the pipe.
    let mut plan = plan;
    if plan.descriptors.iter().all(|(_, to)| *to != 1) {
        plan.descriptors.push((write.as_fd(), 1));
    }
    let spawned = spawner().spawn(&plan).unwrap();
    drop(plan);
    drop(write);
    let mut text = String::new();
    fs::File::from(read).read_to_string(&mut text).unwrap();
    let error = until("progress", || match spawned.attempt.progress() {
        Progress::Pending => None,
        Progress::Executed => Some(None),
        Progress::Failed(error) => Some(Some(error)),
    });
    let code = until("end", || {
        match waitpid(
            RawPid::from_raw(spawned.pid.raw()),
            Some(WaitPidFlag::WNOHANG),
        )
        .unwrap()
        {
            WaitStatus::Exited(_, code) => Some(code),
            WaitStatus::Signaled(_, signal, _) => Some(128 + signal as i32),
            _ => None,
        }
    });
    (text, code, error)
}

fn sh<'a>(script: &str) -> Plan<'a> {
    plan(&["sh", "-c", script])
}

fn output(plan: Plan<'_>) -> String {
    let (text, code, error) = run(plan);
    assert_eq!((code, error), (0, None), "{text}");
    text
}

fn failure(plan: Plan<'_>) -> ExecError {
    let (text, code, error) = run(plan);
    let error = error.expect("it should not run");
    assert_eq!((code, text.as_str()), (i32::from(error.code()), ""));
    error
}

/// A field of /proc/PID/status, or "" if it is not there.
fn field<'a>(status: &'a str, name: &str) -> &'a str {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_default().trim()
}

fn status(mut change: impl FnMut(&mut Plan<'_>)) -> String {
    let mut plan = plan(&["cat", "/proc/self/status"]);
    change(&mut plan);
    output(plan)
}

fn is_root(what: &str) -> bool {
    let root = geteuid().is_root();
    if !root {
        // Said past the test harness, which shows the output of failed tests only.
        let _ = writeln!(std::io::stderr(), "{what} skipped: needs root");
    }
    root
}

/// A directory that everybody may enter and that goes away at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("pidone-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str, mode: u32) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_string()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn app() -> User {
    let passwd = "app:x:12345:12346::/app:/bin/sh\n";
    resolve_in("app", passwd, "one:x:7:app\ntwo:x:8:app\n").unwrap()
}

const LIST_DESCRIPTORS: &str =
    "n=0; while [ $n -lt 300 ]; do [ -e /proc/self/fd/$n ] && echo $n; n=$((n+1)); done; :";

#[test]
fn a_child_sees_its_descriptors_and_no_other() {
    // Ours, neither of them marked to be closed on exec by anybody but the boot.
    let (inherited, _end) = pipe2(OFlag::empty()).unwrap();
    assert!(inherited.as_raw_fd() > 2);
    spawner();
    pid1::close_on_exec_inherited();
    assert_eq!(output(sh(LIST_DESCRIPTORS)), "0\n1\n2\n");

    let (_read, notify) = pipe2(OFlag::O_CLOEXEC).unwrap();
    for number in [3, 7, 200] {
        let mut plan = sh(LIST_DESCRIPTORS);
        plan.descriptors.push((notify.as_fd(), number));
        assert_eq!(output(plan), format!("0\n1\n2\n{number}\n"));
    }
}

#[test]
fn descriptors_may_stand_in_each_others_way() {
    let scratch = Scratch::new("clash");
    let open = |name: &str| -> OwnedFd {
        fs::File::open(scratch.file(name, name, 0o644))
            .unwrap()
            .into()
    };
    let (a, b) = (open("a"), open("b"));
    let (na, nb) = (a.as_raw_fd(), b.as_raw_fd());
    // They change places, and every number after them is a target too, so that the pipe that
    // tells of failures has to move as well.
    let numbers: Vec<i32> = (nb + 1..nb + 8).chain([0, na, nb]).collect();
    let paths: Vec<String> = numbers
        .iter()
        .map(|n| format!("/proc/self/fd/{n}"))
        .collect();
    let mut plan = plan(&["cat"]);
    plan.argv.extend(paths.iter().map(OsString::from));
    let (from_b, from_a) = numbers.split_at(8);
    plan.descriptors
        .extend(from_b.iter().map(|number| (b.as_fd(), *number)));
    plan.descriptors
        .extend(from_a.iter().map(|number| (a.as_fd(), *number)));
    plan.descriptors[8].0 = b.as_fd();
    assert_eq!(output(plan), "bbbbbbbbba");

    // A descriptor may keep its number.
    let mut same = self::plan(&["cat", &format!("/proc/self/fd/{na}")]);
    same.descriptors.push((a.as_fd(), na));
    assert_eq!(output(same), "a");
}

#[test]
fn signals_are_all_default_and_none_is_blocked() {
    let status = status(|_| ());
    for name in ["SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt"] {
        assert_eq!(field(&status, name), "0".repeat(16), "{name}");
    }
}

#[test]
fn a_service_has_a_session_of_its_own_and_cmd_ours() {
    let script = "cut -d' ' -f5,6 /proc/self/stat; echo $$";
    let told = output(sh(script));
    let words: Vec<&str> = told.split_whitespace().collect();
    assert!(words[0] == words[2] && words[1] == words[2], "{told}");

    let mut plan = sh(script);
    plan.session = Session::Foreground;
    let told = output(plan);
    let words: Vec<&str> = told.split_whitespace().collect();
    let ours = nix::unistd::getsid(None).unwrap().to_string();
    assert!(words[0] == words[2] && words[1] == ours, "{told}");
}

#[test]
fn umask_nice_limits_and_workdir_are_as_planned() {
    let mut plan = sh("umask; nice; ulimit -n; ulimit -Hn; ulimit -c; pwd; echo \"$X\"");
    plan.umask = Some(0o27);
    plan.nice = Some(7);
    plan.limits = vec![
        (Resource::Nofile, Limit::At(64)),
        (Resource::Core, Limit::At(0)),
    ];
    plan.workdir = Some("/usr/bin".into());
    plan.env.push(("X".into(), "a = b".into()));
    assert_eq!(output(plan), "0027\n7\n64\n64\n0\n/usr/bin\na = b\n");

    let mut plan = sh("cat /proc/self/oom_score_adj");
    plan.oom_score_adj = Some(321);
    assert_eq!(output(plan), "321\n");
}

#[test]
fn children_get_back_the_limit_that_we_raised() {
    // `raise_nofile` gives it once a process; whoever comes first in this file has raised it.
    let spawner = Spawner::new(Some(pid1::Nofile {
        soft: 123,
        hard: 456,
    }));
    let (read, write) = pipe2(OFlag::O_CLOEXEC).unwrap();
    let mut plan = sh("ulimit -Sn; ulimit -Hn");
    plan.descriptors.push((write.as_fd(), 1));
    let spawned = spawner.spawn(&plan).unwrap();
    drop(plan);
    drop(write);
    let mut text = String::new();
    fs::File::from(read).read_to_string(&mut text).unwrap();
    waitpid(RawPid::from_raw(spawned.pid.raw()), None).unwrap();
    assert_eq!(text, "123\n456\n");
}

#[test]
fn a_user_is_taken_whole() {
    if !is_root("a_user_is_taken_whole") {
        return;
    }
    let status = status(|plan| plan.user = Some(app()));
    assert_eq!(field(&status, "Uid"), "12345\t12345\t12345\t12345");
    assert_eq!(field(&status, "Gid"), "12346\t12346\t12346\t12346");
    assert_eq!(field(&status, "Groups"), "7 8 12346");
    for name in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(field(&status, name), "0".repeat(16), "{name}");
    }
    assert_eq!(field(&status, "NoNewPrivs"), "0");
}

const NET_BIND_SERVICE: &str = "0000000000000400";

#[test]
fn only_the_wanted_capabilities_are_kept() {
    if !is_root("only_the_wanted_capabilities_are_kept") {
        return;
    }
    for user in [Some(app()), None] {
        let status = status(|plan| {
            plan.user.clone_from(&user);
            plan.capabilities = Some(vec![10]);
            plan.no_new_privileges = true;
        });
        for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(field(&status, name), NET_BIND_SERVICE, "{name}");
        }
        assert_eq!(field(&status, "NoNewPrivs"), "1");
    }
    let status = status(|plan| plan.capabilities = Some(vec![]));
    assert_eq!(field(&status, "CapBnd"), "0".repeat(16));
    assert_eq!(field(&status, "Uid"), "0\t0\t0\t0");
}

#[test]
fn path_search_is_execvps() {
    let scratch = Scratch::new("path");
    fs::create_dir(scratch.0.join("dir")).unwrap();
    fs::create_dir(scratch.0.join("dir/tool")).unwrap();
    let plain = scratch.file("plain", "#!/bin/sh\necho no\n", 0o644);
    let search = |name: &str, path: &str| {
        let mut plan = plan(&[name, "-c", "echo found"]);
        plan.env = vec![(
            "PATH".into(),
            path.replace('@', scratch.0.to_str().unwrap()).into(),
        )];
        plan
    };
    assert_eq!(output(search("sh", "/nowhere:@/plain:@:/bin")), "found\n");
    // A directory of that name, or a file without a run bit, does not end the search…
    scratch.file("sh", "#!/bin/sh\necho wrong\n", 0o644);
    assert_eq!(output(search("sh", "@:/bin")), "found\n");
    // … but is what is told if nothing better is found.
    let error = failure(search("plain", "/nowhere:@:/bin"));
    assert_eq!(
        error.to_string(),
        format!("cannot execute `{plain}`: permission denied")
    );
    let hint = error.hint().unwrap().replace(&plain, "F");
    let expected = "it has no run bit (`chmod +x F`), or its file system is mounted noexec";
    assert_eq!(hint, expected);
    assert_eq!(failure(search("tool", "@/dir:/bin")).code(), 126);

    let error = failure(search("nothing-here", "/usr/bin:/bin"));
    assert_eq!(
        error.to_string(),
        "cannot execute `nothing-here`: no such file or directory"
    );
    assert_eq!(
        (error.code(), error.hint()),
        (127, Some("it is in no directory of PATH".into()))
    );
    let mut no_path = plan(&["sh", "-c", "echo $#"]);
    no_path.env.clear();
    assert_eq!(output(no_path), "0\n");
}

#[test]
fn traps_of_executables_are_told_apart() {
    let scratch = Scratch::new("traps");
    let at = |name: &str, text: &str, mode: u32| failure(plan(&[&scratch.file(name, text, mode)]));

    let error = at("crlf", "#!/bin/sh\r\necho\r\n", 0o755);
    assert_eq!(error.code(), 127);
    assert!(
        error
            .to_string()
            .ends_with(": it has Windows line ends (CRLF)")
    );
    assert!(error.hint().unwrap().starts_with("convert it with `sed "));

    let error = at("bare", "echo no shebang\n", 0o755);
    assert_eq!((error.errno(), error.code()), (libc::ENOEXEC, 126));
    assert!(error.hint().unwrap().contains("#!/bin/sh"));
    let error = at("closed", "#!/bin/sh\n", 0o644);
    assert_eq!((error.errno(), error.code()), (libc::EACCES, 126));

    let file = scratch.file("file", "", 0o644);
    let error = failure(plan(&[&format!("{file}/below")]));
    assert_eq!((error.errno(), error.code()), (libc::ENOTDIR, 126));
    assert_eq!(failure(plan(&["/"])).errno(), libc::EACCES);
    assert_eq!(failure(plan(&[""])).code(), 127);
    assert_eq!(failure(plan(&["./nowhere"])).errno(), libc::ENOENT);
}

#[test]
fn every_step_that_fails_is_told() {
    let told = |change: &dyn Fn(&mut Plan<'_>)| {
        let mut plan = plan(&["true"]);
        change(&mut plan);
        let error = failure(plan);
        (error.step(), error.to_string())
    };
    let (step, text) = told(&|plan| plan.workdir = Some("/nowhere".into()));
    assert_eq!(step, Step::Workdir);
    assert_eq!(text, "cannot enter `/nowhere`: no such file or directory");

    let (step, text) = told(&|plan| plan.oom_score_adj = Some(5000));
    assert_eq!(
        (step, text.as_str()),
        (Step::OomScore, "cannot set oom-score-adj: invalid argument")
    );

    let (step, text) = told(&|plan| {
        plan.limits = vec![
            (Resource::Core, Limit::At(0)),
            (Resource::Nofile, Limit::Unlimited),
        ];
    });
    assert_eq!(step, Step::Limit);
    assert_eq!(text, "cannot set the limit nofile: operation not permitted");

    let zero = fs::File::open("/dev/zero").unwrap();
    let mut plan = plan(&["true"]);
    plan.descriptors.push((zero.as_fd(), 1_000_000_000));
    let error = failure(plan);
    assert_eq!(error.step(), Step::Descriptor);
    assert_eq!(
        error.to_string(),
        "cannot hand over descriptor 1000000000: bad file number"
    );

    if is_root("capabilities that nobody has") {
        let (step, text) = told(&|plan| plan.capabilities = Some(vec![63]));
        assert!(
            matches!(step, Step::Capabilities | Step::Ambient),
            "{step:?}"
        );
        assert!(text.starts_with("cannot keep"), "{text}");
    }
}

#[test]
fn without_privileges_the_error_is_clear() {
    if !is_root("without_privileges_the_error_is_clear") {
        return;
    }
    let told = |change: fn(&mut Plan<'_>)| {
        let mut plan = plan(&["true"]);
        change(&mut plan);
        let error = failure(plan);
        (
            error.step(),
            error.errno(),
            error.hint().unwrap_or_default(),
        )
    };
    let attempts = move || {
        // SAFETY: the raw call changes the ids of this thread only, which then ends.
        let dropped = unsafe { libc::syscall(libc::SYS_setresuid, 4321, 4321, 4321) };
        assert_eq!(dropped, 0);
        let user = told(|plan| plan.user = Some(app()));
        let keep = told(|plan| plan.capabilities = Some(vec![10]));
        let nice = told(|plan| plan.nice = Some(-5));
        let ours = resolve_in("4321", "", "").unwrap();
        let same = run(Plan {
            user: Some(ours),
            ..plan(&["true"])
        });
        (user, keep, nice, same)
    };
    let (user, keep, nice, same) = std::thread::spawn(attempts).join().unwrap();
    assert_eq!((user.0, user.1), (Step::Groups, libc::EPERM));
    assert!(user.2.contains("only root"), "{}", user.2);
    assert_eq!((keep.0, keep.1), (Step::Bounding, libc::EPERM));
    assert!(keep.2.contains("SETPCAP"), "{}", keep.2);
    assert_eq!((nice.0, nice.1), (Step::Nice, libc::EACCES));
    assert_eq!(
        (same.1, same.2),
        (0, None),
        "to stay who one is needs no privilege"
    );
}

#[test]
fn what_cannot_be_prepared_is_told_at_once() {
    let error = spawner().spawn(&plan(&["a\0b"])).unwrap_err();
    assert_eq!(error.step(), Step::Prepare);
    assert_eq!(error.code(), 126);
    assert!(spawner().spawn(&plan(&[])).is_err());
}

#[test]
fn a_thousand_children_leave_nothing_behind() {
    let count = || fs::read_dir("/proc/self/fd").unwrap().count();
    let spawner = spawner();
    // Other tests of this file open and close descriptors at the same time.
    let before = count();
    for _ in 0..1000 {
        let spawned = spawner.spawn(&plan(&["true"])).unwrap();
        let pid = RawPid::from_raw(spawned.pid.raw());
        assert_eq!(waitpid(pid, None).unwrap(), WaitStatus::Exited(pid, 0));
        // A neighbour's child, just cloned, may hold a copy of the pipe until its own exec.
        until("end of the pipe", || {
            (spawned.attempt.progress() == Progress::Executed).then_some(())
        });
    }
    assert!(
        count() < before + 100,
        "{before} descriptors became {}",
        count()
    );
}
