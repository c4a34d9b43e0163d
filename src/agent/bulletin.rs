//! What the agent tells PID 1 of itself, by the protocol of sd_notify(3): that it is ready, how it
//! is, and what has happened. Gathered, so that PID 1 is woken ten times a second at most; it never
//! waits.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::diag::printable;
use crate::values::Moment;

/// Between two datagrams.
const PAUSE: Duration = Duration::from_millis(100);
/// Events that wait; PID 1 takes no more of them at once either.
const EVENTS_MAX: usize = 64;
/// So much of a line is told, characters: PID 1 keeps no more.
const CHARS_MAX: usize = 200;
/// The longest datagram that PID 1 reads has 4096 bytes.
const BYTES_MAX: usize = 4000;

/// How the agent is, each in a line.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Standing {
    /// In a few words, for the table of `pidone status`.
    pub note: String,
    /// The same and its counters, for the page.
    pub status: String,
}

/// What is still to be told.
#[derive(Default, Debug)]
pub struct Draft {
    /// `READY=1` and such.
    words: Vec<String>,
    events: VecDeque<String>,
    /// Events for which there was no room.
    dropped: u32,
    standing: Standing,
    told: Standing,
}

impl Draft {
    /// Something that has happened.
    pub fn event(&mut self, text: &str) {
        if self.events.len() < EVENTS_MAX {
            let first = text.lines().next().unwrap_or_default();
            self.events.push_back(short(first));
        } else {
            self.dropped += 1;
        }
    }

    /// How it is now.
    pub fn stands(&mut self, standing: Standing) {
        self.standing = standing;
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty() && self.events.is_empty() && self.standing == self.told
    }

    /// The next datagram; to be taken off with [`Self::sent`]. The second value is how many events
    /// are in it.
    fn datagram(&self) -> (String, usize) {
        let mut lines = self.words.clone();
        let Standing { note, status } = &self.standing;
        if self.standing != self.told {
            lines.push(format!("STATUS={}", short(status)));
            lines.push(format!("X_PIDONE_NOTE={}", short(note)));
        }
        let mut bytes: usize = lines.iter().map(|line| line.len() + 1).sum();
        let mut count = 0;
        for event in self.events.iter().take(EVENTS_MAX / 2) {
            let line = format!("X_PIDONE_EVENT={event}");
            bytes += line.len() + 1;
            if bytes > BYTES_MAX {
                break;
            }
            lines.push(line);
            count += 1;
        }
        (lines.join("\n"), count)
    }

    fn sent(&mut self, events: usize) {
        self.words.clear();
        self.told = self.standing.clone();
        self.events.drain(..events);
        if self.events.is_empty() && self.dropped > 0 {
            let dropped = std::mem::take(&mut self.dropped);
            self.event(&format!("{dropped} more changes"));
        }
    }
}

fn short(text: &str) -> String {
    printable(text).chars().take(CHARS_MAX).collect()
}

/// The way to PID 1, if it listens.
#[derive(Debug)]
pub struct Bulletin {
    to: Option<(UnixDatagram, OsString)>,
    draft: Draft,
    /// The standing is to be looked at again.
    is_stale: bool,
    at: Option<Moment>,
}

impl Bulletin {
    /// To whom `NOTIFY_SOCKET` names; to nobody without it.
    pub fn open(to: Option<OsString>) -> Self {
        let open = |to| {
            let socket = UnixDatagram::unbound()?;
            socket.set_nonblocking(true)?;
            Ok((socket, to))
        };
        let to: Option<io::Result<_>> = to.map(open);
        Self {
            to: to.and_then(Result::ok),
            draft: Draft::default(),
            is_stale: true,
            at: None,
        }
    }

    /// Something that has happened.
    pub fn event(&mut self, text: &str) {
        if self.to.is_some() {
            self.draft.event(text);
        }
    }

    /// A word of the protocol, such as `READY=1`.
    pub fn word(&mut self, word: impl Into<String>) {
        if self.to.is_some() {
            self.draft.words.push(word.into());
        }
    }

    /// How it stands may be something else now.
    pub fn touch(&mut self) {
        self.is_stale = true;
    }

    /// When there is something to send; `None`: not before something happens.
    pub fn due(&self) -> Option<Moment> {
        let has_some = self.to.is_some() && (self.is_stale || !self.draft.is_empty());
        let at = self.at.map_or(Moment::at(Duration::ZERO), |at| at + PAUSE);
        has_some.then_some(at)
    }

    /// Sends what is due. `standing` is asked for only then.
    ///
    /// # Errors
    /// As sendto(2): nobody listens there any more. What was to be told is forgotten.
    pub fn send(&mut self, now: Moment, standing: impl FnOnce() -> Standing) -> io::Result<()> {
        let is_due = self.due().is_some_and(|due| due <= now);
        let Some((socket, to)) = self.to.as_ref().filter(|_| is_due) else {
            return Ok(());
        };
        if std::mem::take(&mut self.is_stale) {
            self.draft.stands(standing());
        }
        if self.draft.is_empty() {
            return Ok(());
        }
        self.at = Some(now);
        let (text, events) = self.draft.datagram();
        match socket.send_to(text.as_bytes(), to) {
            // PID 1 has much to do: it is told a little later.
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            sent => {
                self.draft.sent(events);
                sent.map(|_| ())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn much_is_told_in_parts_and_what_is_too_much_is_counted() {
        let mut draft = Draft::default();
        draft.words.push("READY=1".into());
        draft.stands(Standing {
            note: "1 member\u{7}".into(),
            status: "all\nis well".into(),
        });
        for number in 0..100 {
            draft.event(&format!("member-join s{number}\nand more"));
        }
        let (text, count) = draft.datagram();
        assert!(text.starts_with(
            "READY=1\nSTATUS=all\u{fffd}is well\nX_PIDONE_NOTE=1 member\u{fffd}\n\
             X_PIDONE_EVENT=member-join s0\nX_PIDONE_EVENT=member-join s1\n"
        ));
        assert_eq!((count, text.lines().count()), (32, 35));
        draft.sent(count);
        let (text, count) = draft.datagram();
        assert!(text.starts_with("X_PIDONE_EVENT=member-join s32\n"));
        draft.sent(count);
        assert_eq!(draft.datagram().0, "X_PIDONE_EVENT=36 more changes");
        draft.sent(1);
        assert!(draft.is_empty());
    }

    #[test]
    fn no_datagram_is_longer_than_is_read() {
        let mut draft = Draft::default();
        for _ in 0..64 {
            draft.event(&"ü".repeat(1000));
        }
        let mut count = 0;
        while !draft.is_empty() {
            let (text, events) = draft.datagram();
            assert!(text.len() <= BYTES_MAX && events > 0);
            draft.sent(events);
            count += 1;
        }
        assert_eq!(count, 8);
    }

    #[test]
    fn who_does_not_listen_costs_nothing() {
        let mut bulletin = Bulletin::open(None);
        bulletin.event("x");
        bulletin.word("READY=1");
        assert_eq!(bulletin.due(), None);
        let now = Moment::at(Duration::from_secs(1));
        assert!(bulletin.send(now, || unreachable!()).is_ok());
        let mut bulletin = Bulletin::open(Some("/nowhere/notify".into()));
        bulletin.event("x");
        assert!(bulletin.send(now, Standing::default).is_err());
        assert_eq!(bulletin.due(), None);
    }
}
