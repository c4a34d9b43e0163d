//! tini's options, as getopt(3) reads them.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use crate::values::Signal;

/// The version whose ways these are; it is what scripts ask for.
const VERSION: &str = "tini version 0.19.0";
const USAGE: &str = "
Runs PROGRAM as its only child: forwards signals to it, reaps orphans, ends as it ends. This is
pidone in tini's place.

  --version     tells the version of tini that this is like (alone)
  -h            shows this
  -l            tells the license
  -s            reaps orphans where it is not PID 1 (TINI_SUBREAPER)
  -p SIGNAL     gets SIGNAL when its own parent ends, as in `-p SIGKILL`
  -v            tells more, up to three times (TINI_VERBOSITY=N, by itself 1)
  -w            warns of each orphan that it reaps
  -g            signals go to the whole process group (TINI_KILL_PROCESS_GROUP)
  -e EXIT_CODE  counts as 0; may be given several times

";
const LICENSE: &str = "pidone: MIT OR Apache-2.0\n";

/// What the options and the environment ask for.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Order {
    pub(super) subreaper: bool,
    pub(super) group: bool,
    pub(super) warn: bool,
    pub(super) verbosity: i64,
    pub(super) parent_death: Option<Signal>,
    pub(super) as_success: Vec<u8>,
    pub(super) command: Vec<OsString>,
}

/// Where the options end it all.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum End {
    /// To stdout, exit 0.
    Told(String),
    /// Bad usage: to stderr, exit 1.
    Usage(String),
    /// A value that makes no sense: exit 1.
    Fatal(String),
}

pub(super) fn usage(name: &str) -> String {
    format!("{name} ({VERSION})\nUsage: {name} [OPTIONS] PROGRAM -- [ARGS] | --version\n{USAGE}")
}

impl Order {
    pub(super) fn read(name: &str, args: &[OsString]) -> Result<Self, End> {
        if matches!(args, [only] if only == "--version") {
            return Err(End::Told(format!("{VERSION}\n")));
        }
        let mut order = Self {
            subreaper: false,
            group: false,
            warn: false,
            verbosity: 1,
            parent_death: None,
            as_success: Vec::new(),
            command: Vec::new(),
        };
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            let bytes = arg.as_bytes();
            if bytes == b"--" {
                break;
            }
            let Some(letters) = bytes
                .strip_prefix(b"-")
                .filter(|letters| !letters.is_empty())
            else {
                order.command.push(arg.clone());
                break;
            };
            order.letters(name, letters, &mut rest)?;
        }
        order.command.extend(rest.cloned());
        if order.command.is_empty() {
            return Err(End::Usage(String::new()));
        }
        Ok(order)
    }

    /// One word of options, as getopt(3) reads it.
    fn letters<'a>(
        &mut self,
        name: &str,
        letters: &[u8],
        rest: &mut impl Iterator<Item = &'a OsString>,
    ) -> Result<(), End> {
        let mut letters = letters;
        while let [letter, after @ ..] = letters {
            letters = after;
            let letter = char::from(*letter);
            match letter {
                'h' => return Err(End::Told(usage(name))),
                'l' => return Err(End::Told(LICENSE.into())),
                's' => self.subreaper = true,
                'v' => self.verbosity += 1,
                'w' => self.warn = true,
                'g' => self.group = true,
                'p' | 'e' => {
                    let value = if after.is_empty() {
                        let next = rest.next().map(|next| next.as_bytes());
                        next.ok_or_else(|| {
                            let why = "option requires an argument";
                            End::Usage(format!("{name}: {why} -- '{letter}'\n"))
                        })?
                    } else {
                        after
                    };
                    return self.valued(letter, &String::from_utf8_lossy(value));
                }
                _ => {
                    return Err(End::Usage(format!(
                        "{name}: invalid option -- '{letter}'\n"
                    )));
                }
            }
        }
        Ok(())
    }

    fn valued(&mut self, letter: char, value: &str) -> Result<(), End> {
        let bad = || End::Fatal(format!("Not a valid option for -{letter}: {value}"));
        if letter == 'p' {
            // tini takes whole names, of signals that are not real-time ones.
            let named = value
                .strip_prefix("SIG")
                .and_then(|_| value.parse::<Signal>().ok());
            let signal = named.filter(|signal| signal.raw() < 32).ok_or_else(bad)?;
            self.parent_death = Some(signal);
        } else {
            self.as_success
                .push(value.trim_start().parse().map_err(|_| bad())?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Order, End> {
        let args: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        Order::read("tini", &args)
    }

    #[test]
    fn options_are_tinis() {
        let order = read("-sgvv -w -e 143 -e0 -pSIGKILL -- sh -c x").unwrap();
        assert!(order.subreaper && order.group && order.warn);
        assert_eq!((order.verbosity, order.as_success), (3, vec![143, 0]));
        assert_eq!(order.parent_death, Some(Signal::KILL));
        assert_eq!(order.command, ["sh", "-c", "x"]);
        assert_eq!(read("sh -s --").unwrap().command, ["sh", "-s", "--"]);
        assert_eq!(
            read("--version"),
            Err(End::Told("tini version 0.19.0\n".into()))
        );
    }

    #[test]
    fn bad_options_are_told() {
        for (line, told) in [
            ("-e 256 sh", "Not a valid option for -e: 256"),
            ("-e x sh", "Not a valid option for -e: x"),
            ("-p KILL sh", "Not a valid option for -p: KILL"),
            ("-p SIGRTMIN sh", "Not a valid option for -p: SIGRTMIN"),
        ] {
            assert_eq!(read(line), Err(End::Fatal(told.into())), "{line}");
        }
        for (line, told) in [
            ("", ""),
            ("-s --", ""),
            ("-z sh", "tini: invalid option -- 'z'\n"),
            ("-e", "tini: option requires an argument -- 'e'\n"),
        ] {
            assert_eq!(read(line), Err(End::Usage(told.into())), "{line}");
        }
    }
}
