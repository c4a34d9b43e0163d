//! Environments from folders, one file a variable: `s6-envdir`, and the container's own by
//! `with-contenv` and `printcontenv`.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;

use super::call::{Bytes, Call, Done, Environment, Outcome, Stop, USAGE, Why, number, path, shown};
use super::{print, tell};

/// Where the container's environment lies, once its init has put it there.
const CONTAINER: &str = "/run/s6/container_environment";
/// s6-envdir reads no more of a file; a variable from there is no longer.
const VALUE_BYTES_MAX: usize = 4095;
/// With `-L` (as with-contenv has it), what the kernel takes for one string (execve(2)).
const LONG_VALUE_BYTES_MAX: usize = 128 << 10;

/// How a file becomes a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Reading {
    /// The whole file, not its first line.
    whole: bool,
    /// Blanks at the end stay (with `whole`: a last line end stays).
    unchomped: bool,
    /// A file may be longer than s6 first allowed.
    long: bool,
    /// What a NUL byte becomes.
    null: u8,
}

/// `s6-envdir [-I | -i] [-n] [-f] [-L] [-c NULLCHAR] DIR PROG…`
pub(super) fn envdir(mut call: Call) -> Outcome {
    let usage =
        || Stop::usage("s6-envdir [ -I | -i ] [ -n ] [ -f ] [ -L ] [ -c nullchar ] dir prog...");
    let mut insist = true;
    let mut reading = Reading {
        whole: false,
        unchomped: false,
        long: false,
        null: b'\n',
    };
    for (option, value) in call.options("IinfLc:").map_err(|_| usage())? {
        match option {
            'I' => insist = false,
            'i' => insist = true,
            'n' => reading.unchomped = true,
            'f' => reading.whole = true,
            'L' => reading.long = true,
            _ => reading.null = value.first().copied().unwrap_or_default(),
        }
    }
    let dir = call
        .shift()
        .filter(|_| !call.args.is_empty())
        .ok_or_else(usage)?;
    match read_folder(path(&dir), reading) {
        Ok(found) => apply(&mut call.env, found),
        Err(error) if !insist && error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(Stop::unable(format!("envdir {}", shown(&dir)), error)),
    }
    Ok(call.go_on())
}

/// Every variable of the folder; `None` takes it away. A file that vanishes meanwhile is an error,
/// but not the folder's absence.
fn read_folder(dir: &Path, reading: Reading) -> io::Result<Vec<(Bytes, Option<Bytes>)>> {
    if reading.null == 0 {
        return Err(Errno::EINVAL.into());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().as_bytes().to_vec();
        if name.starts_with(b".") || name.contains(&b'=') {
            continue;
        }
        let text = read_file(&entry.path(), reading.long).map_err(|error| {
            let gone = error.kind() == io::ErrorKind::NotFound;
            if gone { Errno::EIDRM.into() } else { error }
        })?;
        found.push((name, value(text, reading)));
    }
    Ok(found)
}

fn read_file(path: &Path, long: bool) -> io::Result<Bytes> {
    let max = if long {
        LONG_VALUE_BYTES_MAX
    } else {
        VALUE_BYTES_MAX
    };
    let mut text = Bytes::new();
    File::open(path)?.take(max as u64).read_to_end(&mut text)?;
    Ok(text)
}

fn value(mut text: Bytes, reading: Reading) -> Option<Bytes> {
    if text.is_empty() {
        return None;
    }
    if reading.whole {
        if !reading.unchomped && text.last() == Some(&b'\n') {
            text.pop();
        }
    } else {
        let line = text.iter().position(|byte| *byte == b'\n');
        text.truncate(line.unwrap_or(text.len()));
        while !reading.unchomped && matches!(text.last(), Some(b' ' | b'\t' | b'\r')) {
            text.pop();
        }
    }
    for byte in text.iter_mut().filter(|byte| **byte == 0) {
        *byte = reading.null;
    }
    Some(text)
}

fn apply(env: &mut Environment, found: Vec<(Bytes, Option<Bytes>)>) {
    for (name, value) in found {
        match value {
            Some(value) => env.set(&name, value),
            None => env.remove(&name),
        }
    }
}

/// `with-contenv PROG…`: the container's environment in the place of the caller's, but for PATH
/// where that has none. What is no file there is told of and left out: one stray folder must not
/// keep every service from starting.
pub(super) fn with_contenv(mut call: Call) -> Outcome {
    if keeps(&call.env)? {
        return Ok(call.go_on());
    }
    let inherited = call.env.get(b"PATH").map(<[u8]>::to_vec);
    call.env = Environment::default();
    if let Some(path) = inherited {
        call.env.set(b"PATH", path);
    }
    let unable = |error: io::Error| Stop::unable(format!("read {CONTAINER}"), error);
    let reading = Reading {
        whole: true,
        unchomped: false,
        long: true,
        null: b'\n',
    };
    for entry in fs::read_dir(CONTAINER).map_err(unable)? {
        let entry = entry.map_err(unable)?;
        let name = entry.file_name().as_bytes().to_vec();
        if name.starts_with(b".") || name.contains(&b'=') {
            continue;
        }
        match read_file(&entry.path(), true) {
            Ok(text) => apply(&mut call.env, vec![(name, value(text, reading))]),
            Err(error) => {
                let why = Why::from(error);
                tell(
                    b"with-contenv",
                    &format!("warning: ignoring {}: {why}", shown(&name)),
                );
            }
        }
    }
    let path = call.env.get(b"PATH").map(<[u8]>::to_vec);
    let mut next = call.command();
    next.path = path;
    Ok(Done::Exec(next))
}

/// Whether the container was told to keep the environment in the environment. s6-overlay compares
/// `0$S6_KEEP_ENV` with 0, so that what is no number is an error.
fn keeps(env: &Environment) -> Result<bool, Stop> {
    let told = env.get(b"S6_KEEP_ENV").unwrap_or_default();
    let told = [b"0", told].concat();
    let number: u64 =
        number(&told).ok_or_else(|| Stop::fatal(USAGE, "S6_KEEP_ENV is not a number"))?;
    Ok(number != 0)
}

/// `printcontenv NAME`: that variable's file as it is, or 2 where there is none.
pub(super) fn printcontenv(mut call: Call) -> Outcome {
    let name = call
        .shift()
        .ok_or_else(|| Stop::fatal(USAGE, "too few arguments"))?;
    let value = if keeps(&call.env)? {
        let value = call.env.get(&name).unwrap_or_default();
        Some([value, b"\n"].concat())
    } else if name.contains(&b'/') {
        None
    } else {
        read_file(&Path::new(CONTAINER).join(path(&name)), true).ok()
    };
    match value {
        Some(value) => print(&value).map(|()| Done::Exit(0)),
        None => Ok(Done::Exit(2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_becomes_a_value() {
        let read = |text: &[u8], whole, unchomped| {
            let reading = Reading {
                whole,
                unchomped,
                long: false,
                null: b'\n',
            };
            value(text.to_vec(), reading).map(|value| shown(&value))
        };
        let is = |text: &str| Some(text.to_string());
        assert_eq!(read(b"a b \t\nc\n", false, false), is("a b"));
        assert_eq!(read(b"a b \t\nc\n", false, true), is("a b \t"));
        assert_eq!(read(b"a \nc\n\n", true, false), is("a \nc\n"));
        assert_eq!(read(b"a\n", true, true), is("a\n"));
        assert_eq!(read(b"a\0b", true, false), is("a\nb"));
        assert_eq!(read(b"\n", true, false), is(""));
        assert_eq!(read(b"", true, false), None);
    }
}
