//! `pidone init` with services of a test.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::node::{Cluster, PIDONE};
use crate::{SOON, ms};

/// It and all its services are gone when it is dropped.
pub(crate) struct Host {
    pub(crate) init: Child,
    socket: PathBuf,
    root: PathBuf,
    log: PathBuf,
}

impl Host {
    /// Starts these services: their names, and the text of each `service.toml`.
    pub(crate) fn start(cluster: &Cluster, services: &[(&str, &str)]) -> Self {
        let (root, log) = (cluster.file("services"), cluster.file("init.log"));
        for (name, text) in services {
            fs::create_dir_all(root.join(name)).unwrap();
            fs::write(root.join(name).join("service.toml"), text).unwrap();
        }
        let (out, socket) = (
            fs::File::create(&log).unwrap(),
            cluster.file("control.sock"),
        );
        let init = Command::new(PIDONE)
            .args(["init", "--services", root.to_str().unwrap()])
            .env("PIDONE_SOCKET", &socket)
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        Self {
            init,
            socket,
            root,
            log,
        }
    }

    /// Writes a service's definition, for the next `rescan`.
    pub(crate) fn define(&self, name: &str, text: &str) {
        let dir = self.root.join(name);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("service.toml"), text).unwrap();
    }

    /// Asks it.
    pub(crate) fn ask(&self, words: &[&str]) -> Output {
        let mut command = Command::new(PIDONE);
        command.args(words).env("PIDONE_SOCKET", &self.socket);
        command.output().unwrap()
    }

    /// What it answers; it must do what it is asked.
    pub(crate) fn pidone(&self, words: &[&str]) -> String {
        let done = self.ask(words);
        let said = self.said();
        assert!(done.status.success(), "{words:?}: {done:?}\n{said}");
        String::from_utf8(done.stdout).unwrap()
    }

    /// The main process of a service.
    pub(crate) fn pid(&self, service: &str) -> Pid {
        let text = self.pidone(&["status", service, "--json"]);
        let status: serde_json::Value = serde_json::from_str(&text).unwrap();
        let pid = status["services"][0]["pid"].as_i64().unwrap();
        Pid::from_raw(i32::try_from(pid).unwrap())
    }

    /// Waits until what this command prints contains that; gives it.
    pub(crate) fn until(&self, words: &[&str], wanted: &str) -> String {
        self.wait(words, wanted, |text| text.contains(wanted))
    }

    /// Waits until this command prints that and nothing else.
    pub(crate) fn until_is(&self, words: &[&str], wanted: &str) {
        self.wait(words, wanted, |text| text == wanted);
    }

    fn wait(&self, words: &[&str], wanted: &str, is_it: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            // It may not listen yet.
            let done = self.ask(words);
            let text = String::from_utf8(done.stdout).unwrap();
            if is_it(&text) {
                return text;
            }
            let said = self.said();
            assert!(start.elapsed() < SOON, "no {wanted:?} in {text:?}\n{said}");
            std::thread::sleep(ms(20));
        }
    }

    /// Everything that it and its services have written.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let pid = Pid::from_raw(i32::try_from(self.init.id()).unwrap());
        let _ = kill(pid, Signal::SIGTERM);
        let _ = self.init.wait();
    }
}
