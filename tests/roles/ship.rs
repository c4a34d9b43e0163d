//! `pidone ship` as a process: what arrives at a real rsyslog, line by line;
//! a collector that never reads; what is dropped, and what is said of it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::account::{Account, account, numbered, numbers, ship, texts};
use crate::collector::Collector;
use crate::role::Role;
use crate::support::{SOON, eventually, process};
use crate::syslog::free_port;

#[test]
fn every_line_arrives_as_it_was_written() {
    let lines: Vec<String> = (0..500)
        .map(|n| format!("n {n} {} \"quoted\" caf\u{e9} <13> \\", "x".repeat(n % 300)))
        .chain(["n 500 the end".to_owned()])
        .collect();
    for scheme in ["tcp", "udp"] {
        for format in ["json", "rfc5424"] {
            let Some(mut collector) = Collector::new() else {
                return;
            };
            collector.start();
            let mut role = ship(&collector.url(scheme), &["--format", format]);
            for some in lines.chunks(20) {
                role.say(&(some.join("\n") + "\n"));
                // Over UDP nothing holds us up: wait until these are through, and the collector has
                // taken them from its socket, where there is room for some hundred.
                let last = some.last().unwrap();
                role.out.until(&format!("{last}\n"));
                let number = last.split_inclusive(' ').take(2).collect::<String>();
                collector.until_last(&number);
            }
            role.stdin = None;
            assert_eq!(role.wait(), 0);
            collector.until_last("the end");
            assert_eq!(texts(&collector, format), lines, "{scheme} {format}");
            if format == "rfc5424" {
                let parsed = collector.parsed();
                assert!(
                    parsed
                        .iter()
                        .all(|line| line.starts_with("web|user.info|n "))
                );
            }
            let all = lines.len();
            let whole = Account {
                read: all,
                sent: all,
                dropped: 0,
                left: 0,
                unconfirmed: 0,
            };
            assert_eq!(account(&role), whole);
            // And docker logs has them too.
            assert_eq!(role.out.text(), lines.join("\n") + "\n");
        }
    }
}

#[test]
fn what_the_buffer_drops_is_counted_exactly() {
    let Some(mut collector) = Collector::new() else {
        return;
    };
    let url = collector.url("tcp");
    let mut role = ship(&url, &["--buffer", "512KiB", "--also", "none"]);
    let all = 20_000;
    for n in 0..all {
        role.say(&format!("n {n} {}\n", "z".repeat(n % 200)));
    }
    role.err.until("cannot send to tcp://");
    role.err.until("the buffer is full");
    collector.start();
    role.err.until("sending to ");
    role.stdin = None;
    assert_eq!(role.wait(), 0);
    collector.until_last(&format!("n {} ", all - 1));
    let came = numbers(&texts(&collector, "json"));
    let said = account(&role);
    assert_eq!((said.read, said.left, said.unconfirmed), (all, 0, 0));
    assert_eq!(came.len(), said.sent);
    // The newest are there, without a hole.
    let newest: Vec<usize> = (said.dropped..all).collect();
    assert!(said.dropped > 0 && came == newest, "{said:?}");
}

#[test]
fn a_collector_that_never_reads_holds_nobody_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("tcp://{}", listener.local_addr().unwrap());
    let mut role = ship(&url, &["--buffer", "1MiB", "--flush", "300ms"]);
    let (silent, _) = listener.accept().unwrap();
    let all = 200_000;
    for n in (0..all).step_by(100) {
        role.say(&numbered(n..n + 100, &"w".repeat(100)));
    }
    // It has all gone through to the container's log.
    role.out.until(&format!("n {} ", all - 1));
    assert!(
        role.resident_kib() < 16 << 10,
        "{} KiB",
        role.resident_kib()
    );
    let began = Instant::now();
    assert_eq!(role.stop(), 0);
    assert!(began.elapsed() < Duration::from_secs(5));
    let said = account(&role);
    assert_eq!(said.read, all);
    assert!(
        said.dropped > 0 && said.left > 0 && said.unconfirmed > 0,
        "{said:?}"
    );
    // At most once a second.
    let told = role.err.text().matches("the buffer is full").count() as u64;
    assert!(
        told <= 2 + began.elapsed().as_secs() + SOON.as_secs(),
        "{told}"
    );
    // What was said to be confirmed is there; what came beside it was unconfirmed.
    silent
        .set_read_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    let lines = BufReader::new(silent).lines().map_while(Result::ok);
    let came = lines.filter(|line| line.ends_with("ww\"}")).count();
    assert!(
        came >= said.sent - said.unconfirmed && came <= said.sent,
        "{came}: {said:?}"
    );
}

#[test]
fn nobody_listens_on_udp() {
    let Some(mut collector) = Collector::new() else {
        return;
    };
    collector.start();
    let mut role = ship(&collector.url("udp"), &["--format", "rfc5424"]);
    role.say("n 0 before\n");
    collector.until_last("n 0 before");
    collector.end(libc::SIGTERM);
    for n in 1..=200 {
        role.say(&format!("n {n} meanwhile\n"));
    }
    role.err.until("cannot send to udp://");
    collector.start();
    collector.until_last("n 200 meanwhile");
    role.say("n 201 after\n");
    collector.until_last("n 201 after");
    assert_eq!(role.stop(), 0);
    let came = numbers(&texts(&collector, "rfc5424"));
    let said = account(&role);
    assert_eq!((said.read, said.dropped, said.left), (202, 0, 0));
    // The kernel of this very host tells of each datagram that it turned away.
    assert_eq!(202 - came.len(), said.unconfirmed, "{}", role.err.text());
    assert!(said.unconfirmed > 0);
}

