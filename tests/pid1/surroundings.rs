//! What a service's process gets from files at each start, and what nobody else may see of it.

use std::fs;

use crate::child::look;
use crate::support::{Container, SOON, can_contain, container, poll, process};

/// A word that must show nowhere but in the environment of the service itself.
const SECRET: &str = "hunter2";

const SLEEP: &str = "command = [\"sleep\", \"1000\"]\n";

/// The environment with which a service's main process was executed.
fn environ(it: &Container, name: &str) -> String {
    let inner = it.service(name)["pid"].as_i64().unwrap().to_string();
    let stands_for = |p: &process::Process| {
        let pids = process::field(p.pid, "NSpid").unwrap_or_default();
        pids.split_whitespace().last() == Some(inner.as_str())
    };
    let all = it.processes();
    let pid = all.iter().find(|p| stands_for(p)).expect("its process").pid;
    let bytes = fs::read(format!("/proc/{pid}/environ")).unwrap();
    String::from_utf8(bytes).unwrap().replace('\0', "\n")
}

/// Everything that anybody can be shown of the container: screens, output, command lines.
fn shown(it: &Container) -> String {
    let lines = it.processes().into_iter().map(|p| {
        let bytes = fs::read(format!("/proc/{}/cmdline", p.pid)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\0', " ")
    });
    let screens = [
        &["status"][..],
        &["status", "--json"],
        &["status", "db"],
        &["status", "db", "--json"],
        &["explain", "db"],
        &["explain", "other"],
        &["graph"],
        &["events", "--json"],
        &["logs"],
    ]
    .map(|args| it.pidone(args).out);
    [it.out.text(), it.err.text(), screens.join("\n")]
        .into_iter()
        .chain(lines)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn env_files_lie_over_the_containers_environment() {
    if !can_contain() {
        return;
    }
    let recipe = container()
        .env("A", "container")
        .env("B", "container")
        .env("C", "container")
        .env("CONFIG", "/mnt")
        .file(
            "app.env",
            "\u{feff}# comment\r\n\r\nexport A='a # b'\r\nB=two words \nHOME=/srv\n",
        )
        .file("services/self/more.env", "B=\"more\\t${C}\"\nD\n");
    let toml = "user = \"nobody\"\nenv-file = [\"${CONFIG}/app.env\", \"more.env\"]\n\
                env = { C = \"${A}|${B}\" }\n";
    let facts = look(recipe, toml, "");
    assert_eq!(facts["$A"], "a # b", "{facts:#?}");
    assert_eq!(facts["$B"], "more\t${C}");
    assert_eq!(facts["$C"], "a # b|more\t${C}");
    assert_eq!(facts["$HOME"], "/srv", "the file says so");
    assert_eq!(facts["$USER"], "nobody");
    assert!(!facts.contains_key("$D"));
}

#[test]
fn only_what_is_passed_on_arrives() {
    if !can_contain() {
        return;
    }
    let recipe = container()
        .env("APP_A", "1")
        .env("APP_B", "2")
        .env("OTHER", "3");
    let toml = "env-pass = [\"PATH\", \"APP_*\"]\nenv = { SEEN = \"${OTHER}\" }\n";
    let facts = look(recipe, toml, "");
    assert_eq!(facts["$APP_A"], "1", "{facts:#?}");
    assert_eq!(facts["$APP_B"], "2");
    assert_eq!(facts["$SEEN"], "3");
    assert!(!facts.contains_key("$OTHER"), "{facts:#?}");
}

#[test]
fn the_score_for_the_oom_killer() {
    if !can_contain() {
        return;
    }
    let toml = "command = [\"cat\", \"/proc/self/oom_score_adj\"]\ntype = \"oneshot\"\n\
                oom-score-adj = 321\n";
    let mut it = container().service("self", toml).start();
    it.wait(SOON);
    assert_eq!(it.out.text(), "self | 321\n");
}

#[test]
fn a_score_that_may_not_be_had_is_a_failed_start() {
    if !can_contain() {
        return;
    }
    let mut it = container()
        .uid(12345)
        .service("self", &format!("oom-score-adj = -500\n{SLEEP}"))
        .service("other", SLEEP)
        .start();
    it.until("other", "ready");
    it.until("self", "waiting-to-restart");
    let page = it.pidone(&["status", "self"]).out;
    assert!(page.contains("oom-score-adj"), "{page}");
    it.stop();
}

#[test]
fn a_secret_reaches_its_process_and_nobody_else() {
    if !can_contain() {
        return;
    }
    let toml = "command = [\"sleep\", \"1000\"]\nuser = \"nobody\"\nsecrets = [\"DB_PASSWORD\"]\n\
                env = { URL = \"db://app:${DB_PASSWORD}@host\" }\n\
                [ready]\nexec = [\"test\", \"-n\", \"$DB_PASSWORD\"]\n";
    let mut it = container()
        .env("DB_PASSWORD_FILE", "/mnt/secret")
        .file("secret", &format!("{SECRET}\n"))
        .service("db", toml)
        .service("other", SLEEP)
        .start();
    it.until("db", "ready");
    let env = environ(&it, "db");
    assert!(env.contains(&format!("DB_PASSWORD={SECRET}\n")), "{env}");
    assert!(env.contains(&format!("URL=db://app:{SECRET}@host\n")));
    assert!(!env.contains("DB_PASSWORD_FILE"), "{env}");
    assert!(!environ(&it, "other").contains(SECRET));
    let pid1 = fs::read_to_string(format!("/proc/{}/environ", it.pid)).unwrap();
    assert!(!pid1.contains(SECRET));
    let text = shown(&it);
    assert!(text.contains("db") && !text.contains(SECRET), "{text}");
    // Rotated: the next start reads the file again, here without a line end.
    fs::write(it.path("secret"), "correct horse").unwrap();
    assert_eq!(it.pidone(&["restart", "db"]).code, 0);
    let env = environ(&it, "db");
    assert!(env.contains("DB_PASSWORD=correct horse\n"), "{env}");
    it.stop();
}

/// A service whose secret or env-file cannot be used, and what is said of it.
fn refused(make: &str, toml: &str, words: &[&str]) {
    let script = format!("{make}\nexec /mnt/pidone init --services /mnt/services");
    let toml = format!("{toml}\n{SLEEP}");
    let mut it = container()
        .env("KEY_FILE", "/mnt/key")
        .service("db", &toml)
        .service("other", SLEEP)
        .program(&["sh", "-ec", &script])
        .start();
    it.until("other", "ready");
    it.until("db", "waiting-to-restart");
    let told = poll(SOON, || {
        words.iter().all(|word| it.err.text().contains(word))
    });
    assert!(told, "{make}: {}", it.err.text());
    let text = shown(&it);
    assert!(!text.contains(SECRET), "{make}: {text}");
    let page = it.pidone(&["status", "db"]).out;
    assert!(page.contains(words[0]), "{make}: {page}");
    it.stop();
}

#[test]
fn secrets_that_cannot_be_read() {
    if !can_contain() {
        return;
    }
    let toml = "secrets = [\"KEY\"]";
    for (make, words) in [
        ("rm -f /mnt/key", ["/mnt/key", "no such file"]),
        ("mkfifo /mnt/key", ["/mnt/key", "it is a FIFO"]),
        ("mkdir /mnt/key", ["/mnt/key", "it is a directory"]),
        ("ln -s /dev/zero /mnt/key", ["/mnt/key", "it is a device"]),
        (
            "truncate -s 70000 /mnt/key",
            ["/mnt/key", "larger than 64 KiB"],
        ),
        ("printf 'hunter2\\0' >/mnt/key", ["/mnt/key", "NUL"]),
        ("unset KEY_FILE", ["`KEY_FILE` is not set", "`KEY`"]),
        ("export KEY_FILE=key", ["`key`", "absolute"]),
    ] {
        refused(make, toml, &words);
    }
}

#[test]
fn a_secret_that_may_not_be_read() {
    if !can_contain() {
        return;
    }
    let mut it = container()
        .uid(12345)
        .env("KEY_FILE", "/mnt/keys/key")
        .file("keys/key", SECRET)
        .service("db", &format!("secrets = [\"KEY\"]\n{SLEEP}"))
        .service("other", SLEEP)
        .program(&[
            "sh",
            "-c",
            "sleep 0.1; exec /mnt/pidone init --services /mnt/services",
        ])
        .start();
    it.until("db", "ready");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(it.path("keys/key"), mode).unwrap();
    assert_eq!(it.pidone(&["restart", "db"]).code, 1);
    let told = poll(SOON, || {
        it.err
            .text()
            .contains("/mnt/keys/key` for the secret `KEY`: permission denied")
    });
    assert!(told, "{}", it.err.text());
    // Readable again: the next try finds it, without anybody's help.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(it.path("keys/key"), mode).unwrap();
    it.until("db", "ready");
    assert!(!it.err.text().contains(SECRET));
    it.stop();
}

#[test]
fn env_files_that_cannot_be_read() {
    if !can_contain() {
        return;
    }
    let toml = "env-file = \"/mnt/app.env\"";
    for (make, words) in [
        ("rm -f /mnt/app.env", ["/mnt/app.env", "no such file"]),
        ("mkfifo /mnt/app.env", ["/mnt/app.env", "it is a FIFO"]),
        (
            "truncate -s 2M /mnt/app.env",
            ["/mnt/app.env", "larger than 1024 KiB"],
        ),
        (
            "printf 'A=1\\nB=hunter2\\0\\n' >/mnt/app.env",
            ["/mnt/app.env", "line 2: it holds a NUL"],
        ),
        (
            "printf 'A=\"hunter2\\r\\n' >/mnt/app.env",
            ["/mnt/app.env", "line 1: a quote is not closed"],
        ),
        (
            "printf 'pass hunter2' >/mnt/app.env",
            ["/mnt/app.env", "line 1: a variable's name"],
        ),
    ] {
        refused(make, toml, &words);
    }
}
