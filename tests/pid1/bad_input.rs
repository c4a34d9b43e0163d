//! Definitions that are wrong: `pidone check` tells all, and a boot ends with 78 and the same.

use std::process::Command;
use std::time::Duration;

use crate::support::{Container, Recipe, SOON, can_contain, container};

/// Boots a fleet that must not start: exit 78, each of `words` on stderr, and nothing was run.
fn refused(recipe: Recipe, words: &[&str]) {
    let mut it = recipe
        .service(
            "good",
            "command = \"touch /mnt/started; exec sleep 1000\"\n",
        )
        .start();
    let ended = it.wait(SOON);
    let err = it.err.text();
    assert_eq!(ended.code, 78, "{words:?}: {err}");
    assert!(ended.after < Duration::from_secs(3), "{words:?}: {ended:?}");
    for word in words {
        assert!(err.contains(word), "no `{word}`: {err}");
    }
    assert_eq!(it.out.text(), "", "faults belong on stderr");
    assert!(!it.path("started").exists(), "{words:?}: something ran");
}

fn one(toml: &str) -> Recipe {
    container().service("web", toml)
}

#[test]
fn a_service_where_the_directory_of_all_is_meant() {
    if !can_contain() {
        return;
    }
    let init = ["/mnt/pidone", "init", "--services", "/mnt/services/web"];
    let mut it = one("command = [\"sleep\", \"1000\"]\n")
        .program(&init)
        .start();
    assert_eq!(it.wait(SOON).code, 78, "{}", it.err.text());
    let err = it.err.text();
    let told = "error: `/mnt/services/web` is itself a service\n";
    assert!(err.contains(told), "{err}");
}

#[test]
fn wrong_words() {
    if !can_contain() {
        return;
    }
    let cases: [(&str, &[&str]); 12] = [
        (
            "comand = [\"x\"]\n",
            &["comand", "service.toml:1:1", "hint", "command"],
        ),
        ("command = 5\n", &["command", "service.toml:1:11"]),
        (
            "command = [\"x\"]\nneeds = \"a\"\n",
            &["needs", "service.toml:2:9"],
        ),
        (
            "command = [\"x\"]\nuser = \"nosuchuser\"\n",
            &["nosuchuser", "service.toml:2:8"],
        ),
        (
            "command = [\"x\"]\n[stop]\nsignal = \"SIGQUITT\"\n",
            &["SIGQUITT", "SIGQUIT`", ":3:10"],
        ),
        (
            "command = [\"x\"]\nneeds = [\"nobody\"]\n",
            &["nobody", "service.toml:2:10"],
        ),
        (
            "command = [\"x\"]\nneeds = [\"a/b\"]\n",
            &["a/b", "service.toml:2:10"],
        ),
        (
            "command = [\"x\"]\n[stop]\ntimeout = \"soon\"\n",
            &["soon", "service.toml:3:11"],
        ),
        (
            "command = [\"x\"]\n[stop]\ntimeout = 5\n",
            &["timeout", "service.toml:3:11"],
        ),
        (
            "command = [\"x\"]\n[ready]\ntcp = \"127.0.0.1:1\"\nhttp = \"http://127.0.0.1/\"\n",
            &["tcp", "http", "service.toml"],
        ),
        ("command = [\"x\"\n", &["service.toml:"]),
        ("", &["service.toml", "command"]),
    ];
    for (toml, words) in cases {
        refused(one(toml), words);
    }
}

#[test]
fn wrong_fleets() {
    if !can_contain() {
        return;
    }
    let needing = |name: &str| format!("command = [\"x\"]\nneeds = [\"{name}\"]\n");
    refused(
        container()
            .service("a", &needing("b"))
            .service("b", &needing("c"))
            .service("c", &needing("a")),
        &["a", "b", "c", "circle"],
    );
    let main = "command = [\"x\"]\nmain = true\n";
    refused(
        container().service("one", main).service("two", main),
        &["one", "two", "main"],
    );
    refused(
        one("command = [\"x\"]\n").script("services/web/run", "#!/bin/sh\nexit 0\n"),
        &["web", "command", "run"],
    );
    refused(
        container().file("services/bad name/service.toml", "command = [\"x\"]\n"),
        &["bad name"],
    );
}

#[test]
fn wrong_scripts() {
    if !can_contain() {
        return;
    }
    let run = |text: &str| container().script("services/web/run", text);
    refused(run("#!/bin/sh\r\nexit 0\r\n"), &["web", "run", "CRLF"]);
    refused(run("exit 0\n"), &["web", "run", "#!"]);
    refused(
        run("#!/no/such/sh\nexit 0\n"),
        &["web", "run", "/no/such/sh"],
    );
    refused(
        container().file("services/web/run", "#!/bin/sh\nexit 0\n"),
        &["web", "run", "execut"],
    );
}

