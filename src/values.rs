//! The words of the domain as values: names, signals, exits, pids, moments. Nothing here does
//! anything; everything here knows how it is written and read.

pub mod lists;
pub mod span;
pub mod stamp;

use std::fmt;
use std::rc::Rc;
use std::str::FromStr;
use std::time::Duration;

/// The longest service name, in bytes. Long enough for `team.application@instance`, short enough
/// for a column of a screen.
const NAME_BYTES_MAX: usize = 64;

/// A service's name: 1–64 of `A-Za-z0-9._@-`, not starting with a dot. A logger (s6's `log/`)
/// is named after its producer: `web/log`. Copies share the text, because many parts keep one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Rc<str>);

impl Name {
    /// The name of the logger of this service, as s6 calls it.
    pub fn logger(&self) -> Self {
        Self(format!("{}/log", self.0).into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = String;

    /// Refuses what cannot be a directory's name, a column of a screen or a word of a script.
    fn from_str(text: &str) -> Result<Self, String> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "._@-".contains(c);
        match text {
            "" => Err("a service name cannot be empty".into()),
            _ if text.len() > NAME_BYTES_MAX => Err(format!(
                "a service name has at most {NAME_BYTES_MAX} characters"
            )),
            _ if text.starts_with('.') => Err("a service name cannot start with a dot".into()),
            _ => match text.chars().find(|c| !fits(*c)) {
                Some(c) => Err(format!("a service name cannot contain {c:?}")),
                None => Ok(Self(text.into())),
            },
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

/// A process id. Always positive: 0 and negative numbers mean groups to `kill(2)`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Pid(i32);

impl Pid {
    /// A pid from the kernel's number; `None` for what would mean a group or everybody.
    pub fn new(raw: i32) -> Option<Self> {
        (raw > 0).then_some(Self(raw))
    }

    /// The kernel's number.
    pub fn raw(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A signal by its kernel number, 1–64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Signal(u8);

/// signal(7): the standard signals of Linux on x86-64 and AArch64, which agree.
const SIGNALS: [(&str, u8); 31] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("PWR", 30),
    ("SYS", 31),
];

/// What glibc, Docker and systemd call `SIGRTMIN`. musl keeps one signal more for itself and says
/// 35; users write the number that everybody else means.
const RTMIN: u8 = 34;
const RTMAX: u8 = 64;

impl Signal {
    /// Hang-up: read the configuration again.
    pub const HUP: Self = Self(1);
    /// The terminal's ^C.
    pub const INT: Self = Self(2);
    /// The terminal's ^\.
    pub const QUIT: Self = Self(3);
    /// Cannot be caught.
    pub const KILL: Self = Self(9);
    /// For the program's own use.
    pub const USR1: Self = Self(10);
    /// For the program's own use.
    pub const USR2: Self = Self(12);
    /// Please end.
    pub const TERM: Self = Self(15);
    /// A child has changed.
    pub const CHLD: Self = Self(17);
    /// Go on.
    pub const CONT: Self = Self(18);
    /// Stand still; cannot be caught.
    pub const STOP: Self = Self(19);
    /// The terminal has another size.
    pub const WINCH: Self = Self(28);
    /// The power fails.
    pub const PWR: Self = Self(30);
    /// `SIGRTMIN+3`, by which systemd images (and `STOPSIGNAL SIGRTMIN+3`) are asked to halt.
    pub const HALT: Self = Self(RTMIN + 3);

    /// A signal by its number; `None` outside 1–64.
    pub fn new(raw: i32) -> Option<Self> {
        u8::try_from(raw)
            .ok()
            .filter(|n| (1..=RTMAX).contains(n))
            .map(Self)
    }

    /// The kernel's number.
    pub fn raw(self) -> i32 {
        i32::from(self.0)
    }

    /// Every name that `parse` accepts for a standard signal, for suggestions.
    pub fn names() -> impl Iterator<Item = String> {
        SIGNALS.iter().map(|(name, _)| format!("SIG{name}"))
    }
}

impl FromStr for Signal {
    type Err = String;

    /// `SIGTERM`, `TERM`, `term`, `15`, `SIGRTMIN+3`, `RTMAX-1`.
    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("unknown signal `{text}`");
        if let Ok(number) = text.parse::<i32>() {
            return Self::new(number).ok_or_else(unknown);
        }
        let upper = text.to_ascii_uppercase();
        let word = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some((_, number)) = SIGNALS.iter().find(|(name, _)| *name == word) {
            return Ok(Self(*number));
        }
        let offset = |text: &str| {
            if text.is_empty() {
                Some(0)
            } else {
                text[1..].parse().ok()
            }
        };
        let number = if let Some(rest) = word.strip_prefix("RTMIN") {
            (rest.is_empty() || rest.starts_with('+'))
                .then(|| offset(rest))
                .flatten()
                .and_then(|n: u8| RTMIN.checked_add(n))
        } else if let Some(rest) = word.strip_prefix("RTMAX") {
            (rest.is_empty() || rest.starts_with('-'))
                .then(|| offset(rest))
                .flatten()
                .and_then(|n: u8| RTMAX.checked_sub(n))
        } else {
            None
        };
        number
            .filter(|n| (RTMIN..=RTMAX).contains(n))
            .map(Self)
            .ok_or_else(unknown)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SIGNALS.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => write!(f, "SIG{name}"),
            None if self.0 == RTMIN => f.write_str("SIGRTMIN"),
            None if self.0 > RTMIN => write!(f, "SIGRTMIN+{}", self.0 - RTMIN),
            None => write!(f, "signal {}", self.0),
        }
    }
}

/// How a process ended, as wait(2) tells it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Exit {
    /// It called `exit` with this code.
    Code(u8),
    /// This signal ended it.
    Signal(Signal),
    /// This signal ended it and the kernel dumped core.
    Core(Signal),
}

impl Exit {
    /// The code a shell would show: the code itself, or 128 + the signal's number.
    pub fn code(self) -> u8 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) | Self::Core(signal) => 128 + signal.0,
        }
    }

    /// Whether the process ended well: code 0.
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "{signal}"),
            Self::Core(signal) => write!(f, "{signal} (core dumped)"),
        }
    }
}

