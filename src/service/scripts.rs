//! s6's files in a service directory: `run`, `finish`, and the small ones beside them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::diag::{Diagnostic, Spot};
use crate::service::definition::{Probe, Program, Ready, Service, StopBy};
use crate::service::executable::Finish;
use crate::service::source::{Directory, File, Interpreter, Script, interpreter};
use crate::service::table::signal_fault;
use crate::values::Signal;

/// s6 gives `finish` 5 s unless `timeout-finish` says otherwise.
const FINISH_TIMEOUT: Duration = Duration::from_secs(5);

/// s6 counts at most so many deaths.
const DEATHS_MAX: u32 = 4096;

/// ELF(5).
const ELF_MAGIC: &[u8] = b"\x7fELF";

/// U+FEFF in UTF-8: some editors put it first.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Lays what s6's files say over a service. `run` is taken only if there is one.
pub(super) fn apply(found: &Directory, service: &mut Service, faults: &mut Vec<Diagnostic>) {
    let dir = &found.path;
    if script(&found.run, &dir.join("run"), faults) {
        service.program = Program::Run(Box::new(dir.join("run").into()));
    }
    let small = |name: &'static str, file, faults: &mut Vec<Diagnostic>| {
        SmallFile::read(dir.join(name), file, faults)
    };
    let timeout = small("timeout-finish", &found.timeout_finish, faults)
        .and_then(|file| file.milliseconds(faults));
    if script(&found.finish, &dir.join("finish"), faults) {
        service.finish = Some(Box::new(Finish {
            file: dir.join("finish").into(),
            timeout: timeout.unwrap_or(Some(FINISH_TIMEOUT)),
        }));
    }
    let timeout = small("timeout-kill", &found.timeout_kill, faults)
        .and_then(|file| file.milliseconds(faults));
    service.stop.timeout = timeout.unwrap_or(service.stop.timeout);
    let signal =
        small("down-signal", &found.down_signal, faults).and_then(|file| file.signal(faults));
    service.stop.by = signal.map_or(service.stop.by, StopBy::Signal);
    let fd = small("notification-fd", &found.notification_fd, faults)
        .and_then(|file| file.descriptor(faults));
    service.ready = fd.map(|fd| {
        Box::new(Ready {
            probe: Probe::Fd(fd),
            interval: Duration::from_millis(100),
            // s6 waits for ever, and images rely on it: a database may recover for minutes.
            within: None,
        })
    });
    service.enabled = !found.down;
    // How many deaths s6 remembers, for tools of its own; a wrong number is wrong all the same.
    if let Some(file) = small("max-death-tally", &found.max_death_tally, faults) {
        file.whole(0, DEATHS_MAX, faults);
    }
    if found.lock_fd {
        let fault = "`lock-fd` is not supported: no lock keeps a start waiting for an earlier one";
        let hint = "take it away, if `run` does not use that descriptor";
        let fault = Diagnostic::warning(fault).hint(hint);
        faults.push(fault.in_file(dir.join("lock-fd")));
    }
}

/// Judges a script; whether it is there at all.
fn script(script: &Script, path: &Path, faults: &mut Vec<Diagnostic>) -> bool {
    let word = path.file_name().unwrap_or_default().display();
    match script {
        Script::Absent => return false,
        Script::Unreadable(why) => {
            let fault = Diagnostic::error(format!("cannot use `{word}`: {why}"));
            faults.push(fault.in_file(path));
        }
        Script::Present {
            executable,
            head,
            interpreter,
        } => {
            if !executable {
                let fault = Diagnostic::error(format!("`{word}` is not executable"))
                    .hint(format!("chmod +x {}", path.display()));
                faults.push(fault.in_file(path));
            }
            let bad = head
                .as_deref()
                .and_then(|head| bad_head(head, *interpreter));
            faults.extend(bad.map(|(message, label, hint)| {
                let text = first_line(head.as_deref().unwrap_or_default());
                let end = text.len();
                let fault = Diagnostic::error(format!("`{word}` {message}")).hint(hint);
                let fault = label.map_or(fault.clone(), |label| fault.label(label));
                fault.at(path, Spot::of(&text, 0..end))
            }));
        }
    }
    true
}

/// The first line of a script, as text to show.
fn first_line(head: &[u8]) -> String {
    let line = head.split(|b| *b == b'\n').next().unwrap_or_default();
    let text = String::from_utf8_lossy(line);
    text.trim_end_matches('\r').to_owned()
}

