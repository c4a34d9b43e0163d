//! One side of a comparison: the real tools or ours, and what a line of shell gives with them.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::support::{PIDONE, skip};

/// Which family of tools.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tools {
    /// s6 and execline.
    Skarnet,
    /// tini.
    Tini,
    /// dumb-init.
    DumbInit,
}

impl Tools {
    /// Where the real ones lie, before the system's own directories.
    fn real_path(self) -> &'static str {
        match self {
            Self::Skarnet => "/usr/lib/execline/bin",
            Self::Tini | Self::DumbInit => "/usr/bin",
        }
    }

    fn witness(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Skarnet => (
                "s6 execline",
                &["/usr/bin/s6-svc", "/usr/lib/execline/bin/foreground"],
            ),
            Self::Tini => ("tini", &["/usr/bin/tini"]),
            Self::DumbInit => ("dumb-init", &["/usr/bin/dumb-init"]),
        }
    }

    /// Whether the real ones are there; says so if not.
    pub(crate) fn are_there(self) -> bool {
        let (packages, files) = self.witness();
        let there = files.iter().all(|file| Path::new(file).exists());
        if !there {
            skip(&format!("Debian's {packages} not installed"));
        }
        there
    }
}

/// A directory that goes with its end.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pidone-s6-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Every name that our binary answers to.
pub(crate) fn names() -> Vec<String> {
    let help = Command::new(PIDONE)
        .args(["s6", "--help"])
        .output()
        .unwrap();
    let text = String::from_utf8(help.stdout).unwrap();
    let (_, names) = text.split_once("Tools:").unwrap();
    names.split_whitespace().map(Into::into).collect()
}

/// A directory of links to our binary.
pub(crate) fn links() -> Folder {
    let folder = Folder::new();
    for name in names()
        .iter()
        .map(String::as_str)
        .chain(["tini", "dumb-init"])
    {
        symlink(PIDONE, folder.0.join(name)).unwrap();
    }
    folder
}

/// What a line gives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Given {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Given {
    /// As the tables write it.
    pub(crate) fn lines(&self) -> String {
        let quoted = |mark: &str, text: &str| {
            let lines = text.split_inclusive('\n');
            let line = |line: &str| format!("{}\n", format!("{mark} {line}").trim_end());
            lines.map(line).collect::<String>()
        };
        format!(
            "{}{}= {}\n",
            quoted("|", &self.out),
            quoted("!", &self.err),
            self.code
        )
    }
}

/// Runs a line of shell with these tools first in PATH, in a new directory.
fn run(line: &str, path: &str) -> Given {
    let folder = Folder::new();
    let search = format!("{path}:/usr/sbin:/usr/bin:/sbin:/bin");
    let line = [include_str!("tables/service.sh"), line].concat();
    let done = Command::new("/bin/sh")
        .args(["-c", &line])
        .current_dir(&folder.0)
        .env_clear()
        .env("PATH", &search)
        .env("A", "a value")
        .env("EMPTY", "")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let code = done.status.code();
    // Where a line shows its directory, both sides are in the same one.
    let text = |bytes: &[u8]| {
        let shown: String = bytes.escape_ascii().map(char::from).collect();
        let shown = shown
            .replace("\\n", "\n")
            .replace("\\'", "'")
            .replace("\\\"", "\"");
        let shown = shown.replace(&*folder.0.to_string_lossy(), "DIR");
        shown.replace(&search, "PATH")
    };
    Given {
        code: code.unwrap_or_else(|| 128 + done.status.signal().unwrap_or(0)),
        out: text(&done.stdout),
        err: text(&done.stderr),
    }
}

/// What the real tools give.
pub(crate) fn real(tools: Tools, line: &str) -> Given {
    run(line, tools.real_path())
}

/// What ours give.
pub(crate) fn ours(links: &Folder, line: &str) -> Given {
    run(line, links.0.to_str().unwrap())
}
