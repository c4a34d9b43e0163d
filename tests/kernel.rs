//! Signals, the reaper, strays and what pid 1 inherits: one story, since all of it belongs to the
//! process as a whole. It stands alone in its file, so that nobody else reaps its children.
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::similar_names,
    clippy::unwrap_used,
    clippy::expect_used
)]

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal as Sig, raise};
use nix::unistd::{dup, dup2_stdin};
use pidone::os::attempt::Progress;
use pidone::os::kill::{self, Strays};
use pidone::os::oom::OomCounter;
use pidone::os::pid1;
use pidone::os::plan::Plan;
use pidone::os::reaper::{Children, reap};
use pidone::os::signals::{SignalSet, Signals, block_all, wait_any};
use pidone::os::spawner::{Spawned, Spawner};
use pidone::values::{Exit, Pid, Signal};

#[path = "support/process.rs"]
#[allow(dead_code)]
pub mod process;

const PATIENCE: Duration = Duration::from_secs(30);

fn field(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap();
    u64::from_str_radix(line.trim_start_matches(':').trim(), 16).unwrap()
}

/// How many of our descendants stand still.
fn standing() -> usize {
    let all = process::descendants(std::process::id().cast_signed());
    all.into_iter().filter(|one| one.state == 'T').count()
}

/// How many of them are what they are to become.
fn sleeping() -> usize {
    let all = process::descendants(std::process::id().cast_signed());
    all.into_iter().filter(|one| one.name == "sleep").count()
}

fn start(spawner: &Spawner, script: &str) -> Spawned {
    let argv = ["sh", "-c", script].map(OsString::from);
    let env = vec![("PATH".into(), "/usr/bin:/bin".into())];
    spawner.spawn(&Plan::new(argv.into(), env)).unwrap()
}

/// Waits for SIGCHLD and reaps, until there is no child left.
async fn reap_all(signals: &mut Signals) -> HashMap<Pid, Exit> {
    let mut all = HashMap::new();
    let reaping = async {
        loop {
            let (dead, children) = reap();
            assert!(dead.len() <= 256);
            all.extend(dead);
            match children {
                Children::None => return,
                Children::More => {}
                Children::Some => {
                    signals.wait().await;
                }
            }
        }
    };
    tokio::time::timeout(PATIENCE, reaping)
        .await
        .expect("no child is left in time");
    all
}

#[test]
fn the_kernel_floor_from_boot_to_the_last_child() {
    block_all();
    // KILL and STOP cannot be blocked.
    assert_eq!(field("SigBlk"), !(1 << 8 | 1 << 18));
    raise(Sig::SIGTERM).unwrap();
    raise(Sig::SIGUSR2).unwrap();
    let usr2 = SignalSet::EMPTY.with(Signal::USR2);
    assert_eq!(wait_any(usr2, PATIENCE), Some(Signal::USR2));
    assert_eq!(wait_any(usr2, Duration::ZERO), None);

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut signals = Signals::new(true).unwrap();
        // It does nothing while it is blocked, and no child has to put it back.
        assert_eq!(field("SigBlk"), SignalSet::PIPE.bits());
        // What came during the boot is not lost.
        assert_eq!(signals.wait().await, [Signal::TERM]);
        signals_coalesce(&mut signals).await;
        let spawner = Spawner::new(None);
        deaths_are_told(&spawner, &mut signals).await;
        pid1::become_subreaper().unwrap();
        orphans_are_reaped(&spawner, &mut signals).await;
        strays_are_found(&spawner, &mut signals).await;
    });
    what_is_inherited();
}

async fn signals_coalesce(signals: &mut Signals) {
    for _ in 0..1000 {
        raise(Sig::SIGHUP).unwrap();
    }
    // SAFETY: raises a real-time signal in this very thread; we handle it.
    assert_eq!(unsafe { libc::raise(37) }, 0);
    let mut told = signals.wait().await;
    told.sort_unstable();
    assert_eq!(told, [Signal::HUP, Signal::HALT]);
    assert_eq!(signals.take(), []);
    assert!(signals.take().is_empty());
    // Cancel-safe: nothing comes, and then something does.
    assert!(
        tokio::time::timeout(Duration::from_millis(20), signals.wait())
            .await
            .is_err()
    );
    raise(Sig::SIGWINCH).unwrap();
    assert_eq!(signals.wait().await, [Signal::WINCH]);
}