#[test]
fn long_lines_are_whole_over_tcp_and_in_pieces_over_udp() {
    for (scheme, pieces) in [("tcp", 1), ("udp", 5)] {
        let Some(mut collector) = Collector::new() else {
            return;
        };
        collector.start();
        let mut role = ship(&collector.url(scheme), &[]);
        let long = format!("n 0 {}", "v".repeat(40_000 - 4));
        role.say(&long);
        role.stdin = None;
        assert_eq!(role.wait(), 0);
        eventually("it comes", SOON, || collector.raw().len() >= pieces);
        let came = texts(&collector, "json");
        assert_eq!(came.len(), pieces, "{scheme}");
        assert!(came.concat() == long);
        assert_eq!(account(&role).sent, pieces);
    }
}

#[test]
fn names_are_resolved_and_failures_told_with_their_reason() {
    let Some(mut collector) = Collector::new() else {
        return;
    };
    collector.start();
    let url = format!("tcp://localhost:{}", collector.port);
    let mut role = ship(&url, &[]);
    role.say("n 0 by name\n");
    collector.until_last("by name");
    assert!(
        role.err
            .text()
            .starts_with(&format!("sending to {url} (127.0.0.1:"))
    );
    assert_eq!(role.stop(), 0);

    let mut role = ship("tcp://no-such-host.invalid:514", &["--flush", "100ms"]);
    role.err
        .until("cannot send to tcp://no-such-host.invalid:514: ");
    role.say("lost\n");
    role.out.until("lost\n");
    assert_eq!(role.stop(), 0);
    let said = account(&role);
    assert_eq!((said.read, said.left), (1, 1));

    let mut role = ship(
        &format!("tcp://127.0.0.1:{}", free_port()),
        &["--flush", "0"],
    );
    role.err.until(": connection refused; next try in ");
    assert_eq!(role.stop(), 0);
}

#[test]
fn bad_usage_is_told() {
    for (args, told) in [
        (
            &["--to", "logs:514"][..],
            "`logs:514` is neither tcp://HOST:PORT nor udp://HOST:PORT",
        ),
        (
            &["--to", "tcp://x:1", "--buffer", "1k"],
            "from 512KiB to 1GiB",
        ),
        (
            &["--to", "tcp://x:1", "--flush", "3"],
            "`3` is not a duration",
        ),
        (&[], "--to <URL>"),
    ] {
        let mut role = Role::start(&[&["ship"], args].concat());
        assert_eq!(role.wait(), 2, "{args:?}");
        assert!(role.err.text().contains(told), "{}", role.err.text());
    }
    let mut command = std::process::Command::new(crate::support::PIDONE);
    command
        .args(["ship", "--to", "tcp://127.0.0.1:9", "--from", "logs"])
        .env("PIDONE_SOCKET", "/no/such/socket");
    let mut role = Role::of(command);
    assert_eq!(role.wait(), 1);
    assert!(
        role.err
            .text()
            .contains("error: cannot reach pidone at /no/such/socket")
    );
}

#[test]
fn a_stdout_that_is_closed_leaves_the_collector_its_lines() {
    let Some(mut collector) = Collector::new() else {
        return;
    };
    collector.start();
    let mut command = std::process::Command::new("sh");
    let script = "exec \"$0\" ship --to \"$1\" --app web >&-";
    command.args(["-c", script, crate::support::PIDONE, &collector.url("tcp")]);
    let mut role = Role::of(command);
    role.say("n 0 alone\n");
    collector.until_last("alone");
    role.stdin = None;
    assert_eq!(role.wait(), 0);
    assert_eq!(account(&role).sent, 1);
}

#[test]
fn told_to_end_it_sends_what_is_in_its_pipe() {
    let Some(mut collector) = Collector::new() else {
        return;
    };
    collector.start();
    let mut role = ship(&collector.url("tcp"), &[]);
    role.err.until("sending to ");
    role.signal(libc::SIGSTOP);
    let stopped = || process::Process::of(role.pid()).is_some_and(|p| p.state == 'T');
    eventually("it stands still", SOON, stopped);
    role.say(&(numbered(0..500, "queued") + "n 500 without an end"));
    role.signal(libc::SIGTERM);
    role.signal(libc::SIGCONT);
    // Its stdin is still open: it does not wait for more.
    assert_eq!(role.wait(), 0);
    collector.until_last("n 500 without an end");
    assert_eq!(collector.raw().len(), 501);
    assert_eq!(account(&role).sent, 501);
    assert_eq!(role.out.text().lines().count(), 501);
}

#[test]
fn a_stdout_that_nobody_reads_holds_up_who_writes_and_not_the_collector() {
    let Some(mut collector) = Collector::new() else {
        return;
    };
    collector.start();
    let mut role = ship(&collector.url("tcp"), &["--flush", "300ms"]);
    role.out.hold(true);
    let mut stdin = role.stdin.take().unwrap();
    let all = 20_000;
    let text = numbered(0..all, &"u".repeat(100));
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    // It takes no more than its pipe, its own buffer and the pipe before it hold.
    let still = || {
        let before = collector.raw().len();
        let waits = process::Process::of(role.pid()).is_some_and(|p| p.state == 'S');
        waits && before > 1000 && collector.raw().len() == before
    };
    eventually("it stands still", SOON, still);
    assert!(collector.raw().len() < all && !writer.is_finished());
    role.out.hold(false);
    writer.join().unwrap().unwrap();
    assert_eq!(role.wait(), 0);
    assert_eq!(role.out.text().lines().count(), all);
    collector.until_last(&format!("n {} ", all - 1));
    assert_eq!(numbers(&texts(&collector, "json")).len(), all);
}
