//! What PID 1 tells on stderr: enough to know at night what is wrong, and where.

use nix::libc;

use crate::support::{Container, SOON, can_contain, container};

const SLEEP: &str = "command = [\"sleep\", \"1000\"]\n";

/// Waits until each of these has been told, and stops it.
fn tells(mut it: Container, lines: &[&str]) {
    for line in lines {
        it.err.until(line);
    }
    it.signal(libc::SIGTERM);
    it.wait(SOON);
}

#[test]
fn who_is_ready_though_another_never_is() {
    if !can_contain() {
        return;
    }
    let it = container()
        .service("web", SLEEP)
        .service("flaps", "command = [\"nosuchprogram\"]\n")
        .start();
    it.err.until("pidone * web ready in");
    assert_eq!(it.status()["phase"], "running");
    tells(it, &[]);
}

#[test]
fn why_a_program_does_not_run() {
    if !can_contain() {
        return;
    }
    let it = container()
        .service("web", "command = [\"nosuchprogram\"]\n")
        .service("dir", "command = \"true\"\nworkdir = \"${NOWHERE}\"\n")
        .start();
    tells(
        it,
        &[
            "cannot execute `nosuchprogram`: no such file or directory (hint: it is in no \
             directory of PATH), restart 1 now",
            "cannot execute `nosuchprogram`: no such file or directory (hint: it is in no \
             directory of PATH), restart 2 in",
            "the variable `NOWHERE` is not set and has no default, restart 1 now",
            "the variable `NOWHERE` is not set and has no default, restart 2 in",
        ],
    );
}

#[test]
fn why_what_stands_beside_a_service_does_not_run() {
    if !can_contain() {
        return;
    }
    let it = container()
        .service(
            "web",
            &format!("{SLEEP}[reload]\ncommand = [\"nosuchreload\"]\n"),
        )
        .service(
            "asked",
            &format!("{SLEEP}[ready]\nexec = [\"nosuchprobe\"]\nwithin = \"300ms\"\n"),
        )
        .service(
            "mute",
            "command = \"exec 3>&-; exec sleep 1000\"\n[ready]\nfd = 3\nwithin = \"300ms\"\n",
        )
        .service(
            "ends",
            "command = \"exit 7\"\n[restart]\nwhen = \"never\"\n",
        )
        // Its interpreter goes away after the boot has looked for it.
        .script("services/ends/finish", "#!/mnt/sh\nexit 0\n")
        .script("sh", "#!/bin/sh\nexec /bin/sh \"$@\"\n")
        .service(
            "first",
            "command = [\"rm\", \"/mnt/sh\"]\ntype = \"oneshot\"\n",
        )
        .start();
    it.until("first", "finished");
    it.until("web", "ready");
    it.pidone(&["reload", "web"]);
    it.pidone(&["start", "ends"]);
    tells(
        it,
        &[
            "reload failed: cannot execute `nosuchreload`: no such file",
            "not ready within 0.3s: its probe: cannot execute `nosuchprobe`: no such file",
            "not ready within 0.3s: it closed its notification descriptor without a newline",
            "its finish does not run: cannot execute `/mnt/services/ends/finish`",
            "failed: exit code 7",
        ],
    );
}

#[test]
fn what_cmd_has_waited_for() {
    if !can_contain() {
        return;
    }
    let slow = format!("{SLEEP}[ready]\nexec = [\"false\"]\n");
    let mut it = container()
        .service("web", SLEEP)
        .service("slow", &slow)
        .env("PIDONE_CMD_WAIT", "300ms")
        .cmd(&["true"])
        .start();
    assert_eq!(it.wait(SOON).code, 1);
    let told = it.err.text();
    let words =
        "cmd is not started: it waits for slow (starting) for too long: stopping 2 services";
    assert!(told.contains(words), "{told}");
}

#[test]
fn what_cmd_needed_and_did_not_get() {
    if !can_contain() {
        return;
    }
    let mut it = container()
        .service("web", "command = [\"nosuchprogram\"]\n")
        .cmd(&["true"])
        .start();
    assert_eq!(it.wait(SOON).code, 1);
    let told = it.err.text();
    let words = "failed: needs web, which does not start";
    assert!(told.contains(words), "{told}");
}

