//! A tool's call: its words, its environment, and what comes of it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;

use crate::os::reason::worded;

/// A word or a text as the kernel has it: no encoding, no NUL byte.
pub(crate) type Bytes = Vec<u8>;

/// A file that a word names.
pub(crate) fn path(word: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(word))
}

/// A word as messages show it.
#[inline(never)]
pub(crate) fn shown(word: &[u8]) -> String {
    String::from_utf8_lossy(word).into_owned()
}

/// The environment, in its order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Environment(pub(crate) Vec<(Bytes, Bytes)>);

impl Environment {
    /// A variable's value.
    #[inline(never)]
    pub(crate) fn get(&self, name: &[u8]) -> Option<&[u8]> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_slice())
    }

    /// Gives a variable this value.
    pub(crate) fn set(&mut self, name: &[u8], value: impl Into<Bytes>) {
        self.set_to(name, value.into());
    }

    #[inline(never)]
    fn set_to(&mut self, name: &[u8], value: Bytes) {
        self.remove(name);
        self.0.push((name.to_vec(), value));
    }

    /// Takes a variable away.
    #[inline(never)]
    pub(crate) fn remove(&mut self, name: &[u8]) {
        self.0.retain(|(known, _)| known != name);
    }
}

/// What a tool was called with.
#[derive(Debug)]
pub(crate) struct Call {
    /// The words behind its name.
    pub(crate) args: Vec<Bytes>,
    /// Its environment.
    pub(crate) env: Environment,
}

impl Call {
    /// Takes the options of getopt(3)'s kind from the front: letters of `spec`, one with a colon
    /// behind it takes a value; `--` or the first other word ends them.
    #[inline(never)]
    pub(crate) fn options(&mut self, spec: &str) -> Result<Vec<(char, Bytes)>, BadOption> {
        let mut found = Vec::new();
        let mut used = 0;
        while let Some([b'-', letters @ ..]) = self.args.get(used).map(Vec::as_slice) {
            if letters.is_empty() {
                break;
            }
            used += 1;
            if letters == b"-" {
                break;
            }
            let mut rest = letters;
            while let [letter, after @ ..] = rest {
                rest = after;
                let letter = char::from(*letter);
                let at = spec
                    .find(letter)
                    .filter(|_| letter != ':')
                    .ok_or(BadOption)?;
                if spec.as_bytes().get(at + 1) != Some(&b':') {
                    found.push((letter, Bytes::new()));
                    continue;
                }
                let value = if rest.is_empty() {
                    used += 1;
                    self.args.get(used - 1).ok_or(BadOption)?.clone()
                } else {
                    rest.to_vec()
                };
                found.push((letter, value));
                break;
            }
        }
        self.args.drain(..used);
        Ok(found)
    }

    /// Takes the first word.
    #[inline(never)]
    pub(crate) fn shift(&mut self) -> Option<Bytes> {
        (!self.args.is_empty()).then(|| self.args.remove(0))
    }

    /// Goes on with the words that are left, in the environment as it is now.
    pub(crate) fn go_on(self) -> Done {
        Done::Exec(self.command())
    }

    /// The words that are left, as what is to run.
    #[inline(never)]
    pub(crate) fn command(self) -> Command {
        Command::new(self.args, self.env)
    }
}

/// An option that a tool does not have, or that lacks its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BadOption;

/// What is to run in this process's place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Command {
    /// The words, the program's name first.
    pub(crate) argv: Vec<Bytes>,
    /// Its environment.
    pub(crate) env: Environment,
    /// The program, where it is not the first word.
    pub(crate) program: Option<Bytes>,
    /// Where it is looked for, if not in the PATH of the tool that runs it.
    pub(crate) path: Option<Bytes>,
}

impl Command {
    pub(crate) fn new(argv: Vec<Bytes>, env: Environment) -> Self {
        Self {
            argv,
            env,
            program: None,
            path: None,
        }
    }

    /// The program's name.
    #[inline(never)]
    pub(crate) fn program(&self) -> &[u8] {
        let first = self.argv.first().map(Vec::as_slice);
        self.program.as_deref().or(first).unwrap_or_default()
    }
}

