//! The house rules that can be counted, held by reading the sources.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::case_sensitive_file_extension_comparisons,
    reason = "a test may stop where it stands"
)]

mod floors;
mod lexer;
mod rules;
mod samples;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use lexer::Source;

/// Files over 400 lines, with their exact figure. The list only shrinks.
const LONG_FILES: rules::Ratchet<'static> = &[("tests/spawn.rs", 509)];

/// Functions over 70 lines, as `path: name`. The list only shrinks.
const LONG_FUNCTIONS: rules::Ratchet<'static> = &[];

/// What git tracks is read; these are not ours to word.
const SKIPPED: [&str; 5] = [".git", "target", "LICENSE-APACHE", "Cargo.lock", "corpus"];

/// Every text of the repository.
fn repository() -> &'static [Source] {
    static ALL: OnceLock<Vec<Source>> = OnceLock::new();
    ALL.get_or_init(|| read(|_| true))
}

/// Its Rust files.
fn rust() -> &'static [Source] {
    static RUST: OnceLock<Vec<Source>> = OnceLock::new();
    RUST.get_or_init(|| read(|path| path.ends_with(".rs")))
}

fn read(wanted: fn(&str) -> bool) -> Vec<Source> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    gather(top, top, &mut found);
    found.retain(|source| wanted(&source.path));
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn gather(top: &Path, dir: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if SKIPPED.contains(&name.as_str()) || path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            gather(top, &path, found);
        } else if let Ok(text) = fs::read_to_string(&path) {
            let inner = path.strip_prefix(top).unwrap().to_string_lossy();
            found.push(Source::new(&inner, &text));
        }
    }
}

fn hold(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn imports_point_down() {
    hold(&floors::point_down(rust()));
}

#[test]
fn pure_modules_stay_pure() {
    hold(&floors::stay_pure(rust()));
}

#[test]
fn files_are_short() {
    hold(&rules::short_files(rust(), LONG_FILES));
}

#[test]
fn functions_are_short() {
    hold(&rules::short_functions(rust(), LONG_FUNCTIONS));
}

#[test]
fn unsafe_is_in_os() {
    hold(&rules::unsafe_in_os(rust()));
}

#[test]
fn nothing_gives_up() {
    hold(&rules::never_gives_up(rust()));
}

#[test]
fn everybody_is_signalled_in_one_place() {
    hold(&rules::one_kill_of_all(rust()));
}

#[test]
fn every_variant_is_named() {
    hold(&rules::no_rest_arms(rust()));
}

#[test]
fn every_file_says_what_lives_there() {
    hold(&rules::says_what_lives_here(repository()));
}

#[test]
fn lines_are_clean() {
    hold(&rules::clean_lines(repository()));
}

#[test]
fn the_product_is_the_subject() {
    hold(&rules::speaks_of_the_product(repository()));
}

/// `docs/security.md` lists every file with `unsafe`, how often, and what for. `UPDATE=1` writes
/// the numbers anew; a new file's row, with its reason, is for a person.
#[test]
fn unsafe_code_is_on_the_page() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/security.md");
    let page = fs::read_to_string(&path).unwrap();
    let mut counted = std::collections::BTreeMap::new();
    for source in rust().iter().filter(|s| s.path.starts_with("src/")) {
        let words = lexer::words(&source.shipped);
        let count = words.iter().filter(|word| word.text == "unsafe").count();
        if count > 0 {
            counted.insert(source.path.clone(), count);
        }
    }
    let mut told = String::new();
    for line in page.lines() {
        let row = line
            .strip_prefix("| `src/")
            .and_then(|row| row.split_once("` | "));
        let row = row.and_then(|(name, rest)| Some((name, rest.split_once(" | ")?.1)));
        match row.map(|(name, why)| (format!("src/{name}"), why)) {
            None => told += line,
            Some((file, why)) => {
                if let Some(count) = counted.remove(&file) {
                    write!(told, "| `{file}` | {count} | {why}").unwrap();
                } else {
                    continue;
                }
            }
        }
        told.push('\n');
    }
    assert!(
        counted.is_empty(),
        "docs/security.md says nothing of {counted:?}"
    );
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, told).unwrap();
    } else {
        assert_eq!(
            page, told,
            "UPDATE=1 writes the numbers of docs/security.md anew"
        );
    }
}
