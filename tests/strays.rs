//! Strays as pid 1 finds them. It stands alone in its file, for as pid 1 it signals everybody.
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic
)]

use std::ffi::OsString;
use std::io::Write;
use std::process::Command;
use std::time::Duration;

use pidone::os::kill::{self, Strays};
use pidone::os::pid1;
use pidone::os::plan::Plan;
use pidone::os::reaper::{Children, reap};
use pidone::os::signals::{SignalSet, block_all, wait_any};
use pidone::os::spawner::Spawner;
use pidone::values::Signal;

#[test]
fn pid_1_reaches_everybody() {
    if pid1::is_pid1() {
        return as_pid1();
    }
    let mut again = Command::new("unshare");
    again.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
    again.arg(std::env::current_exe().unwrap());
    again.args(["--exact", "pid_1_reaches_everybody", "--nocapture"]);
    // Said past the test harness, which shows the output of failed tests only.
    let skip = |why: &str| {
        let _ = writeln!(std::io::stderr(), "pid_1_reaches_everybody skipped: {why}");
    };
    match again.output() {
        Ok(told) if told.status.success() => {
            assert!(String::from_utf8_lossy(&told.stdout).contains("1 passed"));
        }
        Ok(told) => {
            let text = String::from_utf8_lossy(&told.stderr);
            assert!(text.contains("unshare failed"), "{text}");
            skip("needs root");
        }
        Err(error) => skip(&format!("no unshare ({error})")),
    }
}

fn as_pid1() {
    block_all();
    let script = "setsid sleep 60 & (setsid sh -c 'sleep 60; true' &) ; echo; exec sleep 60";
    let argv = ["sh", "-c", script].map(OsString::from);
    let plan = Plan::new(argv.into(), vec![("PATH".into(), "/usr/bin:/bin".into())]);
    let spawner = Spawner::new(None);
    spawner.spawn(&plan).unwrap();
    let chld = SignalSet::EMPTY.with(Signal::CHLD);
    let mut reaped = 0;
    for _ in 0..1000 {
        // Whoever is born in between hears the next one.
        assert_eq!(kill::strays(Signal::TERM), Strays::All);
        let (dead, children) = reap();
        reaped += dead.len();
        if children == Children::None {
            assert!(reaped >= 1);
            return;
        }
        wait_any(chld, Duration::from_millis(20));
    }
    panic!("somebody is left");
}
