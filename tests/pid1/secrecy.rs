//! What is left of a secret once its service has started: nothing in PID 1's memory, nor in what
//! a core file of it would hold.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use crate::support::{Container, SOON, can_contain, container, poll};

/// Long and like nothing else, so that no other bytes are taken for it.
const SECRET: &str = "zx81-9f3c-correct-horse-battery-staple-7d20";

/// How often the secret stands in the memory of this process: what a core file would hold of it.
/// Its own stack and the kernel's pages are among the mappings.
fn left_in_memory(pid: i32) -> Vec<String> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut found = Vec::new();
    let mut seen = 0;
    for line in maps.lines().filter(|line| line.contains(" r")) {
        let (from, rest) = line.split_once('-').unwrap();
        let to = rest.split(' ').next().unwrap();
        let [from, to] = [from, to].map(|number| u64::from_str_radix(number, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        // Some of the kernel's own cannot be read.
        if memory.read_exact_at(&mut bytes, from).is_err() {
            continue;
        }
        seen += bytes.len();
        // The first and the last bytes of what was freed may be written over: its middle tells.
        let middle = &SECRET.as_bytes()[8..32];
        for at in memchr::memmem::find_iter(&bytes, middle) {
            let around = &bytes[at.saturating_sub(64)..(at + 64).min(bytes.len())];
            found.push(format!("{line}: {}", String::from_utf8_lossy(around)));
        }
    }
    assert!(seen > 100 << 10, "only {seen} bytes could be read");
    found
}

fn forgotten(it: &Container, when: &str) {
    // The start's own turn of the loop may still be under way.
    let gone = poll(SOON, || left_in_memory(it.pid).is_empty());
    assert!(gone, "{when}: {:#?}", left_in_memory(it.pid));
}

const DB: &str = "secrets = [\"KEY\"]\nenv = { URL = \"db://app:${KEY}@host/${KEY}\" }\n";

#[test]
fn pid_1_forgets_a_secret_once_its_service_has_started() {
    if !can_contain() {
        return;
    }
    let toml = format!(
        "command = [\"sleep\", \"1000\"]\n{DB}[ready]\nexec = [\"test\", \"-n\", \"$KEY\"]\n\
         [stop]\nbefore = \"true\"\n[reload]\ncommand = [\"true\"]\n"
    );
    let mut it = container()
        .env("KEY_FILE", "/mnt/key")
        .file("key", &format!("{SECRET}\n"))
        .service("db", &toml)
        .service("other", "command = [\"sleep\", \"1000\"]\n")
        .start();
    it.until("db", "ready");
    // The service has it, and so this looks in the right way.
    let holders = it.processes().into_iter();
    let holders = holders.filter(|p| p.name == "sleep" && !left_in_memory(p.pid).is_empty());
    assert_eq!(holders.count(), 1, "{:?}", it.processes());
    forgotten(&it, "started");
    for words in [
        ["restart", "db"],
        ["reload", "db"],
        ["stop", "db"],
        ["start", "db"],
    ] {
        assert_eq!(it.pidone(&words).code, 0, "{words:?}: {}", it.err.text());
        forgotten(&it, words[0]);
    }
    it.stop();
}

/// The value stands in a file of variables, or the program is not there: it is forgotten as well.
#[test]
fn what_fails_to_start_is_forgotten_too() {
    if !can_contain() {
        return;
    }
    let mut it = container()
        .env("KEY_FILE", "/mnt/key")
        .file("key", SECRET)
        .file("vars", &format!("A={SECRET}\n"))
        .service("db", &format!("command = [\"/no/such\"]\n{DB}"))
        .service(
            "late",
            &format!("command = [\"sleep\", \"1000\"]\nworkdir = \"/no\"\n{DB}"),
        )
        .service(
            "nul",
            "command = [\"true\"]\nenv = { A = \"${KEY:-x}\" }\nsecrets = [\"KEY\", \"B\"]\n",
        )
        .service(
            "vars",
            "command = [\"sleep\", \"1000\"]\nenv-file = \"/mnt/vars\"\n",
        )
        .start();
    it.until("vars", "ready");
    for name in ["db", "late", "nul"] {
        it.until(name, "waiting-to-restart");
    }
    forgotten(&it, "failed");
    it.stop();
}
