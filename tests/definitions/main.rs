//! From what was found to services: exact values, and whatever bytes without a panic.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod full;

use std::path::PathBuf;
use std::time::Duration;

use pidone::diag::Severity;
use pidone::os::files;
use pidone::service::definition::{Output, Probe, Program, Service, StopBy, When};
use pidone::service::environment::Environment;
use pidone::service::executable::Finish;
use pidone::service::set::{Loaded, load};
use pidone::service::source::{Directory, File, Interpreter, Script};
use pidone::values::Signal;

use full::{FULL, expected};

fn directory(name: &str, definition: &str) -> Directory {
    Directory {
        name: name.into(),
        path: PathBuf::from("services.d").join(name),
        definition: File::Content(definition.as_bytes().to_vec()),
        ..Directory::default()
    }
}

fn script() -> Script {
    Script::Present {
        executable: true,
        head: Some(b"#!/bin/sh\n".to_vec()),
        interpreter: Interpreter::Found,
    }
}

fn loaded(found: &[Directory]) -> Loaded {
    load(found, &Environment::default(), &|_| Ok(()), &files::zone)
}

/// The one service that these directories define beside `others`, without a fault.
fn service(found: &[Directory], name: &str) -> Service {
    let loaded = loaded(found);
    assert_eq!(loaded.diagnostics, []);
    let mut services = loaded.services.into_iter();
    services
        .find(|service| service.name.as_str() == name)
        .unwrap()
}

#[test]
fn a_full_definition_is_read_exactly() {
    let found = [directory("web", FULL), directory("db", "command = 'db'\n")];
    assert_eq!(service(&found, "web"), expected());
}

#[test]
fn a_command_is_all_that_is_needed() {
    let found = [directory("db", "command = 'db --x'\n")];
    let shell = ["/bin/sh", "-c", "db --x"].map(str::to_owned).to_vec();
    let mut expected = Service::new("db".parse().unwrap(), shell);
    expected.dir = "services.d/db".into();
    expected.file_name = "service.toml";
    assert_eq!(service(&found, "db"), expected);
}

#[test]
fn main_and_oneshot_are_not_restarted_unless_they_say_so() {
    let when = |text: &str| service(&[directory("a", text)], "a").restart.when;
    assert_eq!(when("command = 'a'"), When::Always);
    assert_eq!(when("command = 'a'\nmain = true"), When::Never);
    assert_eq!(when("command = 'a'\ntype = 'oneshot'"), When::Never);
    assert_eq!(
        when("command = 'a'\ntype = 'oneshot'\nmain = true"),
        When::Never
    );
    assert_eq!(
        when("command = 'a'\nmain = true\nrestart = 'on-failure'"),
        When::OnFailure
    );
    assert_eq!(
        when("command = 'a'\nmain = true\n[restart]\ndelay = '1s'"),
        When::Never
    );
}

#[test]
fn s6_files_are_read_and_the_toml_beside_them_wins() {
    let content = |text: &str| File::Content(text.as_bytes().to_vec());
    let mut found = Directory {
        definition: File::Absent,
        run: script(),
        finish: script(),
        down: true,
        down_signal: content("INT\n"),
        timeout_kill: content("0\n"),
        timeout_finish: content("0\n"),
        notification_fd: content("3\n"),
        ..directory("web", "")
    };
    let web = service(&[found.clone()], "web");
    assert_eq!(
        web.program,
        Program::Run(Box::new("services.d/web/run".into()))
    );
    assert_eq!(web.file(), PathBuf::from("services.d/web/run"));
    assert_eq!(
        web.finish,
        Some(Box::new(Finish {
            file: "services.d/web/finish".into(),
            timeout: None,
        }))
    );
    assert!(!web.enabled);
    assert_eq!(
        (web.stop.by, web.stop.timeout),
        (StopBy::Signal(Signal::INT), None)
    );
    let ready = web.ready.unwrap();
    assert_eq!((ready.probe, ready.within), (Probe::Fd(3), None));

    found.definition = content("enabled = true\nstop.signal = 'HUP'\nready.fd = 4\n");
    found.timeout_finish = File::Absent;
    let web = service(&[found], "web");
    assert_eq!(
        web.program,
        Program::Run(Box::new("services.d/web/run".into()))
    );
    assert_eq!(web.finish.unwrap().timeout, Some(Duration::from_secs(5)));
    assert!(web.enabled);
    assert_eq!(
        (web.stop.by, web.stop.timeout),
        (StopBy::Signal(Signal::HUP), None)
    );
    assert_eq!(web.ready.unwrap().probe, Probe::Fd(4));
}

