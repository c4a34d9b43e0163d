//! The corpora of the fuzz targets, run once each: what was found stays found. The targets
//! themselves need a nightly toolchain (`tests/fuzz.sh`).

// A test may panic, and so may what helps it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub
)]

#[path = "fuzz/src/bodies/mod.rs"]
mod bodies;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pidone::os::clock;

/// One input takes no longer, on a busy machine and without optimisation.
const PATIENCE: Duration = Duration::from_secs(20);

/// All that is committed of them: a clone carries them along.
const FILES_MAX: usize = 200;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus")
}

fn files(target: &str) -> Vec<PathBuf> {
    let found = fs::read_dir(corpus().join(target));
    let found = found.unwrap_or_else(|why| panic!("the corpus of `{target}`: {why}"));
    let mut found: Vec<PathBuf> = found.map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

#[test]
fn every_target_holds_of_its_corpus() {
    for (target, body) in bodies::TARGETS {
        let files = files(target);
        assert!(!files.is_empty(), "`{target}` has no corpus");
        for file in files {
            let data = fs::read(&file).unwrap();
            println!("{}", file.display());
            let began = clock::now();
            body(&data);
            assert!(
                clock::now().since(began) < PATIENCE,
                "{} is slow",
                file.display()
            );
        }
    }
}

/// Each input without its end, and with one byte of it changed.
#[test]
fn every_target_holds_of_what_is_near_its_corpus() {
    for (target, body) in bodies::TARGETS {
        for file in files(target) {
            let data = fs::read(&file).unwrap();
            // The further into a large one, the rarer.
            let step = 1 + data.len() / 16;
            for at in (0..data.len()).step_by(step) {
                body(&data[..at]);
                let mut changed = data.clone();
                changed[at] ^= 1 << (at % 8);
                body(&changed);
            }
        }
    }
}

#[test]
fn every_corpus_has_its_target_and_is_small() {
    let mut count = 0;
    for entry in fs::read_dir(corpus()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            bodies::TARGETS.iter().any(|(target, _)| *target == name),
            "{name}"
        );
        for file in files(&name) {
            count += 1;
            assert!(
                fs::metadata(&file).unwrap().len() <= 16 << 10,
                "{}",
                file.display()
            );
        }
    }
    assert!(count <= FILES_MAX, "{count} files");
}

#[test]
fn every_target_has_a_main_function() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
    let manifest = fs::read_to_string(dir.join("Cargo.toml")).unwrap();
    for (target, _) in bodies::TARGETS {
        assert!(
            manifest.contains(&format!("path = \"targets/{target}.rs\"")),
            "{target}"
        );
        let main = fs::read_to_string(dir.join(format!("targets/{target}.rs"))).unwrap();
        assert!(
            main.contains(&format!("bodies::run(\"{target}\", data)")),
            "{target}"
        );
    }
    let mains = fs::read_dir(dir.join("targets")).unwrap().count();
    assert_eq!(mains, bodies::TARGETS.len());
}

#[test]
#[should_panic(expected = "there is no target `none`")]
fn an_unknown_target_is_told() {
    bodies::run("none", b"");
}