/// A point of monotonic time: how long after an origin that never changes while we run.
/// Differences never go below zero, because a clock that seems to run backwards must not turn
/// into a wait of centuries.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Moment(Duration);

impl Moment {
    /// The moment this long after the origin.
    pub const fn at(since_origin: Duration) -> Self {
        Self(since_origin)
    }

    /// How long after the origin this is.
    pub fn since_origin(self) -> Duration {
        self.0
    }

    /// How long after `earlier` this is; zero if it is before.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// This moment moved back, not past the origin.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(by))
    }
}

impl std::ops::Add<Duration> for Moment {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_of_the_file_system() {
        for good in ["web", "web-1", "a@b.c_d", &"x".repeat(64)] {
            assert_eq!(
                good.parse::<Name>().map(|n| n.to_string()),
                Ok(good.to_string())
            );
        }
        for bad in ["", ".git", "a/b", "a b", "ü", "a\n", &"x".repeat(65)] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn signals_read_what_they_show() {
        for raw in 1..=64 {
            let signal = Signal::new(raw).expect("1–64 are signals");
            if raw != 32 && raw != 33 {
                assert_eq!(signal.to_string().parse(), Ok(signal));
            }
            assert_eq!(raw.to_string().parse(), Ok(signal));
        }
        assert_eq!("SIGRTMIN+3".parse(), Ok(Signal::HALT));
        assert_eq!("rtmax-27".parse(), Ok(Signal::HALT));
        for bad in [
            "", "SIG", "0", "65", "-1", "SIGQUITT", "RTMIN-1", "RTMIN+31", "RTMAX+1", "RTMIN+é",
        ] {
            assert!(bad.parse::<Signal>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn moments_never_go_below_zero() {
        let (early, late) = (
            Moment::at(Duration::ZERO),
            Moment::at(Duration::from_secs(5)),
        );
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(early.before(Duration::from_secs(1)), early);
        assert!(late + Duration::MAX > late);
    }
}
