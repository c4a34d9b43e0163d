//! What follows a death: finish, restarts that back off, limits.

use std::time::Duration;

use nix::libc;

use crate::support::{SOON, can_contain, container, poll, process, read};

/// The moments, in milliseconds, at which a service wrote that it started.
fn starts(text: &str) -> Vec<u64> {
    text.lines()
        .filter_map(|line| line.parse::<u64>().ok())
        .collect()
}

const DIES: &str = "command = \"date +%s%3N >>/mnt/starts; exit 1\"\n";

#[test]
fn at_once_then_ever_later() {
    if !can_contain() {
        return;
    }
    let mut it = container().service("flaky", DIES).start();
    let path = it.path("starts");
    assert!(
        poll(SOON, || starts(&read(&path)).len() >= 5),
        "{}",
        it.err.text()
    );
    let found = starts(&read(&path));
    let gaps: Vec<u64> = found.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps[0] < 200, "the first restart is immediate: {gaps:?}");
    // 250 ms doubling, each shorter or longer by a tenth; the machine may add to it.
    for (gap, least) in gaps[1..].iter().zip([225, 450, 900]) {
        assert!(*gap >= least - 10, "too early: {gaps:?}");
        assert!(*gap < least * 2 + 300, "too late: {gaps:?}");
    }
    let flaky = it.until("flaky", "waiting-to-restart");
    assert!(flaky["restarts"].as_u64().unwrap() >= 4, "{flaky}");
    assert_eq!(flaky["exit"]["code"], 1, "{flaky}");
    it.stop();
}

#[test]
fn a_killed_service_is_there_again() {
    if !can_contain() {
        return;
    }
    let mut it = container()
        .service("web", "command = [\"sleep\", \"1000\"]\n")
        .start();
    let before = it.until("web", "ready")["pid"].clone();
    let sleeper = it
        .processes()
        .into_iter()
        .find(|p| p.name == "sleep")
        .unwrap();
    process::send(sleeper.pid, libc::SIGKILL).unwrap();
    let back = poll(SOON, || it.service("web")["restarts"] == 1);
    assert!(back, "{}", it.err.text());
    let web = it.until("web", "ready");
    assert_ne!(web["pid"], before);
    assert_eq!(web["exit"]["signal"], "SIGKILL", "{web}");
    assert_eq!(web["oom"], false, "{web}");
    it.stop();
}

#[test]
fn a_limit_ends_it() {
    if !can_contain() {
        return;
    }
    let toml = format!("{DIES}[restart]\nlimit = {{ times = 2, within = \"60s\" }}\n");
    let mut it = container()
        .service("flaky", &toml)
        .service("web", "command = [\"sleep\", \"1000\"]\n")
        .start();
    it.until("flaky", "failed");
    assert_eq!(
        starts(&read(&it.path("starts"))).len(),
        3,
        "one start, two restarts"
    );
    assert_eq!(it.pidone(&["health"]).code, 1);
    it.until("web", "ready");
    it.signal(libc::SIGTERM);
    it.wait(SOON);
}

#[test]
fn policies() {
    if !can_contain() {
        return;
    }
    let ends = |code: u8, when: &str| format!("command = \"exit {code}\"\nrestart = \"{when}\"\n");
    let mut it = container()
        .service("never", &ends(0, "never"))
        .service("well", &ends(0, "on-failure"))
        .service("badly", &ends(1, "on-failure"))
        .service("always", &ends(0, "always"))
        .start();
    for name in ["badly", "always"] {
        let restarted = poll(SOON, || it.service(name)["restarts"].as_u64() >= Some(2));
        assert!(restarted, "{name}: {}", it.status());
    }
    for name in ["never", "well"] {
        assert_eq!(it.service(name)["restarts"], 0, "{name}: {}", it.status());
    }
    it.signal(libc::SIGTERM);
    it.wait(SOON);
}

#[test]
fn what_cannot_be_executed_backs_off_too() {
    if !can_contain() {
        return;
    }
    let mut it = container()
        .service("ghost", "command = [\"/no/such/program\"]\n")
        .service("web", "command = [\"sleep\", \"1000\"]\n")
        .start();
    it.err.until("/no/such/program");
    it.until("web", "ready");
    let ghost = it.until("ghost", "waiting-to-restart");
    assert!(ghost["restarts"].as_u64().unwrap() < 20, "{ghost}");
    it.stop();
}

