//! The README, held to what is true: its blocks are run where no engine is needed, and checked
//! against the sources where one is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test may stop where it stands, and starts processes"
)]

#[path = "readme/page.rs"]
mod page;
#[path = "readme/stage.rs"]
mod stage;

use std::collections::BTreeSet;
use std::fs;

use page::{README, blocks, figures, listed, of, section, spans, top};
use stage::{PIDONE, Stage, help, run, shape};

/// A page that is read to its end.
const WORDS_MAX: usize = 1400;
/// Whoever looks wants to see it, not to be told.
const FIRST_CODE_LINE: usize = 15;

#[test]
fn the_page_is_short_and_begins_with_code() {
    let words = README.split_whitespace().count();
    assert!(words <= WORDS_MAX, "{words} words, at most {WORDS_MAX}");
    assert!(blocks()[0].line < FIRST_CODE_LINE);
    let known = ["dockerfile", "toml", "console", "sh", "text"];
    for block in blocks() {
        assert!(known.contains(&&*block.kind), "nobody checks {block:?}");
    }
}

#[test]
fn what_it_links_to_is_there() {
    for part in README.split("](").skip(1) {
        let target = part.split(')').next().unwrap();
        assert!(top().join(target).exists(), "{target}");
    }
    for span in spans(README).filter(|span| span.contains(".rs") || span.contains(".sh")) {
        let path = span.split(' ').next().unwrap();
        assert!(top().join(path).exists(), "{path}");
    }
}

#[test]
fn its_definitions_are_accepted() {
    let stage = Stage::new("definitions", |text| text);
    let done = stage.pidone(&["check", "services.d"]);
    assert_eq!(
        (done.code, &*done.out),
        (0, "2 services checked: no faults\n")
    );
}

