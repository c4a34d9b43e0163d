//! The terminal's foreground goes to CMD and comes back. It stands alone in its file, since the
//! test runs itself again as the leader of a session of its own.
#![allow(missing_docs, clippy::disallowed_methods, clippy::unwrap_used)]

use std::ffi::OsString;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::pty::openpty;
use nix::sys::signal::SigSet;
use nix::unistd::{getpgrp, tcgetpgrp};
use pidone::os::plan::{Plan, Session};
use pidone::os::reaper::{Children, reap};
use pidone::os::signals::{SignalSet, block_all, wait_any};
use pidone::os::spawner::Spawner;
use pidone::os::{pid1, terminal};
use pidone::values::Signal;

const INNER: &str = "PIDONE_TEST_HAS_TERMINAL";

#[test]
fn the_foreground_goes_and_comes_back() {
    if std::env::var_os(INNER).is_some() {
        return with_terminal();
    }
    let pty = openpty(None, None).unwrap();
    let told = Command::new("setsid")
        .args(["-c", "-w"])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "the_foreground_goes_and_comes_back",
            "--nocapture",
        ])
        .env(INNER, "1")
        .stdin(Stdio::from(pty.slave))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&told.stdout);
    assert!(
        told.status.success() && text.contains("1 passed"),
        "{told:?}"
    );
    // Without a terminal there is nothing to take back, and no error.
    terminal::take_back().unwrap();
}

fn with_terminal() {
    block_all();
    assert!(pid1::has_terminal());
    let front = || tcgetpgrp(std::io::stdin()).unwrap();
    let ours = getpgrp();
    assert_eq!(front(), ours);

    let argv = ["sh", "-c", "[ -t 0 ] && stty -g <&0 >/dev/null"].map(OsString::from);
    let mut plan = Plan::new(argv.into(), vec![("PATH".into(), "/usr/bin:/bin".into())]);
    plan.session = Session::Foreground;
    let command = Spawner::new(None).spawn(&plan).unwrap();
    let chld = SignalSet::EMPTY.with(Signal::CHLD);
    assert_eq!(wait_any(chld, Duration::from_secs(20)), Some(Signal::CHLD));
    let (dead, children) = reap();
    assert_eq!(children, Children::None);
    assert!(
        dead.iter()
            .all(|(pid, exit)| *pid == command.pid && exit.is_success()),
        "{dead:?}"
    );
    assert_eq!(front().as_raw(), command.pid.raw());

    // As a process in the background, and with SIGTTOU as it is by default.
    let mut blocked = SigSet::all();
    blocked.remove(nix::sys::signal::Signal::SIGTTOU);
    blocked.thread_set_mask().unwrap();
    terminal::take_back().unwrap();
    assert_eq!(front(), ours);
}
