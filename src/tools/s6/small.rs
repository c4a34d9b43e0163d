//! Small ones that scripts use where there is no shell: `s6-echo`, `s6-test` (`eltest`).

use std::fs::{self, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use nix::unistd::{AccessFlags, access};

use crate::os::pid1::{gid, uid};
use crate::os::regex::Regex;
use crate::os::terminal;

use super::call::{Bytes, Call, Done, Environment, Outcome, Stop, USAGE, number, path, shown};
use super::print;

/// More words than this are no condition.
const WORDS_MAX: usize = 4096;

/// `s6-echo [-n] [-s SEPARATOR] WORD…`
pub(super) fn echo(mut call: Call) -> Outcome {
    let options = call
        .options("ns:")
        .map_err(|_| Stop::usage("s6-echo [ -n ] [ -s sep ] args..."))?;
    let newline = options.iter().all(|(option, _)| *option != 'n');
    let told = options.iter().rev().find(|(option, _)| *option == 's');
    let separator = told
        .and_then(|(_, value)| value.first())
        .copied()
        .unwrap_or(b' ');
    let mut line = call.args.join(&separator);
    if newline {
        line.push(b'\n');
    }
    print(&line).map(|()| Done::Exit(0))
}

/// `s6-test CONDITION`: 0 if it holds, 1 if not. `-a` binds more than `-o`, `!` most.
pub(super) fn test(call: Call) -> Outcome {
    let Call { args, env } = call;
    if args.is_empty() {
        return Ok(Done::Exit(1));
    }
    let holds = Condition::new(&args, &env)?.all()?;
    Ok(Done::Exit(u8::from(!holds)))
}

struct Condition<'a> {
    words: &'a [Bytes],
    env: &'a Environment,
    at: usize,
}

const UNARY: &[u8] = b"nzfhLekbcdgprstuwxOUGSNv";
const BINARY: [&[u8]; 17] = [
    b"=", b"!=", b"-eq", b"-ne", b"-gt", b"-ge", b"-lt", b"-le", b"-nt", b"-ot", b"-ef", b"<",
    b"<=", b">", b">=", b"=~", b"==",
];

impl<'a> Condition<'a> {
    fn new(words: &'a [Bytes], env: &'a Environment) -> Result<Self, Stop> {
        if words.len() > WORDS_MAX {
            return Err(Stop::fatal(USAGE, "too many arguments"));
        }
        Ok(Self { words, env, at: 0 })
    }

    fn all(mut self) -> Result<bool, Stop> {
        let holds = self.or()?;
        if self.peek().is_none() {
            Ok(holds)
        } else {
            Err(self.wrong())
        }
    }

    fn wrong(&self) -> Stop {
        Stop::fatal(USAGE, format!("parse error at argument {}", self.at))
    }

