//! `s6-svstat`, `s6-svok`: how a service is, from `supervise/status`.

use std::fs::{self, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;

use crate::os::clock;
use crate::tools::s6::call::{Bytes, Call, Done, Outcome, Stop, USAGE, Why, path, shown};
use crate::tools::s6::print;
use crate::values::Signal;

use crate::tools::s6::tai;

/// The status of s6 up to 2.12 …
const OLD_BYTES: usize = 35;
/// … and from 2.13 on, with the process group.
const NEW_BYTES: usize = 43;
const LINE: &str = "s6-svstat [ -uwNrpgest | -o up,wantedup,normallyup,ready,paused,pid,pgid,\
    exitcode,signal,signum,updownsince,readysince,updownfor,readyfor ] [ -n ] servicedir";

/// What `supervise/status` says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::tools::s6) struct Status {
    /// When it came up or went down, since 1970.
    pub(in crate::tools::s6) since: Duration,
    /// When it became ready (or, down, ready to come up again).
    pub(in crate::tools::s6) ready_since: Duration,
    /// The process: `run`, or `finish` after it; 0 without one.
    pub(in crate::tools::s6) pid: u64,
    pub(in crate::tools::s6) group: u64,
    /// As wait(2) has it.
    pub(in crate::tools::s6) ended: u16,
    /// Bits, see below.
    pub(in crate::tools::s6) flags: u8,
}

/// It was sent SIGSTOP.
pub(in crate::tools::s6) const PAUSED: u8 = 1;
/// The process is that of `finish`.
pub(in crate::tools::s6) const FINISHING: u8 = 2;
/// It is to be up.
pub(in crate::tools::s6) const WANTED_UP: u8 = 4;
/// Whether `ready_since` counts.
pub(in crate::tools::s6) const READY: u8 = 8;

impl Status {
    fn unpack(bytes: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let pid = number(24)?;
        let (group, end) = match bytes.len() {
            OLD_BYTES => (pid, 32),
            NEW_BYTES => (number(32)?, 40),
            _ => return None,
        };
        Some(Self {
            since: tai::unpack(bytes)?,
            ready_since: tai::unpack(bytes.get(tai::BYTES..)?)?,
            pid,
            group,
            ended: u16::from_be_bytes(bytes.get(end..end + 2)?.try_into().ok()?),
            flags: *bytes.get(end + 2)?,
        })
    }

    /// The status of s6 up to 2.12, which its tools of that time and ours can read.
    pub(in crate::tools::s6) fn pack(&self) -> Bytes {
        let times = [tai::pack(self.since), tai::pack(self.ready_since)].concat();
        let (pid, ended) = (self.pid.to_be_bytes(), self.ended.to_be_bytes());
        [&times, &pid[..], &ended[..], &[self.flags]].concat()
    }

    /// Reads the status of the service in `dir`.
    ///
    /// # Errors
    /// As open(2) and read(2); EINVAL for a file that is none.
    pub(in crate::tools::s6) fn read(dir: &Path) -> Result<Self, Why> {
        let mut bytes = Bytes::new();
        let limit = NEW_BYTES as u64 + 1;
        fs::File::open(dir.join("supervise/status"))?
            .take(limit)
            .read_to_end(&mut bytes)?;
        Self::unpack(&bytes).ok_or(Why(Errno::EINVAL))
    }

    /// Whether `run` lives.
    pub(in crate::tools::s6) fn is_up(&self) -> bool {
        self.pid != 0 && !self.has(FINISHING)
    }

    pub(super) fn is_ready(&self) -> bool {
        self.has(READY)
    }

    pub(in crate::tools::s6) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// How `run` ended: the exit code, or else the signal; nothing while it is up.
    fn end(&self) -> Result<u16, Option<i32>> {
        let signal = i32::from(self.ended & 0x7f);
        match (self.is_up(), signal) {
            (true, _) => Err(None),
            (false, 0) => Ok(self.ended >> 8),
            (false, signal) => Err(Some(signal)),
        }
    }