async fn deaths_are_told(spawner: &Spawner, signals: &mut Signals) {
    let code = start(spawner, "exit 42");
    let killed = start(spawner, "kill -9 $$");
    let core = start(spawner, "ulimit -c 0; kill -3 $$");
    let ended = reap_all(signals).await;
    assert_eq!(ended[&code.pid], Exit::Code(42));
    assert_eq!(ended[&killed.pid], Exit::Signal(Signal::KILL));
    assert_eq!(ended[&core.pid].code(), 128 + 3);
    assert_eq!(code.attempt.progress(), Progress::Executed);
    assert_eq!(reap(), (vec![], Children::None));
    let error = kill::process(code.pid, Signal::TERM).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ESRCH));
}

async fn orphans_are_reaped(spawner: &Spawner, signals: &mut Signals) {
    let script = "n=0; while [ $n -lt 600 ]; do (true &) ; n=$((n+1)); done";
    let parent = start(spawner, script);
    let ended = reap_all(signals).await;
    assert_eq!(ended[&parent.pid], Exit::Code(0));
    assert_eq!(ended.len(), 601);
}

async fn strays_are_found(spawner: &Spawner, signals: &mut Signals) {
    assert!(!pid1::is_pid1());
    assert_eq!(kill::strays(Signal::TERM), Strays::Found(0));
    // Two that have left their session and their parent, one of them with a child.
    let script = "setsid sleep 60 & setsid sh -c 'sleep 60; true' & sleep 60";
    let parent = start(spawner, script);
    let begun = Instant::now();
    while kill::strays(Signal::CONT) != Strays::Found(5) {
        assert!(
            begun.elapsed() < PATIENCE,
            "{:?}",
            kill::strays(Signal::CONT)
        );
    }
    // A shell whose child is stopped on its way to another program (vfork(2)) does not stop.
    while sleeping() != 3 {
        assert!(begun.elapsed() < PATIENCE, "{} sleep", sleeping());
    }
    // Who stands still reaps nobody: the shells leave their own children to us.
    kill::strays(Signal::STOP);
    while standing() != 5 {
        assert!(begun.elapsed() < PATIENCE, "{} stand still", standing());
    }
    kill::group(parent.pid, Signal::KILL).unwrap();
    while kill::strays(Signal::TERM) != Strays::Found(0) {
        assert!(
            begun.elapsed() < PATIENCE,
            "{:?}",
            kill::strays(Signal::TERM)
        );
        kill::strays(Signal::CONT);
    }
    assert_eq!(reap_all(signals).await.len(), 5);

    // A group that is not there yet: its leader hears it all the same.
    let late = start(spawner, "sleep 60");
    kill::group(late.pid, Signal::TERM).unwrap();
    assert_eq!(
        reap_all(signals).await[&late.pid],
        Exit::Signal(Signal::TERM)
    );
}

fn what_is_inherited() {
    assert!(pid1::has_proc());
    let limits = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE);
    let (soft, hard) = limits.unwrap();
    let raised = pid1::raise_nofile();
    assert_eq!(raised.is_some(), soft < hard);
    assert_eq!(pid1::raise_nofile(), None);

    // Closed at the start: /dev/null stands there, and stays over an exec.
    let kept = dup(std::io::stdin()).unwrap();
    // SAFETY: nobody in this process reads stdin; it is put back below.
    unsafe { libc::close(0) };
    pid1::open_standard();
    assert_eq!(
        fs::read_link("/proc/self/fd/0").unwrap().to_str(),
        Some("/dev/null")
    );
    // SAFETY: reads the flags of a descriptor that is open.
    assert_eq!(unsafe { libc::fcntl(0, libc::F_GETFD) }, 0);
    dup2_stdin(kept.as_fd()).unwrap();
    drop(kept);

    // No counter is no fault: the root group has none.
    let counter = OomCounter::find();
    eprintln!("{counter:?}: {:?}", counter.read());
}
