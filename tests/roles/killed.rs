//! `pidone ship` while its collector is killed and started again.

use std::io::Write;
use std::process::ChildStdin;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::account::{Account, account, numbered, numbers, ship, text};
use crate::collector::Collector;
use crate::support::{SOON, eventually};

/// Writes numbered lines without a pause worth the name until it is told to stop; how many.
fn write_on(mut stdin: ChildStdin, stop: Receiver<()>) -> JoinHandle<usize> {
    std::thread::spawn(move || {
        let mut next = 0;
        // A pace that a collector keeps up with: what is compared is its end, not its speed.
        while stop.recv_timeout(Duration::from_millis(1)) == Err(RecvTimeoutError::Timeout) {
            let some = numbered(next..next + 30, LAST);
            stdin.write_all(some.as_bytes()).unwrap();
            next += 30;
        }
        next
    })
}

/// How each of those lines ends.
const LAST: &str =
    "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy";

#[test]
fn a_collector_that_is_killed_and_started_again() {
    for (format, signal) in [("json", libc::SIGTERM), ("rfc5424", libc::SIGKILL)] {
        let Some(mut collector) = Collector::new() else {
            return;
        };
        collector.start();
        let url = collector.url("tcp");
        let mut role = ship(&url, &["--format", format, "--also", "none"]);
        let (stop, stopped) = channel();
        let writer = write_on(role.stdin.take().unwrap(), stopped);
        let times = 5;
        for time in 1..=times {
            let before = collector.raw().len();
            eventually("lines come", SOON, || collector.raw().len() > before + 1000);
            collector.end(signal);
            role.err.until("cannot send to");
            collector.start();
            let connected = || role.err.text().matches("sending to ").count() > time;
            eventually("it is connected again", SOON, connected);
        }
        stop.send(()).unwrap();
        let all = writer.join().unwrap();
        assert_eq!(role.wait(), 0);
        collector.until_last(&format!("n {} ", all - 1));
        collector.end(libc::SIGTERM);
        compare(&account(&role), &collector, format, all);
    }
}

/// What was written with what came, and with what was said of it.
fn compare(said: &Account, collector: &Collector, format: &str, all: usize) {
    let came: Vec<String> = collector
        .raw()
        .iter()
        // The line during which a connection broke is sent whole again on the next one; a
        // collector may keep the piece that it got first.
        .filter(|raw| raw.trim_end_matches("\"}").ends_with(LAST))
        .map(|raw| text(raw, format))
        .collect();
    let came = numbers(&came);
    assert!(
        came.windows(2).all(|pair| pair[0] < pair[1]),
        "lines come in their order, and none twice"
    );
    assert_eq!((said.read, said.left), (all, 0));
    let missing = all - came.len();
    let known = said.dropped + said.unconfirmed;
    let rest = missing.saturating_sub(known);
    let _ = writeln!(
        std::io::stderr(),
        "{format}: {all} lines written, {} arrived, {} dropped, {} unconfirmed, {rest} \
         acknowledged by the collector's kernel and lost with the collector",
        came.len(),
        said.dropped,
        said.unconfirmed,
    );
    // An unconfirmed line may have arrived, and a dropped one cannot.
    assert!(missing >= said.dropped, "{missing}: {said:?}");
    // What its kernel had acknowledged and it had not yet written: its queue and its socket's
    // buffer, once for each of its ends.
    assert!(rest < all / 4, "{rest} of {all}");
}