/// What a box cannot be made of by a recipe: made inside, before the exec.
fn made_by(script: &str) -> Container {
    let script = format!("{script}\nexec /mnt/pidone init --services /mnt/services");
    container()
        .service(
            "good",
            "command = \"touch /mnt/started; exec sleep 1000\"\n",
        )
        .file("services/web/note", "\n")
        .program(&["sh", "-ec", &script])
        .start()
}

#[test]
fn files_that_are_none() {
    if !can_contain() {
        return;
    }
    let cases = [
        ("mkfifo /mnt/services/web/service.toml", "service.toml"),
        (
            "truncate -s 1G /mnt/services/web/service.toml",
            "service.toml",
        ),
        ("mkdir /mnt/services/web/service.toml", "service.toml"),
        ("mknod /mnt/services/web/service.toml c 1 5", "service.toml"),
        (
            "ln -s nowhere /mnt/services/web/service.toml",
            "service.toml",
        ),
    ];
    for (script, word) in cases {
        let mut it = made_by(script);
        let ended = it.wait(SOON);
        let err = it.err.text();
        assert_eq!(ended.code, 78, "{script}: {err}");
        assert!(err.contains(word) && err.contains("web"), "{script}: {err}");
        assert!(!it.path("started").exists(), "{script}: something ran");
    }
}

#[test]
fn a_directory_that_cannot_be_read() {
    if !can_contain() {
        return;
    }
    let script = "chmod 0 /mnt/services/web; exec setpriv --reuid 12345 --regid 12345 \
                  --clear-groups /mnt/pidone init --services /mnt/services";
    let mut it = made_by(script);
    let ended = it.wait(SOON);
    assert_eq!(ended.code, 78, "{}", it.err.text());
    assert!(it.err.text().contains("web"), "{}", it.err.text());

    let mut it = container()
        .program(&["/mnt/pidone", "init", "--services", "/no/such/dir"])
        .start();
    assert_eq!(it.wait(SOON).code, 78, "{}", it.err.text());
    assert!(it.err.text().contains("/no/such/dir"), "{}", it.err.text());
}

#[test]
fn all_faults_at_once() {
    if !can_contain() {
        return;
    }
    let recipe = container()
        .service(
            "one",
            "comand = [\"x\"]\n[stop]\nsignal = \"NOPE\"\ntimeout = \"soon\"\n",
        )
        .service(
            "two",
            "command = [\"x\"]\nneeds = [\"nobody\"]\n[restart]\nwhen = \"maybe\"\n",
        )
        .script("services/three/run", "exit 0\n");
    refused(
        recipe,
        &["comand", "NOPE", "soon", "nobody", "maybe", "three"],
    );
}

#[test]
fn check_tells_the_same_and_exits_1() {
    if !can_contain() {
        return;
    }
    let mut it = container()
        .service("web", "comand = [\"x\"]\n")
        .service("good", "command = [\"sleep\", \"1\"]\n")
        .program(&["/mnt/pidone", "check", "/mnt/services"])
        .start();
    assert_eq!(it.wait(SOON).code, 1, "{}", it.err.text());
    let all = it.out.text() + &it.err.text();
    assert!(
        all.contains("comand") && all.contains("2 services checked: "),
        "{all}"
    );

    let mut it = container()
        .service("good", "command = [\"sleep\", \"1\"]\n")
        .program(&["/mnt/pidone", "check", "/mnt/services"])
        .start();
    assert_eq!(it.wait(SOON).code, 0, "{}{}", it.out.text(), it.err.text());
}

#[test]
fn nothing_to_do_is_a_fault_too() {
    if !can_contain() {
        return;
    }
    let mut it = container().start();
    let ended = it.wait(SOON);
    assert_ne!(
        ended.code,
        0,
        "an empty container must not live: {}",
        it.err.text()
    );
    assert!(!it.err.text().is_empty());
}

#[test]
fn the_version_needs_nothing() {
    let done = Command::new(crate::support::PIDONE)
        .arg("--version")
        .output()
        .unwrap();
    assert!(done.status.success());
    assert!(String::from_utf8_lossy(&done.stdout).contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn nobody_can_be_told_and_the_code_says_it_all_the_same() {
    if !can_contain() {
        return;
    }
    let boot = "exec /mnt/pidone init --services /mnt/services 2>/dev/full";
    let warned = one("command = \"exit 3\"\nmain = true\n").file("services/README", "");
    for (recipe, code) in [(one("comand = 5\n"), 78), (warned, 3)] {
        let mut it = recipe.program(&["sh", "-c", boot]).start();
        assert_eq!(it.wait(SOON).code, code);
    }
}
