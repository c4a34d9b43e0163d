//! The container's output: whole lines, none lost, in each format.

use std::collections::BTreeMap;
use std::fs;

use crate::support::{Recipe, SOON, Stdout, can_contain, container};

const LINES: usize = 60_000;

/// Ten services that write numbered lines as fast as they can, in blocks that end anywhere.
fn ten_writers(format: &str) -> Recipe {
    (0..10).fold(container().env("PIDONE_LOG_FORMAT", format), |recipe, n| {
        let toml = format!(
            "type = \"oneshot\"\ncommand = [\"seq\", \"-f\", \"w{n} %.0f {}\", \"{LINES}\"]\n",
            "x".repeat(20 + n * 9)
        );
        recipe.service(&format!("w{n}"), &toml)
    })
}

/// Every line is one of the writers', whole, and each writer's numbers count up without a gap.
fn check(text: &str, payload: impl Fn(&str) -> Option<&str>) {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for line in text.lines() {
        let Some(line) = payload(line) else {
            panic!("torn: `{line}`")
        };
        let mut words = line.split(' ');
        let (Some(who), Some(number), Some(fill), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            panic!("torn: `{line}`");
        };
        let who: usize = who[1..].parse().unwrap();
        let count = counts.entry(who).or_default();
        *count += 1;
        assert_eq!(number, count.to_string(), "lost or torn: `{line}`");
        assert_eq!(fill.len(), 20 + who * 9, "torn: `{line}`");
    }
    let want: BTreeMap<_, _> = (0..10).map(|who| (who, LINES)).collect();
    assert_eq!(counts, want);
}

#[test]
fn ten_writers_tear_nothing_prefixed() {
    if !can_contain() {
        return;
    }
    let mut it = ten_writers("prefix").start();
    assert_eq!(it.wait(SOON * 3).code, 0, "{}", it.err.text());
    check(&it.out.text(), |line| {
        let (name, line) = line.split_once(" | ")?;
        (name.trim_end() == line.split(' ').next()?).then_some(line)
    });
}

#[test]
fn ten_writers_tear_nothing_raw() {
    if !can_contain() {
        return;
    }
    let mut it = ten_writers("raw").start();
    assert_eq!(it.wait(SOON * 3).code, 0, "{}", it.err.text());
    check(&it.out.text(), |line| Some(line));
}

#[test]
fn ten_writers_tear_nothing_into_a_file() {
    if !can_contain() {
        return;
    }
    let mut it = ten_writers("raw").stdout(Stdout::Files).start();
    let ended = it.wait(SOON * 3);
    assert_eq!(ended.code, 0, "{:?}", fs::read_to_string(it.path("stderr")));
    check(&fs::read_to_string(it.path("stdout")).unwrap(), |line| {
        Some(line)
    });
}

#[test]
fn json_is_one_object_a_line() {
    if !can_contain() {
        return;
    }
    let toml =
        "type = \"oneshot\"\ncommand = \"echo 'a \\\"b\\\" \\\\t'; printf 'c\\\\001\\\\n' >&2\"\n";
    let mut it = container()
        .env("PIDONE_LOG_FORMAT", "json")
        .service("web", toml)
        .start();
    it.wait(SOON);
    let lines = it.out.text() + &it.err.text();
    let mut seen = Vec::new();
    for line in lines.lines() {
        let object: serde_json::Value = serde_json::from_str(line).expect(line);
        for field in ["ts", "service", "msg"] {
            assert!(object.get(field).is_some(), "no {field}: {line}");
        }
        if object["service"] == "web" && object["stream"].is_string() {
            seen.push(format!("{} {}", object["stream"], object["msg"]));
        }
    }
    seen.retain(|line| line.contains("stdout") || line.contains("stderr"));
    assert!(
        seen.iter()
            .any(|line| line.contains("stderr") && line.contains("c\\u0001")),
        "{seen:?}"
    );
    assert!(
        seen.iter()
            .any(|line| line.contains("stdout") && line.contains("b\\\"")),
        "{seen:?}"
    );
}