/// What is wrong with the first line of a script: message, label and hint. The kernel's own answer
/// to these would be "No such file or directory" or "Exec format error".
pub(super) fn bad_head(
    head: &[u8],
    found: Interpreter,
) -> Option<(String, Option<&'static str>, &'static str)> {
    if head.starts_with(ELF_MAGIC) {
        return None;
    }
    if head.is_empty() {
        return Some(("is empty".into(), None, "begin it with `#!/bin/sh`"));
    }
    if head.starts_with(BYTE_ORDER_MARK) {
        return Some((
            "begins with a byte order mark (BOM)".into(),
            Some("three bytes that no editor shows"),
            "save it as UTF-8 without BOM, or `sed -i '1s/^\\xef\\xbb\\xbf//'`",
        ));
    }
    if !head.starts_with(b"#!") {
        return Some((
            "does not say what runs it".into(),
            Some("no `#!`"),
            "begin it with `#!/bin/sh`",
        ));
    }
    let line = head.split(|b| *b == b'\n').next().unwrap_or_default();
    if line.ends_with(b"\r") {
        return Some((
            "has Windows line ends (CRLF)".into(),
            Some("ends with a carriage return"),
            "convert it with `sed -i 's/\\r$//'`, and let git keep LF (`*.sh text eol=lf`)",
        ));
    }
    match (interpreter(head), found) {
        (None, _) => Some((
            "names no interpreter".into(),
            Some("nothing after `#!`"),
            "begin it with `#!/bin/sh`",
        )),
        (Some(path), Interpreter::Missing) => Some((
            format!(
                "needs `{}`, which is not there",
                String::from_utf8_lossy(path)
            ),
            None,
            "install it in the image, or name another interpreter",
        )),
        (Some(_), Interpreter::Found | Interpreter::None) => None,
    }
}

/// The milliseconds in a small file of s6's; none, or 0, is for ever.
pub(super) fn milliseconds(
    path: PathBuf,
    file: &File,
    faults: &mut Vec<Diagnostic>,
) -> Option<Duration> {
    let file = SmallFile::read(path, file, faults)?;
    file.milliseconds(faults).flatten()
}

/// A file that holds one word.
struct SmallFile {
    path: PathBuf,
    text: String,
}

impl SmallFile {
    /// The file's one word; a fault if it is there and cannot be read.
    fn read(path: PathBuf, file: &File, faults: &mut Vec<Diagnostic>) -> Option<Self> {
        let word = path.file_name().unwrap_or_default().display();
        match file {
            File::Absent => None,
            File::Unreadable(why) => {
                let fault = Diagnostic::error(format!("cannot use `{word}`: {why}"));
                faults.push(fault.in_file(path));
                None
            }
            File::Content(bytes) => {
                let text = String::from_utf8_lossy(bytes).trim().to_owned();
                Some(Self { path, text })
            }
        }
    }

    fn bad<T>(&self, fault: Diagnostic, faults: &mut Vec<Diagnostic>) -> Option<T> {
        let spot = Spot::of(&self.text, 0..self.text.len());
        faults.push(fault.at(&self.path, spot));
        None
    }

    fn word(&self) -> String {
        self.path
            .file_name()
            .unwrap_or_default()
            .display()
            .to_string()
    }

    /// Milliseconds; s6's 0 is "for ever", which is the inner `None`.
    #[expect(
        clippy::option_option,
        reason = "not said, said to be endless, said to be so long"
    )]
    fn milliseconds(&self, faults: &mut Vec<Diagnostic>) -> Option<Option<Duration>> {
        match self.text.parse::<u32>() {
            Ok(0) => Some(None),
            Ok(ms) => Some(Some(Duration::from_millis(u64::from(ms)))),
            Err(_) => {
                let fault = format!("`{}` must hold milliseconds, a whole number", self.word());
                self.bad(Diagnostic::error(fault), faults)
            }
        }
    }

    fn whole(&self, from: u32, to: u32, faults: &mut Vec<Diagnostic>) -> Option<u32> {
        let number = self.text.parse().ok();
        number
            .filter(|number| (from..=to).contains(number))
            .or_else(|| {
                let word = self.word();
                let fault = format!("`{word}` must hold a whole number from {from} to {to}");
                self.bad(Diagnostic::error(fault), faults)
            })
    }

    fn signal(&self, faults: &mut Vec<Diagnostic>) -> Option<Signal> {
        let signal = self.text.parse();
        signal.map_or_else(
            |why: String| self.bad(signal_fault(&self.text, why), faults),
            Some,
        )
    }

    fn descriptor(&self, faults: &mut Vec<Diagnostic>) -> Option<i32> {
        let fd = self
            .text
            .parse::<i32>()
            .ok()
            .filter(|fd| (3..=254).contains(fd));
        fd.or_else(|| {
            let fault = format!("`{}` must hold a descriptor from 3 to 254", self.word());
            let hint = "0, 1 and 2 are the service's own input and output";
            self.bad(Diagnostic::error(fault).hint(hint), faults)
        })
    }
}
