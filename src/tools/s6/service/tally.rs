//! `s6-svdt`, `s6-svdt-clear`, `s6-permafailon`: how a service died before, from
//! `supervise/death_tally`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use crate::os::clock;
use crate::os::files::bounded;
use crate::tools::s6::call::{Bytes, Call, Done, Outcome, Stop, USAGE, Why, number, path, shown};
use crate::tools::s6::{print, tell};
use crate::values::Signal;

use super::status::name;
use crate::tools::s6::tai;

const FILE: &str = "supervise/death_tally";
/// A time, an exit code, a signal.
const ENTRY_BYTES: usize = tai::BYTES + 2;
/// s6 keeps no more.
const ENTRIES_MAX: usize = 4096;
/// A tally that is longer is none of s6's.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// The exit code that makes a `finish` say: never again.
const PERMANENT: u8 = 125;

/// One death.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Death {
    since_1970: Duration,
    code: u8,
    /// 0: it was an exit.
    signal: u8,
}

/// Every death of the service in `dir`, the oldest first.
fn read(dir: &Path) -> Result<Vec<Death>, Why> {
    let mut bytes = Bytes::new();
    let limit = ENTRY_BYTES * ENTRIES_MAX;
    File::open(dir.join(FILE))?
        .take(limit as u64)
        .read_to_end(&mut bytes)?;
    // An entry that is not whole is being written, or no entry.
    let death = |entry: &[u8]| {
        Some(Death {
            since_1970: tai::unpack(entry)?,
            code: *entry.get(tai::BYTES)?,
            signal: *entry.get(tai::BYTES + 1)?,
        })
    };
    Ok(bytes.chunks_exact(ENTRY_BYTES).filter_map(death).collect())
}

/// So many deaths are kept, unless `max-death-tally` says otherwise.
pub(in crate::tools::s6) const ENTRIES: usize = 100;

/// Makes the file, if it is not there.
///
/// # Errors
/// As open(2).
pub(in crate::tools::s6) fn make(dir: &Path) -> io::Result<()> {
    appended(dir).map(drop)
}

/// One more death, which wait(2) told so; the oldest go, so that at most `max` are kept.
///
/// # Errors
/// As open(2) and write(2).
pub(in crate::tools::s6) fn add(
    dir: &Path,
    since_1970: Duration,
    ended: u16,
    max: usize,
) -> io::Result<()> {
    let signal = u8::try_from(ended & 0x7f).unwrap_or(0);
    let code = match signal {
        0 => u8::try_from(ended >> 8).unwrap_or(0),
        signal => 128_u8.saturating_add(signal),
    };
    let mut entry = tai::pack(since_1970).to_vec();
    entry.extend([code, signal]);
    let mut file = appended(dir)?;
    file.write_all(&entry)?;
    let room = max.min(ENTRIES_MAX) * ENTRY_BYTES;
    if file.metadata()?.len() <= room as u64 {
        return Ok(());
    }
    let bytes = bounded(&dir.join(FILE), FILE_BYTES_MAX).map_err(io::Error::other)?;
    let last = bytes.get(bytes.len().saturating_sub(room)..);
    let beside = dir.join("supervise/death_tally.new");
    fs::write(&beside, last.unwrap_or_default())?;
    fs::rename(beside, dir.join(FILE))
}

fn appended(dir: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o644)
        .open(dir.join(FILE))
}

/// `s6-svdt [-S | -s] [-n MAX] DIR`: every death as a line; `-s` signals as numbers.
pub(crate) fn svdt(mut call: Call) -> Outcome {
    let usage = || Stop::usage("s6-svdt [ -S | -s ] [ -n maxentries ] servicedir");
    let (mut as_number, mut max) = (false, ENTRIES_MAX);
    for (option, value) in call.options("Ssn:").map_err(|_| usage())? {
        match option {
            'n' => max = number(&value).ok_or_else(usage)?,
            letter => as_number = letter == 's',
        }
    }
    let dir = call.shift().ok_or_else(usage)?;
    if max == 0 {
        return Ok(Done::Exit(0));
    }
    let deed = format!("read death tally for service {}", shown(&dir));
    let deaths = read(path(&dir)).map_err(|why| Stop::unable(deed, why))?;
    let line = |death: &Death| {
        let cause = match (death.signal, as_number) {
            (0, _) => format!("exitcode {}", death.code),
            (signal, true) => format!("signal {signal}"),
            (signal, false) => format!("signal {}", name(signal.into())),
        };
        format!("{} {cause}\n", tai::label(death.since_1970))
    };
    let first = deaths.len().saturating_sub(max);
    let text: String = deaths
        .get(first..)
        .unwrap_or_default()
        .iter()
        .map(line)
        .collect();
    print(text.as_bytes()).map(|()| Done::Exit(0))
}