    fn field(&self, field: Field, normally_up: bool, now: Duration) -> String {
        let truth = |holds: bool| holds.to_string();
        let number = |number: u64| {
            if number == 0 {
                "-1".into()
            } else {
                number.to_string()
            }
        };
        let signal = self.end().err().flatten();
        match field {
            Field::Up => truth(self.is_up()),
            Field::WantedUp => truth(self.has(WANTED_UP)),
            Field::NormallyUp => truth(normally_up),
            Field::Ready => truth(self.pid != 0 && self.is_ready()),
            Field::Paused => truth(self.has(PAUSED)),
            Field::Pid => number(if self.is_up() { self.pid } else { 0 }),
            Field::Group => number(self.group),
            Field::ExitCode => self.end().map_or("-1".into(), |code| code.to_string()),
            Field::Signal => signal.map_or("NA".into(), name),
            Field::Signum => signal.unwrap_or(-1).to_string(),
            Field::Since => tai::label(self.since),
            Field::ReadySince => tai::label(self.ready_since),
            Field::For => now.saturating_sub(self.since).as_secs().to_string(),
            Field::ReadyFor => now.saturating_sub(self.ready_since).as_secs().to_string(),
        }
    }

    fn sentence(&self, normally_up: bool, as_number: bool, now: Duration) -> String {
        let up = self.is_up();
        let state = match self.end() {
            Err(None) => format!("up (pid {} pgid {})", self.pid, self.group),
            Ok(code) => format!("down (exitcode {code})"),
            Err(Some(signal)) if as_number => format!("down (signal {signal})"),
            Err(Some(signal)) => format!("down (signal {})", name(signal)),
        };
        let mut text = format!(
            "{state} {} seconds",
            now.saturating_sub(self.since).as_secs()
        );
        for (holds, what) in [
            (up && !normally_up, ", normally down"),
            (!up && normally_up, ", normally up"),
            (up && self.has(PAUSED), ", paused"),
            (!up && self.has(WANTED_UP), ", want up"),
            (up && !self.has(WANTED_UP), ", want down"),
        ] {
            if holds {
                text.push_str(what);
            }
        }
        if self.is_ready() {
            let seconds = now.saturating_sub(self.ready_since).as_secs();
            text.extend([", ready ", &seconds.to_string(), " seconds"]);
        }
        text
    }
}

/// `SIGTERM`
pub(super) fn name(signal: i32) -> String {
    Signal::new(signal).map_or_else(|| format!("SIG{signal}"), |signal| signal.to_string())
}

/// What `-o` can ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Field {
    Up,
    WantedUp,
    NormallyUp,
    Ready,
    Paused,
    Pid,
    Group,
    ExitCode,
    Signal,
    Signum,
    Since,
    ReadySince,
    For,
    ReadyFor,
}

/// Each field's name, and its letter if it has one.
const FIELDS: [(&str, char, Field); 14] = [
    ("up", 'u', Field::Up),
    ("wantedup", 'w', Field::WantedUp),
    ("normallyup", 'N', Field::NormallyUp),
    ("ready", 'r', Field::Ready),
    ("paused", ' ', Field::Paused),
    ("pid", 'p', Field::Pid),
    ("pgid", 'g', Field::Group),
    ("exitcode", 'e', Field::ExitCode),
    ("signal", 's', Field::Signal),
    ("signum", ' ', Field::Signum),
    ("updownsince", ' ', Field::Since),
    ("readysince", ' ', Field::ReadySince),
    ("updownfor", 't', Field::For),
    ("readyfor", ' ', Field::ReadyFor),
];

/// `s6-svstat [-uwNrpgest | -o FIELD,…] [-n] DIR`
pub(crate) fn svstat(mut call: Call) -> Outcome {
    let (mut fields, mut as_number) = (Vec::new(), false);
    for (option, value) in call
        .options("no:uwNrpgest")
        .map_err(|_| Stop::usage(LINE))?
    {
        match option {
            'n' => as_number = true,
            'o' => fields = named(&shown(&value))?,
            letter => fields.extend(FIELDS.iter().filter(|(_, known, _)| *known == letter)),
        }
    }
    let dir = call.shift().ok_or_else(|| Stop::usage(LINE))?;
    let unable = |why| Stop::unable(format!("read status for {}", shown(&dir)), why);
    if !is_supervised(path(&dir)).map_err(unable)? {
        let text = format!(
            "unable to read status for {}: s6-supervise not running",
            shown(&dir)
        );
        return Err(Stop::fatal(1, text));
    }
    let status = Status::read(path(&dir)).map_err(unable)?;
    let normally_up = fs::symlink_metadata(path(&dir).join("down")).is_err();
    let now = clock::wall();
    let text = if fields.is_empty() {
        status.sentence(normally_up, as_number, now)
    } else {
        let fields = fields
            .iter()
            .map(|(_, _, field)| status.field(*field, normally_up, now));
        fields.collect::<Vec<_>>().join(" ")
    };
    print((text + "\n").as_bytes()).map(|()| Done::Exit(0))
}

