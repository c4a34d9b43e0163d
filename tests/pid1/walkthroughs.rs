//! The guides `docs/services.md` and `docs/secrets.md`: their files are a container, and their
//! commands say there what the guide says. Numbers, which are times and pids, may differ.

use std::fs;
use std::path::Path;

use crate::support::{Container, Recipe, SOON, can_contain, container, poll};

/// The parts of a guide: a file with its content, or a command with its screen.
struct Guide {
    files: Vec<(String, String)>,
    commands: Vec<(String, String)>,
}

impl Guide {
    fn read(name: &str) -> Self {
        let top = Path::new(env!("CARGO_MANIFEST_DIR"));
        let text = fs::read_to_string(top.join("docs").join(name)).unwrap();
        let mut guide = Self {
            files: Vec::new(),
            commands: Vec::new(),
        };
        let mut parts = text.split("```");
        let mut before = parts.next().unwrap();
        while let (Some(block), Some(after)) = (parts.next(), parts.next()) {
            let (kind, content) = block.split_once('\n').unwrap();
            if kind == "console" {
                let (command, screen) = content.split_once('\n').unwrap();
                let command = command.strip_prefix("$ pidone ").unwrap();
                guide.commands.push((command.to_owned(), screen.to_owned()));
            } else {
                let title = before.trim_end().lines().last().unwrap();
                let path = title
                    .strip_prefix('`')
                    .and_then(|rest| rest.strip_suffix('`'));
                guide
                    .files
                    .push((path.unwrap().to_owned(), content.to_owned()));
            }
            before = after;
        }
        guide
    }

    fn lay_out(&self, recipe: Recipe) -> Recipe {
        let lay = |recipe: Recipe, (path, content): &(String, String)| {
            let path = format!("services/{path}");
            if path.ends_with("/run") {
                recipe.script(&path, content)
            } else {
                recipe.file(&path, content)
            }
        };
        self.files.iter().fold(recipe, lay)
    }

    /// The command that begins so shows in this container what the guide shows.
    fn holds(&self, it: &Container, begins: &str) {
        let found = self
            .commands
            .iter()
            .find(|(command, _)| command.starts_with(begins));
        let (command, screen) = found.expect(begins);
        let words: Vec<&str> = command.split(' ').collect();
        let expected = without_numbers(screen);
        let mut shown = String::new();
        poll(SOON, || {
            shown = without_numbers(&it.pidone(&words).out);
            shown == expected
        });
        assert_eq!(shown, expected, "{command}");
    }
}

/// Each number with its unit as `N`.
fn without_numbers(text: &str) -> String {
    let mut plain = String::new();
    let mut inside = false;
    for c in text.chars() {
        let part = c.is_ascii_digit() || (inside && ".:msh".contains(c));
        if part && !inside {
            plain.push('N');
        } else if !part {
            plain.push(c);
        }
        inside = part;
    }
    plain
}

#[test]
fn services() {
    if !can_contain() {
        return;
    }
    let guide = Guide::read("services.md");
    let mut it = guide.lay_out(container()).start();
    it.out.until("loading");
    guide.holds(&it, "explain web");
    guide.holds(&it, "graph");
    it.run(&["touch", "/tmp/loaded"]);
    it.until("cleaner", "ready");
    guide.holds(&it, "logs cleaner");
    assert_eq!(it.service("web")["state"], "ready");
    assert_eq!(it.service("migrate")["state"], "finished");
    it.stop();
}

#[test]
fn secrets() {
    if !can_contain() {
        return;
    }
    let guide = Guide::read("secrets.md");
    let recipe = container()
        .file("secret", "hunter2\n")
        .env("DB_PASSWORD_FILE", "/mnt/secret");
    let mut it = guide.lay_out(recipe).start();
    it.until("db", "ready");
    guide.holds(&it, "logs db");
    guide.holds(&it, "explain broken");
    it.stop();
}
