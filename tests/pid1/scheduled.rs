//! Oneshots that run by themselves. A clock that is set is not among these stories: no namespace
//! has a wall clock of its own, so it would be everybody's. tests/world/clocks.rs sets one.

use std::time::{Duration, Instant};

use nix::libc;

use crate::support::{SOON, can_contain, container, poll, read};

const SLEEPER: &str = "command = [\"sleep\", \"1000\"]\n";

#[test]
fn it_runs_at_its_moments_and_a_failed_run_does_not_end_that() {
    if !can_contain() {
        return;
    }
    let job = "type = \"oneshot\"\nevery = \"1s\"\n\
               command = \"echo run >>/mnt/runs; echo hello; exit 3\"\n";
    let mut it = container()
        .service("job", job)
        .service("web", SLEEPER)
        .start();
    let began = Instant::now();
    it.until("web", "ready");
    let status = it.service("job");
    assert_eq!(status["state"], "scheduled", "{status}");
    assert_eq!(status["schedule"], "every 1s", "{status}");
    assert_eq!(it.pidone(&["health"]).code, 0);
    assert!(poll(SOON, || read(&it.path("runs")).lines().count() >= 3));
    assert!(
        began.elapsed() >= Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    it.err.until("job * failed: exit code 3; next run in");
    it.until("job", "scheduled");
    let status = it.service("job");
    assert_eq!(status["exit"]["code"], 3, "{status}");
    assert!(status["next_run_ms"].as_u64() <= Some(1000), "{status}");
    assert!(status["last_run"].is_string(), "{status}");
    let page = it.pidone(&["status", "job"]).out;
    assert!(page.contains("\n  schedule  every 1s\n"), "{page}");
    assert!(page.contains(" ago, exit 3, took "), "{page}");
    let explained = it.pidone(&["explain", "job"]).out;
    assert!(explained.contains("\n  runs   every 1s\n"), "{explained}");
    assert_eq!(it.pidone(&["health"]).code, 0);
    assert_eq!(it.pidone(&["start", "job"]).code, 1);
    assert_eq!(it.pidone(&["stop", "job"]).code, 0);
    assert_eq!(it.service("job")["state"], "down");
    assert_eq!(it.stop().code, 0, "{}", it.err.text());
}

#[test]
fn by_a_line_of_cron_it_waits_in_silence_and_can_be_run_by_hand() {
    if !can_contain() {
        return;
    }
    // Once a year: not while this test runs, but on New Year's Eve.
    let job = "type = \"oneshot\"\nschedule = \"@yearly\"\ncommand = [\"touch\", \"/mnt/ran\"]\n";
    let mut it = container().service("job", job).start();
    it.until("job", "scheduled");
    let status = it.service("job");
    assert_eq!(status["schedule"], "@yearly, UTC", "{status}");
    let next = status["next_run"].as_str().unwrap();
    assert!(next.contains("-01-01T00:00:00"), "{status}");
    let year: u32 = next[..4].parse().unwrap();
    let page = it.pidone(&["status", "job"]).out;
    let row = format!(" ({year}-01-01 00:00 UTC)\n");
    assert!(
        page.contains("\n  last run  none yet\n  next run  in "),
        "{page}"
    );
    assert!(page.contains(&row), "{page}");
    let switches = |pid| {
        let text = read(std::path::Path::new(&format!("/proc/{pid}/status")));
        let line = text
            .lines()
            .find(|line| line.starts_with("voluntary"))
            .map(str::to_owned);
        line.unwrap()
    };
    // It has come to rest when it no longer goes to sleep anew.
    let is_still = || {
        let before = switches(it.pid);
        !poll(Duration::from_millis(300), || before != switches(it.pid))
    };
    assert!(poll(SOON, is_still));
    assert_eq!(it.pidone(&["start", "job"]).code, 0, "{}", it.err.text());
    assert!(it.path("ran").exists());
    it.until("job", "scheduled");
    // A container with nothing but a schedule lives on.
    it.signal(libc::SIGTERM);
    assert_eq!(it.wait(SOON).code, 0, "{}", it.err.text());
}

#[test]
fn a_run_that_falls_out_is_told_with_its_reason() {
    if !can_contain() {
        return;
    }
    // The one fails as soon as it is told to; the other holds on to its first run.
    let db = "type = \"oneshot\"\nrestart = \"never\"\ncommand = [\"false\"]\n";
    let job = "type = \"oneshot\"\nevery = \"1s\"\nneeds = [\"db\"]\ncommand = [\"true\"]\n";
    let slow = "type = \"oneshot\"\nevery = \"1s\"\n\
                command = \"until [ -e /mnt/go ]; do sleep 0.05; done\"\n";
    let queue = format!("{slow}overlap = \"queue\"\n");
    let mut it = container()
        .service("db", db)
        .service("job", job)
        .service("slow", slow)
        .service("queue", &queue)
        .service("web", SLEEPER)
        .start();
    it.err
        .until("job * run skipped: db has failed; next run in ");
    it.err
        .until("slow * run skipped: the last one still runs, after ");
    it.until("queue", "starting");
    let count = |text: &str, what: &str| text.lines().filter(|line| line.contains(what)).count();
    let events = it.pidone(&["events"]).out;
    assert!(
        events.contains("job     run skipped  db has failed\n"),
        "{events}"
    );
    assert!(
        events.contains("slow    run skipped  the last one still runs, after "),
        "{events}"
    );
    assert_eq!(count(&events, "queue   run skipped"), 0, "{events}");
    // Each moment has its line.
    let of_slow = || {
        let text = it.err.text();
        (
            count(&text, "slow * run skipped"),
            count(&text, "job * run skipped"),
        )
    };
    assert!(poll(SOON, || of_slow().0 >= 3 && of_slow().1 >= 3));
    let note = it.service("job")["note"].clone();
    assert_eq!(note, "db has failed");
    assert_eq!(it.service("job")["starts"], 0);
    std::fs::write(it.path("go"), "").unwrap();
    it.err.until("slow * finished in ");
    it.err.until("queue * finished in ");
    assert_eq!(it.stop().code, 0, "{}", it.err.text());
}