#[test]
fn finish_hears_how_it_ended() {
    if !can_contain() {
        return;
    }
    let finish = "#!/bin/sh\necho \"$1 $2 $3 $4\" >>/mnt/finished\n";
    let mut it = container()
        .script(
            "services/web/run",
            "#!/bin/sh\necho $$ >>/mnt/groups\nif [ -e /mnt/once ]; then exec sleep 1000; fi\n\
            touch /mnt/once\nexit 7\n",
        )
        .script("services/web/finish", finish)
        .start();
    let finished = it.read("finished");
    let group = |nth| {
        let groups = read(&it.path("groups"));
        groups.lines().nth(nth).map(str::to_owned)
    };
    let first = group(0).unwrap();
    assert_eq!(finished, format!("7 0 web {first}\n"));
    let restarted = poll(SOON, || {
        let web = it.service("web");
        web["state"] == "ready" && web["restarts"] == 1
    });
    assert!(restarted, "{}", it.status());
    // The shell has become `sleep` by then, which TERM ends.
    assert!(poll(SOON, || it
        .processes()
        .iter()
        .any(|p| p.name == "sleep")));
    let second = group(1).unwrap();
    it.stop();
    assert_eq!(
        read(&it.path("finished")),
        format!("7 0 web {first}\n256 15 web {second}\n")
    );
}

#[test]
fn finish_can_say_never_again() {
    if !can_contain() {
        return;
    }
    let mut it = container()
        .script(
            "services/web/run",
            "#!/bin/sh\necho run >>/mnt/runs\nexit 1\n",
        )
        .script("services/web/finish", "#!/bin/sh\nexit 125\n")
        .service("other", "command = [\"sleep\", \"1000\"]\n")
        .start();
    it.until("web", "failed");
    assert_eq!(read(&it.path("runs")), "run\n");
    it.signal(libc::SIGTERM);
    it.wait(SOON);
}

#[test]
fn finish_that_hangs_is_killed() {
    if !can_contain() {
        return;
    }
    let mut it = container()
        .script(
            "services/web/run",
            "#!/bin/sh\necho run >>/mnt/runs\nexit 1\n",
        )
        .script("services/web/finish", "#!/bin/sh\nexec sleep 1000\n")
        .file("services/web/timeout-finish", "200\n")
        .start();
    let again = poll(SOON, || read(&it.path("runs")).lines().count() >= 3);
    assert!(again, "{}", it.err.text());
    it.signal(libc::SIGTERM);
    let ended = it.wait(SOON);
    assert!(ended.after < Duration::from_secs(3), "{ended:?}");
}

#[test]
fn what_can_never_start_takes_nobodys_turn() {
    if !can_contain() {
        return;
    }
    let mut it = container()
        .service(
            "never",
            "command = [\"true\"]\nworkdir = \"${NOWHERE}\"\n[restart]\nmax-delay = \"0s\"\n",
        )
        .service("web", "command = [\"sleep\", \"1000\"]\n")
        .start();
    it.until("web", "ready");
    let again = poll(SOON, || it.service("never")["restarts"].as_u64() > Some(20));
    assert!(again, "{}", it.err.text());
    it.stop();
}

#[test]
fn who_restarts_with_another_does_so_once_that_is_ready_again() {
    if !can_contain() {
        return;
    }
    let db = "command = \"sleep 0.3; echo up >&3; exec sleep 1000\"\nready = { fd = 3 }\n";
    let mut it = container()
        .service("db", db)
        .service(
            "web",
            "command = [\"sleep\", \"1000\"]\nneeds = [\"db\"]\nrestart = { with = [\"db\"] }\n",
        )
        .service(
            "other",
            "command = [\"sleep\", \"1000\"]\nneeds = [\"db\"]\n",
        )
        .start();
    it.until("web", "ready");
    it.until("other", "ready");
    for (round, kill) in [(2, true), (3, false)] {
        if kill {
            assert_eq!(it.pidone(&["signal", "KILL", "db"]).code, 0);
        } else {
            assert_eq!(it.pidone(&["restart", "db"]).code, 0, "{}", it.err.text());
        }
        let again =
            || it.service("web")["starts"] == round && it.service("web")["state"] == "ready";
        assert!(poll(SOON, again), "{}", it.err.text());
        assert_eq!(it.service("db")["starts"], round);
        assert_eq!(it.service("other")["starts"], 1);
    }
    assert_eq!(it.stop().code, 0, "{}", it.err.text());
}

#[test]
fn finish_can_end_what_the_dead_has_left_behind() {
    if !can_contain() {
        return;
    }
    // Its worker holds what its successor needs, as that of a killed php-fpm holds the socket.
    let run = "#!/bin/sh\nif [ -e /mnt/once ]; then exec sleep 1000; fi\n\
               touch /mnt/once\nsleep 2000 &\nexit 7\n";
    let mut it = container()
        .script("services/web/run", run)
        .script("services/web/finish", "#!/bin/sh\nkill -KILL \"-$4\"\n")
        .start();
    it.until("web", "ready");
    let restarted = poll(SOON, || it.service("web")["restarts"] == 1);
    assert!(restarted, "{}", it.status());
    let sleepers = || it.processes().iter().filter(|p| p.name == "sleep").count();
    assert!(poll(SOON, || sleepers() == 1), "{:?}", it.processes());
    it.stop();
}
