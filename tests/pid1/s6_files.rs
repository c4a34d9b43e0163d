//! What s6 keeps in small files, in a plain directory: what each of them does.

use std::time::Duration;

use crate::support::{Recipe, SOON, can_contain, container, poll};

/// A `run` that tells which signal it was sent, and ends by some of them only.
const TRAPS: &str = "#!/bin/sh\n\
    for s in TERM INT QUIT HUP; do trap \"echo got $s; exit 0\" $s; done\n\
    echo up\nwhile :; do sleep 0.05; done\n";

fn with(name: &str, text: &str) -> Recipe {
    container()
        .script("services/web/run", TRAPS)
        .file(&format!("services/web/{name}"), text)
}

#[test]
fn down_is_not_started_at_boot() {
    if !can_contain() {
        return;
    }
    let mut it = with("down", "")
        .service("other", "command = [\"sleep\", \"1000\"]\n")
        .start();
    it.until("other", "ready");
    assert_eq!(it.service("web")["state"], "down");
    assert_eq!(it.service("web")["note"], "not enabled");
    assert_eq!(it.pidone(&["start", "web"]).code, 0);
    assert_eq!(it.service("web")["state"], "ready");
    it.stop();
}

#[test]
fn down_signal_by_name_and_by_number() {
    if !can_contain() {
        return;
    }
    for (text, signal) in [
        ("SIGINT\n", "INT"),
        ("HUP\n", "HUP"),
        ("3\n", "QUIT"),
        ("int", "INT"),
    ] {
        let mut it = with("down-signal", text).start();
        it.out.until("up");
        assert_eq!(it.pidone(&["stop", "web"]).code, 0);
        let said = format!("web | got {signal}\n");
        assert!(
            poll(SOON, || it.out.text().contains(&said)),
            "{text}: {}",
            it.out.text()
        );
        it.stop();
    }
}

#[test]
fn timeout_kill_is_milliseconds_and_takes_the_group_with_it() {
    if !can_contain() {
        return;
    }
    // Neither it nor its child hears TERM; `flag-timeout-killpg` is what always happens.
    let run = "#!/bin/sh\ntrap '' TERM\nsh -c 'trap \"\" TERM; echo child; sleep 1000' &\n\
               echo up\nwait\nwait\n";
    let mut it = container()
        .script("services/web/run", run)
        .file("services/web/timeout-kill", "300\n")
        .file("services/web/flag-timeout-killpg", "")
        .start();
    it.out.until("child");
    let begin = std::time::Instant::now();
    assert_eq!(it.pidone(&["stop", "web"]).code, 0);
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(300), "{took:?}");
    assert!(took < Duration::from_secs(4), "{took:?}: the default is 5s");
    assert!(it.err.text().contains("SIGKILL"), "{}", it.err.text());
    assert!(
        poll(SOON, || !it.processes().iter().any(|p| p.name == "sleep")),
        "its child is gone too: {:?}",
        it.processes()
    );
    it.signal(libc::SIGTERM);
    it.wait(SOON);
}

#[test]
fn the_rest_changes_nothing_that_it_should_not() {
    if !can_contain() {
        return;
    }
    let mut it = with("max-death-tally", "5\n")
        .file("services/web/lock-fd", "4\n")
        .file("services/web/data/check", "")
        .start();
    it.out.until("up");
    let page = it.pidone(&["status", "web"]).out;
    // A directory with only a `run` has the defaults of a service.toml.
    assert!(
        page.contains("  stop      SIGTERM, then SIGKILL after 5s\n"),
        "{page}"
    );
    assert!(page.contains("  restarts  0, always\n"), "{page}");
    let err = it.err.text();
    assert!(err.contains("warning: `lock-fd` is not supported"), "{err}");
    it.stop();
}
