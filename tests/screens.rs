//! Screens as golden stories: `tests/golden/screens/*.test` hold a command, what PID 1 answers to
//! it, and the whole screen. `UPDATE=1 cargo test --test screens` writes the screens anew.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test may fail; PID 1's rules are not its own"
)]

use std::fs;
use std::path::{Path, PathBuf};

use pidone::cli::graph::{Format, Node};
use pidone::cli::health::health;
use pidone::cli::logs::{Part, Screen};
use pidone::cli::page::page;
use pidone::cli::{Answer, events, explain, graph, rescan, status, topics};
use pidone::control::protocol::{Message, Reply, Status};

const INPUT: &str = "# input\n";
const OUTPUT: &str = "# output\n";

#[test]
fn every_screen_is_as_its_story_says() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/screens");
    let update = std::env::var_os("UPDATE").is_some();
    let mut stories: Vec<PathBuf> = fs::read_dir(dir)
        .expect("the stories")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "test"))
        .collect();
    stories.sort();
    assert!(!stories.is_empty());
    let mut wrong = Vec::new();
    for story in stories {
        let text = fs::read_to_string(&story).expect("a story");
        let (head, rest) = text.split_once(INPUT).expect("`# input`");
        let (input, expected) = rest.split_once(OUTPUT).expect("`# output`");
        let screen = show(input);
        if update {
            fs::write(&story, format!("{head}{INPUT}{input}{OUTPUT}{screen}")).expect("written");
        } else if screen != expected {
            wrong.push(format!(
                "{}\n--- expected\n{expected}--- shown\n{screen}",
                story.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The screen of a story: its first line is the command, the others are what PID 1 answers.
fn show(input: &str) -> String {
    let (command, answer) = input.split_once('\n').expect("a command");
    let words: Vec<&str> = command.split_whitespace().collect();
    match words.as_slice() {
        ["pidone", "help", topic] => topics::screen(topic).expect("a topic"),
        ["pidone", "status"] => status::table(&status_of(answer)),
        ["pidone", "status", "--json"] => status::json(&status_of(answer)),
        ["pidone", "status", "-o", list] => {
            let names: Vec<String> = list.split(',').map(str::to_owned).collect();
            match status::fields(&status_of(answer), &names) {
                Ok(screen) => screen,
                Err(fault) => fault.to_string(),
            }
        }
        ["pidone", "status", ..] => {
            let pages: Vec<String> = status_of(answer).services.iter().map(page).collect();
            pages.join("\n")
        }
        ["pidone", "explain", name] => explain::explain(name, &status_of(answer).services),
        ["pidone", "graph", "--format", format] => {
            let nodes: Vec<Node> = status_of(answer)
                .services
                .into_iter()
                .map(Node::from)
                .collect();
            let format = if *format == "dot" {
                Format::Dot
            } else {
                Format::Mermaid
            };
            graph::draw(format, &nodes)
        }
        ["pidone", "rescan"] => {
            let screen = |reply| match reply {
                Reply::Rescanned(done) => rescan::screen(&done),
                other => panic!("not a rescan: {other:?}"),
            };
            let screens: Vec<String> = replies(answer).into_iter().map(screen).collect();
            screens.join("--\n")
        }
        ["pidone", "health"] => {
            let (answer, line) = health(&status_of(answer));
            let code = i32::from(answer == Answer::No);
            format!("{line}exit {code}\n")
        }
        ["pidone", "events", rest @ ..] => {
            let is_json = rest == ["--json"];
            let line = |reply| match reply {
                Reply::Event(event) if is_json => events::json(&event),
                Reply::Event(event) => events::line(&event, 8),
                other => panic!("not an event: {other:?}"),
            };
            replies(answer).into_iter().map(line).collect()
        }
        ["pidone", "logs", rest @ ..] => {
            let screen = Screen {
                name_columns: Some(6),
                is_terminal: rest == ["to", "a", "terminal"],
            };
            let line = |reply| match reply {
                Reply::Line(line) => screen.show(&Part::Line(line)),
                Reply::Skipped { ts, lines } => screen.show(&Part::Skipped { ts, lines }),
                other => panic!("not a line: {other:?}"),
            };
            replies(answer).into_iter().map(line).collect()
        }
        _ => panic!("no screen for `{command}`"),
    }
}

fn status_of(text: &str) -> Status {
    let message: Message<Status> = serde_json::from_str(text).expect("a status");
    message.body
}

fn replies(text: &str) -> Vec<Reply> {
    let reply = |line| {
        let message: Message<Reply> = serde_json::from_str(line).expect("a reply");
        message.body
    };
    text.lines().map(reply).collect()
}
