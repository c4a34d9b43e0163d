//! The examples are accepted, and the guide shows them as they are.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::PIDONE;

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn check_accepts_the_examples() {
    for (name, count) in [
        ("syslog", 2),
        ("ship", 2),
        ("nginx-php", 2),
        ("postgres", 4),
    ] {
        let dir = top().join("docker/examples").join(name).join("services.d");
        let done = Command::new(PIDONE).arg("check").arg(dir).output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.success(), "{name}: {said}");
        assert_eq!(
            said,
            format!("{count} services checked: no faults\n"),
            "{name}"
        );
    }
}

#[test]
fn the_guide_shows_the_examples() {
    let guide = fs::read_to_string(top().join("docs/logs.md")).unwrap();
    let mut shown = 0;
    for part in guide.split("\n[docker/examples/").skip(1) {
        let (name, rest) = part.split_once(']').unwrap();
        let block = rest.split_once("```").unwrap().1;
        let text = block.split_once('\n').unwrap().1;
        let text = text.split_once("```").unwrap().0;
        let file = fs::read_to_string(top().join("docker/examples").join(name)).unwrap();
        assert_eq!(text, file, "{name}");
        shown += 1;
    }
    assert_eq!(shown, 4);
}

#[test]
fn help_and_guide_name_the_same_options() {
    let guide = fs::read_to_string(top().join("docs/logs.md")).unwrap();
    for verb in ["syslog", "ship"] {
        let done = Command::new(PIDONE)
            .args([verb, "--help"])
            .output()
            .unwrap();
        let help = String::from_utf8_lossy(&done.stdout).into_owned();
        let rows = help.lines().map(str::trim_start);
        let options = rows.filter(|row| row.starts_with("--"));
        for option in options.filter_map(|row| row.split(' ').next()) {
            assert!(guide.contains(&format!("`{option}")), "{verb} {option}");
        }
    }
}
