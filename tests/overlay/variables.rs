//! The variables of s6-overlay's, as the page tells of them: each has a story here, or a reason
//! there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::image::{Image, Running, image};
use crate::order::in_order;
use crate::support::SOON;
use crate::{endings, logging};

/// The variable and its value, what the output must hold then, and what without it.
const TABLE: &[(&str, &str, &str, &str)] = &[
    ("S6_KEEP_ENV", "1", "cmd has [seen]\n", "cmd has []\n"),
    ("S6_CMD_ARG0", "/wrap", "wrapped sh\n", "cmd has []\n"),
    ("S6_STAGE2_HOOK", "echo hook", "hook\n", "init, "),
    (
        "S6_RUNTIME_PROFILE",
        "other",
        "init of other, 700 755 755\n",
        "init, 755 700 755\n",
    ),
    ("S6_RUNTIME_BUNDLEDIR", "/bundles", "bundled\n", "init"),
    (
        "S6_FIX_ATTRS_HIDDEN",
        "1",
        "init, 755 700 700\n",
        "init, 755 700 755\n",
    ),
    (
        "S6_KILL_FINISH_MAXTIME",
        "1000",
        "cut short\n",
        "finished\n",
    ),
    (
        "S6_VERBOSITY",
        "1",
        "cont-init: warning: /etc/cont-init.d/y exited 3\n",
        "cont-init: info: /etc/cont-init.d/y exited 3\n",
    ),
];

/// Who tells of those that need more than a line.
const STORIES: &[(&str, fn())] = &[
    ("S6_BEHAVIOUR_IF_STAGE2_FAILS", endings::boots_that_fail),
    ("S6_CMD_RECEIVE_SIGNALS", cmd_receives_signals),
    ("S6_CMD_WAIT_FOR_SERVICES", cmd_waits_for_services),
    ("S6_CMD_WAIT_FOR_SERVICES_MAXTIME", cmd_waits_for_so_long),
    ("S6_LOGGING", logging::output_goes_to_one_logger),
    ("S6_CMD_USE_TERMINAL", logging::output_goes_to_one_logger),
    ("S6_LOGGING_SCRIPT", logging::lines_as_the_script_says),
    ("S6_CATCHALL_USER", logging::lines_as_the_script_says),
];

/// An image in which each of the table's variables would show.
fn with_everything(image: Image) -> Image {
    let finish =
        "#!/bin/sh\ntrap 'echo cut short; exit 1' ALRM\nsleep 2 & wait $!\necho finished\n";
    let look = "$(stat -c %a /var/lib/x/own /var/lib/x/shown /var/lib/x/.hidden | paste -sd ' ')";
    let dirs = "/var/lib/x/own /var/lib/x/shown /var/lib/x/.hidden";
    image
        .env("SEEN", "seen")
        .env("BEFORE", &format!("mkdir -p {dirs}; chmod 755 {dirs}"))
        .script("wrap", "#!/bin/sh\necho \"wrapped $1\"\nexec \"$@\"\n")
        .file(
            "etc/fix-attrs.d/x",
            "/var/lib/x true root 600 700\n/var/lib/x/own false root 644 755\n",
        )
        .script(
            "etc/cont-init.d/x",
            &format!("#!/bin/sh\necho \"init, {look}\"\n"),
        )
        .script("etc/cont-init.d/y", "#!/bin/sh\nexit 3\n")
        .script("etc/cont-finish.d/x", finish)
        .file(
            "etc/cont-profile.d/other/fix-attrs.d/x",
            "/var/lib/x/own false root 600 700\n",
        )
        .script(
            "etc/cont-profile.d/other/cont-init.d/x",
            &format!("#!/bin/sh\necho \"init of other, {look}\"\n"),
        )
        .longrun("app", "#!/bin/sh\nexec sleep 1000\n", &[])
        .file("etc/s6-overlay/s6-rc.d/apart/type", "oneshot\n")
        .file("etc/s6-overlay/s6-rc.d/apart/up", "echo bundled\n")
        .file("bundles/user/contents.d/apart", "")
}

#[test]
fn each_variable_changes_what_it_says() {
    for (name, value, with, without) in TABLE {
        for is_set in [true, false] {
            let Some(image) = image() else { return };
            let mut image = with_everything(image);
            if is_set {
                image = image.env(name, value);
            }
            let cmd = ["sh", "-c", "echo \"cmd has [$SEEN]\"; exit 2"];
            let Some(mut running) = image.start(&cmd) else {
                return;
            };
            let ended = running.0.wait(SOON);
            let told = running.0.out.text() + &running.0.err.text();
            assert_eq!(ended.code, 2, "{name}: {told}");
            let (wanted, other) = if is_set {
                (with, without)
            } else {
                (without, with)
            };
            assert!(told.contains(wanted), "{name} {is_set}: {told}");
            // Some tell the same in both lives, and something more.
            if !with_and_without(name) {
                assert!(!told.contains(other), "{name} {is_set}: {told}");
            }
        }
    }
}

/// Whether what is told without it is told with it, too.
fn with_and_without(name: &str) -> bool {
    matches!(
        name,
        "S6_CMD_ARG0" | "S6_STAGE2_HOOK" | "S6_RUNTIME_BUNDLEDIR"
    )
}

