//! Each rule shown to complain, and about the right line only.

use crate::lexer::Source;
use crate::rules;

fn one(path: &str, text: &str) -> [Source; 1] {
    [Source::new(path, text)]
}

#[test]
fn a_long_file() {
    let file = one("src/a.rs", &"x\n".repeat(401));
    assert_eq!(
        rules::short_files(&file, &[]),
        ["src/a.rs: 401 lines, at most 400"]
    );
    assert!(rules::short_files(&file, &[("src/a.rs", 401)]).is_empty());
    assert_eq!(
        rules::short_files(&file, &[("src/a.rs", 402)]),
        ["src/a.rs: 401 lines; the list of exceptions says 402"]
    );
    let short = one("src/a.rs", "x\n");
    assert_eq!(
        rules::short_files(&short, &[("src/a.rs", 401)]),
        ["src/a.rs: no longer an exception; take it off the list"]
    );
}

#[test]
fn a_long_function() {
    let body = "let a = '}';\n".repeat(69);
    let file = one(
        "src/a.rs",
        &format!("fn f(x: fn(u8)) -> [u8; 2] {{\n{body}}}\n"),
    );
    assert_eq!(
        rules::short_functions(&file, &[]),
        ["src/a.rs: f: 71 lines in a function, at most 70"]
    );
    let file = one("src/a.rs", "trait T { fn f(); }\ntype F = fn(u8);\n");
    assert!(rules::short_functions(&file, &[]).is_empty());
}

#[test]
fn unsafe_elsewhere() {
    let file = one("src/cli/a.rs", "// unsafe\nfn f() { unsafe { g() } }\n");
    assert_eq!(
        rules::unsafe_in_os(&file),
        ["src/cli/a.rs:2: `unsafe` outside src/os/"]
    );
    assert!(rules::unsafe_in_os(&one("src/os/a.rs", "unsafe fn f() {}")).is_empty());
}

#[test]
fn giving_up() {
    for bad in [
        "a.unwrap()",
        "a\n.expect(\"x\")",
        "todo!()",
        "panic!(\"x\")",
        "a.unwrap_err()",
    ] {
        let file = one("src/a.rs", &format!("fn f() {{ {bad} }}\n"));
        assert_eq!(rules::never_gives_up(&file).len(), 1, "{bad}");
    }
    let fine = "fn f() { a.unwrap_or(1); expect(2); \"a.unwrap()\" }\n\
                #[cfg(test)]\nmod tests { fn g() { a.unwrap() } }\n";
    assert!(rules::never_gives_up(&one("src/a.rs", fine)).is_empty());
}

#[test]
fn killing_everybody_twice() {
    let good = "fn f() { if getpid() == 1 { kill(Pid::from_raw(-1), s) } }";
    let files = [
        Source::new("src/os/kill.rs", good),
        Source::new("src/os/pid1.rs", "fn g() { getpid(); libc::kill( -1, 9) }"),
    ];
    assert!(rules::one_kill_of_all(&files[..1]).is_empty());
    assert_eq!(rules::one_kill_of_all(&files).len(), 1);
    let bare = one("src/os/kill.rs", "fn f() { libc::kill(-1, 9) }");
    assert_eq!(rules::one_kill_of_all(&bare).len(), 1);
    let waits = one(
        "src/cli/a.rs",
        "fn f() { waitpid(Pid::from_raw(-1)); kill(pid) }",
    );
    assert!(rules::one_kill_of_all(&waits).is_empty());
}

#[test]
fn an_arm_for_the_rest() {
    let sample = |arm: &str| {
        format!(
            "fn f() {{ match (state, event) {{\n \
             (State::Down, Event::Start) if x == y => {{ 1 }}\n \
             (State::Up {{ pid, .. }}, Event::Stop) => g(a, b),\n {arm} => 3,\n }} }}\n"
        )
    };
    for bad in ["_", "(_, _)", "other", "_ if x > 1", "(state, _)", "_ | _"] {
        let file = one("src/machine/step.rs", &sample(bad));
        let found = rules::no_rest_arms(&file);
        assert_eq!(found.len(), 1, "{bad}: {found:?}");
        assert!(found[0].starts_with("src/machine/step.rs:4: "), "{found:?}");
    }
    for fine in [
        "(State::Down, Event::Stop)",
        "(State::Down, _)",
        "(_, Event::Died { .. })",
    ] {
        let file = one("src/machine/step.rs", &sample(fine));
        assert_eq!(rules::no_rest_arms(&file), Vec::<String>::new(), "{fine}");
    }
    let inner = "impl State { fn pid(&self) { match self { Self::Up { pid } => Some(pid), \
                 _ => None } } }";
    assert_eq!(
        rules::no_rest_arms(&one("src/machine/a.rs", inner)).len(),
        1
    );
    let nested = "match n { 0 => match event { Event::A => { 1 } Event::B => 2 }, _ => 3 }";
    assert!(rules::no_rest_arms(&one("src/machine/a.rs", nested)).is_empty());
    assert!(rules::no_rest_arms(&one("src/cli/a.rs", &sample("_"))).is_empty());
    let star = one("src/machine/a.rs", "use crate::machine::unit::State::*;\n");
    assert_eq!(rules::no_rest_arms(&star).len(), 1);
}

#[test]
fn a_nameless_file() {
    assert_eq!(
        rules::says_what_lives_here(&one("src/a.rs", "fn f() {}\n")).len(),
        1
    );
}

#[test]
fn untidy_lines() {
    let wide = "x".repeat(101);
    for (bad, count) in [("a \n", 1), ("a\r\n", 1), ("a", 1), (wide.as_str(), 2)] {
        let found = rules::clean_lines(&one("src/a.rs", bad));
        assert_eq!(found.len(), count, "{bad:?}: {found:?}");
    }
    assert!(rules::clean_lines(&one("README.md", &format!("{wide}\n"))).is_empty());
}

#[test]
fn talk_of_elsewhere() {
    let text = format!("a\nsee /{}ork/main\n", "w");
    assert_eq!(
        rules::speaks_of_the_product(&one("docker/build.sh", &text)),
        [format!("docker/build.sh:2: says `/{}ork/`", "w")]
    );
}
