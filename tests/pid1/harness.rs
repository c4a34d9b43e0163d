//! The tests' own container, shown to be one: without it a green test would prove nothing.

use crate::support::{SOON, Stdout, can_contain, container, poll, process};

#[test]
fn it_is_pid_1_in_a_world_of_its_own() {
    if !can_contain() {
        return;
    }
    let script = "echo pid $$; hostname; ls /run /tmp; ip -o link | wc -l; \
                  cat /mnt/hello; echo oops >&2; exit 7";
    let mut it = container()
        .file("hello", "hello\n")
        .program(&["sh", "-c", script])
        .start();
    assert_eq!(it.wait(SOON).code, 7);
    let out = it.out.text();
    assert_eq!(out, "pid 1\nbox\n/run:\n\n/tmp:\n1\nhello\n");
    assert_eq!(it.err.text(), "oops\n");
}

#[test]
fn what_is_taken_away_is_away() {
    if !can_contain() {
        return;
    }
    let script = "touch /run/x /tmp/x /mnt/x /usr/x; ls /proc | wc -l; id -u; \
                  readlink /proc/self/fd/0 || echo none";
    let mut it = container()
        .read_only()
        .no_proc()
        .run_unwritable()
        .tmp_unwritable()
        .uid(12345)
        .no_caps()
        .program(&["sh", "-c", script])
        .start();
    it.wait(SOON);
    assert_eq!(it.err.text().matches("Read-only").count(), 4);
    assert_eq!(it.out.text(), "0\n12345\nnone\n");
}

#[test]
fn signals_processes_and_files_are_seen_from_here() {
    if !can_contain() {
        return;
    }
    let script = "trap 'echo got; exit 3' USR1; sleep 1000 & (exit 0) & \
                  echo up >/mnt/up; while :; do wait; done";
    let mut it = container().program(&["sh", "-c", script]).start();
    assert_eq!(it.read("up"), "up\n");
    let asleep = || it.processes().iter().any(|p| p.name == "sleep");
    assert!(poll(SOON, asleep), "{:?}", it.processes());
    let answer = it.run(&["sh", "-c", "cat /proc/1/comm; exit 4"]);
    assert_eq!((answer.code, answer.out.as_str()), (4, "sh\n"));
    it.signal(libc::SIGUSR1);
    assert_eq!(it.wait(SOON).code, 3);
}

#[test]
fn a_terminal_is_one() {
    if !can_contain() {
        return;
    }
    let mut it = container()
        .stdout(Stdout::Terminal)
        .program(&["bash", "--norc", "-i"])
        .env("PS1", "ready> ")
        .start();
    it.out.until("ready>");
    it.out.type_in("tty; echo $$ $-\n");
    it.out.until("1 himBHs");
    it.out.type_in("exit 9\n");
    assert_eq!(it.wait(SOON).code, 9);
}

#[test]
fn below_another_pid_1() {
    if !can_contain() {
        return;
    }
    let mut it = container()
        .below()
        .stdin_closed()
        .program(&["sleep", "1000"])
        .start();
    let inner = process::field(it.pid, "NSpid").unwrap();
    assert_ne!(inner.rsplit('\t').next(), Some("1"));
    let fds = std::fs::read_dir(format!("/proc/{}/fd", it.pid)).unwrap();
    let names: Vec<_> = fds.map(|e| e.unwrap().file_name()).collect();
    assert!(!names.contains(&"0".into()), "{names:?}");
    it.signal(libc::SIGTERM);
    assert_eq!(it.wait(SOON).code, 143);
}
