//! `pidone completions SHELL`: clap's own text for the verbs and their options, and after it the
//! names of the services that run, asked for at each completion.

use std::fmt::Write as _;

use clap::Command;
use clap::builder::PossibleValuesParser;
use clap_complete::generate;
use clap_complete::shells::{Bash, Fish, Zsh};

use crate::cli::print::show;
use crate::cli::{Answer, Trouble, command, help, topics};

/// Of `completions`.
#[derive(clap::Args)]
pub struct Args {
    /// The shell that reads them
    shell: Known,
}

/// The shells that can be helped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Known {
    /// Bash
    Bash,
    /// Zsh
    Zsh,
    /// Fish
    Fish,
}

/// How an argument that takes services is called in the definitions of the verbs.
const NAMES: [&str; 2] = ["name", "names"];

/// Prints what completes the verbs, their options and the services in this shell.
///
/// # Errors
/// As `write(2)`.
pub fn run(args: &Args) -> Result<Answer, Trouble> {
    show(&completed(args.shell))?;
    Ok(Answer::Yes)
}

fn completed(shell: Known) -> String {
    let command = command();
    let verbs = help::verbs(&command);
    let topics = topics::TOPICS.map(|(topic, _)| topic);
    let words: Vec<&'static str> = verbs.iter().copied().chain(topics).collect();
    let of_services = with_services(&command);
    // The parser itself takes any word, to answer a slip in its own way.
    let one_of = |words: Vec<&'static str>| {
        move |verb: Command| {
            verb.mut_arg("word", |arg| {
                arg.value_parser(PossibleValuesParser::new(words))
            })
        }
    };
    let mut command = command
        .mut_subcommand("help", one_of(words.clone()))
        .mut_subcommand("man", one_of(verbs.clone()));
    let mut text = Vec::new();
    // By hand: `clap_complete::Shell` would bring the shells along that images do not have.
    match shell {
        Known::Bash => generate(Bash, &mut command, "pidone", &mut text),
        Known::Zsh => generate(Zsh, &mut command, "pidone", &mut text),
        Known::Fish => generate(Fish, &mut command, "pidone", &mut text),
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    match shell {
        Known::Bash => bash(&text, &of_services),
        Known::Zsh => zsh(&text),
        Known::Fish => fish(text, &of_services, &words, &verbs),
    }
}

/// The verbs that take names of services.
fn with_services(command: &Command) -> Vec<String> {
    let takes = |verb: &&Command| {
        let mut arguments = verb.get_arguments();
        arguments.any(|argument| NAMES.contains(&argument.get_id().as_str()))
    };
    let verbs = command.get_subcommands().filter(takes);
    verbs.map(|verb| verb.get_name().to_owned()).collect()
}

/// A function around clap's, which is told to the shell in place of that.
fn bash(text: &str, verbs: &[String]) -> String {
    let verbs = verbs.join("|");
    let text = text.replace("complete -F _pidone ", "complete -F _pidone_and_services ");
    let function = format!(
        "\
_pidone_and_services() {{
    _pidone \"$@\"
    case \"${{COMP_WORDS[1]}}\" in
        {verbs})
            [[ $2 == -* || $3 == pidone ]] ||
                COMPREPLY+=($(compgen -W \"$(pidone status -o name 2>/dev/null)\" -- \"$2\")) ;;
    esac
}}

"
    );
    function + &text
}

/// clap's text says what each argument is; those of services are given to a function.
fn zsh(text: &str) -> String {
    let function = "\
(( $+functions[_pidone_services] )) ||
_pidone_services() {
    local -a names
    names=(${(f)\"$(pidone status -o name 2>/dev/null)\"})
    compadd -a names
}

";
    let mut whole = String::new();
    for line in text.lines() {
        let is_last = line.starts_with("if [ \"$funcstack");
        whole.push_str(if is_last { function } else { "" });
        let is_of_services = NAMES
            .iter()
            .any(|name| line.contains(&format!(":{name} -- ")));
        let line = if is_of_services {
            line.replace(":_default'", ":_pidone_services'")
        } else {
            line.to_owned()
        };
        whole.push_str(&line);
        whole.push('\n');
    }
    whole
}

/// clap's text for fish knows options, but not what else may follow a verb.
fn fish(mut text: String, services: &[String], words: &[&str], verbs: &[&str]) -> String {
    let services = services.join(" ");
    for (verb, answers) in [
        ("help", words.join(" ")),
        ("man", verbs.join(" ")),
        (
            services.as_str(),
            "(pidone status -o name 2>/dev/null)".to_owned(),
        ),
    ] {
        let seen = format!("__fish_seen_subcommand_from {verb}");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "complete -c pidone -n \"{seen}\" -f -a \"{answers}\"");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_completes_every_verb_and_topic() {
        for shell in [Known::Bash, Known::Zsh, Known::Fish] {
            let text = completed(shell);
            for word in help::verbs(&command()) {
                assert!(text.contains(word), "{shell:?}: {word}");
            }
            for (topic, _) in topics::TOPICS {
                assert!(text.contains(topic), "{shell:?}: {topic}");
            }
            assert!(text.contains("pidone status -o name"), "{shell:?}");
        }
    }

    #[test]
    fn services_follow_the_verbs_that_take_them() {
        let verbs = with_services(&command());
        for verb in ["status", "start", "logs", "explain", "wait", "signal"] {
            assert!(verbs.iter().any(|known| known == verb), "{verb}");
        }
        assert!(!verbs.contains(&"check".to_owned()));
        let zsh = completed(Known::Zsh);
        assert!(zsh.matches(":_pidone_services'").count() >= verbs.len());
    }
}
