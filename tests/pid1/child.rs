//! What a service's process is born with: descriptors, signals, limits, user, environment.

use std::collections::BTreeMap;

use crate::support::{Recipe, SOON, can_contain, container};

/// Tells what it sees of itself, a fact a line, then its readiness; then stays.
const LOOK: &str = r#"{
    grep -E '^(Sig|Shd|NoNewPrivs|Uid|Gid|Groups|CapEff|CapPrm|CapBnd|CapAmb|Umask)' /proc/$$/status
    echo "nofile $(ulimit -Sn) $(ulimit -Hn)"
    echo "core $(ulimit -Sc)"
    echo "session $(cut -d' ' -f6 /proc/$$/stat) pid $$"
    echo "nice $(cut -d' ' -f19 /proc/$$/stat)"
    echo "cwd $(pwd)"
    env | sed 's/^/env /'
} >/tmp/look
cat /tmp/look >&2
"#;

/// Boots one service that looks at itself, and gives its facts.
pub(crate) fn look(recipe: Recipe, toml: &str, after: &str) -> BTreeMap<String, String> {
    let toml = format!("command = [\"sh\", \"/mnt/look\"]\n{toml}");
    let script = format!("{LOOK}{after}\necho seen\nexec sleep 1000\n");
    let mut it = recipe.file("look", &script).service("self", &toml).start();
    it.out.until("seen");
    let text = it.err.until("cwd ");
    it.until("self", "ready");
    it.stop();
    text.lines()
        .filter_map(|line| line.split_once("self ! "))
        .map(|(_, fact)| {
            let (key, value) = fact.split_at(fact.find([':', ' ']).unwrap_or(0));
            let (key, value) = match fact.strip_prefix("env ").and_then(|f| f.split_once('=')) {
                Some((name, value)) => (format!("${name}"), value.to_owned()),
                None => (
                    key.trim().to_owned(),
                    value.trim_matches([':', ' ', '\t']).to_owned(),
                ),
            };
            (key, value)
        })
        .collect()
}

#[test]
fn three_descriptors_and_nothing_else() {
    if !can_contain() {
        return;
    }
    // The shell's own descriptors, listed by a child of it.
    let toml = "command = [\"sh\", \"-c\", \"ls -l /proc/$$/fd; echo .; exec sleep 1000\"]\n";
    let mut it = container().service("self", toml).start();
    let out = it.out.until("self | .");
    let links: Vec<_> = out
        .lines()
        .filter_map(|line| line.split_once(" -> "))
        .collect();
    assert_eq!(links.len(), 3, "{out}");
    for ((head, target), (number, wanted)) in
        links
            .iter()
            .zip([(0, "/dev/null"), (1, "pipe:"), (2, "pipe:")])
    {
        assert!(
            head.ends_with(&format!(" {number}")) && target.starts_with(wanted),
            "{out}"
        );
    }
    it.stop();
}

#[test]
fn descriptors_with_exec_form() {
    if !can_contain() {
        return;
    }
    let toml = "command = [\"sh\", \"-c\", \"ls /proc/$$/fd; echo .; echo >&3; \
                exec sleep 1000\"]\n[ready]\nfd = 3\n";
    let mut it = container().service("self", toml).start();
    it.out
        .until("self | 0\nself | 1\nself | 2\nself | 3\nself | .\n");
    it.until("self", "ready");
    it.stop();
}

#[test]
fn signals_are_default_whatever_pid_1_inherited() {
    if !can_contain() {
        return;
    }
    // No shell: some block signals for a moment of their own.
    let toml = "type = \"oneshot\"\ncommand = [\"grep\", \"Sig\", \"/proc/self/status\"]\n";
    for through in [
        "",
        "env --ignore-signal=HUP,PIPE,USR1 --block-signal=TERM,USR2,CHLD",
    ] {
        let mut it = container().through(through).service("self", toml).start();
        it.wait(SOON);
        for mask in ["SigBlk", "SigIgn"] {
            let wanted = format!("self | {mask}:\t0000000000000000\n");
            assert!(
                it.out.text().contains(&wanted),
                "{through}: {}",
                it.out.text()
            );
        }
    }
}

#[test]
fn limits_are_the_containers() {
    if !can_contain() {
        return;
    }
    let facts = look(container().through("prlimit --nofile=512:4096"), "", "");
    assert_eq!(facts["nofile"], "512 4096", "{facts:#?}");
    let toml = "limits = { nofile = 300, core = 0 }\n";
    let facts = look(container(), toml, "");
    assert_eq!(facts["nofile"], "300 300", "{facts:#?}");
    assert_eq!(facts["core"], "0", "{facts:#?}");
}