#[test]
fn the_service_that_shows_every_field_does() {
    let done = stage::in_dir(&top(), &["check", "docs/services.d"]);
    assert_eq!(
        (done.code, &*done.out),
        (0, "2 services checked: no faults\n")
    );
    let text = fs::read_to_string(top().join("docs/services.d/web/service.toml")).unwrap();
    let shown = |name: &str| {
        text.lines().any(|line| {
            let line = line.trim_start_matches("# ");
            line.starts_with(&format!("{name} = ")) || line.starts_with(&format!("[{name}]"))
        })
    };
    let missing: Vec<_> = pidone::service::fields::SERVICE
        .iter()
        .filter(|field| !field.section.contains('.') && !shown(field.name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Every instruction is one of docker/Dockerfile's, or copies what a block of the page lays out.
#[test]
fn its_dockerfile_stands_on_what_exists() {
    let ours = fs::read_to_string(top().join("docker/Dockerfile")).unwrap();
    let stage = Stage::new("dockerfile", |text| text);
    let verbs = verbs();
    for line in of("dockerfile").flat_map(|block| block.text.lines()) {
        let (word, rest) = line.split_once(' ').unwrap();
        if let Some((_, list)) = rest.split_once("[\"pidone\", \"") {
            let verb = list.split('"').next().unwrap();
            assert!(verbs.contains(verb), "{line}");
        }
        let known = match word {
            "COPY" if rest.starts_with("--from=") => ours.lines().any(|other| other == line),
            "COPY" => stage.dir.join(rest.split(' ').next().unwrap()).is_dir(),
            // Debian's package of Node has this name there too.
            "RUN" if rest.starts_with("apt-get") => {
                let (install, package) = rest.rsplit_once(' ').unwrap();
                let install = install.strip_prefix("apt-get update && ").unwrap();
                ours.contains(&format!("{install} {package}"))
            }
            "FROM" => ours.contains(&format!("{line} AS ")),
            // The demo's images ask sooner.
            "HEALTHCHECK" => ours.lines().any(|other| {
                other.starts_with("HEALTHCHECK ") && other.ends_with(&format!(" {rest}"))
            }),
            _ => ours.lines().any(|other| other == line),
        };
        assert!(known, "{line}");
    }
}

/// The container's life as the page tells it: boot, a death, a look inside, `docker stop`.
#[test]
fn its_screens_are_those_of_a_real_run() {
    let mut stage = Stage::new("screens", |text| text);
    stage.boot();
    stage.until("2 services: 1 ready, 1 finished");
    stage.signal("KILL");
    stage.until_restarted();
    let mut screens: Vec<_> = of("console").collect();
    screens.retain(|block| !block.text.starts_with("$ pidone check"));
    let story = screens.pop().unwrap();
    assert!(!screens.is_empty());
    for block in screens {
        let (command, screen) = block.text.split_once('\n').unwrap();
        let words = command.strip_prefix("$ docker exec app pidone ").unwrap();
        let done = stage.pidone(&words.split(' ').collect::<Vec<_>>());
        assert_eq!(
            (done.code, shape(&done.out)),
            (0, shape(screen)),
            "{command}"
        );
    }
    let (command, told) = story.text.split_once('\n').unwrap();
    assert_eq!(command, "$ docker logs app");
    let (code, log) = stage.stop();
    assert_eq!(code, 0, "{log}");
    // Who comes first within a turn is nobody's promise; who begins and who ends is.
    let lines = |text: &str| shape(text).lines().map(str::to_owned).collect::<Vec<_>>();
    let (mut told, mut log) = (lines(told), lines(&log));
    assert_eq!((told.first(), told.last()), (log.first(), log.last()));
    told.sort();
    log.sort();
    assert_eq!(log, told);
}

#[test]
fn its_slip_is_told_as_it_says() {
    let stage = Stage::new("slip", |text| text.replace("SIGINT", "SIGIMT"));
    let block = of("console").find(|block| block.text.starts_with("$ pidone check"));
    let (command, screen) = block.unwrap().text.split_once('\n').unwrap();
    let done = stage.pidone(&command.split(' ').skip(2).collect::<Vec<_>>());
    assert_eq!((done.code, &*done.out), (1, screen));
}

/// Scripts of the repository are there and take the options; everything else is run.
#[test]
fn its_commands_work() {
    for (at, block) in of("sh").enumerate() {
        let mut script = String::new();
        for line in block.text.lines() {
            let mut words = line.split(' ');
            let path = words.next().unwrap();
            if !path.starts_with("docker/") && !path.starts_with("tests/") {
                script += line;
                script.push('\n');
                continue;
            }
            let told = run(top().join(path).to_str().unwrap(), &["--help"]);
            assert_eq!(told.code, 0, "{path} --help: {}", told.err);
            for option in words {
                assert!(told.out.contains(option), "{path} has no {option}");
            }
        }
        if script.is_empty() {
            continue;
        }
        let dir = stage::fresh_dir(&format!("try-{at}"));
        let socket = dir.join("socket");
        // Settings do not pass from pidone to CMD, and the socket of this test is its own.
        let inner = format!("-- env PIDONE_SOCKET={} {PIDONE}", socket.display());
        let script = script
            .replace("-- target/pidone", &inner)
            .replace("target/pidone", PIDONE)
            .replace("/tmp/try", dir.join("try").to_str().unwrap());
        let done = stage::shell(&script, &socket);
        assert_eq!(done.code, 0, "{script}{}", done.err);
        assert!(shape(&done.out).contains("\nhello ready "), "{}", done.out);
    }
}

/// The verbs that `pidone --help` lists.
fn verbs() -> BTreeSet<String> {
    let all = help(&[]);
    let (_, list) = all.split_once("Commands:\n").unwrap();
    let list = list.split_once("\n\n").unwrap().0;
    let first = |line: &str| line.split_whitespace().next().unwrap().to_owned();
    list.lines().map(first).collect()
}

#[test]
fn it_names_every_verb_and_no_other() {
    let named: BTreeSet<String> = listed().into_iter().flat_map(|(verbs, _)| verbs).collect();
    assert_eq!(named, verbs());
    let code = blocks().iter().flat_map(|block| block.text.lines());
    for span in spans(README).chain(code) {
        let Some((before, rest)) = span.split_once("pidone ") else {
            continue;
        };
        let verb = rest.split(' ').next().unwrap();
        let is_call = before.is_empty() || before.ends_with([' ', '/']);
        if is_call && verb.starts_with(char::is_alphabetic) && !span.contains("| ") {
            assert!(named.contains(verb), "`{verb}` in {span}");
        }
    }
}

#[test]
fn every_verb_has_help_and_the_options_that_are_named() {
    for (verbs, options) in listed() {
        for verb in &verbs {
            let text = help(&[verb]);
            assert!(text.lines().count() > 2, "{verb}: {text}");
            if verb == verbs.last().unwrap() {
                for option in &options {
                    assert!(text.contains(option.as_str()), "{verb} has no {option}");
                }
            }
        }
    }
}

#[test]
fn its_exit_codes_are_true() {
    let stage = Stage::new("codes", |text| text);
    let slip = Stage::new("codes-slip", |text| text.replace("type =", "kind ="));
    let empty = stage::fresh_dir("codes-none");
    let none = empty.to_str().unwrap();
    let cmd = |words: &[&str]| {
        let init = ["init", "--services", none, "--"];
        stage.pidone(&[&init, words].concat()).code
    };
    assert_eq!(cmd(&["sh", "-c", "exit 7"]), 7);
    assert_eq!(cmd(&["sh", "-c", "kill -9 $$"]), 128 + 9);
    assert_eq!(cmd(&["true"]), 0);
    let deaf = "trap '' TERM; kill -TERM $PPID; while :; do sleep 0.1; done";
    let limited = stage.pidone_with(
        &[("PIDONE_STOP_TIMEOUT", "1500ms")],
        &["init", "--services", none, "--", "sh", "-c", deaf],
    );
    let failing = none.to_owned() + "/failing";
    fs::create_dir(&failing).unwrap();
    let never = "command = \"exit 3\"\ntype = \"oneshot\"\n";
    fs::write(failing + "/service.toml", never).unwrap();
    // A directory of PATH that one may not enter would make it 126, as execvp(3) has it.
    let absent = stage.pidone_with(&[("PATH", "/bin")], &["exec", "--", "no-such-command"]);
    let codes = [
        (0, all_finished(&stage, "services.d")),
        (137, limited.code),
        (1, cmd(&["true"])),
        (78, slip.pidone(&["init", "--services", "services.d"]).code),
        (126, stage.pidone(&["exec", "--", "/etc/passwd"]).code),
        (127, absent.code),
        (64, stage.pidone(&["init", "--strange"]).code),
    ];
    for (told, seen) in codes {
        assert_eq!(told, seen, "{codes:?}, {}", limited.err);
    }
    assert_eq!(stage.pidone(&["status"]).code, 2);
    let told: BTreeSet<i32> = section("## Signals")
        .lines()
        .filter_map(|line| line.strip_prefix("| "))
        .flat_map(|row| row.split('|').next().unwrap().split(", "))
        .filter_map(|code| code.trim().parse().ok())
        .collect();
    assert_eq!(told, codes.iter().map(|(code, _)| *code).collect());
}

/// A fleet of which all have finished: the page's own oneshot.
fn all_finished(stage: &Stage, services: &str) -> i32 {
    fs::remove_dir_all(stage.dir.join(services).join("web")).unwrap();
    stage.pidone(&["init", "--services", services]).code
}

/// Every row is one that the script writes, by the same words.
#[test]
fn its_figures_name_their_command() {
    let script = fs::read_to_string(top().join("tests/bench/readme.rs")).unwrap();
    let rows = figures();
    assert!(!rows.is_empty());
    for label in rows {
        assert!(script.contains(&format!("\"{label}\",")), "{label}");
    }
}

/// The picture of the floors is the table of `src/lib.rs`.
#[test]
fn its_floors_are_those_of_the_sources() {
    let lib = fs::read_to_string(top().join("src/lib.rs")).unwrap();
    let floors: BTreeSet<(String, String)> = lib
        .lines()
        .filter_map(|line| line.strip_prefix("//! | "))
        .filter(|row| row.starts_with(|c: char| c.is_ascii_digit()))
        .flat_map(|row| {
            let (floor, rest) = row.split_once(" | ").unwrap();
            let names = rest
                .split('|')
                .next()
                .unwrap()
                .split('`')
                .skip(1)
                .step_by(2);
            let names = names.filter(|name| !name.contains("::"));
            names
                .map(|name| (floor.to_owned(), name.to_owned()))
                .collect::<Vec<_>>()
        })
        .collect();
    let mut drawn = BTreeSet::new();
    for line in of("text").flat_map(|block| block.text.lines()) {
        let (floor, rest) = line.split_once("  ").unwrap();
        // Names are two blanks apart, and many blanks stand before what they do.
        for name in rest.split("   ").next().unwrap().split("  ") {
            drawn.insert((floor.to_owned(), name.trim().to_owned()));
        }
    }
    assert_eq!(drawn, floors);
}