#[test]
fn whose_place_cmd_takes() {
    if !can_contain() {
        return;
    }
    let mut it = container()
        .service("app", &format!("{SLEEP}main = true\n"))
        .service("proxy", &format!("{SLEEP}needs = [\"app\"]\n"))
        .service("exporter", &format!("{SLEEP}needs = [\"proxy\"]\n"))
        .service("db", SLEEP)
        .cmd(&["sh", "-c", "sleep 0.2; exit 7"])
        .start();
    assert_eq!(it.wait(SOON).code, 7, "{}", it.err.text());
    let told = it.err.text();
    for line in [
        "pidone * cmd takes the place of app, exporter, proxy",
        "db ready in",
        "cmd ended (exit code 7): stopping 1 service,",
    ] {
        assert!(told.contains(line), "no `{line}`: {told}");
    }
}

#[test]
fn a_killing_once() {
    if !can_contain() {
        return;
    }
    let deaf = "command = \"trap '' TERM; touch /mnt/deaf; while :; do sleep 0.1; done\"\n\
                [stop]\ntimeout = \"200ms\"\n";
    let mut it = container()
        .service("db", deaf)
        .service("web", SLEEP)
        .start();
    it.until("db", "ready");
    assert!(crate::support::poll(SOON, || it.path("deaf").exists()));
    it.signal(libc::SIGTERM);
    assert_eq!(it.wait(SOON).code, 137);
    let told = it.err.text();
    let of_db = told.lines().filter(|line| line.starts_with("db "));
    let of_db: Vec<&str> = of_db.collect();
    assert_eq!(of_db, ["db * still up after 0.2s: SIGKILL"], "{told}");
    assert!(told.contains("done: 1 clean, 1 killed"), "{told}");
}

#[test]
fn who_stopped_whom() {
    if !can_contain() {
        return;
    }
    let mut it = container()
        .service("db", SLEEP)
        .service("web", &format!("{SLEEP}needs = [\"db\"]\n"))
        .service("other", SLEEP)
        .start();
    it.until("web", "ready");
    assert_eq!(it.pidone(&["stop", "db"]).code, 0);
    for name in ["db", "web"] {
        let note = it.until(name, "down")["note"].clone();
        assert_eq!(note, "stopped by `pidone stop db`");
    }
    it.stop();
}

#[test]
fn the_cause_comes_before_what_follows_from_it() {
    if !can_contain() {
        return;
    }
    let it = container()
        .service("app", &format!("needs = [\"migrate\"]\n{SLEEP}"))
        .service("migrate", "type = \"oneshot\"\ncommand = \"exit 3\"\n")
        .service("web", SLEEP)
        .start();
    it.err.until("* failed: needs migrate");
    let said = it.err.text();
    let at = |line: &str| said.find(line).unwrap_or_else(|| panic!("{line}: {said}"));
    assert!(
        at("migrate * failed: exit code 3") < at("app * failed: needs migrate"),
        "{said}"
    );
    tells(it, &[]);
}

#[test]
fn a_death_during_the_boot_comes_after_the_arrival() {
    if !can_contain() {
        return;
    }
    let it = container()
        .service("flaps", "command = \"exec sleep 0.2\"\n")
        .service(
            "ghost",
            "command = [\"/no/such/program\"]\n\
             restart = { limit = { times = 1, within = \"1m\" } }\n",
        )
        // The boot goes on as long as this one is awaited.
        .service(
            "slow",
            &format!("{SLEEP}[ready]\nfile = \"/mnt/never\"\nwithin = \"2s\"\n"),
        )
        .start();
    it.err.until("slow * not ready within 2s");
    let said = it.err.text();
    let at = |line: &str| said.find(line).unwrap_or_else(|| panic!("{line}: {said}"));
    assert!(
        at("pidone * flaps ready in") < at("flaps * exit code 0, restart 1 now"),
        "{said}"
    );
    // Later arrivals of the same service are lines of its own.
    assert!(
        at("flaps * exit code 0, restart 1 now") < at("flaps * ready in"),
        "{said}"
    );
    assert_eq!(said.matches("pidone * flaps ready").count(), 1, "{said}");
    assert!(!said.contains("\u{b7} flaps ready"), "{said}");
    // The last word has the reason too.
    at(
        "ghost * failed: cannot execute `/no/such/program`: no such file or directory, restarted 1 \
        time within 1m",
    );
    tells(it, &[]);
}