    fn peek(&self) -> Option<&'a [u8]> {
        self.words.get(self.at).map(Vec::as_slice)
    }

    fn take(&mut self, word: &[u8]) -> bool {
        let found = self.peek() == Some(word);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self) -> Result<&'a [u8], Stop> {
        let word = self.peek().ok_or_else(|| self.wrong())?;
        self.at += 1;
        Ok(word)
    }

    fn or(&mut self) -> Result<bool, Stop> {
        let mut holds = self.and()?;
        while self.take(b"-o") {
            holds |= self.and()?;
        }
        Ok(holds)
    }

    fn and(&mut self) -> Result<bool, Stop> {
        let mut holds = self.not()?;
        while self.take(b"-a") {
            holds &= self.not()?;
        }
        Ok(holds)
    }

    fn not(&mut self) -> Result<bool, Stop> {
        let mut negated = false;
        while self.take(b"!") {
            negated = !negated;
        }
        Ok(self.atom()? != negated)
    }

    fn atom(&mut self) -> Result<bool, Stop> {
        if self.take(b"(") {
            let holds = self.or()?;
            return if self.take(b")") {
                Ok(holds)
            } else {
                Err(self.wrong())
            };
        }
        let word = self.word()?;
        if let [b'-', letter] = word
            && UNARY.contains(letter)
        {
            let operand = self.operand()?;
            return self.unary(*letter, operand);
        }
        if reserved(word) {
            self.at -= 1;
            return Err(self.wrong());
        }
        let left = bare(word);
        match self.peek() {
            Some(operator) if BINARY.contains(&operator) => {
                self.at += 1;
                let right = self.operand()?;
                binary(left, operator, right)
            }
            _ => Ok(!left.is_empty()),
        }
    }

    fn operand(&mut self) -> Result<&'a [u8], Stop> {
        let word = self.word()?;
        if reserved(word) {
            self.at -= 1;
            return Err(self.wrong());
        }
        Ok(bare(word))
    }

    fn unary(&self, letter: u8, operand: &[u8]) -> Result<bool, Stop> {
        let can = |flag| access(path(operand), flag).is_ok();
        let is = |holds: fn(&Metadata) -> bool| {
            fs::metadata(path(operand)).is_ok_and(|data| holds(&data))
        };
        let link = || fs::symlink_metadata(path(operand)).is_ok_and(|data| data.is_symlink());
        Ok(match letter {
            b'n' => !operand.is_empty(),
            b'z' => operand.is_empty(),
            b'e' => can(AccessFlags::F_OK),
            b'r' => can(AccessFlags::R_OK),
            b'w' => can(AccessFlags::W_OK),
            b'x' => can(AccessFlags::X_OK),
            b'f' => is(Metadata::is_file),
            b'd' => is(Metadata::is_dir),
            b'h' | b'L' => link(),
            b'b' => is(|data| data.file_type().is_block_device()),
            b'c' => is(|data| data.file_type().is_char_device()),
            b'p' => is(|data| data.file_type().is_fifo()),
            b'S' => is(|data| data.file_type().is_socket()),
            b'u' => is(|data| data.mode() & 0o4000 != 0),
            b'g' => is(|data| data.mode() & 0o2000 != 0),
            b'k' => is(|data| data.mode() & 0o1000 != 0),
            b's' => is(|data| data.len() > 0),
            b'O' | b'U' => is(|data| data.uid() == uid()),
            b'G' => is(|data| data.gid() == gid()),
            b'N' => {
                is(|data| (data.mtime(), data.mtime_nsec()) > (data.atime(), data.atime_nsec()))
            }
            b't' => terminal::is_at(
                number(operand)
                    .ok_or_else(|| Stop::fatal(USAGE, "-t requires an integer argument"))?,
            ),
            _ => self.env.get(operand).is_some(),
        })
    }
}

/// Whether a word is an operator, so that as a text it needs a backslash in front.
fn reserved(word: &[u8]) -> bool {
    let unary = matches!(word, [b'-', letter] if UNARY.contains(letter));
    let other = matches!(word, b"-a" | b"-o" | b"!" | b"(" | b")");
    unary || other || (BINARY.contains(&word) && word != b"==")
}

/// A text without the backslash that says it is one.
fn bare(word: &[u8]) -> &[u8] {
    word.strip_prefix(b"\\").unwrap_or(word)
}

fn binary(left: &[u8], operator: &[u8], right: &[u8]) -> Result<bool, Stop> {
    let time = |file: &[u8]| {
        fs::metadata(path(file))
            .ok()
            .map(|data| (data.mtime(), data.mtime_nsec()))
    };
    let place = |file: &[u8]| {
        fs::metadata(path(file))
            .ok()
            .map(|data| (data.dev(), data.ino()))
    };
    Ok(match operator {
        b"=" | b"==" => left == right,
        b"!=" => left != right,
        b"<" => left < right,
        b"<=" => left <= right,
        b">" => left > right,
        b">=" => left >= right,
        b"-nt" => time(left).is_some_and(|left| time(right).is_none_or(|right| left > right)),
        b"-ot" => time(left).is_none_or(|left| time(right).is_some_and(|right| left < right)),
        b"-ef" => place(left).is_some_and(|left| place(right).is_none_or(|right| left == right)),
        b"=~" => Regex::new(right, false)
            .map_err(|why| {
                let text = format!(
                    "unable to compile {} into a regular expression: {why}",
                    shown(right)
                );
                Stop::fatal(USAGE, text)
            })?
            .matches(left),
        _ => {
            let wrong = || {
                Stop::fatal(
                    USAGE,
                    format!("{} requires integer arguments", shown(operator)),
                )
            };
            let (left, right) = (
                integer(left).ok_or_else(wrong)?,
                integer(right).ok_or_else(wrong)?,
            );
            match operator {
                b"-eq" => left == right,
                b"-ne" => left != right,
                b"-gt" => left > right,
                b"-ge" => left >= right,
                b"-lt" => left < right,
                _ => left <= right,
            }
        }
    })
}

/// What a number starts with: s6 reads as far as there are digits.
fn integer(word: &[u8]) -> Option<i64> {
    let (sign, digits) = match word {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] | rest => (1, rest),
    };
    let length = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let value: i64 = number(digits.get(..length)?)?;
    Some(sign * value)
}