/// How a call went well.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Done {
    /// It is over, with this exit code.
    Exit(u8),
    /// Something else goes on in its place.
    Exec(Command),
}

/// A call's result.
pub(crate) type Outcome = Result<Done, Stop>;

/// Why a call ends: what is said behind the tool's name, and the exit code.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Stop {
    pub(crate) code: u8,
    pub(crate) text: String,
}

/// s6's exit code for bad usage.
pub(crate) const USAGE: u8 = 100;
/// s6's exit code for a system call that failed.
pub(crate) const TEMPORARY: u8 = 111;

impl Stop {
    /// `NAME: fatal: TEXT`.
    pub(crate) fn fatal(code: u8, text: impl AsRef<str>) -> Self {
        Self::told(code, "fatal: ", text.as_ref())
    }

    /// `NAME: usage: LINE`.
    pub(crate) fn usage(line: &str) -> Self {
        Self::told(USAGE, "usage: ", line)
    }

    /// `NAME: fatal: unable to DO: WHY`, exit code 111.
    pub(crate) fn unable(deed: impl AsRef<str>, why: impl Into<Why>) -> Self {
        Self::because(TEMPORARY, deed.as_ref(), why.into())
    }

    /// [`Stop::unable`], with another exit code.
    pub(crate) fn unable_as(code: u8, deed: impl AsRef<str>, why: impl Into<Why>) -> Self {
        Self::because(code, deed.as_ref(), why.into())
    }

    // Called from everywhere: a copy in each place would be a fifth of the tools' size.
    #[inline(never)]
    fn told(code: u8, kind: &str, text: &str) -> Self {
        let text = [kind, text].concat();
        Self { code, text }
    }

    #[inline(never)]
    fn because(code: u8, deed: &str, why: Why) -> Self {
        Self::told(code, "fatal: ", &format!("unable to {deed}: {why}"))
    }
}

/// The reason of the system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Why(pub(crate) Errno);

impl std::fmt::Display for Why {
    /// In the C library's words, which scripts may know.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&worded(self.0))
    }
}

impl From<Errno> for Why {
    fn from(errno: Errno) -> Self {
        Self(errno)
    }
}

impl From<std::io::Error> for Why {
    fn from(error: std::io::Error) -> Self {
        Self(error.raw_os_error().map_or(Errno::EINVAL, Errno::from_raw))
    }
}

/// A number of digits only, as s6's tools take it.
pub(crate) fn number<T: std::str::FromStr>(word: &[u8]) -> Option<T> {
    let digits = !word.is_empty() && word.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(word).ok()?;
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(line: &str) -> Call {
        Call {
            args: line
                .split(' ')
                .map(|word| word.as_bytes().to_vec())
                .collect(),
            env: Environment::default(),
        }
    }

    fn read(line: &str, spec: &str) -> Result<(String, String), BadOption> {
        let mut call = call(line);
        let options = call.options(spec)?;
        let options = options
            .iter()
            .map(|(letter, value)| format!("{letter}{}", shown(value)));
        let rest: Vec<String> = call.args.iter().map(|word| shown(word)).collect();
        Ok((options.collect::<Vec<_>>().join(","), rest.join(" ")))
    }

    #[test]
    fn options_end_at_the_first_other_word() {
        let told = |a: &str, b: &str| Ok((a.to_string(), b.to_string()));
        assert_eq!(read("-ab -c d e -a", "abc:"), told("a,b,cd", "e -a"));
        assert_eq!(read("-acd -- -a", "abc:"), told("a,cd", "-a"));
        assert_eq!(read("- -a", "a"), told("", "- -a"));
        assert_eq!(read("-x", "a"), Err(BadOption));
        assert_eq!(read("-:", "a:"), Err(BadOption));
        assert_eq!(read("-c", "c:"), Err(BadOption));
    }

    #[test]
    fn numbers_are_digits() {
        assert_eq!(number::<u32>(b"010"), Some(10));
        for bad in [&b""[..], b"-1", b"+1", b"1x", b" 1", b"4294967296", b"\xff"] {
            assert_eq!(number::<u32>(bad), None);
        }
    }
}