/// Signals that CMD traps, and how the container ends.
#[test]
fn cmd_receives_signals() {
    let traps = "for s in TERM INT QUIT USR1 USR2 PWR WINCH; do trap \"echo got $s\" $s; done\n\
                 trap 'echo got TERM; exit 7' TERM\necho set\n\
                 while :; do sleep 0.05; done";
    let start = |value: &str| -> Option<Running> {
        let image = image()?.env("S6_CMD_RECEIVE_SIGNALS", value);
        image.start(&["bash", "-c", traps])
    };
    let Some(mut running) = start("1") else {
        return;
    };
    running.0.out.until("set\n");
    for (signal, name) in [
        (libc::SIGINT, "INT"),
        (libc::SIGQUIT, "QUIT"),
        (libc::SIGUSR1, "USR1"),
        (libc::SIGUSR2, "USR2"),
        (libc::SIGPWR, "PWR"),
        (libc::SIGWINCH, "WINCH"),
        (libc::SIGTERM, "TERM"),
    ] {
        running.0.signal(signal);
        running.0.out.until(&format!("got {name}\n"));
    }
    let ended = running.0.wait(SOON);
    assert_eq!(ended.code, 7, "{}", running.0.err.text());
    for signal in [libc::SIGUSR1, libc::SIGUSR2, libc::SIGQUIT, libc::SIGPWR] {
        let Some(mut running) = start("0") else {
            return;
        };
        running.0.out.until("set\n");
        running.0.signal(signal);
        running.0.wait(SOON);
        let (out, err) = (running.0.out.text(), running.0.err.text());
        assert!(out.contains("got TERM\n"), "{signal}: {out}\n{err}");
    }
}

/// A service of `services.d` that takes its time.
fn slow(image: Image) -> Image {
    let run = "#!/bin/sh\nsleep 0.7\ntouch /run/there\necho >&3\nexec sleep 1000\n";
    image
        .script("etc/services.d/slow/run", run)
        .file("etc/services.d/slow/notification-fd", "3\n")
}

#[test]
fn cmd_waits_for_services() {
    for (value, wanted) in [("1", "there\n"), ("0", "not yet\n")] {
        let Some(image) = image() else { return };
        let image = slow(image).env("S6_CMD_WAIT_FOR_SERVICES", value);
        let cmd = "if [ -e /run/there ]; then echo there; else echo not yet; fi";
        let Some(mut running) = image.start(&["sh", "-c", cmd]) else {
            return;
        };
        let ended = running.0.wait(SOON);
        assert_eq!(ended.code, 0, "{}", running.0.err.text());
        let out = running.0.out.text();
        assert!(out.contains(wanted), "{value}: {out}");
    }
}

/// The boot takes too long: CMD runs while a oneshot goes on, and what needs that never starts.
#[test]
fn cmd_waits_for_so_long() {
    for (behaviour, code, wanted) in [("0", 4, "cmd\n"), ("2", 1, "slowly\n")] {
        let Some(image) = image() else { return };
        let image = image
            .env("S6_CMD_WAIT_FOR_SERVICES_MAXTIME", "300")
            .env("S6_BEHAVIOUR_IF_STAGE2_FAILS", behaviour)
            .oneshot("slow", "sh -c \"echo slowly; sleep 5\"\n", &[])
            .longrun("behind", "#!/bin/sh\necho never\n", &["slow"]);
        let Some(mut running) = image.start(&["sh", "-c", "echo cmd; sleep 0.2; exit 4"]) else {
            return;
        };
        let ended = running.0.wait(SOON);
        let (out, err) = (running.0.out.text(), running.0.err.text());
        assert_eq!(ended.code, code, "{behaviour}: {out}\n{err}");
        in_order(&out, &["slowly\n", wanted.trim_start_matches("slowly\n")]);
        assert!(!out.contains("never"), "{out}");
    }
}

/// What is in the page's table: names, and whether the reason of a difference stands there.
fn page() -> Vec<(String, bool)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/s6-overlay.md");
    let text = fs::read_to_string(path).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `S6_"));
    let rows = rows.map(|row| {
        let mut cells = row.split('|').map(str::trim).skip(1);
        let (name, here) = (cells.next().unwrap(), cells.nth(1).unwrap());
        let is_different = here.starts_with("different: ");
        assert!(is_different || here.starts_with("as there: "), "{row}");
        (name.trim_matches('`').to_owned(), is_different)
    });
    rows.collect()
}

#[test]
fn no_variable_is_forgotten() {
    let page = page();
    let same = page.iter().filter(|(_, is_different)| !is_different);
    let same: BTreeSet<&str> = same.map(|(name, _)| name.as_str()).collect();
    let table = TABLE.iter().map(|(name, ..)| *name);
    let stories = STORIES.iter().map(|(name, _)| *name);
    let told: BTreeSet<&str> = table.chain(stories).collect();
    assert_eq!(told, same);
    let names = page.iter().map(|(name, _)| name.as_str()).collect();
    let mut read = BTreeSet::new();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    variables_of(&sources, &mut read);
    let unknown: Vec<&String> = read
        .iter()
        .filter(|it| !BTreeSet::contains(&names, it.as_str()))
        .collect();
    assert!(unknown.is_empty(), "the page does not tell of {unknown:?}");
    assert_eq!(names.len(), 23, "s6-overlay 3.2.3.2 has so many");
}

/// The names of variables that the sources ask for.
fn variables_of(dir: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            variables_of(&path, found);
        } else {
            let text = fs::read_to_string(&path).unwrap();
            let names = text
                .split("\"S6_")
                .skip(1)
                .filter_map(|rest| rest.split_once('"'));
            let names = names.filter(|(name, _)| !name.contains(' '));
            found.extend(names.map(|(name, _)| format!("S6_{name}")));
        }
    }
}
