//! The client and the real PID 1 (here as a subreaper): what people see.

use std::fs;
use std::process::{Child, Command, Stdio};

use pidone::os::clock;

use crate::binary::run;
use crate::house::{DEADLINE, Dir};

/// Ends with its test, whatever happens.
struct Init(Child);

impl Drop for Init {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(dir: &Dir) -> Init {
    let init = Command::new(env!("CARGO_BIN_EXE_pidone"))
        .arg("init")
        .arg("--services")
        .arg(dir.0.join("services"))
        .env("PIDONE_SOCKET", dir.0.join("control.sock"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let init = Init(init);
    let begin = clock::now();
    while !dir.0.join("control.sock").exists() {
        assert!(clock::now().since(begin) < DEADLINE, "no socket");
        std::thread::yield_now();
    }
    init
}

#[test]
fn a_fleet_is_asked_and_changed() {
    let dir = Dir::new();
    for (name, text) in [
        ("web", r#"command = "echo hello; exec sleep 1000""#),
        (
            "bad",
            "command = \"sleep 0.1; exit 3\"\nenabled = false\nrestart = \"never\"",
        ),
    ] {
        fs::create_dir_all(dir.0.join("services").join(name)).unwrap();
        fs::write(dir.0.join("services").join(name).join("service.toml"), text).unwrap();
    }
    let mut init = start(&dir);
    let run = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        run(&dir.0.join("control.sock"), &words)
    };
    let says = |line: &str, begin: &str, end: &str| {
        let said = run(line);
        assert!(
            said.starts_with(begin) && said.ends_with(end),
            "{line}: {said}"
        );
    };
    says("wait --ready --timeout 20s", "web: ready, pid ", "exit 0\n");
    assert_eq!(
        run("status -o name,state"),
        "bad\tdown\nweb\tready\nexit 0\n"
    );
    says("restart web", "web: ready after ", "exit 0\n");
    says("start web", "web: already ready, pid ", "exit 0\n");
    says("stop web", "web: down after ", ", SIGTERM\nexit 0\n");
    assert_eq!(run("stop web"), "web: already down\nexit 0\n");
    says("start web", "web: ready after ", "exit 0\n");
    says("reload web", "error: `web` has no `[reload]`\n", "exit 1\n");
    says("health", "healthy: ", "exit 0\n");
    let logs = run("logs");
    assert!(logs.contains(" web    | hello\n"), "{logs}");
    assert!(logs.contains(" pidone * "), "{logs}");
    assert!(run("logs -n 1 pidone").ends_with("exit 0\n"));
    assert!(run("events").contains(" → ready"));
    assert_eq!(run("shutdown --code 5"), "exit 0\n");
    assert_eq!(init.0.wait().unwrap().code(), Some(5));
    says("status", "error: cannot reach pidone at ", "exit 2\n");
}
