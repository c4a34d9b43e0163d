//! What becomes of a service whose health fails: unready, well again, or restarted.

use std::fs;

use nix::libc;

use crate::support::{Container, Recipe, SOON, can_contain, container, poll};

/// Answers 204 unless `/mnt/sick` is there (then 503), or `/mnt/mute` (then never).
const SERVER: &str = r#"use IO::Socket::INET;
my $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 3000, Listen => 5,
    ReuseAddr => 1) or die;
my @kept;
while (my $c = $s->accept) {
    if (-e '/mnt/mute') { push @kept, $c; next }
    my $line = <$c>;
    my $code = -e '/mnt/sick' ? '503 Not Well' : '204 Fine';
    print $c "HTTP/1.1 $code\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    close $c;
}
"#;

const WEB: &str = "command = [\"perl\", \"/mnt/server.pl\"]\nenv = { PORT = \"3000\" }\n\
                   [ready]\ntcp = \"127.0.0.1:3000\"\n\
                   [health]\nhttp = \"http://localhost:${PORT}/healthz\"\n\
                   interval = \"100ms\"\ntimeout = \"500ms\"\n";

fn web(rest: &str) -> Recipe {
    container()
        .file("server.pl", SERVER)
        .service("web", &format!("{WEB}{rest}"))
        .service(
            "beside",
            "needs = [\"web\"]\ncommand = [\"sleep\", \"1000\"]\n",
        )
}

fn pid(it: &mut Container, name: &str) -> i64 {
    it.service(name)["pid"].as_i64().unwrap()
}

#[test]
fn it_is_unready_until_it_is_well_again() {
    if !can_contain() {
        return;
    }
    let mut it = web("then = \"nothing\"\n").start();
    it.until("beside", "ready");
    assert_eq!(it.pidone(&["health"]).code, 0);
    let pids = (pid(&mut it, "web"), pid(&mut it, "beside"));
    fs::write(it.path("sick"), "").unwrap();
    let ill = it.until("web", "unready");
    assert_eq!(ill["note"], "127.0.0.1:3000: HTTP 503");
    let health = it.pidone(&["health"]);
    assert_eq!(health.code, 1);
    assert_eq!(
        health.out,
        "not healthy: web unready (127.0.0.1:3000: HTTP 503)\n"
    );
    let wait = it.pidone(&["wait", "--ready", "web", "--timeout", "400ms"]);
    assert_eq!(wait.code, 1, "{}", wait.out);
    // What needs it stays up; what is to start waits.
    assert_eq!(it.service("beside")["state"], "ready");
    it.pidone(&["restart", "--no-wait", "beside"]);
    it.until("beside", "waiting");
    fs::remove_file(it.path("sick")).unwrap();
    it.until("web", "ready");
    it.until("beside", "ready");
    assert_eq!(pid(&mut it, "web"), pids.0);
    it.err.until("web * ready again after");
    let page = it.pidone(&["status", "web"]).out;
    assert!(
        page.contains("  health    http://localhost:3000/healthz every 0.1s, "),
        "{page}"
    );
    assert!(page.contains("unready → ready"), "{page}");
    let events = it.pidone(&["events", "--json"]).out;
    let change = events
        .lines()
        .find(|line| line.contains("\"to\":\"unready\""));
    let change = change.expect("an event");
    assert!(
        change.contains("\"from\":\"ready\"") && change.contains("HTTP 503"),
        "{change}"
    );
    it.stop();
}

#[test]
fn too_many_failures_are_a_death() {
    if !can_contain() {
        return;
    }
    let mut it = web("retries = 3\n").start();
    it.until("beside", "ready");
    let beside = pid(&mut it, "beside");
    fs::write(it.path("sick"), "").unwrap();
    it.err.until("web * unready: 127.0.0.1:3000: HTTP 503");
    it.err
        .until("web * unhealthy: 127.0.0.1:3000: HTTP 503: stopping it");
    fs::remove_file(it.path("sick")).unwrap();
    let again = poll(SOON, || {
        let web = it.service("web");
        web["state"] == "ready" && web["restarts"].as_u64() > Some(0)
    });
    assert!(again, "{}", it.err.text());
    assert_eq!(pid(&mut it, "beside"), beside);
    it.stop();
}

#[test]
fn silence_is_a_failure() {
    if !can_contain() {
        return;
    }
    let mut it = web("then = \"nothing\"\n").start();
    it.until("web", "ready");
    fs::write(it.path("mute"), "").unwrap();
    let ill = it.until("web", "unready");
    assert_eq!(ill["note"], "no answer within 500ms");
    fs::remove_file(it.path("mute")).unwrap();
    it.until("web", "ready");
    it.stop();
}

#[test]
fn a_command_that_hangs_is_killed_and_is_a_failure() {
    if !can_contain() {
        return;
    }
    let toml = "command = [\"sleep\", \"1000\"]\n\
                [health]\nexec = [\"sh\", \"-c\", \"[ ! -e /mnt/mute ] || tail -f /dev/null\"]\n\
                interval = \"50ms\"\ntimeout = \"200ms\"\nthen = \"nothing\"\n";
    let mut it = container().service("web", toml).start();
    it.until("web", "ready");
    fs::write(it.path("mute"), "").unwrap();
    let ill = it.until("web", "unready");
    assert_eq!(ill["note"], "its probe: no answer within 0.2s");
    // It has had the time for several more by then.
    it.err.until("unready");
    let asked = it.processes().into_iter().filter(|p| p.name == "tail");
    assert!(asked.count() <= 2, "{:?}", it.processes());
    fs::remove_file(it.path("mute")).unwrap();
    it.until("web", "ready");
    it.stop();
}

#[test]
fn failures_do_not_count_in_the_start_period() {
    if !can_contain() {
        return;
    }
    let mut it = web("start-period = \"1m\"\nretries = 1\n")
        .file("sick", "")
        .start();
    it.until("web", "ready");
    let failed = poll(SOON, || {
        let asked = it.run(&["sh", "-c", "cat /proc/net/snmp | grep '^Tcp: [0-9]'"]);
        asked.out.split(' ').nth(5).unwrap().parse::<u32>().unwrap() > 5
    });
    assert!(failed, "it is not asked");
    assert_eq!(it.service("web")["state"], "ready");
    fs::remove_file(it.path("sick")).unwrap();
    let well = poll(SOON, || {
        let page = it.pidone(&["status", "web"]).out;
        !page.contains(" 0 passed since start")
    });
    assert!(well);
    // A success ends it.
    fs::write(it.path("sick"), "").unwrap();
    it.err.until("web * unhealthy");
    it.signal(libc::SIGTERM);
    it.wait(SOON);
}
