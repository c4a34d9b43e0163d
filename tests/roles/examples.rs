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
        ("restricted", 2),
        ("cron", 3),
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
fn the_guides_show_the_examples() {
    for (guide, count) in [("logs", 4), ("restricted", 4), ("scheduled", 3)] {
        let text = fs::read_to_string(top().join(format!("docs/{guide}.md"))).unwrap();
        let mut shown = 0;
        for part in text.split("\n[docker/examples/").skip(1) {
            let (name, rest) = part.split_once(']').unwrap();
            let block = rest.split_once("```").unwrap().1;
            let text = block.split_once('\n').unwrap().1;
            let text = text.split_once("```").unwrap().0;
            let file = fs::read_to_string(top().join("docker/examples").join(name)).unwrap();
            assert_eq!(text, file, "{name}");
            shown += 1;
        }
        assert_eq!(shown, count, "{guide}");
    }
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

#[test]
fn the_list_of_guides_has_every_guide_and_example() {
    let list = fs::read_to_string(top().join("docs/README.md")).unwrap();
    for part in list.split("](").skip(1) {
        let target = part.split(')').next().unwrap();
        assert!(top().join("docs").join(target).exists(), "{target}");
    }
    let names = |dir: &str| {
        let entries = fs::read_dir(top().join(dir)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap())
    };
    for guide in names("docs").filter(|name| name.contains(".md") && name != "README.md") {
        let link = format!("]({guide})");
        assert!(list.contains(&link), "docs/README.md does not list {guide}");
    }
    for example in names("docker/examples") {
        let link = format!("](../docker/examples/{example})");
        assert!(
            list.contains(&link),
            "docs/README.md does not list {example}"
        );
    }
}