#[test]
fn a_logger_is_a_service_of_its_own() {
    let mut found = directory("web", "command = 'web'");
    found.log = Some(Box::new(Directory {
        name: "log".into(),
        path: "services.d/web/log".into(),
        run: script(),
        ..Directory::default()
    }));
    let loaded = loaded(&[found]);
    assert_eq!(loaded.diagnostics, []);
    let [web, logger] = loaded.services.as_slice() else {
        panic!("{loaded:?}");
    };
    assert_eq!(logger.name.as_str(), "web/log");
    assert_eq!(
        logger.program,
        Program::Run(Box::new("services.d/web/log/run".into()))
    );
    assert_eq!(logger.output, Output::Container(None));
    assert_eq!(logger.stop.by, StopBy::EndOfInput);
    assert_eq!(web.output, Output::Logger(logger.name.clone()));
    assert_eq!(web.after, std::slice::from_ref(&logger.name));
}

#[test]
fn the_environment_decides_what_is_enabled() {
    let found = [directory("a", "command = 'a'\nenabled = '${A:-true}'")];
    for (value, enabled) in [(None, true), (Some("true"), true), (Some("false"), false)] {
        let mut environment = Environment::default();
        if let Some(value) = value {
            environment.set("A", value);
        }
        let loaded = load(&found, &environment, &|_| Ok(()), &files::zone);
        assert_eq!(loaded.diagnostics, []);
        assert_eq!(loaded.services[0].enabled, enabled);
    }
}

/// A source of numbers that are the same each time: Marsaglia's xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}

#[test]
fn whatever_the_bytes_there_is_an_answer() {
    let mut random = Random(0x5eed_1e55_c0ff_ee01);
    let words = [
        "[", "]", "{", "}", "\"", "'", "=", "${", "$", "\n", "[stop]", "é", "\u{0}", "0x", "-",
    ];
    let mut faulty = 0;
    for _ in 0..2_000 {
        let mut bytes = FULL.as_bytes().to_vec();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len().max(1)).min(bytes.len());
            match random.below(4) {
                0 => bytes.truncate(at),
                1 => bytes.extend_from_within(..at.min(200)),
                2 => {
                    let word = words[random.below(words.len())];
                    bytes.splice(at..at, word.bytes());
                }
                _ => {
                    let bit = 1 << random.below(8);
                    bytes
                        .iter_mut()
                        .skip(at)
                        .take(1)
                        .for_each(|byte| *byte ^= bit);
                }
            }
        }
        let mut found = directory("web", "");
        found.definition = File::Content(bytes.clone());
        found.run = Script::Present {
            executable: random.below(2) == 0,
            head: Some(
                bytes
                    .iter()
                    .copied()
                    .skip(random.below(200))
                    .take(64)
                    .collect(),
            ),
            interpreter: Interpreter::None,
        };
        found.down_signal = File::Content(bytes.iter().copied().take(random.below(9)).collect());
        let loaded = loaded(&[found]);
        for fault in &loaded.diagnostics {
            assert!(fault.to_string().ends_with('\n'));
        }
        faulty += usize::from(loaded.has_errors());
    }
    assert!(faulty > 1_500, "{faulty}");
}

#[test]
fn a_file_full_of_faults_has_a_bound() {
    let words = |word: &str| format!("command = 'a'\nneeds = [{}]", word.repeat(8_000));
    let named = (0..8_000).fold(String::new(), |text, n| text + &format!("'s{n}',"));
    for text in [
        words("'a b',"),
        words("'x',"),
        words("1,"),
        format!("command = 'a'\nneeds = [{named}]"),
        (0..6_000).fold(String::new(), |text, n| text + &format!("k{n} = 1\n")),
        format!(
            "env = {{ {} }}",
            (0..5_000).fold(String::new(), |t, n| t + &format!("k{n}='$',"))
        ),
    ] {
        let loaded = loaded(&[directory("web", &text)]);
        assert!(
            (1..=102).contains(&loaded.diagnostics.len()),
            "{}",
            loaded.diagnostics.len()
        );
    }
}

#[test]
fn deep_nesting_is_a_fault_and_not_the_end() {
    for text in [
        "[".repeat(60_000),
        format!("a = {}", "[".repeat(60_000)),
        format!("a = {}", "{a=".repeat(20_000)),
        format!("{}b = 1", "a.".repeat(30_000)),
        format!("command = 'a'\nworkdir = '{}'", "${A:-".repeat(12_000)),
    ] {
        let loaded = loaded(&[directory("web", &text)]);
        assert!(
            loaded
                .diagnostics
                .iter()
                .any(|fault| fault.severity == Severity::Error)
        );
    }
}
