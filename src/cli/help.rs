//! `pidone help [TOPIC]` and manual pages: all from the one definition of the verbs.

use std::fmt::Write as _;

use clap::Command;
use clap_mangen::Man;

use crate::cli::print::show;
use crate::cli::{Answer, Trouble, command, topics};
use crate::diag::Diagnostic;

/// Of `help`.
#[derive(clap::Args)]
pub struct Args {
    /// A verb or a topic: service, settings, environment, signals, exit-codes, protocol
    word: Option<String>,
}

/// Of `man`.
#[derive(clap::Args)]
pub struct ManArgs {
    /// A verb
    word: Option<String>,
}

/// What stands below the verbs.
pub(super) fn below() -> String {
    let mut text = "\
As PID 1, `pidone` alone is `pidone init`. The other commands talk to the pidone that runs here.
They exit 0 for done or yes, 1 for no, and 2 if it could not be asked.

Topics of `pidone help`:"
        .to_owned();
    for (topic, tells) in topics::TOPICS {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n  {topic:<11}  {tells}");
    }
    text
}

/// Shows the help of the program, of a verb, or of a topic.
///
/// # Errors
/// There is no such verb or topic.
pub fn run(args: Args) -> Result<Answer, Trouble> {
    let Some(word) = args.word else {
        show(&command().render_help().to_string())?;
        return Ok(Answer::Yes);
    };
    let text = match topics::screen(&word) {
        Some(text) => text,
        None => verb(&word)
            .ok_or_else(|| unknown(&word, true))?
            .render_help()
            .to_string(),
    };
    show(&text)?;
    Ok(Answer::Yes)
}

/// Prints the manual page of the program, or of a verb, as roff.
///
/// # Errors
/// There is no such verb.
pub fn man(args: &ManArgs) -> Result<Answer, Trouble> {
    show(&page(args.word.as_deref())?)?;
    Ok(Answer::Yes)
}

fn page(word: Option<&str>) -> Result<String, Trouble> {
    let command = match word {
        None => command(),
        Some(word) => verb(word).ok_or_else(|| unknown(word, false))?,
    };
    let mut text = Vec::new();
    Man::new(command)
        .source(concat!("pidone ", env!("CARGO_PKG_VERSION")))
        .render(&mut text)
        .map_err(Trouble::Output)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The definition of a verb.
fn verb(word: &str) -> Option<Command> {
    let mut command = command();
    command.build();
    command.find_subcommand(word).cloned()
}

/// Every verb. clap takes words for completion only if they live for ever; this process does not.
pub(super) fn verbs(command: &Command) -> Vec<&'static str> {
    let names = command.get_subcommands().map(Command::get_name);
    names.map(|name| &*name.to_owned().leak()).collect()
}

/// What to say of a word that is neither a verb nor, where those count, a topic.
fn unknown(word: &str, with_topics: bool) -> Trouble {
    let mut words = verbs(&command());
    let mut what = "verb";
    if with_topics {
        what = "verb or topic";
        words.extend(topics::TOPICS.map(|(topic, _)| topic));
    }
    let error = Diagnostic::error(format!("there is no {what} `{word}`"));
    let error = error.suggest(word, words);
    Trouble::Usage(Box::new(match error.hint {
        Some(_) => error,
        None => error.hint("`pidone help` lists them"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_gets_a_hint() {
        let shown = |word, with_topics| match unknown(word, with_topics) {
            Trouble::Usage(diagnostic) => diagnostic.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            shown("lgos", true),
            "error: there is no verb or topic `lgos`\nhint: did you mean `logs`?\n"
        );
        assert_eq!(
            shown("exit-code", true),
            "error: there is no verb or topic `exit-code`\nhint: did you mean `exit-codes`?\n"
        );
        assert_eq!(
            shown("cheese", false),
            "error: there is no verb `cheese`\nhint: `pidone help` lists them\n"
        );
    }

    #[test]
    fn every_verb_has_its_page() {
        for word in verbs(&command()) {
            let page = page(Some(word)).unwrap();
            assert!(page.contains(&format!(".TH pidone-{word}")), "{page}");
        }
        assert!(page(None).unwrap().contains(".TH pidone "));
    }
}
