//! `pidone exec` beside the real tini: the same exit codes, the same signals.
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::libc;
use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pidone::values::Signal as Named;

const PIDONE: &str = env!("CARGO_BIN_EXE_pidone");
const TINI: &str = "/usr/bin/tini";
const PATIENCE: Duration = Duration::from_secs(20);

fn pidone(options: &[&str], command: &[&str]) -> Command {
    let mut order = Command::new(PIDONE);
    order.arg("exec").args(options).arg("--").args(command);
    order
}

fn tini(command: &[&str]) -> Option<Command> {
    if !Path::new(TINI).exists() {
        let _ = writeln!(std::io::stderr(), "comparison skipped: there is no {TINI}");
        return None;
    }
    // It hands on what it inherits, and whoever runs in a shell's background ignores INT and QUIT.
    let mut order = Command::new("env");
    order.args(["--default-signal", TINI, "-s", "--"]);
    order.args(command);
    Some(order)
}

fn code(mut order: Command) -> Option<i32> {
    order
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap()
        .code()
}

/// Waits for its end with a deadline; then kills it and complains.
fn end(mut child: Child) -> Option<i32> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if start.elapsed() > PATIENCE {
            let _ = child.kill();
            panic!("it does not end");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A running child that has said "ready", and what it says from then on.
fn started(mut order: Command) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = order
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    (child, said)
}

fn send(child: &Child, signal: i32) {
    let pid = i32::try_from(child.id()).unwrap();
    // SAFETY: two numbers; the child is ours and not reaped yet.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
}

#[test]
fn every_exit_code_is_passed_on() {
    for wanted in 0..=255 {
        let script = format!("exit {wanted}");
        assert_eq!(code(pidone(&[], &["sh", "-c", &script])), Some(wanted));
    }
    for wanted in [0, 1, 77, 126, 127, 128, 143, 255] {
        let script = format!("exit {wanted}");
        if let Some(order) = tini(&["sh", "-c", &script]) {
            assert_eq!(code(order), Some(wanted));
        }
    }
}

#[test]
fn every_ending_signal_gives_the_code_that_tini_gives() {
    // All but those that stop, continue or are ignored by default (signal(7)), and those of libc.
    let harmless = [17, 18, 19, 20, 21, 22, 23, 28, 32, 33];
    for number in (1..=64).filter(|number| !harmless.contains(number)) {
        // dash, for bash ignores SIGQUIT; and no core files in the source tree.
        let script = format!("ulimit -c 0; kill -{number} $$");
        let ours = code(pidone(&[], &["dash", "-c", &script]));
        assert_eq!(ours, Some(128 + number), "signal {number}");
        if let Some(order) = tini(&["dash", "-c", &script]) {
            assert_eq!(ours, code(order), "signal {number}");
        }
    }
}

#[test]
fn what_cannot_run_is_told_by_code_and_word() {
    for (command, wanted, word) in [
        ("no-such-command", 127, "it is in no directory of PATH"),
        ("/etc/passwd", 126, "chmod +x /etc/passwd"),
        ("/", 126, "it is a directory"),
    ] {
        let told = pidone(&[], &[command]).output().unwrap();
        let text = String::from_utf8(told.stderr).unwrap();
        assert_eq!(told.status.code(), Some(wanted), "{text}");
        assert!(
            text.starts_with("error: cannot execute `") && text.contains(word),
            "{text}"
        );
        if let Some(order) = tini(&[command]) {
            assert_eq!(code(order), Some(wanted), "{command}");
        }
    }
    let mut bad = Command::new(PIDONE);
    bad.args(["exec", "-x"]);
    assert_eq!(code(bad), Some(64));
    let mut nothing = Command::new(PIDONE);
    nothing.args(["exec", "--"]);
    assert_eq!(code(nothing), Some(64));
}

/// A script that says which signal came, and ends by the next TERM.
fn listener(numbers: &[i32]) -> String {
    let traps: Vec<String> = numbers
        .iter()
        .map(|n| format!("trap 'echo {n}' {n};"))
        .collect();
    let wait = "echo ready; while :; do sleep 60 & wait $!; done";
    format!(
        "{} trap 'kill $(jobs -p); exit 9' 15; {wait}",
        traps.concat()
    )
}

#[test]
fn signals_are_forwarded() {
    // CHLD is ours; TTIN and TTOU mean a process in the background, which the command is not.
    let not_sent = [9, 15, 17, 19, 21, 22, 32, 33];
    let numbers: Vec<i32> = (1..=64)
        .filter(|number| !not_sent.contains(number))
        .collect();
    // bash cannot trap the signals of an error and live.
    let numbers: Vec<i32> = numbers.into_iter().filter(|n| ![11].contains(n)).collect();
    let (child, mut said) = started(pidone(&[], &["bash", "-c", &listener(&numbers)]));
    for number in numbers {
        send(&child, number);
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), number.to_string());
    }
    send(&child, libc::SIGTERM);
    assert_eq!(end(child), Some(9));
}

