//! What a service tells by the protocol of sd_notify(3): a datagram as text → what of it is heard.

use std::time::Duration;

use crate::diag::printable;
use crate::values::Moment;

/// So many assignments of one datagram are read; real ones have a handful.
const WORDS_MAX: usize = 64;

/// So many characters of a `STATUS` are shown: what a line of a screen can hold.
const STATUS_CHARS_MAX: usize = 200;

/// A start is not prolonged by more than this at once.
const EXTEND_MAX: Duration = Duration::from_secs(3600);

/// So many events of a service are told at once.
const EVENTS_MAX: u32 = 64;

/// So long one of them takes to be granted again.
const EVENT_EACH: Duration = Duration::from_millis(100);

/// What a service may still tell by `X_PIDONE_EVENT=`: those who follow the events of all are not
/// to be flooded by one.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Allowance {
    /// Events that were told, and not granted again yet.
    spent: u32,
    /// When that was counted.
    at: Option<Moment>,
    /// Events that were not told since.
    dropped: u32,
}

impl Allowance {
    /// Whether one more is told; `Some`: it is, and so many before it were not.
    pub fn spend(&mut self, now: Moment) -> Option<u32> {
        let since = now.since(*self.at.get_or_insert(now));
        let granted = since.as_millis() / EVENT_EACH.as_millis();
        let granted = u32::try_from(granted).unwrap_or(u32::MAX);
        if granted > 0 {
            self.spent = self.spent.saturating_sub(granted);
            self.at = Some(now);
        }
        if self.spent >= EVENTS_MAX {
            self.dropped = self.dropped.saturating_add(1);
            return None;
        }
        self.spent += 1;
        Some(std::mem::take(&mut self.dropped))
    }
}

/// One thing that a service tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Word {
    /// `READY=1`: it is ready, or has reloaded.
    Ready,
    /// `RELOADING=1`: it reads its configuration again, and says `READY=1` after that.
    Reloading,
    /// `STOPPING=1`.
    Stopping,
    /// `WATCHDOG=1`: it lives.
    Alive,
    /// `WATCHDOG=trigger`: it is not well.
    Alarm,
    /// `EXTEND_TIMEOUT_USEC=`: its start takes this much longer from now.
    Extend(Duration),
    /// `STATUS=`, as it may reach a terminal; empty: nothing.
    Status(String),
    /// `ERRNO=`: a number of errno(3); 0: none.
    Errno(i32),
    /// `MAINPID=`: this process is its main one.
    MainPid(i32),
    /// `X_PIDONE_NOTE=`, as it may reach a terminal; empty: nothing.
    Note(String),
    /// `X_PIDONE_EVENT=`: something that has happened to it.
    Event(String),
}

/// What a datagram says, in its order. What is not known, or has no such value, is not heard: new
/// words must not harm old listeners.
pub fn words(datagram: &[u8]) -> Vec<Word> {
    let lines = datagram.split(|byte| *byte == b'\n').take(WORDS_MAX);
    lines.filter_map(word).collect()
}

fn word(line: &[u8]) -> Option<Word> {
    let line = String::from_utf8_lossy(line);
    let (name, value) = line.split_once('=')?;
    match (name, value.trim_end_matches(['\0', '\r', ' '])) {
        ("READY", "1") => Some(Word::Ready),
        ("RELOADING", "1") => Some(Word::Reloading),
        ("STOPPING", "1") => Some(Word::Stopping),
        ("WATCHDOG", "1") => Some(Word::Alive),
        ("WATCHDOG", "trigger") => Some(Word::Alarm),
        ("EXTEND_TIMEOUT_USEC", usec) => {
            let usec = Duration::from_micros(usec.parse().ok()?);
            Some(Word::Extend(usec.min(EXTEND_MAX)))
        }
        ("STATUS", text) => Some(Word::Status(shown(text))),
        ("ERRNO", number) => number.parse().ok().map(Word::Errno),
        ("MAINPID", number) => number.parse().ok().map(Word::MainPid),
        ("X_PIDONE_NOTE", text) => Some(Word::Note(shown(text))),
        ("X_PIDONE_EVENT", text) => Some(shown(text))
            .filter(|text| !text.is_empty())
            .map(Word::Event),
        _other => None,
    }
}

