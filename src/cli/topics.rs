//! `pidone help TOPIC`: what is not about one verb. Tables come from the code that reads the files,
//! the rest is text.

use std::fmt::Write as _;

use crate::service::fields::{Field, SERVICE};
use crate::service::settings::{self, SETTINGS};

/// The topics, each with what it tells.
pub const TOPICS: [(&str, &str); 6] = [
    ("service", "every field of a service.toml"),
    ("settings", "pidone's own settings"),
    (
        "environment",
        "variables that are read, and that services get",
    ),
    ("signals", "what a signal to pidone does"),
    ("exit-codes", "what an exit code means"),
    ("protocol", "the language of the control socket"),
];

/// Screens are this wide: a terminal that nobody has made wider.
const COLUMNS: usize = 80;

/// Where the text of a row begins: two spaces, the longest name, two spaces.
const FIELD_INDENT: usize = 21;
const SETTING_INDENT: usize = 24;

/// The screen of a topic.
pub fn screen(topic: &str) -> Option<String> {
    Some(match topic {
        "service" => service(),
        "settings" => own_settings(),
        "environment" => include_str!("topics/environment.txt").into(),
        "signals" => include_str!("topics/signals.txt").into(),
        "exit-codes" => include_str!("topics/exit-codes.txt").into(),
        "protocol" => include_str!("topics/protocol.txt").into(),
        _unknown => return None,
    })
}

fn service() -> String {
    let mut screen = include_str!("topics/service.txt").to_owned();
    let mut section = None;
    for field in SERVICE {
        if section != Some(field.section) {
            section = Some(field.section);
            // Writing to a string cannot fail.
            let _ = match field.section {
                "" => writeln!(screen),
                section => writeln!(screen, "\n[{section}]"),
            };
        }
        push_row(&mut screen, FIELD_INDENT, field.name, field);
    }
    screen.push('\n');
    screen.push_str(include_str!("topics/values.txt"));
    screen
}

fn own_settings() -> String {
    let mut screen = format!("{}\n", include_str!("topics/settings.txt"));
    for setting in SETTINGS {
        push_row(
            &mut screen,
            SETTING_INDENT,
            &settings::variable(setting.name),
            setting,
        );
    }
    screen
}

/// What a field means, and below it what it takes.
fn push_row(screen: &mut String, indent: usize, name: &str, field: &Field) {
    let takes = match field.default {
        "" => field.takes.to_owned(),
        default => format!("{}; default: {default}", field.takes),
    };
    let mut label = format!("  {name}");
    for text in [field.meaning, &takes] {
        for line in wrapped(text, COLUMNS - indent) {
            // Writing to a string cannot fail.
            let _ = writeln!(screen, "{label:<indent$}{line}");
            label.clear();
        }
    }
}

/// A text in lines of at most so many columns.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::{Message, Reply, Request, State};

    #[test]
    fn every_topic_is_there_and_fits_the_screen() {
        for (topic, _) in TOPICS {
            let screen = screen(topic).unwrap();
            let wide = |line: &&str| line.chars().count() > COLUMNS && !line.starts_with("  {");
            let found: Vec<&str> = screen.lines().filter(wide).collect();
            assert!(found.is_empty(), "{topic}: {found:#?}");
            assert!(screen.ends_with('\n') && !screen.contains("\n\n\n"));
        }
        assert_eq!(screen("nothing"), None);
    }

    #[test]
    fn names_leave_room_for_their_text() {
        let longest = |names: Vec<usize>| names.into_iter().max().unwrap() + 4;
        let fields = SERVICE.iter().map(|field| field.name.len());
        assert_eq!(longest(fields.collect()), FIELD_INDENT);
        let settings = settings::variables().map(|name| name.len());
        assert_eq!(longest(settings.collect()), SETTING_INDENT);
    }

    #[test]
    fn the_protocols_examples_are_read_as_they_are_written() {
        let text = screen("protocol").unwrap();
        let mut verbs = Vec::new();
        for line in text.lines().filter_map(|line| line.strip_prefix("  {")) {
            let line = format!("{{{line}");
            if line.contains("\"verb\"") {
                let read: Message<Request> = serde_json::from_str(&line).expect(&line);
                assert_eq!(serde_json::to_string(&read).unwrap(), line);
                verbs.push(read.body.verb());
            } else {
                let read: Message<Reply> = serde_json::from_str(&line).expect(&line);
                assert_eq!(serde_json::to_string(&read).unwrap(), line);
            }
        }
        assert_eq!(verbs.len(), 11, "{verbs:?}");
        for state in State::ALL {
            assert!(text.contains(state.word()), "{}", state.word());
        }
    }
}