#[test]
fn both_streams_keep_apart() {
    if !can_contain() {
        return;
    }
    let toml = "type = \"oneshot\"\ncommand = \"echo good; echo bad >&2; printf unfinished\"\n";
    let mut it = container().service("web", toml).start();
    it.wait(SOON);
    assert_eq!(it.out.text(), "web | good\nweb | unfinished\n");
    assert!(it.err.text().contains("web ! bad\n"), "{}", it.err.text());
}

#[test]
fn a_line_without_end_is_passed_on_in_pieces() {
    if !can_contain() {
        return;
    }
    let toml = "type = \"oneshot\"\n\
                command = \"head -c 200000 /dev/zero | tr '\\\\0' y; echo; echo next\"\n";
    let mut it = container().service("web", toml).start();
    it.wait(SOON);
    let out = it.out.text();
    assert_eq!(out.matches('y').count(), 200_000);
    assert!(
        out.lines().count() > 3 && out.ends_with("web | next\n"),
        "{}",
        out.len()
    );
    assert!(out.lines().all(|line| line.len() < 66_000));
}

#[test]
fn bytes_pass_unchanged_in_raw() {
    if !can_contain() {
        return;
    }
    let toml = "type = \"oneshot\"\ncommand = [\"cat\", \"/mnt/bytes\"]\n[log]\nformat = \"raw\"\n";
    let mut it = container()
        .file("bytes", "\u{0}\u{1}\u{7f}\r\n\tend\n")
        .service("web", toml)
        .stdout(Stdout::Files)
        .start();
    it.wait(SOON);
    assert_eq!(
        fs::read(it.path("stdout")).unwrap(),
        fs::read(it.path("bytes")).unwrap()
    );
}

#[test]
fn none_is_kept_but_not_written() {
    if !can_contain() {
        return;
    }
    let toml = "command = \"echo secret; exec sleep 1000\"\n[log]\nformat = \"none\"\n";
    let mut it = container().service("web", toml).start();
    it.until("web", "ready");
    let came = crate::support::poll(SOON, || it.pidone(&["logs", "web"]).out.contains("secret"));
    assert!(came, "{:?}", it.pidone(&["logs", "web"]));
    it.stop();
    assert!(!it.out.text().contains("secret"));
}

#[test]
fn a_reader_that_goes_away_ends_nothing() {
    if !can_contain() {
        return;
    }
    // The reader of PID 1's stdout is `head`, which leaves after a line.
    let script = "rm -f /tmp/fifo; mkfifo /tmp/fifo; head -n 1 </tmp/fifo >/mnt/first & \
                  exec /mnt/pidone init --services /mnt/services >/tmp/fifo";
    let toml = "command = \"while :; do echo line; sleep 0.01; done\"\n";
    let mut it = container()
        .service("web", toml)
        .program(&["sh", "-c", script])
        .start();
    assert_eq!(it.read("first"), "web    | line\n");
    it.until("web", "ready");
    let before = it.service("web")["restarts"].clone();
    it.run(&["sh", "-c", "sleep 0.3"]);
    assert_eq!(it.service("web")["restarts"], before, "{}", it.err.text());
    it.stop();
}

#[test]
fn a_logger_gets_it_all() {
    if !can_contain() {
        return;
    }
    let mut it = container()
        .script(
            "services/web/run",
            "#!/bin/sh\nseq 1 20000\necho to-stderr >&2\ntouch /mnt/wrote\nexec sleep 1000\n",
        )
        .script(
            "services/web/log/run",
            "#!/bin/sh\nexec cat >>/mnt/logged\n",
        )
        .start();
    it.err.until("to-stderr");
    it.until("web/log", "ready");
    it.stop();
    let want = (1..=20_000).fold(String::new(), |text, n| text + &n.to_string() + "\n");
    assert!(
        fs::read_to_string(it.path("logged")).unwrap() == want,
        "lines are missing"
    );
    assert!(!it.out.text().contains("20000"));
}

