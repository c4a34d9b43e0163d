//! A reader of PID 1's stdout that stops: the services wait, PID 1 does not.

use std::time::{Duration, Instant};

use nix::libc;

use crate::support::{Container, Recipe, SOON, can_contain, container, poll};

/// How long the reader stands still.
const STILL: Duration = Duration::from_secs(10);

/// Far more than all the pipes on the way hold.
const LINES: usize = 300_000;

/// It begins once nobody reads: on a quiet machine it would be through before.
const WRITER: &str = "command = \"until [ -e /mnt/go ]; do sleep 0.01; done; \
     seq -f 'writer %.0f' 300000; touch /mnt/wrote; exec sleep 1000\"\n";

const NEIGHBOUR: &str = "command = [\"sleep\", \"1000\"]\n[log]\nformat = \"none\"\n";

/// The reader stops, and only then the writer begins.
fn stop_reading(it: &Container) {
    it.out.hold(true);
    std::fs::write(it.path("go"), "").unwrap();
}

/// While the reader stands still, PID 1 answers each time it is asked, and a neighbour that dies
/// is there again.
fn stand_still(it: &Container) {
    it.until("neighbour", "ready");
    stop_reading(it);
    let still = Instant::now();
    let mut asked = 0_u32;
    let mut slowest = Duration::ZERO;
    while still.elapsed() < STILL {
        let pid = it.service("neighbour")["pid"].clone();
        let answer = it.pidone(&["signal", "KILL", "neighbour"]);
        assert_eq!(answer.code, 0, "{answer:?}");
        let back = poll(Duration::from_secs(15), || {
            let asked_at = Instant::now();
            let now = it.service("neighbour");
            slowest = slowest.max(asked_at.elapsed());
            asked += 1;
            now["state"] == "ready" && now["pid"] != pid
        });
        assert!(back, "the neighbour stayed dead: {}", it.status());
    }
    assert!(
        slowest < Duration::from_secs(2),
        "an answer took {slowest:?}"
    );
    assert!(asked > 5, "asked {asked} times only");
    assert!(!it.path("wrote").exists(), "the writer felt nothing");
    it.out.hold(false);
}

fn numbers<'a>(text: &'a str, head: &str) -> Vec<&'a str> {
    text.lines()
        .filter_map(|line| line.strip_prefix(head))
        .collect()
}

fn check(text: &str, head: &str, count: usize) {
    let got = numbers(text, head);
    assert_eq!(got.len(), count, "lines of `{head}`");
    for (number, line) in (1..).zip(got) {
        assert_eq!(line, number.to_string(), "lost or torn");
    }
}

fn fleet() -> Recipe {
    container()
        .service("writer", WRITER)
        .service("neighbour", NEIGHBOUR)
}

#[test]
fn a_reader_that_stops_for_ten_seconds() {
    if !can_contain() {
        return;
    }
    let mut it = fleet().start();
    stand_still(&it);
    assert!(
        poll(SOON, || it.path("wrote").exists()),
        "the writer never came through"
    );
    it.stop();
    check(&it.out.text(), "writer | writer ", LINES);
}

#[test]
fn an_inheriting_service_fills_the_same_pipe() {
    if !can_contain() {
        return;
    }
    // The shell writes a line at a time, so that the kernel keeps its lines whole too.
    let greedy = "command = \"i=0; while [ $i -lt 30000 ]; do i=$((i+1)); echo greedy $i; done; \
                  touch /mnt/greedy; exec sleep 1000\"\n[log]\nformat = \"inherit\"\n";
    let mut it = fleet().service("greedy", greedy).start();
    stand_still(&it);
    for file in ["wrote", "greedy"] {
        assert!(
            poll(SOON, || it.path(file).exists()),
            "{file} never came through"
        );
    }
    it.stop();
    let out = it.out.text();
    check(&out, "writer | writer ", LINES);
    check(&out, "greedy ", 30_000);
}

#[test]
fn a_stop_while_nobody_reads_still_ends() {
    if !can_contain() {
        return;
    }
    let mut it = fleet().start();
    it.until("neighbour", "ready");
    stop_reading(&it);
    it.until("writer", "ready");
    it.signal(libc::SIGTERM);
    let ended = it.wait(SOON);
    assert!(ended.after < Duration::from_millis(9900), "{ended:?}");
}
