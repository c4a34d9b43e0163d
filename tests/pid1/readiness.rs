//! When a service counts as ready, by each probe, and what waits for it.

use std::fs;

use nix::libc;

use crate::support::{Container, Recipe, SOON, can_contain, container, poll};

/// A web server of one file: it listens at once and answers 503 until `/mnt/ok` is there.
const SERVER: &str = r#"use IO::Socket::INET;
my $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 3000, Listen => 5,
    ReuseAddr => 1) or die;
while (my $c = $s->accept) {
    my $line = <$c>;
    my $code = -e '/mnt/ok' ? '204 Fine' : '503 Not Yet';
    print $c "HTTP/1.1 $code\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    close $c;
}
"#;

const BESIDE: &str = "needs = [\"web\"]\ncommand = [\"sleep\", \"1000\"]\n";

fn fleet(toml: &str) -> Recipe {
    container()
        .file("server.pl", SERVER)
        .service("web", toml)
        .service("beside", BESIDE)
}

/// `web` is starting and `beside` waits; once `file` is there, both are ready.
fn becomes_ready(mut it: Container, file: &str) {
    it.until("web", "starting");
    it.until("beside", "waiting");
    fs::write(it.path(file), "").unwrap();
    it.until("beside", "ready");
    it.until("web", "ready");
    it.stop();
}

#[test]
fn by_tcp() {
    if can_contain() {
        let toml = "command = \"while [ ! -e /mnt/go ]; do sleep 0.02; done; \
                    exec perl /mnt/server.pl\"\n[ready]\ntcp = \"127.0.0.1:3000\"\n";
        becomes_ready(fleet(toml).start(), "go");
    }
}

#[test]
fn by_http() {
    if can_contain() {
        let toml = "command = [\"perl\", \"/mnt/server.pl\"]\nenv = { PORT = \"3000\" }\n\
                    [ready]\nhttp = \"http://localhost:${PORT}/healthz\"\n";
        becomes_ready(fleet(toml).start(), "ok");
    }
}

#[test]
fn by_a_unix_socket() {
    if can_contain() {
        let server = "use IO::Socket::UNIX;
            my $s = IO::Socket::UNIX->new(Local => '/run/app.sock', Listen => 5) or die;
            sleep 1000;";
        let toml = "command = \"while [ ! -e /mnt/go ]; do sleep 0.02; done; \
                    exec perl /mnt/unix.pl\"\nenv = { DIR = \"/run\" }\n\
                    [ready]\nunix = \"${DIR}/app.sock\"\n";
        becomes_ready(fleet(toml).file("unix.pl", server).start(), "go");
    }
}

#[test]
fn by_a_file() {
    if can_contain() {
        let toml = "command = [\"sleep\", \"1000\"]\n[ready]\nfile = \"${AT:-/mnt}/ok\"\n";
        becomes_ready(fleet(toml).start(), "ok");
    }
}

#[test]
fn by_a_command() {
    if can_contain() {
        let toml =
            "command = [\"sleep\", \"1000\"]\n[ready]\nexec = [\"test\", \"-e\", \"/mnt/ok\"]\n";
        becomes_ready(fleet(toml).start(), "ok");
    }
}

#[test]
fn by_a_line_on_a_descriptor() {
    if can_contain() {
        let toml = "command = \"while [ ! -e /mnt/go ]; do sleep 0.02; done; printf .; \
                    echo fine >&5; exec sleep 1000\"\n[ready]\nfd = 5\n";
        becomes_ready(fleet(toml).start(), "go");
    }
}

#[test]
fn by_s6s_notification_fd() {
    if can_contain() {
        let recipe = container()
            .script(
                "services/web/run",
                "#!/bin/sh\nwhile [ ! -e /mnt/go ]; do sleep 0.02; done\n\
                 echo >&3\nexec sleep 1000\n",
            )
            .file("services/web/notification-fd", "3\n")
            .service("beside", BESIDE);
        becomes_ready(recipe.start(), "go");
    }
}

#[test]
fn not_in_time_is_a_failed_start() {
    if !can_contain() {
        return;
    }
    let toml = "command = [\"sleep\", \"1000\"]\n[ready]\nexec = [\"false\"]\nwithin = \"200ms\"\n\
                [restart]\nwhen = \"never\"\n";
    let mut it = fleet(toml)
        .service("other", "command = [\"sleep\", \"1000\"]\n")
        .start();
    it.until("web", "failed");
    let told = poll(SOON, || {
        let text = it.err.text();
        text.contains("beside") && text.contains("web") && text.contains("ready")
    });
    assert!(told, "nobody says what waited for what: {}", it.err.text());
    assert_ne!(it.service("beside")["state"], "ready");
    it.until("other", "ready");
    it.signal(libc::SIGTERM);
    it.wait(SOON);
}

#[test]
fn oneshots_come_first() {
    if !can_contain() {
        return;
    }
    let mut it = container()
        .service(
            "migrate",
            "type = \"oneshot\"\ncommand = \"sleep 0.2; echo migrated\"\n",
        )
        .service(
            "app",
            "needs = [\"migrate\"]\ncommand = \"echo started; exec sleep 1000\"\n",
        )
        .service(
            "late",
            "after = [\"app\"]\ncommand = \"echo late; exec sleep 1000\"\n",
        )
        .start();
    let out = it.out.until("late");
    it.until("migrate", "finished");
    let place = |word: &str| out.find(word).unwrap();
    assert!(place("migrated") < place("started"), "{out}");
    it.stop();
}

#[test]
fn what_is_not_enabled_stays_down() {
    if !can_contain() {
        return;
    }
    let toml = "enabled = \"${WORKER:-true}\"\ncommand = [\"sleep\", \"1000\"]\n";
    let mut it = container()
        .env("WORKER", "false")
        .service("worker", toml)
        .service("web", "command = [\"sleep\", \"1000\"]\n")
        .start();
    it.until("web", "ready");
    it.until("worker", "down");
    assert_eq!(it.pidone(&["health"]).code, 0);
    it.stop();
}

#[test]
fn cmd_comes_when_the_others_are_ready() {
    if !can_contain() {
        return;
    }
    let toml = "command = \"sleep 0.3; echo >&3; exec sleep 1000\"\n[ready]\nfd = 3\n";
    let mut it = container()
        .service("web", toml)
        .cmd(&["sh", "-c", "/mnt/pidone status --json"])
        .start();
    assert_eq!(it.wait(SOON).code, 0, "{}", it.err.text());
    let out = it.out.text();
    let json = out.trim().trim_start_matches("cmd | ");
    let status: serde_json::Value = serde_json::from_str(json).expect(&out);
    let web = status["services"]
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["name"] == "web")
        .unwrap();
    assert_eq!(web["state"], "ready", "{out}");
}

#[test]
fn probes_of_a_service_that_keeps_dying_do_not_pile_up() {
    if !can_contain() {
        return;
    }
    let toml = "command = \"sleep 0.02; exit 1\"\n\
                [ready]\nexec = [\"tail\", \"-f\", \"/dev/null\"]\n\
                [restart]\nmax-delay = \"1ms\"\n";
    let mut it = container().service("web", toml).start();
    let again = poll(SOON, || it.service("web")["restarts"].as_u64() > Some(30));
    assert!(again, "{}", it.err.text());
    let probes = it.processes().into_iter().filter(|p| p.name == "tail");
    assert!(probes.count() < 4, "{:?}", it.processes());
    it.signal(libc::SIGTERM);
    it.wait(SOON);
}
