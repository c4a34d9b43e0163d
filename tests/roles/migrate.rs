//! The guide `docs/migrate.md`: its import is made as it says, its instructions are ones that work.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::PIDONE;

/// The blocks of a kind, each with the line above it.
fn blocks(kind: &str) -> Vec<(String, String)> {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/migrate.md");
    let text = fs::read_to_string(guide).unwrap();
    let mut parts = text.split("```");
    let mut before = parts.next().unwrap();
    let mut found = Vec::new();
    while let (Some(block), Some(after)) = (parts.next(), parts.next()) {
        let (word, content) = block.split_once('\n').unwrap();
        let title = before.trim_end().lines().last().unwrap_or_default();
        if word == kind {
            found.push((title.to_owned(), content.to_owned()));
        }
        before = after;
    }
    found
}

fn one(kind: &str) -> (String, String) {
    let mut found = blocks(kind);
    assert_eq!(found.len(), 1, "{kind}");
    found.remove(0)
}

/// A directory of its own, gone when the test ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let dir = format!("migrate-{}", std::process::id());
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(dir);
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn pidone(&self, words: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(PIDONE);
        let done = command.current_dir(&self.0).args(words).output().unwrap();
        (done.status.code(), String::from_utf8(done.stdout).unwrap())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_import_is_as_it_says() {
    let scratch = Scratch::new();
    fs::write(scratch.0.join("supervisord.conf"), one("ini").1).unwrap();
    let (_, console) = one("console");
    let (command, screen) = console.split_once('\n').unwrap();
    let words: Vec<&str> = command.split(' ').skip(2).collect();
    assert_eq!(scratch.pidone(&words), (Some(1), screen.to_owned()));
    let (title, toml) = one("toml");
    let path = title.split('`').nth(1).unwrap();
    let made = fs::read_to_string(scratch.0.join(path)).unwrap();
    assert_eq!(made.split_once('\n').unwrap().1, toml);
    let (code, told) = scratch.pidone(&["check", "services.d"]);
    assert_eq!(code, Some(0), "{told}");
    let (code, told) = scratch.pidone(&words);
    assert_eq!(code, Some(1));
    assert!(
        told.ends_with("3 services: 3 unchanged, 1 line lost\n"),
        "{told}"
    );
}

#[test]
fn its_instructions_name_verbs_and_options_that_are_there() {
    for (_, block) in blocks("dockerfile") {
        for line in block.lines() {
            let (word, rest) = line.split_once(' ').unwrap();
            match word {
                "RUN" => {
                    let words: Vec<String> = serde_json::from_str(rest).unwrap();
                    if words[0] != "pidone" {
                        assert_eq!(rest, r#"["ln", "-s", "/usr/bin/pidone", "/init"]"#);
                        continue;
                    }
                    let done = Command::new(PIDONE).args([&words[1], "--help"]).output();
                    let help = String::from_utf8(done.unwrap().stdout).unwrap();
                    for option in words.iter().filter(|word| word.starts_with("--")) {
                        assert!(help.contains(option.as_str()), "{line}");
                    }
                    assert!(words[1] != "s6" || help.contains(&words[2]), "{line}");
                }
                "COPY" => assert!(
                    line.contains("/pidone ") || line.contains(".conf "),
                    "{line}"
                ),
                "ENV" => assert!(rest.starts_with("PIDONE_SERVICES="), "{line}"),
                "ENTRYPOINT" => assert!(rest.starts_with("[\"/"), "{line}"),
                other => panic!("{other}"),
            }
        }
    }
}

#[test]
fn every_block_is_of_a_kind_that_is_checked() {
    let count = |kind: &&str| blocks(kind).len();
    let checked: usize = ["ini", "console", "toml", "dockerfile"]
        .iter()
        .map(count)
        .sum();
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/migrate.md");
    let fences = fs::read_to_string(guide).unwrap().matches("```").count();
    assert_eq!(checked * 2, fences);
}
