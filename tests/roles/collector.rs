//! Debian's rsyslog as the collector: an own process with its own configuration, on loopback.

use std::fs;
use std::net::TcpStream;
use std::process::Command;

use crate::role::{Folder, Role};
use crate::support::setup::PATH;
use crate::support::{SOON, poll, read};
use crate::syslog::{free_port, have};

/// A collector that can be killed and started again. It listens on TCP and UDP alike.
pub(crate) struct Collector {
    folder: Folder,
    pub(crate) port: u16,
    running: Option<Role>,
}

impl Collector {
    /// One that is not started yet; `None`, said aloud, where rsyslog is not to be had.
    pub(crate) fn new() -> Option<Self> {
        if !have("rsyslogd", "rsyslog") {
            return None;
        }
        let folder = Folder::new();
        let port = free_port();
        let dir = folder.path("");
        let config = format!(
            "global(workDirectory=\"{dir}\" maxMessageSize=\"128k\")\n\
             module(load=\"imtcp\")\nmodule(load=\"imudp\")\n\
             input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{port}\")\n\
             input(type=\"imudp\" address=\"127.0.0.1\" port=\"{port}\")\n\
             template(name=\"raw\" type=\"string\" string=\"%rawmsg%\\n\")\n\
             template(name=\"parsed\" type=\"string\" \
             string=\"%app-name%|%syslogfacility-text%.%syslogseverity-text%|%msg%\\n\")\n\
             action(type=\"omfile\" file=\"{dir}raw\" template=\"raw\")\n\
             action(type=\"omfile\" file=\"{dir}parsed\" template=\"parsed\")\n"
        );
        fs::write(folder.path("conf"), config).unwrap();
        Some(Self {
            folder,
            port,
            running: None,
        })
    }

    /// Where to send to.
    pub(crate) fn url(&self, scheme: &str) -> String {
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// Starts it, and waits until it listens.
    pub(crate) fn start(&mut self) {
        let mut command = Command::new("rsyslogd");
        let (config, pid) = (self.folder.path("conf"), self.folder.path("pid"));
        let _ = fs::remove_file(&pid);
        command
            .args(["-n", "-f", &config, "-i", &pid])
            .env("PATH", PATH);
        let role = Role::of(command);
        let listens = || TcpStream::connect(("127.0.0.1", self.port)).is_ok();
        assert!(poll(SOON, listens), "{}", role.err.text());
        self.running = Some(role);
    }

    /// Ends it with this signal: after TERM it writes what it has, after KILL it does not.
    pub(crate) fn end(&mut self, signal: i32) {
        if let Some(mut role) = self.running.take() {
            role.signal(signal);
            role.wait();
        }
    }

    /// The messages as they came, each a line.
    pub(crate) fn raw(&self) -> Vec<String> {
        self.whole_lines("raw")
    }

    /// The messages as rsyslog understood them: `app|facility.severity|text`.
    pub(crate) fn parsed(&self) -> Vec<String> {
        self.whole_lines("parsed")
    }

    /// The lines of a file that is being written.
    fn whole_lines(&self, name: &str) -> Vec<String> {
        let text = read(&self.folder.0.join(name));
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(str::to_owned).collect()
    }

    /// Waits until the last message says this.
    pub(crate) fn until_last(&self, text: &str) {
        let there = || self.raw().last().is_some_and(|last| last.contains(text));
        assert!(poll(SOON, there), "no {text:?} in {:?}", self.raw().last());
    }
}
