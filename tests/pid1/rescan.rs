//! Definitions that change while the container runs, by `pidone rescan` and by SIGHUP.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use nix::libc;

use crate::support::{Answer, Container, Recipe, SOON, can_contain, container, eventually};

pub(crate) const SLEEP: &str = "command = [\"sleep\", \"1000\"]\n";

/// It never tells that it is ready.
pub(crate) const NOTIFIES: &str =
    "command = [\"sleep\", \"1000\"]\n[ready]\nnotify = true\n[log]\nformat = \"raw\"\n";

pub(crate) fn fleet(names: &[&str]) -> Recipe {
    names
        .iter()
        .fold(container(), |recipe, name| recipe.service(name, SLEEP))
}

pub(crate) fn ready(names: &[&str]) -> Container {
    let it = fleet(names).start();
    for name in names {
        it.until(name, "ready");
    }
    it
}

pub(crate) fn define(it: &Container, name: &str, toml: &str) {
    let dir = it.path(&format!("services/{name}"));
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("service.toml"), toml).unwrap();
}

pub(crate) fn remove(it: &Container, name: &str) {
    fs::remove_dir_all(it.path(&format!("services/{name}"))).unwrap();
}

pub(crate) fn script(it: &Container, path: &str, text: &str) {
    let path = it.path(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// What `pidone rescan` shows, if all is well.
pub(crate) fn rescan(it: &Container) -> String {
    let Answer { code, out, err } = it.pidone(&["rescan"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    out
}

pub(crate) fn pids(it: &Container) -> BTreeMap<String, i64> {
    let status = it.status();
    let services = status["services"].as_array().unwrap();
    let pid = |service: &serde_json::Value| service["pid"].as_i64().unwrap_or(0);
    let name = |service: &serde_json::Value| service["name"].as_str().unwrap().to_owned();
    services.iter().map(|s| (name(s), pid(s))).collect()
}

pub(crate) fn has(it: &Container, name: &str) -> bool {
    pids(it).contains_key(name)
}

/// How many descriptors PID 1 has, once the last client is gone.
pub(crate) fn descriptors(it: &Container) -> usize {
    let count = || {
        fs::read_dir(format!("/proc/{}/fd", it.pid))
            .unwrap()
            .count()
    };
    let (mut last, mut same) = (count(), 0);
    eventually("the number of descriptors stands still", SOON, || {
        let now = count();
        same = if now == last { same + 1 } else { 0 };
        last = now;
        same == 20
    });
    last
}

pub(crate) fn state(it: &Container, name: &str) -> String {
    it.service(name)["state"].as_str().unwrap().to_owned()
}

/// What the container has said about its services beyond their first start.
pub(crate) fn events(it: &Container) -> usize {
    it.pidone(&["events", "--json"]).out.lines().count()
}

#[test]
fn a_rescan_that_finds_nothing_disturbs_nobody() {
    if !can_contain() {
        return;
    }
    let names: Vec<String> = (0..100).map(|n| format!("s{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut it = fleet(&names).start();
    eventually("all are ready", SOON, || it.pidone(&["health"]).code == 0);
    let (before, told) = (pids(&it), events(&it));
    for _ in 0..2 {
        assert_eq!(rescan(&it), "100 services unchanged\n");
    }
    it.signal(libc::SIGHUP);
    // Comments, and the order of keys, are no difference.
    define(&it, "s00", &format!("# a comment\n{SLEEP}"));
    assert_eq!(rescan(&it), "100 services unchanged\n");
    assert_eq!((pids(&it), events(&it)), (before, told));
    it.stop();
}

#[test]
fn each_difference_is_applied_and_told() {
    if !can_contain() {
        return;
    }
    let mut it = ready(&["db", "gone", "mailer", "same", "web"]);
    let before = pids(&it);
    define(&it, "api", &format!("needs = [\"db\"]\n{SLEEP}"));
    define(&it, "web", "command = [\"sleep\", \"2000\"]\n");
    define(&it, "db", &format!("{SLEEP}[stop]\ntimeout = \"2s\"\n"));
    define(&it, "mailer", &format!("enabled = false\n{SLEEP}"));
    remove(&it, "gone");
    let told = "to start    api\nto restart  web\nto stop     gone, mailer\nto update   db\n\n\
                1 service unchanged\n";
    assert_eq!(it.pidone(&["rescan", "--dry-run"]).out, told);
    assert_eq!(pids(&it), before);
    let screen = rescan(&it);
    let words = "started     api\nrestarted   web\nstopped     gone, mailer\nupdated     db\n\n\
                 1 service unchanged\n";
    assert_eq!(screen, words);
    eventually("what is gone has vanished", SOON, || !has(&it, "gone"));
    it.until("api", "ready");
    it.until("mailer", "down");
    eventually("web is another one", SOON, || {
        let web = it.service("web");
        web["state"] == "ready" && web["pid"].as_i64() != Some(before["web"])
    });
    let after = pids(&it);
    assert_eq!((after["same"], after["db"]), (before["same"], before["db"]));
    let page = it.pidone(&["status", "db"]).out;
    assert!(page.contains("SIGKILL after 2s"), "{page}");
    let story = it
        .err
        .until("rescan: started api; restarted web; stopped gone, mailer");
    assert!(story.contains("gone * stopped by SIGTERM"), "{story}");
    let events = it.pidone(&["events", "--json"]).out;
    for event in [
        r#""event":"rescan","service":null"#,
        r#""event":"gone","service":"gone""#,
        r#""service":"gone","from":"stopping","to":"down""#,
    ] {
        assert!(events.contains(event), "{event} in {events}");
    }
    it.stop();
}

#[test]
fn faults_change_nothing_and_are_all_shown() {
    if !can_contain() {
        return;
    }
    let mut it = ready(&["db", "web"]);
    let before = pids(&it);
    define(&it, "db", "comand = \"x\"\n");
    define(&it, "web", "command = \"x\"\nneeds = [\"nothing\"]\n");
    define(&it, "new", SLEEP);
    let answer = it.pidone(&["rescan"]);
    assert_eq!((answer.code, answer.out.as_str()), (1, ""));
    for part in [
        "unknown key `comand`",
        "/mnt/services/db/service.toml:1:1",
        "`web` needs `nothing`, which is not defined",
        "/mnt/services/web/service.toml:2:10",
        "in the definitions: nothing is changed",
    ] {
        assert!(answer.err.contains(part), "{part} in {}", answer.err);
    }
    it.signal(libc::SIGHUP);
    it.err.until("unknown key `comand`");
    it.err.until("which is not defined");
    assert_eq!(pids(&it), before);
    // An empty directory is one that somebody forgot to mount.
    for name in ["db", "web", "new"] {
        remove(&it, name);
    }
    let answer = it.pidone(&["rescan"]);
    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(
        answer.err.contains("no services in /mnt/services"),
        "{answer:?}"
    );
    assert_eq!(pids(&it), before);
    it.stop();
}

#[test]
fn a_fifo_does_not_hold_up_a_rescan() {
    if !can_contain() {
        return;
    }
    let mut it = ready(&["web"]);
    let dir = it.path("services/pipe");
    fs::create_dir(&dir).unwrap();
    nix::unistd::mkfifo(&dir.join("service.toml"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let asked = Instant::now();
    let answer = it.pidone(&["rescan"]);
    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(asked.elapsed() < Duration::from_secs(3));
    assert_eq!(state(&it, "web"), "ready");
    it.stop();
}

#[test]
fn hup_is_cmds_if_there_is_one() {
    if !can_contain() {
        return;
    }
    let cmd = "trap 'echo hup' HUP; echo up; while :; do sleep 0.05; done";
    let mut it = fleet(&["web"]).cmd(&["sh", "-c", cmd]).start();
    it.out.until("up");
    define(&it, "new", SLEEP);
    it.signal(libc::SIGHUP);
    it.out.until("hup");
    assert!(!has(&it, "new"));
    let before = pids(&it);
    let screen = rescan(&it);
    assert!(screen.starts_with("started     new\n"), "{screen}");
    it.until("new", "ready");
    assert_eq!(pids(&it)["cmd"], before["cmd"]);
    it.stop();
}

#[test]
fn hup_alone_is_a_rescan() {
    if !can_contain() {
        return;
    }
    let mut it = ready(&["old", "web"]);
    define(&it, "new", SLEEP);
    fs::rename(it.path("services/old"), it.path("services/renamed")).unwrap();
    it.signal(libc::SIGHUP);
    it.err
        .until("rescan: started new, renamed; stopped old; 1 unchanged");
    it.until("new", "ready");
    it.until("renamed", "ready");
    eventually("the old name has vanished", SOON, || !has(&it, "old"));
    it.stop();
}

#[test]
fn one_that_is_there_again_while_it_stops_starts_again() {
    if !can_contain() {
        return;
    }
    let slow =
        "command = \"trap 'sleep 0.5; exit 0' TERM; echo up; while :; do sleep 0.05; done\"\n";
    let mut it = container()
        .service("slow", slow)
        .service("web", SLEEP)
        .start();
    it.until("slow", "ready");
    it.out.until("up");
    let first = pids(&it)["slow"];
    remove(&it, "slow");
    assert!(rescan(&it).contains("stopped     slow"));
    assert_eq!(state(&it, "slow"), "stopping");
    // A service that stops because it is gone cannot be had back by hand.
    define(&it, "slow", slow);
    assert!(rescan(&it).contains("started     slow"));
    eventually("it runs again", SOON, || {
        let slow = it.service("slow");
        slow["state"] == "ready" && slow["pid"].as_i64() != Some(first)
    });
    it.stop();
}

#[test]
fn one_that_is_changed_while_it_stops_and_while_it_backs_off() {
    if !can_contain() {
        return;
    }
    let slow = "trap 'sleep 0.3; exit 0' TERM; echo up; while :; do sleep 0.05; done";
    let mut it = container()
        .service("slow", &format!("command = \"{slow}\"\n"))
        .service("bad", "command = \"exit 1\"\n[restart]\ndelay = \"20s\"\n")
        .service("web", SLEEP)
        .start();
    it.out.until("up");
    it.until("bad", "waiting-to-restart");
    assert_eq!(it.pidone(&["restart", "--no-wait", "slow"]).code, 0);
    define(&it, "slow", "command = \"echo second; exec sleep 1000\"\n");
    define(&it, "bad", SLEEP);
    assert!(rescan(&it).contains("restarted   bad, slow"));
    it.out.until("slow | second");
    it.until("slow", "ready");
    it.until("bad", "ready");
    assert_eq!(it.service("slow")["starts"], 2);
    it.stop();
}

#[test]
fn what_was_stopped_by_hand_stays_down() {
    if !can_contain() {
        return;
    }
    let mut it = ready(&["db", "web"]);
    assert_eq!(it.pidone(&["stop", "web"]).code, 0);
    define(&it, "web", "command = \"echo second; exec sleep 1000\"\n");
    assert_eq!(rescan(&it), "updated     web\n\n1 service unchanged\n");
    assert_eq!(state(&it, "web"), "down");
    assert_eq!(it.pidone(&["start", "web"]).code, 0);
    it.out.until("web | second");
    it.stop();
}

#[test]
fn links_change_and_who_goes_stops_in_order() {
    if !can_contain() {
        return;
    }
    let slow = "trap 'sleep 0.3; exit 0' TERM; echo up; while :; do sleep 0.05; done";
    let mut it = container()
        .service("db", SLEEP)
        .service("web", &format!("needs = [\"db\"]\ncommand = \"{slow}\"\n"))
        .service("rest", SLEEP)
        .start();
    it.out.until("up");
    it.until("web", "ready");
    // What needs it must go with it, or need it no longer.
    remove(&it, "db");
    let answer = it.pidone(&["rescan"]);
    assert_eq!(answer.code, 1, "{answer:?}");
    define(&it, "cache", SLEEP);
    define(
        &it,
        "web",
        &format!("needs = [\"cache\"]\ncommand = \"echo new; {slow}\"\n"),
    );
    assert!(rescan(&it).contains("stopped     db"));
    assert_eq!(
        state(&it, "db"),
        "ready",
        "web's old process still stands on it"
    );
    it.out.until("web | new");
    eventually("db has vanished", SOON, || !has(&it, "db"));
    let page = it.pidone(&["status", "web"]).out;
    assert!(page.contains("cache (ready)"), "{page}");
    it.stop();
}