#[test]
fn a_logger_that_dies_loses_nothing_of_its_producer() {
    if !can_contain() {
        return;
    }
    let mut it = container()
        .script(
            "services/web/run",
            "#!/bin/sh\ni=0\nwhile :; do i=$((i+1)); echo $i; sleep 0.01; done\n",
        )
        .script(
            "services/web/log/run",
            "#!/bin/sh\nwhile read -r line; do echo \"$line\" >>/mnt/logged; done\n",
        )
        .start();
    it.until("web/log", "ready");
    let first = it.service("web/log")["pid"].clone();
    assert_eq!(it.pidone(&["signal", "KILL", "web/log"]).code, 0);
    let back = crate::support::poll(SOON, || {
        let now = it.service("web/log");
        now["state"] == "ready" && now["pid"] != first
    });
    assert!(back, "{}", it.err.text());
    let size = fs::metadata(it.path("logged")).map_or(0, |m| m.len());
    let grows = crate::support::poll(SOON, || {
        fs::metadata(it.path("logged")).map_or(0, |m| m.len()) > size
    });
    assert!(grows, "{}", it.err.text());
    assert_eq!(it.service("web")["restarts"], 0, "the producer went on");
    it.stop();
}

#[test]
fn a_logger_restarted_by_hand_loses_nothing_and_harms_nobody() {
    if !can_contain() {
        return;
    }
    let mut it = container()
        .script(
            "services/web/run",
            "#!/bin/sh\ni=0\nwhile :; do i=$((i+1)); echo $i; sleep 0.01; done\n",
        )
        // It stops between two lines, as s6-log does, so that every number must arrive.
        .script(
            "services/web/log/run",
            "#!/bin/sh\ntrap 'stop=1' TERM\n\
             while [ -z \"$stop\" ] && read -r line; do echo \"$line\" >>/mnt/logged; done\n",
        )
        .start();
    it.until("web", "ready");
    it.until("web/log", "ready");
    let lines = || fs::read_to_string(it.path("logged")).map_or(0, |text| text.lines().count());
    for verbs in [&["restart"][..], &["stop", "start"]] {
        for verb in verbs {
            let answer = it.pidone(&[verb, "web/log", "--timeout", "3s"]);
            assert_eq!(answer.code, 0, "{verb}: {answer:?}\n{}", it.err.text());
        }
        let before = lines();
        let grows = crate::support::poll(SOON, || lines() > before + 5);
        assert!(grows, "{}", it.err.text());
    }
    assert_eq!(it.service("web")["restarts"], 0, "the producer went on");
    it.stop();
    let logged = fs::read_to_string(it.path("logged")).unwrap();
    let want = (1..=logged.lines().count()).map(|n| n.to_string());
    assert!(logged.lines().eq(want), "lines are missing: {logged}");
    assert!(!it.err.text().contains("SIGKILL"), "{}", it.err.text());
}

#[test]
fn another_users_output_goes_to_its_logger_by_any_name() {
    if !can_contain() {
        return;
    }
    // The logger is there first, as somebody else.
    let mut it = container()
        .service("web", "user = \"nobody\"\nneeds = [\"first\"]\n")
        .script(
            "services/web/run",
            "#!/bin/sh\necho by name >/dev/stdout\nexec sleep 1000\n",
        )
        .script(
            "services/web/log/run",
            "#!/bin/sh\nexec cat >>/mnt/logged\n",
        )
        .service(
            "first",
            "type = \"oneshot\"\ncommand = [\"sleep\", \"0.2\"]\n",
        )
        .start();
    assert_eq!(it.read("logged"), "by name\n", "{}", it.err.text());
    it.stop();
}
