//! CMD: its terminal, its signals.

use nix::libc;
use nix::pty::Winsize;

use crate::support::{Container, SOON, Stdout, can_contain, container, poll};

fn bash() -> Container {
    container()
        .stdout(Stdout::Terminal)
        .service("web", "command = \"echo web is up; exec sleep 1000\"\n")
        .env("PS1", "ready> ")
        .env("TERM", "dumb")
        .cmd(&["bash", "--norc", "-i"])
        .start()
}

/// Whether a program of this name is in the terminal's foreground group: proc(5)'s `tpgid`.
fn in_front(it: &Container, name: &str) -> bool {
    it.processes().iter().filter(|p| p.name == name).any(|p| {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", p.pid)).unwrap_or_default();
        let tail = stat.rsplit_once(')').map_or("", |(_, tail)| tail);
        let fields: Vec<_> = tail.split_whitespace().collect();
        fields.len() > 5 && fields[2] == fields[5]
    })
}

#[test]
fn bash_has_job_control() {
    if !can_contain() {
        return;
    }
    let mut it = bash();
    it.out.until("ready> ");
    assert!(
        !it.out.text().contains("no job control"),
        "{}",
        it.out.text()
    );
    it.out.type_in("sleep 777 & echo back\"\"ground\n");
    it.out.until("background");
    it.out.type_in("jobs\n");
    it.out.until("[1]+  Running");
    it.out.type_in("fg\n");
    // A key before that would be the shell's.
    assert!(poll(SOON, || in_front(&it, "sleep")), "{}", it.out.text());
    it.out.type_in("\u{1a}");
    it.out.until("Stopped");
    it.out.type_in("kill -9 %1; exit 5\n");
    it.out.type_in("exit 5\n");
    assert_eq!(it.wait(SOON).code, 5, "{}", it.out.text());
}

#[test]
fn ctrl_c_interrupts_what_runs_and_nothing_else() {
    if !can_contain() {
        return;
    }
    let mut it = bash();
    it.out.until("ready> ");
    it.until("web", "ready");
    it.out.type_in("sleep 7777\n");
    assert!(poll(SOON, || in_front(&it, "sleep")), "{}", it.out.text());
    it.out.type_in("\u{3}");
    it.out.type_in("echo code=$?\n");
    it.out.until("code=130");
    assert_eq!(it.service("web")["restarts"], 0, "{}", it.out.text());
    it.out.type_in("exit 0\n");
    assert_eq!(it.wait(SOON).code, 0, "{}", it.out.text());
}

#[test]
fn the_size_of_the_terminal_reaches_it() {
    if !can_contain() {
        return;
    }
    let mut it = bash();
    it.out.until("ready> ");
    let size = Winsize {
        ws_row: 50,
        ws_col: 133,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let terminal = it.out.terminal();
    let fd = std::os::fd::AsRawFd::as_raw_fd(&terminal);
    // SAFETY: the descriptor is open for as long as `it` lives, and the kernel reads one Winsize.
    let done = unsafe { libc::ioctl(fd, libc::TIOCSWINSZ, &raw const size) };
    assert_eq!(done, 0);
    it.out.type_in("stty size\n");
    it.out.until("50 133");
    it.out.type_in("exit 0\n");
    assert_eq!(it.wait(SOON).code, 0, "{}", it.out.text());
}

#[test]
fn a_terminal_that_hangs_up() {
    if !can_contain() {
        return;
    }
    let mut it = bash();
    it.out.until("ready> ");
    it.signal(libc::SIGTERM);
    let ended = it.wait(SOON);
    // An interactive shell ignores TERM; it has to be killed, and the container still ends.
    assert!([0, 137].contains(&ended.code), "{ended:?}");
    assert!(ended.after.as_millis() < 9500, "{ended:?}");
}

#[test]
fn signals_are_passed_on_to_cmd() {
    if !can_contain() {
        return;
    }
    let script = "for s in USR1 USR2 HUP WINCH; do trap \"echo got $s\" $s; done; \
                  echo listening; while :; do sleep 0.02; done";
    let mut it = container()
        .service("web", "command = [\"sleep\", \"1000\"]\n")
        .cmd(&["sh", "-c", script])
        .start();
    it.out.until("listening");
    let signals = [
        (libc::SIGUSR1, "got USR1"),
        (libc::SIGUSR2, "got USR2"),
        (libc::SIGHUP, "got HUP"),
        (libc::SIGWINCH, "got WINCH"),
    ];
    for (number, line) in signals {
        it.signal(number);
        it.out.until(line);
    }
    assert_eq!(it.service("web")["restarts"], 0, "only CMD hears them");
    it.signal(libc::SIGTERM);
    it.wait(SOON);
}

#[test]
fn exec_passes_signals_and_codes() {
    if !can_contain() {
        return;
    }
    let script = "trap 'echo got int; exit 6' INT; echo listening; while :; do sleep 0.02; done";
    let mut it = container()
        .program(&[
            "/mnt/pidone",
            "exec",
            "--signal-map",
            "TERM:INT",
            "--",
            "sh",
            "-c",
            script,
        ])
        .start();
    it.out.until("listening");
    it.signal(libc::SIGTERM);
    assert_eq!(it.wait(SOON).code, 6, "{}", it.err.text());
    assert!(it.out.text().contains("got int"));

    let orphan = "(sleep 0.1 &) ; (sleep 0.2 &) ; sleep 0.4; \
                  grep -l '^State:.Z' /proc/[0-9]*/status; exit 8";
    let mut it = container()
        .program(&["/mnt/pidone", "exec", "--", "sh", "-c", orphan])
        .start();
    assert_eq!(it.wait(SOON).code, 8, "{}", it.err.text());
    assert_eq!(it.out.text(), "", "zombies stayed");
}

#[test]
fn exec_signals_the_group_when_told() {
    if !can_contain() {
        return;
    }
    // The shell's own trap stands before its child can say that it is up.
    let script = "trap 'wait; exit 0' TERM; sh -c 'trap \"echo child; exit 0\" TERM; echo up; \
                  while :; do sleep 0.02; done' & wait; wait";
    let mut it = container()
        .program(&["/mnt/pidone", "exec", "-g", "--", "sh", "-c", script])
        .start();
    it.out.until("up\n");
    it.signal(libc::SIGTERM);
    it.wait(SOON);
    assert!(it.out.text().contains("child"), "{}", it.out.text());
}
