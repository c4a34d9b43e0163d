//! Services that tell by themselves how they are, by sd_notify(3): programs of Perl that speak the
//! protocol as it is documented, Debian's haproxy, and systemd's own `systemd-notify`.

use std::fs;
use std::io::Write;
use std::time::Duration;

use nix::libc;

use crate::support::{Container, Recipe, SOON, can_contain, container, poll, process};

/// Says what it is told to, a line each: `\n` is a line end, `x5000` five thousand octets.
pub(crate) const TALKER: &str = r"use Socket;
socket(my $s, AF_UNIX, SOCK_DGRAM, 0) or die;
my $to = sockaddr_un($ARGV[0] // $ENV{NOTIFY_SOCKET});
open(my $in, '+<', $ARGV[1] // '/mnt/say') or die;
$| = 1;
while (<$in>) {
    chomp; s/\\n/\n/g; s/\\e/\e/g; s/^x(\d+)$/'x' x $1/e;
    if ($_ eq 'exit') { exit 3 }
    print defined(send($s, $_, 0, $to)) ? '.' : qq{cannot: $!\n};
}
";

/// A web server that answers by itself.
pub(crate) const HAPROXY: &str = "defaults
  mode http
  timeout client 5s
  timeout server 5s
  timeout connect 1s
frontend web
  bind 127.0.0.1:8080
  http-request return status 200
";

pub(crate) const TALK: &str = "command = \"mkfifo /mnt/say; exec perl /mnt/talker.pl\"\n";
pub(crate) const NOTIFY: &str = "[ready]\nnotify = true\n";

pub(crate) fn talker(rest: &str) -> Recipe {
    container()
        .file("talker.pl", TALKER)
        .service("web", &format!("{TALK}{NOTIFY}{rest}"))
}

/// Has the talker say this.
pub(crate) fn say(it: &Container, line: &str) {
    let path = it.path("say");
    assert!(poll(SOON, || path.exists()));
    let mut fifo = fs::OpenOptions::new().write(true).open(path).unwrap();
    writeln!(fifo, "{line}").unwrap();
}

/// Waits until the page of `web` has this field so.
pub(crate) fn until(it: &mut Container, field: &str, value: &str) {
    let mut seen = serde_json::Value::Null;
    let is_so = poll(SOON, || {
        seen = page(it)[field].clone();
        seen == value
    });
    assert!(is_so, "{field}: {seen} is not {value}: {}", it.err.text());
}

pub(crate) fn page(it: &Container) -> serde_json::Value {
    let answer = it.pidone(&["status", "--json", "web"]);
    let status: serde_json::Value = serde_json::from_str(&answer.out).unwrap();
    status["services"][0].clone()
}

/// A variable of a service's process.
fn variable(it: &mut Container, service: &str, name: &str) -> Option<String> {
    let pid = it.service(service)["pid"].as_i64().unwrap();
    let answer = it.run(&["cat", &format!("/proc/{pid}/environ")]);
    let start = format!("{name}=");
    let mut variables = answer.out.split('\0');
    variables.find_map(|line| line.strip_prefix(&start).map(str::to_owned))
}

#[test]
fn it_is_ready_when_it_says_so() {
    if !can_contain() {
        return;
    }
    let mut it = talker("")
        .service(
            "beside",
            "needs = [\"web\"]\ncommand = [\"sleep\", \"1000\"]\n",
        )
        .start();
    say(&it, "STATUS=Loading \\e[31m3 of 5");
    until(&mut it, "note", "Loading \u{fffd}[31m3 of 5");
    assert_eq!(it.service("beside")["state"], "waiting");
    say(&it, "READY=1\\nSTATUS=Serving");
    it.until("web", "ready");
    it.until("beside", "ready");
    until(&mut it, "says", "Serving");
    assert_eq!(
        variable(&mut it, "web", "NOTIFY_SOCKET").as_deref(),
        Some("/run/pidone/notify/web")
    );
    assert_eq!(variable(&mut it, "web", "WATCHDOG_USEC"), None);
    assert_eq!(variable(&mut it, "beside", "NOTIFY_SOCKET"), None);
    say(&it, "RELOADING=1");
    until(&mut it, "note", "reloading");
    assert_eq!(page(&it)["state"], "ready");
    say(&it, "READY=1");
    assert!(poll(SOON, || page(&it)["note"].is_null()));
    it.stop();
}

#[test]
fn what_is_stopping_is_unready_at_once() {
    if !can_contain() {
        return;
    }
    let mut it = talker("").start();
    say(&it, "READY=1");
    it.until("web", "ready");
    say(&it, "STATUS=Draining\\nSTOPPING=1");
    it.until("web", "unready");
    until(&mut it, "note", "it is stopping; Draining");
    let health = it.pidone(&["health"]);
    assert_eq!(health.code, 1);
    assert_eq!(
        health.out,
        "not healthy: web unready (it is stopping; Draining)\n"
    );
    it.err.until("web * unready: it is stopping; Draining");
    say(&it, "exit");
    it.err.until("web * exit code 3, restart 1 now");
    it.until("web", "starting");
    it.stop();
}

#[test]
fn its_own_note_and_events_are_shown_and_a_flood_of_them_is_cut() {
    if !can_contain() {
        return;
    }
    let mut it = talker("").start();
    say(
        &it,
        r"READY=1\nX_PIDONE_NOTE=3 of 5 \e[2J\nX_PIDONE_EVENT=s1 is there",
    );
    until(&mut it, "note", "3 of 5 \u{fffd}[2J");
    // Sixty in a datagram, ten datagrams.
    let sixty = r"X_PIDONE_EVENT=again\n".repeat(60);
    (0..10).for_each(|_| say(&it, &sixty));
    say(&it, "X_PIDONE_NOTE=");
    assert!(poll(SOON, || page(&it)["note"].is_null()));
    let events = it.pidone(&["events"]).out;
    assert!(events.contains("starting → ready"), "{events}");
    let told = events.matches("again\n").count();
    assert!((63..=64).contains(&told), "{events}");
    assert!(poll(SOON, || {
        say(&it, "X_PIDONE_EVENT=s2 is there");
        let events = it.pidone(&["events"]).out;
        events.contains("s2 is there (") && events.contains("events before this are not told)")
    }));
}

#[test]
fn an_orphan_of_its_own_is_heard() {
    if !can_contain() {
        return;
    }
    // It is gone as soon as it has said it, and it is for us to bury it: it is heard before that.
    let toml = "command = \"(perl /mnt/once.pl &); exec sleep 1000\"\n";
    let once = "use Socket; socket(my $s, AF_UNIX, SOCK_DGRAM, 0);
        send($s, 'READY=1', 0, sockaddr_un($ENV{NOTIFY_SOCKET})) or die;";
    let mut it = container()
        .file("once.pl", once)
        .service("web", &format!("{toml}{NOTIFY}"))
        .start();
    it.until("web", "ready");
    it.stop();
}

#[test]
fn systemds_own_tool_is_answered() {
    if !can_contain() {
        return;
    }
    if !std::path::Path::new("/usr/bin/systemd-notify").exists() {
        eprintln!("skipped: there is no systemd-notify here");
        return;
    }
    // It waits for its barrier, five seconds at most.
    let toml = format!(
        "command = \"systemd-notify --status=hello && systemd-notify --ready && echo told && \
         exec sleep 1000\"\n{NOTIFY}"
    );
    let mut it = container().service("web", &toml).start();
    it.out.until("told");
    it.until("web", "ready");
    until(&mut it, "says", "hello");
    it.stop();
}

#[test]
fn a_reload_of_which_it_tells_is_over_when_it_says_so() {
    if !can_contain() {
        return;
    }
    let reload = "[reload]\nsignal = \"SIGCONT\"\nnotify = true\n";
    let mut it = talker(reload).start();
    say(&it, "READY=1");
    it.until("web", "ready");
    // It says nothing: nobody waits for ever, and nothing is claimed.
    let late = it.pidone(&["reload", "web", "--timeout", "300ms"]);
    assert_eq!(
        (late.code, late.out.as_str()),
        (1, "web: still ready after 0.3s\n"),
        "{}",
        late.err
    );
    let events = |it: &Container| it.pidone(&["events"]).out;
    assert!(!events(&it).contains("reload"), "{}", events(&it));
    say(&it, r"RELOADING=1\nREADY=1");
    assert!(
        poll(SOON, || events(&it).contains(" web     reload")),
        "{}",
        events(&it)
    );
    it.stop();
}

#[test]
fn haproxy_tells_of_its_start_and_of_its_reloads() {
    if !can_contain() {
        return;
    }
    if !std::path::Path::new("/usr/sbin/haproxy").exists() {
        eprintln!("skipped: there is no haproxy here");
        return;
    }
    let toml = "command = [\"haproxy\", \"-Ws\", \"-f\", \"/mnt/haproxy.cfg\"]\n\
                [ready]\nnotify = true\n\
                [health]\nhttp = \"http://127.0.0.1:8080/\"\ninterval = \"200ms\"\n\
                [reload]\nsignal = \"SIGUSR2\"\nnotify = true\n[stop]\nsignal = \"SIGUSR1\"\n";
    let mut it = container()
        .file("haproxy.cfg", HAPROXY)
        .service("web", toml)
        .start();
    it.until("web", "ready");
    let pid = it.service("web")["pid"].clone();
    for _reload in 0..3 {
        assert_eq!(it.pidone(&["reload", "web"]).code, 0);
    }
    // Its word at a reload is there for milliseconds; that it is taken back is what counts.
    assert!(poll(SOON, || page(&it)["note"].is_null()), "{}", page(&it));
    assert_eq!(it.service("web")["pid"], pid);
    let passed = || page(&it)["health"].as_str().unwrap().contains(" 5 passed");
    assert!(poll(SOON, passed), "{}", page(&it));
    let told = it.err.text();
    assert!(!told.contains("not heard"), "{told}");
    it.stop();
}

#[test]
fn a_watchdog_starves() {
    if !can_contain() {
        return;
    }
    let mut it = talker("[health]\nnotify = true\ninterval = \"300ms\"\n").start();
    say(&it, "READY=1");
    it.until("web", "ready");
    let usec = variable(&mut it, "web", "WATCHDOG_USEC");
    assert_eq!(usec.as_deref(), Some("300000"));
    it.err.until("web * unready: no WATCHDOG=1 for 0.3s");
    say(&it, "WATCHDOG=1");
    it.err.until("web * ready again after");
    for _beat in 0..10 {
        say(&it, "WATCHDOG=1");
        std::thread::sleep(Duration::from_millis(50));
    }
    let told = it.err.text();
    assert_eq!(told.matches("web * unready").count(), 1, "{told}");
    it.err
        .until("web * unhealthy: no WATCHDOG=1 for 0.3s: stopping it");
    it.until("web", "starting");
    assert_eq!(it.service("web")["restarts"], 1);
    fs::remove_file(it.path("say")).unwrap();
    it.signal(libc::SIGTERM);
    it.wait(SOON);
}

#[test]
fn an_alarm_needs_no_second_one() {
    if !can_contain() {
        return;
    }
    let mut it = talker("[health]\nnotify = true\ninterval = \"1m\"\n").start();
    say(&it, "READY=1");
    it.until("web", "ready");
    say(&it, "WATCHDOG=trigger");
    it.err
        .until("web * unhealthy: it sent WATCHDOG=trigger: stopping it");
    it.until("web", "starting");
    it.signal(libc::SIGTERM);
    it.wait(SOON);
}

#[test]
fn a_start_may_ask_for_more_time() {
    if !can_contain() {
        return;
    }
    let mut it = container()
        .file("talker.pl", TALKER)
        .service(
            "web",
            &format!(
                "{TALK}[ready]\nnotify = true\nwithin = \"1s\"\n[restart]\nwhen = \"never\"\n"
            ),
        )
        .start();
    say(&it, "EXTEND_TIMEOUT_USEC=60000000");
    std::thread::sleep(Duration::from_millis(1200));
    assert_eq!(it.service("web")["state"], "starting");
    say(&it, "READY=1");
    it.until("web", "ready");
    it.stop();
}

#[test]
fn where_run_cannot_be_written() {
    if !can_contain() {
        return;
    }
    let toml = "command = \"mkfifo /tmp/say; echo READY=1 >/tmp/say & \
                exec perl /mnt/talker.pl $NOTIFY_SOCKET /tmp/say\"\n";
    let service = |user: &str| format!("{user}{toml}{NOTIFY}");
    let mut it = container()
        .file("talker.pl", TALKER)
        .uid(12345)
        .no_caps()
        .run_unwritable()
        .service("web", &service(""))
        .start();
    it.until("web", "ready");
    assert_eq!(
        variable(&mut it, "web", "NOTIFY_SOCKET").as_deref(),
        Some("/tmp/pidone-12345/notify/web")
    );
    it.stop();
    // Root's directory there is closed to others; the service's user must pass.
    let mut it = container()
        .file("talker.pl", TALKER)
        .run_unwritable()
        .service("web", &service("user = \"4242\"\n"))
        .start();
    it.until("web", "ready");
    it.stop();
}

#[test]
fn where_nothing_can_be_written() {
    if !can_contain() {
        return;
    }
    let mut it = container()
        .file("talker.pl", TALKER)
        .run_unwritable()
        .tmp_unwritable()
        .service("web", &format!("{TALK}{NOTIFY}"))
        .start();
    let line = it
        .err
        .until("cannot make its notify socket: /run/pidone/notify/web: ");
    assert!(line.contains("/tmp/pidone-0/notify/web: "), "{line}");
    it.signal(libc::SIGTERM);
    it.wait(SOON);
    assert!(process::field(it.pid, "Name").is_none());
}
