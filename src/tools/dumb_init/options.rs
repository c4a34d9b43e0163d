//! dumb-init's options, as getopt_long(3) reads them.

use std::collections::BTreeMap;
use std::ffi::OsString;

/// The version whose ways these are.
const VERSION: &str = "dumb-init v1.2.5\n";
const USAGE: &str = "
Runs COMMAND in a session of its own: forwards signals to it, reaps orphans, ends as it ends. This
is pidone in dumb-init's place.

   -c, --single-child   signals go to the command alone, in our own session (DUMB_INIT_SETSID=0)
   -r, --rewrite s:r    r is sent where s was received, nothing if r is 0; several times if need be
   -v, --verbose        tells on stderr what it does (DUMB_INIT_DEBUG=1)
   -h, --help           shows this
   -V, --version        tells the version of dumb-init that this is like
";
const REWRITE: &str = "\
Usage: -r option takes <signum>:<signum>, where <signum> is between 1 and 31.
This option can be specified multiple times.
Use --help for full usage.
";
/// dumb-init knows no real-time signals.
const SIGNAL_MAX: i32 = 31;

/// What the options and the environment ask for.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Order {
    pub(super) session: bool,
    pub(super) verbose: bool,
    pub(super) rewrites: BTreeMap<i32, i32>,
    pub(super) command: Vec<OsString>,
}

/// Where the options end it all.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum End {
    /// To stderr (dumb-init tells all there), exit 0.
    Told(String),
    /// To stderr, exit 1.
    Wrong(String),
}

impl Order {
    pub(super) fn read(name: &str, args: &[OsString]) -> Result<Self, End> {
        let mut order = Self {
            session: true,
            verbose: false,
            rewrites: BTreeMap::new(),
            command: Vec::new(),
        };
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            let text = arg.to_string_lossy();
            match text.strip_prefix("--") {
                Some("") => break,
                Some(long) => order.long(name, long, &mut rest)?,
                None => match text.strip_prefix('-').filter(|letters| !letters.is_empty()) {
                    Some(letters) => order.letters(name, letters, &mut rest)?,
                    None => {
                        order.command.push(arg.clone());
                        break;
                    }
                },
            }
        }
        order.command.extend(rest.cloned());
        if order.command.is_empty() {
            return Err(End::Wrong(format!(
                "Usage: {name} [option] program [args]\nTry {name} --help for full usage.\n"
            )));
        }
        Ok(order)
    }

    /// A long option, which may be cut short as long as it is the only one that starts so.
    fn long<'a>(
        &mut self,
        name: &str,
        option: &str,
        rest: &mut impl Iterator<Item = &'a OsString>,
    ) -> Result<(), End> {
        const LONG: [(&str, char); 5] = [
            ("help", 'h'),
            ("single-child", 'c'),
            ("rewrite", 'r'),
            ("verbose", 'v'),
            ("version", 'V'),
        ];
        let (word, value) = option
            .split_once('=')
            .map_or((option, None), |(word, value)| (word, Some(value)));
        let mut found = LONG.iter().filter(|(long, _)| long.starts_with(word));
        let exact = LONG.iter().find(|(long, _)| *long == word);
        let letter = match (exact, found.next(), found.next()) {
            (Some((_, letter)), _, _) | (None, Some((_, letter)), None) => *letter,
            (None, Some(_), Some(_)) => {
                return Err(End::Wrong(format!(
                    "{name}: option '--{option}' is ambiguous\n"
                )));
            }
            (None, None, _) => {
                return Err(End::Wrong(format!(
                    "{name}: unrecognized option '--{option}'\n"
                )));
            }
        };
        match (letter, value) {
            ('r', Some(value)) => self.rewrite(value),
            (_, Some(_)) => {
                let why = format!("option '--{word}' doesn't allow an argument");
                Err(End::Wrong(format!("{name}: {why}\n")))
            }
            (letter, None) => self.letters(name, &letter.to_string(), rest),
        }
    }

    fn letters<'a>(
        &mut self,
        name: &str,
        letters: &str,
        rest: &mut impl Iterator<Item = &'a OsString>,
    ) -> Result<(), End> {
        for (at, letter) in letters.char_indices() {
            match letter {
                'h' => {
                    let usage = format!("Usage: {name} [option] command [[arg] ...]\n");
                    return Err(End::Told([VERSION, &usage, USAGE].concat()));
                }
                'V' => return Err(End::Told(VERSION.into())),
                'v' => self.verbose = true,
                'c' => self.session = false,
                'r' => {
                    let after = letters.get(at + 1..).unwrap_or_default();
                    if !after.is_empty() {
                        return self.rewrite(after);
                    }
                    let next = rest.next().map(|next| next.to_string_lossy());
                    let next = next.ok_or_else(|| {
                        End::Wrong(format!("{name}: option requires an argument -- 'r'\n"))
                    })?;
                    return self.rewrite(&next);
                }
                _ => {
                    return Err(End::Wrong(format!(
                        "{name}: invalid option -- '{letter}'\n"
                    )));
                }
            }
        }
        Ok(())
    }

    fn rewrite(&mut self, value: &str) -> Result<(), End> {
        let (from, to) = value.split_once(':').unwrap_or_default();
        let pair = leading(from).zip(leading(to));
        let (from, to) = pair
            .filter(|(from, to)| (1..=SIGNAL_MAX).contains(from) && (0..=SIGNAL_MAX).contains(to))
            .ok_or_else(|| End::Wrong(REWRITE.into()))?;
        self.rewrites.insert(from, to);
        Ok(())
    }
}

/// A number at the start, as scanf(3) reads one.
fn leading(text: &str) -> Option<i32> {
    let text = text.trim_start();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    text.get(..digits)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Order, End> {
        let args: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        Order::read("dumb-init", &args)
    }

    #[test]
    fn options_are_dumb_inits() {
        let order =
            read("-cv -r 15:3 -r1:0 --rewrite 10:12 --rewrite=2:9x --verb -- sh -c").unwrap();
        assert!(!order.session && order.verbose);
        let pairs: Vec<(i32, i32)> = order.rewrites.into_iter().collect();
        assert_eq!(pairs, [(1, 0), (2, 9), (10, 12), (15, 3)]);
        assert_eq!(order.command, ["sh", "-c"]);
        assert_eq!(read("sh -c -v").unwrap().command, ["sh", "-c", "-v"]);
    }

    #[test]
    fn bad_options_are_told() {
        for (line, told) in [
            ("-z sh", "dumb-init: invalid option -- 'z'\n"),
            ("--foo sh", "dumb-init: unrecognized option '--foo'\n"),
            ("--ver sh", "dumb-init: option '--ver' is ambiguous\n"),
            (
                "--help=1 sh",
                "dumb-init: option '--help' doesn't allow an argument\n",
            ),
            ("-r", "dumb-init: option requires an argument -- 'r'\n"),
        ] {
            assert_eq!(read(line), Err(End::Wrong(told.into())), "{line}");
        }
        for bad in [
            "9",
            "0:1",
            "32:1",
            "1:32",
            "1:-1",
            "x:1",
            "1:",
            ":1",
            "99999999999:1",
        ] {
            assert_eq!(
                read(&format!("-r {bad} sh")),
                Err(End::Wrong(REWRITE.into())),
                "{bad}"
            );
        }
        assert!(matches!(read("-V sh"), Err(End::Told(_))));
        assert!(matches!(read("-v"), Err(End::Wrong(_))));
    }
}