fn named(list: &str) -> Result<Vec<(&'static str, char, Field)>, Stop> {
    let one = |name: &str| {
        let found = FIELDS.iter().find(|(known, _, _)| *known == name).copied();
        found.ok_or_else(|| Stop::fatal(USAGE, format!("invalid option field: {name}")))
    };
    list.split(',')
        .filter(|name| !name.is_empty())
        .map(one)
        .collect()
}

/// Whether somebody listens to the service's control.
///
/// # Errors
/// As open(2), if it does not mean "nobody".
pub(super) fn is_supervised(dir: &Path) -> Result<bool, Why> {
    let opened = OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(dir.join("supervise/control"));
    match opened.map_err(|error| Why::from(error).0) {
        Ok(_) => Ok(true),
        Err(Errno::ENXIO | Errno::ENOENT | Errno::ENOTDIR) => Ok(false),
        Err(errno) => Err(Why(errno)),
    }
}

/// `s6-svok DIR`: 0 if it is supervised, 1 if not.
pub(crate) fn svok(mut call: Call) -> Outcome {
    let dir = call
        .shift()
        .ok_or_else(|| Stop::usage("s6-svok servicedir"))?;
    let supervised = is_supervised(path(&dir))
        .map_err(|why| Stop::unable(format!("check {}", shown(&dir)), why))?;
    Ok(Done::Exit(u8::from(!supervised)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(pid: u8, ended: [u8; 2], flags: u8) -> Status {
        let time = |seconds: u8| [0x40, 0, 0, 0, 0, 0, 0, 37 + seconds, 0, 0, 0, 0];
        let mut bytes = [time(5), time(7)].concat();
        bytes.extend([0, 0, 0, 0, 0, 0, 0, pid]);
        bytes.extend(ended);
        bytes.push(flags);
        Status::unpack(&bytes).unwrap()
    }

    #[test]
    fn a_status_is_a_sentence() {
        let now = Duration::from_secs(9);
        let told = |status: Status, normally_up| status.sentence(normally_up, false, now);
        for (told, sentence) in [
            (
                told(status(7, [0, 0], 4), true),
                "up (pid 7 pgid 7) 4 seconds",
            ),
            (
                told(status(7, [0, 0], 1 | 8), false),
                "up (pid 7 pgid 7) 4 seconds, normally down, paused, want down, ready 2 seconds",
            ),
            (
                told(status(7, [0, 15], 2), false),
                "down (signal SIGTERM) 4 seconds",
            ),
            (
                told(status(0, [3, 0], 4), true),
                "down (exitcode 3) 4 seconds, normally up, want up",
            ),
        ] {
            assert_eq!(told, sentence);
        }
        let fields = |status: Status| {
            FIELDS
                .map(|(_, _, field)| status.field(field, true, now))
                .join(" ")
        };
        let since = "@400000000000002a00000000 @400000000000002c00000000 4 2";
        assert_eq!(
            fields(status(7, [0, 0], 4 | 8)),
            format!("true true true true false 7 7 -1 NA -1 {since}")
        );
        assert_eq!(
            fields(status(0, [0, 9], 0)),
            format!("false false true false false -1 -1 -1 SIGKILL 9 {since}")
        );
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        let status = status(7, [1, 2], 5);
        assert_eq!(status.pack().len(), OLD_BYTES);
        assert_eq!(Status::unpack(&status.pack()), Some(status));
    }

    #[test]
    fn a_file_that_is_no_status_is_told() {
        for length in [0, 34, 36, 42, 44] {
            assert_eq!(Status::unpack(&vec![0; length]), None);
        }
        assert!(Status::unpack(&[0xff; OLD_BYTES]).is_some());
        assert!(Status::unpack(&[0xff; NEW_BYTES]).is_some());
        assert_eq!(named("up,foo").unwrap_err().code, 100);
    }
}
