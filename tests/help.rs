//! `pidone help`, `man` and `completions` as they are called: what goes where, and the exit code.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may, and it asks other programs"
)]

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

fn pidone(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pidone"))
        .args(args)
        .output()
        .unwrap()
}

fn out(args: &[&str]) -> String {
    let answer = pidone(args);
    assert_eq!(answer.status.code(), Some(0), "{args:?}: {answer:?}");
    assert_eq!(answer.stderr, b"", "{args:?}");
    String::from_utf8(answer.stdout).unwrap()
}

#[test]
fn verbs_and_topics_have_help() {
    assert_eq!(out(&["help"]), out(&["--help"]));
    assert_eq!(out(&["help", "start"]), out(&["start", "--help"]));
    assert!(out(&["help"]).contains("exit-codes"));
    assert!(out(&["help", "service"]).contains("\n[restart.limit]\n"));
    assert!(out(&["help", "exit-codes"]).contains("78"));
}

#[test]
fn what_is_no_word_is_misuse() {
    for args in [
        &["help", "servce"][..],
        &["man", "service"],
        &["completions", "tcsh"],
        &["completions"],
    ] {
        let answer = pidone(args);
        assert_eq!(answer.status.code(), Some(2), "{answer:?}");
        assert_eq!(answer.stdout, b"");
    }
    let said = String::from_utf8(pidone(&["help", "servce"]).stderr).unwrap();
    assert_eq!(
        said,
        "error: there is no verb or topic `servce`\nhint: did you mean `service`?\n"
    );
}

#[test]
fn the_shell_takes_its_completions() {
    let text = out(&["completions", "bash"]);
    let script = format!(
        "{text}\nCOMP_WORDS=(pidone help exi); COMP_CWORD=2; _pidone pidone exi help\n\
         echo \"${{COMPREPLY[*]}}\"\n\
         COMP_WORDS=(pidone sta); COMP_CWORD=1; _pidone pidone sta pidone\n\
         echo \"${{COMPREPLY[*]}}\"\n"
    );
    let mut bash = Command::new("bash")
        .arg("-s")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = bash.stdin.take().unwrap();
    stdin.write_all(script.as_bytes()).unwrap();
    drop(stdin);
    let answer = bash.wait_with_output().unwrap();
    let said = String::from_utf8(answer.stdout).unwrap();
    assert_eq!(said, "exit-codes\nstatus start\n");
    assert!(out(&["completions", "zsh"]).starts_with("#compdef pidone"));
    assert!(out(&["completions", "fish"]).contains("exit-codes"));
}

#[test]
fn pages_are_roff() {
    assert!(out(&["man"]).contains(".TH pidone 1"));
    assert!(out(&["man", "logs"]).contains(".TH pidone-logs 1"));
}