/// `s6-svdt-clear DIR`: forgets every death.
pub(crate) fn svdt_clear(mut call: Call) -> Outcome {
    let dir = call
        .shift()
        .ok_or_else(|| Stop::usage("s6-svdt-clear servicedir"))?;
    let cleared = OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(path(&dir).join(FILE));
    let deed = format!("clear death tally for service {}", shown(&dir));
    cleared
        .map(|_| Done::Exit(0))
        .map_err(|error| Stop::unable(deed, error))
}

/// `s6-permafailon SECONDS COUNT STATUSES PROG…`, for a `finish`: ends with 125, which is never
/// again, if the service died in one of these ways so often of late; else goes on.
pub(crate) fn permafailon(mut call: Call) -> Outcome {
    let usage = || Stop::usage("s6-permafailon seconds deathcount statuslist prog...");
    if call.args.len() < 3 {
        return Err(usage());
    }
    let mut word = || call.shift().unwrap_or_default();
    let (seconds, count, list) = (word(), word(), word());
    let seconds: u32 = number(&seconds).ok_or_else(usage)?;
    let count: usize = number(&count)
        .filter(|count| *count > 0)
        .ok_or_else(usage)?;
    let statuses = Statuses::read(&list)?;
    let deaths = read(Path::new(".")).unwrap_or_else(|why| {
        let text = format!("warning: unable to stat {FILE}: {why}");
        tell(b"s6-permafailon", &text);
        Vec::new()
    });
    let from = clock::wall().saturating_sub(Duration::from_secs(seconds.into()));
    let mut matches = deaths
        .iter()
        .filter(|death| death.since_1970 >= from && statuses.have(death));
    let Some(death) = matches.nth(count.min(ENTRIES_MAX) - 1) else {
        return Ok(call.go_on());
    };
    let event = match death.signal {
        0 => format!("exit code {}", death.code),
        signal => format!("signal {signal}"),
    };
    let text = format!("after {count} events involving {event} in the last {seconds} seconds");
    tell(
        b"s6-permafailon",
        &format!("info: PERMANENT FAILURE triggered {text}"),
    );
    Ok(Done::Exit(PERMANENT))
}

/// Exit codes, ranges of them, and signals, as `1-5,12,SIGTERM`.
#[derive(PartialEq, Eq, Debug, Default)]
struct Statuses {
    codes: Vec<(u8, u8)>,
    signals: Vec<i32>,
}

impl Statuses {
    fn read(list: &[u8]) -> Result<Self, Stop> {
        let mut statuses = Self::default();
        let parts = list.split(|byte| b",; \n\r\t".contains(byte));
        for part in parts.filter(|part| !part.is_empty()) {
            let part = shown(part);
            let bad = |what: &str| Stop::fatal(USAGE, format!("invalid {what}"));
            if !part.starts_with(|c: char| c.is_ascii_digit()) {
                let signal: Signal = part.parse().map_err(|_| bad("status list specification"))?;
                statuses.signals.push(signal.raw());
                continue;
            }
            let code = |text: &str| text.parse::<u8>().map_err(|_| bad("exit code"));
            let (low, high) = match part.split_once('-') {
                Some((low, high)) => (code(low)?, code(high)?),
                None => (code(&part)?, code(&part)?),
            };
            if high < low {
                return Err(bad("interval"));
            }
            statuses.codes.push((low, high));
        }
        Ok(statuses)
    }

    fn have(&self, death: &Death) -> bool {
        let by_code = self
            .codes
            .iter()
            .any(|(low, high)| (*low..=*high).contains(&death.code));
        by_code || (death.signal != 0 && self.signals.contains(&death.signal.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_a_list() {
        let statuses = Statuses::read(b"1-3, 7;TERM SIGKILL").unwrap();
        assert_eq!(statuses.codes, [(1, 3), (7, 7)]);
        assert_eq!(statuses.signals, [15, 9]);
        let death = |code, signal| Death {
            since_1970: Duration::ZERO,
            code,
            signal,
        };
        assert!(statuses.have(&death(2, 0)) && statuses.have(&death(143, 15)));
        assert!(!statuses.have(&death(4, 0)) && !statuses.have(&death(129, 1)));
        for bad in [&b"300"[..], b"5-3", b"FOO", b"1-", b"1-x", b"-1", b"\xff"] {
            assert!(Statuses::read(bad).is_err(), "{}", shown(bad));
        }
    }
}
