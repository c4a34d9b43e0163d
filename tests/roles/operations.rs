//! The guide `docs/operations.md`: its example is run, its commands name verbs that are there, its
//! exit codes are those of the help.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::PIDONE;

fn page() -> String {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    fs::read_to_string(guide).unwrap()
}

fn block<'a>(page: &'a str, kind: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("\n```{kind}\n")).expect(kind);
    rest.split_once("```").unwrap().0
}

fn pidone(words: &[&str], dir: &Path) -> Output {
    let mut command = Command::new(PIDONE);
    command.args(words).current_dir(dir).output().unwrap()
}

#[test]
fn the_slip_is_told_and_ends_the_boot() {
    let page = page();
    let dir = format!("operations-{}", std::process::id());
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(dir);
    fs::create_dir_all(dir.join("services.d/web")).unwrap();
    let toml = dir.join("services.d/web/service.toml");
    fs::write(toml, block(&page, "toml")).unwrap();
    let (command, screen) = block(&page, "console").split_once('\n').unwrap();
    let words: Vec<&str> = command.split(' ').skip(2).collect();
    let done = pidone(&words, &dir);
    assert_eq!(done.status.code(), Some(1));
    assert_eq!(String::from_utf8(done.stdout).unwrap(), screen);
    let done = pidone(&["init", "--services", "services.d"], &dir);
    assert_eq!(done.status.code(), Some(78));
    let _ = fs::remove_dir_all(dir);
}

#[test]
fn its_commands_are_there() {
    let page = page();
    let top = Path::new("/");
    let mut seen = 0;
    for part in page.split("pidone ").skip(1) {
        let line = part.split(['\n', '`']).next().unwrap();
        let mut words = line.split(' ');
        let verb = words.next().unwrap();
        let known = [
            "check", "status", "explain", "logs", "events", "health", "shutdown", "help",
        ];
        if !known.contains(&verb) {
            continue;
        }
        seen += 1;
        let help = pidone(&[verb, "--help"], top);
        assert!(help.status.success(), "{verb}");
        let help = String::from_utf8(help.stdout).unwrap();
        for option in words.filter(|word| word.starts_with('-')) {
            assert!(help.contains(option), "{line}");
        }
    }
    assert!(seen > 8, "{seen}");
    let help = |topic| String::from_utf8(pidone(&["help", topic], top).stdout).unwrap();
    let codes = help("exit-codes");
    for row in page.lines().filter_map(|line| line.strip_prefix("| ")) {
        let cell = row.split(" |").next().unwrap();
        for code in cell.split(", ").filter(|code| code.parse::<u8>().is_ok()) {
            assert!(codes.contains(&format!("\n  {code} ")), "{code}");
        }
    }
    for setting in ["PIDONE_STOP_TIMEOUT", "PIDONE_LOG_MEMORY"] {
        assert!(help("settings").contains(setting) && page.contains(setting));
    }
}