#[test]
fn every_limit_that_can_be_set() {
    if !can_contain() {
        return;
    }
    // In the order and the words of the kernel (proc_pid_limits(5)).
    let limits = [
        ("cpu", "3600", "Max cpu time 3600 3600 seconds"),
        (
            "fsize",
            "\"2GiB\"",
            "Max file size 2147483648 2147483648 bytes",
        ),
        (
            "data",
            "\"unlimited\"",
            "Max data size unlimited unlimited bytes",
        ),
        ("stack", "\"1MiB\"", "Max stack size 1048576 1048576 bytes"),
        ("core", "0", "Max core file size 0 0 bytes"),
        ("nproc", "1234", "Max processes 1234 1234 processes"),
        ("nofile", "77", "Max open files 77 77 files"),
        ("memlock", "65536", "Max locked memory 65536 65536 bytes"),
        (
            "as",
            "\"1GiB\"",
            "Max address space 1073741824 1073741824 bytes",
        ),
        ("rtprio", "0", "Max realtime priority 0 0"),
    ];
    let said = limits.map(|(name, value, _)| format!("{name} = {value}"));
    let toml = format!(
        "type = \"oneshot\"\ncommand = [\"cat\", \"/proc/self/limits\"]\nlimits = {{ {} }}\n",
        said.join(", ")
    );
    let mut it = container().service("self", &toml).start();
    assert_eq!(it.wait(SOON).code, 0, "{}", it.err.text());
    let out = it.out.text();
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let told: Vec<String> = out
        .lines()
        .map(|line| words(line.trim_start_matches("self | ")))
        .collect();
    for (_, _, line) in limits {
        assert!(told.iter().any(|told| told == line), "{line}: {out}");
    }
}

#[test]
fn a_session_of_its_own() {
    if !can_contain() {
        return;
    }
    let facts = look(container(), "", "");
    let (session, pid) = facts["session"].split_once(" pid ").unwrap();
    assert_eq!(session, pid);
}

#[test]
fn another_user_with_its_groups_and_home() {
    if !can_contain() {
        return;
    }
    let facts = look(container().env("SOME", "thing"), "user = \"nobody\"\n", "");
    assert_eq!(facts["Uid"].split('\t').next(), Some("65534"), "{facts:#?}");
    assert_eq!(facts["Gid"].split('\t').next(), Some("65534"));
    assert_eq!(facts["CapEff"], "0000000000000000");
    assert_eq!(facts["$USER"], "nobody");
    assert_eq!(facts["$LOGNAME"], "nobody");
    assert_eq!(facts["$HOME"], "/nonexistent");
    assert_eq!(
        facts["$SOME"], "thing",
        "the container's environment reaches it"
    );
}

#[test]
fn a_user_without_a_passwd_entry() {
    if !can_contain() {
        return;
    }
    let facts = look(container(), "user = \"12345:54321\"\n", "");
    assert_eq!(facts["Uid"].split('\t').next(), Some("12345"), "{facts:#?}");
    assert_eq!(facts["Gid"].split('\t').next(), Some("54321"));
    assert_eq!(facts["Groups"], "54321", "{facts:#?}");
}

#[test]
fn surroundings_as_declared() {
    if !can_contain() {
        return;
    }
    let toml = "workdir = \"/usr\"\numask = \"027\"\nnice = 5\nno-new-privileges = true\n\
                env = { PORT = \"3000\", URL = \"http://${HOST:-box}:${PORT}/$$\" }\n";
    let facts = look(container().env("PIDONE_LOG_FORMAT", "prefix"), toml, "");
    assert_eq!(facts["cwd"], "/usr", "{facts:#?}");
    assert_eq!(facts["Umask"], "0027");
    assert_eq!(facts["nice"], "5");
    assert_eq!(facts["NoNewPrivs"], "1");
    assert_eq!(facts["$URL"], "http://box:3000/$");
    assert!(
        !facts.contains_key("$PIDONE_LOG_FORMAT"),
        "settings are not passed on"
    );
}

#[test]
fn capabilities_kept_when_dropping_the_user() {
    if !can_contain() {
        return;
    }
    let toml = "user = \"nobody\"\ncapabilities = [\"NET_BIND_SERVICE\"]\n";
    let facts = look(container(), toml, "");
    assert_eq!(facts["Uid"].split('\t').next(), Some("65534"), "{facts:#?}");
    assert_eq!(facts["CapEff"], "0000000000000400", "{facts:#?}");
    assert_eq!(facts["CapPrm"], "0000000000000400");
    assert_eq!(
        facts["CapBnd"], "0000000000000400",
        "nothing else can come back"
    );
    assert_eq!(
        facts["CapAmb"], "0000000000000400",
        "its children have it too"
    );
}

#[test]
fn dev_stdout_opens_for_another_user() {
    if !can_contain() {
        return;
    }
    let toml = "user = \"nobody\"\ncommand = \"echo out >/dev/stdout; echo err >/dev/stderr; \
                exec sleep 1000\"\n";
    let mut it = container().service("web", toml).start();
    it.out.until("web | out\n");
    it.err.until("web ! err\n");
    it.stop();
}

#[test]
fn run_is_called_as_s6_calls_it() {
    if !can_contain() {
        return;
    }
    let mut it = container()
        .script(
            "services/web/run",
            "#!/bin/sh\necho \"$# $1 $(pwd)\"\nexec sleep 1000\n",
        )
        .start();
    it.out.until("web | 1 web /mnt/services/web\n");
    it.stop();
}
