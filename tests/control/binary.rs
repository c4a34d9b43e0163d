//! The client as people call it: what it prints, and its exit code.

use std::process::{Command, Stdio};

use crate::house::House;

/// Runs `pidone` with these words; its stdout, stderr and exit code as one text.
pub(crate) fn run(socket: &std::path::Path, words: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_pidone"))
        .args(words)
        .env("PIDONE_SOCKET", socket)
        .output()
        .unwrap();
    format!(
        "{}{}exit {}\n",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        output.status.code().unwrap()
    )
}

#[test]
fn verbs_print_their_result() {
    let house = House::open(None);
    let run = |line: &str| run(&house.socket, &line.split(' ').collect::<Vec<_>>());
    assert_eq!(
        run("status"),
        "SERVICE  STATE  PID  FOR   RESTARTS  NOTE\n\
         web      ready   31  1.5s         0\n\n1 service: 1 ready\nexit 0\n"
    );
    assert_eq!(run("health"), "healthy: 1 service: 1 ready\nexit 0\n");
    assert_eq!(
        run("stop web"),
        "web: down after 0.2s, exit code 0\nexit 0\n"
    );
    assert_eq!(run("stop --no-wait web"), "exit 0\n");
    assert_eq!(run("start web"), "web: already ready, pid 31\nexit 0\n");
    assert_eq!(
        run("reload --timeout 50ms web"),
        "web: still ready after 50ms\nexit 1\n"
    );
    assert_eq!(
        run("wait --ready --timeout 9s web"),
        "web: ready, pid 31\nexit 0\n"
    );
    assert_eq!(
        run("wait --down --timeout 50ms"),
        "web: still ready after 50ms\nexit 1\n"
    );
    assert_eq!(
        run("signal usr1 0"),
        "web: SIGUSR1 sent to pid 31\nexit 0\n"
    );
    assert_eq!(run("events"), "exit 0\n");
}

#[test]
fn slips_are_told_with_a_hint() {
    let house = House::open(None);
    let run = |line: &str| run(&house.socket, &line.split(' ').collect::<Vec<_>>());
    for line in ["status wbe", "stop wbe", "wait --ready wbe"] {
        assert_eq!(
            run(line),
            "error: there is no service `wbe`\nhint: did you mean `web`?\nexit 2\n",
            "{line}"
        );
    }
    assert_eq!(
        run("signal usr3 web"),
        "error: unknown signal `usr3`\nhint: did you mean `SIGUSR1`?\nexit 2\n"
    );
    assert_eq!(
        run("sh -c date"),
        "error: there is no verb `sh`\nhint: did you mean `pidone init -- sh -c date`?\nexit 2\n"
    );
    assert!(run("wait web").ends_with("exit 2\n"));
    assert!(run("wait --ready --down web").ends_with("exit 2\n"));
    assert!(run("stop").ends_with("exit 2\n"));
    assert!(run("stop --timeout soon web").ends_with("exit 2\n"));
    assert!(run("--version").ends_with("exit 0\n"));
}

#[test]
fn nobody_there_is_exit_2() {
    assert_eq!(
        run("/nowhere/control.sock".as_ref(), &["status"]),
        "error: cannot reach pidone at /nowhere/control.sock: No such file or directory\n\
         hint: is pidone running here? PIDONE_SOCKET names a socket elsewhere\nexit 2\n"
    );
}

#[test]
fn a_closed_stdout_is_no_error() {
    let house = House::open(None);
    for words in [
        &["status"][..],
        &["--help"],
        &["--version"],
        &["wait", "--ready"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = Command::new(env!("CARGO_BIN_EXE_pidone"))
            .args(words)
            .env("PIDONE_SOCKET", &house.socket)
            .stdout(writer)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{words:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words:?}");
    }
}