/// A text that can stand in a line.
fn shown(text: &str) -> String {
    let mut shown: String = printable(text.trim())
        .chars()
        .take(STATUS_CHARS_MAX + 1)
        .collect();
    if shown.chars().count() > STATUS_CHARS_MAX {
        shown.pop();
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_heard_in_its_order() {
        let said = b"RELOADING=1\nSTATUS=Reloading Configuration.\nMONOTONIC_USEC=123\nREADY=1\n\
            WATCHDOG=1\nWATCHDOG=trigger\nSTOPPING=1\nMAINPID=7\nERRNO=2\n\
            EXTEND_TIMEOUT_USEC=2500000\nX_VENDOR=1\n";
        assert_eq!(
            words(said),
            [
                Word::Reloading,
                Word::Status("Reloading Configuration.".into()),
                Word::Ready,
                Word::Alive,
                Word::Alarm,
                Word::Stopping,
                Word::MainPid(7),
                Word::Errno(2),
                Word::Extend(Duration::from_millis(2500)),
            ]
        );
    }

    #[test]
    fn what_is_not_is_no_harm() {
        for bad in [
            &b""[..],
            b"\n\n",
            b"READY",
            b"READY=",
            b"READY=0",
            b"READY=11",
            b" READY=1",
            b"ready=1",
            b"ERRNO=x",
            b"ERRNO=99999999999",
            b"EXTEND_TIMEOUT_USEC=-1",
            b"EXTEND_TIMEOUT_USEC=99999999999999999999999",
            b"\xff\xfe=1",
            b"=",
            b"\0",
        ] {
            assert_eq!(words(bad), [], "{bad:?}");
        }
        assert_eq!(words(b"READY=1\0"), [Word::Ready]);
        let many = "READY=1\n".repeat(1000);
        assert_eq!(words(many.as_bytes()).len(), WORDS_MAX);
        let far = words(b"EXTEND_TIMEOUT_USEC=18446744073709551615");
        assert_eq!(far, [Word::Extend(EXTEND_MAX)]);
    }

    #[test]
    fn a_flood_of_events_is_cut_and_counted() {
        let at = |ms| Moment::at(Duration::from_millis(ms));
        let mut allowance = Allowance::default();
        let told = (0..1000).filter(|_| allowance.spend(at(5000)).is_some());
        assert_eq!(told.count(), 64);
        assert_eq!(allowance.spend(at(5099)), None);
        assert_eq!(allowance.spend(at(5100)), Some(1000 - 64 + 1));
        assert_eq!(allowance.spend(at(5100)), None);
        assert_eq!(allowance.spend(at(9_000_000)), Some(1));
        // A clock that is asked out of turn.
        assert_eq!(allowance.spend(at(5000)), Some(0));
    }

    #[test]
    fn a_note_and_an_event_are_one_line_each() {
        assert_eq!(
            words(
                b"X_PIDONE_NOTE=3 of 5 ready\nX_PIDONE_EVENT=member-join \x1b[2J\n\
                X_PIDONE_EVENT=\nX_PIDONE_NOTE="
            ),
            [
                Word::Note("3 of 5 ready".into()),
                Word::Event("member-join \u{fffd}[2J".into()),
                Word::Note(String::new()),
            ]
        );
    }

    #[test]
    fn a_status_cannot_harm_a_terminal() {
        let status = |text: &[u8]| words(&[b"STATUS=", text].concat());
        assert_eq!(
            status(b"\x1b[2Jgone \xff\x07"),
            [Word::Status("\u{fffd}[2Jgone \u{fffd}\u{fffd}".into())]
        );
        assert_eq!(status(b""), [Word::Status(String::new())]);
        let Some(Word::Status(long)) = words(&[b"STATUS=", [b'x'; 4000].as_slice()].concat()).pop()
        else {
            panic!("a status");
        };
        assert_eq!(long.chars().count(), STATUS_CHARS_MAX + 1);
        assert!(long.ends_with('…'));
    }
}
