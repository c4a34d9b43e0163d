//! Oneshots that run by themselves.

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
    assert_eq!(status["schedule"], "@yearly in UTC", "{status}");
    let next = status["next_run"].as_str().unwrap();
    assert!(next.contains("-01-01T00:00:00"), "{status}");
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