#[test]
fn a_signal_may_be_mapped_and_go_to_the_group() {
    let (child, mut said) = started(pidone(
        &["--signal-map", "HUP:USR1"],
        &["bash", "-c", &listener(&[1, 10])],
    ));
    send(&child, libc::SIGHUP);
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert_eq!(line, "10\n");
    send(&child, libc::SIGTERM);
    assert_eq!(end(child), Some(9));

    // The shell survives a TERM; that its child does not shows that the whole group heard it.
    let script = "trap : TERM; sleep 60 & echo ready; wait $!; wait $!; exit 5";
    let (child, _said) = started(pidone(&["-g"], &["bash", "-c", script]));
    send(&child, libc::SIGTERM);
    assert_eq!(end(child), Some(5));
}

#[test]
fn a_signal_that_comes_at_once_is_not_lost() {
    for _ in 0..50 {
        let child = pidone(&[], &["sleep", "60"]).spawn().unwrap();
        // Before the mask is set, an init that is not pid 1 dies of it; after, its command does.
        send(&child, libc::SIGTERM);
        let code = end(child);
        assert!(code.is_none() || code == Some(143), "{code:?}");
    }
}

#[test]
fn orphans_are_reaped() {
    let script = "for i in 1 2 3 4 5 6 7 8; do (sleep 0.0$i & ) ; done; sleep 0.3; \
        cat /proc/$PPID/task/$PPID/children; exit 3";
    let told = pidone(&["--subreaper"], &["bash", "-c", script])
        .output()
        .unwrap();
    assert_eq!(told.status.code(), Some(3));
    // Only the shell itself is left.
    let text = String::from_utf8(told.stdout).unwrap();
    assert_eq!(text.split_whitespace().count(), 1, "{text}");
}

#[test]
fn inherited_ignores_and_masks_do_not_reach_the_command() {
    let script = "trap '' HUP INT; exec \"$0\" exec -- cat /proc/self/status";
    let told = Command::new("bash")
        .args(["-c", script, PIDONE])
        .output()
        .unwrap();
    let text = String::from_utf8(told.stdout).unwrap();
    for name in ["SigBlk", "SigIgn", "SigCgt"] {
        assert!(
            text.contains(&format!("{name}:\t{}", "0".repeat(16))),
            "{text}"
        );
    }
}

#[test]
fn a_parent_that_ignores_its_children_is_not_taken_after() {
    let mut order = Command::new("env");
    order.args([
        "--ignore-signal=CHLD",
        PIDONE,
        "exec",
        "--",
        "sh",
        "-c",
        "exit 5",
    ]);
    let child = order.stdin(Stdio::null()).spawn().unwrap();
    assert_eq!(end(child), Some(5));
}

#[test]
fn the_command_is_in_front_of_the_terminal() {
    let pty = openpty(None, None).unwrap();
    let slave: OwnedFd = pty.slave;
    let copy = || Stdio::from(slave.as_fd().try_clone_to_owned().unwrap());
    // setsid gives us a session whose terminal is the pty, as a container's init has it.
    let script = "echo ready; read line; echo \"got $line\"; exec sleep 60";
    let mut child = Command::new("setsid")
        .args(["-c", "-w", PIDONE, "exec", "--", "bash", "-c", script])
        .stdin(copy())
        .stdout(copy())
        .stderr(copy())
        .spawn()
        .unwrap();
    drop(slave);
    let mut master = std::fs::File::from(pty.master);
    let mut said = String::new();
    let mut until = |master: &mut std::fs::File, word: &str| {
        let start = Instant::now();
        while !said.contains(word) {
            assert!(start.elapsed() < PATIENCE, "no {word} in {said:?}");
            let mut bytes = [0; 256];
            let count = master.read(&mut bytes).unwrap();
            said.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    };
    until(&mut master, "ready");
    // In the background it would be stopped by SIGTTIN when it reads.
    master.write_all(b"hello\n").unwrap();
    until(&mut master, "got hello");
    // ^C goes to whoever is in front.
    master.write_all(&[3]).unwrap();
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > PATIENCE {
            let _ = kill(
                Pid::from_raw(i32::try_from(child.id()).unwrap()),
                Signal::SIGKILL,
            );
            panic!("it does not end");
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    assert_eq!(status.code(), Some(128 + Named::INT.raw()));
}

#[test]
fn it_is_an_init_as_pid_1() {
    let as_pid1 = |script: &str| {
        let mut order = Command::new("unshare");
        order.args(["--pid", "--fork", "--mount-proc", "--kill-child", PIDONE]);
        order.args(["exec", "--", "bash", "-c", script]);
        order
    };
    let probe = Command::new("unshare")
        .args(["--pid", "--fork", "true"])
        .output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        let _ = writeln!(
            std::io::stderr(),
            "it_is_an_init_as_pid_1 skipped: needs root and unshare"
        );
        return;
    }
    // Orphans come to pid 1 and leave no zombie; who is left over goes with the namespace.
    let script = "for i in 1 2 3 4 5; do (sleep 0.0$i & ) ; done; sleep 0.3; setsid sleep 60 & \
        [ $PPID = 1 ] && ! grep -l 'State:.Z' /proc/[0-9]*/status; exit $((7 + $?))";
    assert_eq!(code(as_pid1(script)), Some(7));
    assert_eq!(code(as_pid1("kill -TERM $PPID; sleep 60")), Some(143));
    assert_eq!(code(as_pid1("kill -SEGV $$")), Some(139));
}
