//! `s6-svscan DIR` as the main command: the same boot, with DIR as the one directory of services,
//! and s6's ways for what its files leave unsaid.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nix::errno::Errno;

use crate::cli::init::{self, Arguments};
use crate::cli::print::remark;
use crate::os::reason::reason;
use crate::os::{descriptors, inplace, signals};
use crate::supervisor::crew::Style;

/// s6's exit code for bad usage.
const BAD_USAGE: u8 = 100;
/// The last of the standard descriptors.
const STDERR: i32 = 2;

/// What s6 ends with.
const FINISH: &[u8] = b".s6-svscan/finish";

const USAGE: &str = "s6-svscan: usage: s6-svscan [ -d notif ] [ -X consoleholder ] \
    [ -c services_max | -C services_max ] [ -L name_max ] [ -t rescan ] [ scandir ]";

/// What the command line asks for.
#[derive(PartialEq, Eq, Debug)]
struct Options {
    dir: PathBuf,
    /// A newline is written there once services can be asked for.
    tells: Option<i32>,
}

/// `s6-svscan [OPTION…] [DIR]`, with the words behind its name.
pub fn run(args: &[OsString]) -> ExitCode {
    let Some(options) = parse(args) else {
        remark(USAGE);
        return ExitCode::from(BAD_USAGE);
    };
    if let Some(number) = options.tells {
        let fault = if number <= STDERR {
            Some("notification fd must be 3 or more")
        } else {
            let closed = descriptors::is_open(number).is_err();
            closed.then_some("invalid notification fd: Bad file descriptor")
        };
        if let Some(why) = fault {
            remark(&format!("s6-svscan: fatal: {why}"));
            return ExitCode::from(BAD_USAGE);
        }
    }
    // The desk is this program again, by its file: a link may be called anything.
    let program = std::env::current_exe().ok();
    let program = program.and_then(|path| path.into_os_string().into_string().ok());
    if program.is_none() {
        remark("s6-svscan: warning: cannot tell where this program lies (no /proc?): no desk");
    }
    let arguments = Arguments {
        services: vec![options.dir],
        command: Vec::new(),
        style: Style::Scandir {
            program,
            tells: options.tells,
        },
    };
    match init::boot(&arguments) {
        Ok(code) => arguments
            .services
            .first()
            .map_or(code, |dir| finish(dir, code)),
        Err(code) => code,
    }
}

/// What s6 does last: it becomes `.s6-svscan/finish`, whose end is the container's. Returns if
/// there is none.
fn finish(dir: &Path, code: ExitCode) -> ExitCode {
    let entered = std::env::set_current_dir(dir);
    let pair = |(name, value): (OsString, OsString)| (name.into_vec(), value.into_vec());
    let env: Vec<_> = std::env::vars_os().map(pair).collect();
    let errno = match entered {
        Ok(()) => {
            signals::unblock_all();
            inplace::exec(FINISH, &[FINISH.to_vec()], &env, None)
        }
        Err(_) => Errno::ENOENT,
    };
    if errno != Errno::ENOENT {
        let why = reason(&errno.into());
        remark(&format!(
            "s6-svscan: warning: cannot run .s6-svscan/finish: {why}"
        ));
    }
    code
}

/// The options of all versions: the limits of some have no meaning here, as there are none.
fn parse(args: &[OsString]) -> Option<Options> {
    let (mut dir, mut tells) = (None, None);
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let text = word.to_str().unwrap_or_default();
        let mut letters = text.strip_prefix('-').unwrap_or_default().chars();
        if letters.as_str().is_empty() {
            dir = Some(PathBuf::from(word));
            break;
        }
        if text == "--" {
            dir = words.next().map(PathBuf::from);
            break;
        }
        while let Some(letter) = letters.next() {
            match letter {
                's' | 'S' => {}
                'c' | 'C' | 'L' | 't' | 'd' | 'X' => {
                    let rest = letters.as_str();
                    let value = match rest {
                        "" => words.next()?.to_str()?,
                        rest => rest,
                    };
                    let number: u32 = value.parse().ok()?;
                    if letter == 'd' {
                        tells = Some(i32::try_from(number).ok()?);
                    }
                    break;
                }
                _unknown => return None,
            }
        }
    }
    Some(Options {
        dir: dir.unwrap_or_else(|| PathBuf::from(".")),
        tells,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir(line: &str) -> Option<PathBuf> {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        parse(&words).map(|options| options.dir)
    }

    #[test]
    fn options_are_s6s() {
        assert_eq!(dir(""), Some(".".into()));
        assert_eq!(dir("/etc/s6"), Some("/etc/s6".into()));
        assert_eq!(dir("-c 500 -t0 -d 4 -- x"), Some("x".into()));
        assert_eq!(dir("-St5000 x"), Some("x".into()));
        for bad in ["-Z x", "-c x", "-c", "-t 5s x"] {
            assert_eq!(dir(bad), None, "{bad}");
        }
    }
}
