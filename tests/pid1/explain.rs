//! Why a service is not ready, and who needs whom, asked of a running container.

use crate::support::{can_contain, container};

#[test]
fn the_chain_down_to_what_holds_everybody_up() {
    if !can_contain() {
        return;
    }
    let mut it = container()
        .service(
            "db",
            "command = \"echo loading; exec sleep 1000\"\n[ready]\nfile = \"/tmp/up\"\n",
        )
        .service("api", "command = [\"sleep\", \"1000\"]\nneeds = [\"db\"]\n")
        .service(
            "web",
            "command = [\"sleep\", \"1000\"]\nafter = [\"api\"]\nmain = true\n",
        )
        .start();
    it.until("db", "starting");
    it.out.until("loading");
    let screen = it.pidone(&["explain", "web"]).out;
    let lines: Vec<&str> = screen.lines().map(str::trim).collect();
    let has = |start: &str| lines.iter().any(|line| line.starts_with(start));
    for start in [
        "web: waiting for ",
        "why    it waits for api",
        "api: waiting for ",
        "why    it waits for db",
        "db: starting for ",
        "probe  file /tmp/up every 0.1s, within 30s",
        "pidone logs -f db ",
    ] {
        assert!(has(start), "{start}: {screen}");
    }
    assert!(screen.contains("  loading\n"), "{screen}");
    let drawn = it.pidone(&["graph"]).out;
    for line in [
        "  s0[\"api<br>waiting\"]\n",
        "  s2[[\"web<br>waiting\"]]\n",
        "  s0 --> s1\n",
        "  s2 -.-> s0\n",
    ] {
        assert!(drawn.contains(line), "{line}: {drawn}");
    }
    it.run(&["touch", "/tmp/up"]);
    it.until("web", "ready");
    let screen = it.pidone(&["explain", "web"]).out;
    assert!(screen.contains("why    nothing is wrong\n"), "{screen}");
    let nobody = it.pidone(&["explain", "wbe"]);
    assert_eq!(nobody.code, 2);
    assert!(
        nobody.err.contains("hint: did you mean `web`?"),
        "{nobody:?}"
    );
    let offline = it
        .pidone(&["graph", "--format", "dot", "/mnt/services"])
        .out;
    assert!(offline.contains("  s0 [label=\"api\"];\n"), "{offline}");
    it.stop();
}

#[test]
fn a_drawing_of_what_cannot_be_read_is_an_error() {
    if !can_contain() {
        return;
    }
    let mut it = container()
        .service("web", "command = [\"sleep\", \"1000\"]\n")
        .file("other/bad/service.toml", "needs = 3\n")
        .start();
    it.until("web", "ready");
    let answer = it.pidone(&["graph", "/mnt/other"]);
    assert_eq!((answer.code, answer.out.as_str()), (1, ""));
    assert!(
        answer.err.contains("other/bad/service.toml:1:9"),
        "{answer:?}"
    );
    it.stop();
}

/// A process that pidone itself has stopped died of SIGTERM, which tells nobody anything.
#[test]
fn who_had_to_go_says_why_until_it_is_tried_again() {
    if !can_contain() {
        return;
    }
    let waits = "[restart]\ndelay = \"1m\"\nmax-delay = \"1m\"\n";
    let asleep = "command = [\"sleep\", \"1000\"]\n";
    let late = "[ready]\nfile = \"/tmp/up\"\nwithin = \"200ms\"\n";
    let silent = "[health]\nnotify = true\ninterval = \"100ms\"\nretries = 1\n";
    let mut it = container()
        .service("late", &format!("{asleep}{waits}{late}"))
        .service("silent", &format!("{asleep}{waits}{silent}"))
        .start();
    for (name, why) in [
        (
            "late",
            "not ready within 0.2s: /tmp/up: no such file or directory",
        ),
        ("silent", "unhealthy: no WATCHDOG=1 for 0.1s"),
    ] {
        it.until(name, "waiting-to-restart");
        let screen = it.pidone(&["explain", name]).out;
        assert!(screen.contains(&format!("\n  why    {why}\n")), "{screen}");
        let page = it.pidone(&["status", name]).out;
        let note = format!("\n  note      SIGTERM; {why}; next try in ");
        assert!(page.contains(&note), "{page}");
        // And why it was asked to go, in its history.
        assert!(
            page.contains("→ stopping ") && page.contains(&format!("  {why}\n")),
            "{page}"
        );
    }
    it.stop();
}
