//! What a container wrote, gathered while it runs by a reader that a test can hold up.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::SOON;

/// One stream of a container. Clones share it.
#[derive(Clone)]
pub struct Log(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    keys: Mutex<Option<std::fs::File>>,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    held: bool,
    closed: bool,
    ended: bool,
}

impl Log {
    /// A log that has ended with nothing in it.
    pub fn nothing() -> Self {
        let state = State {
            ended: true,
            ..State::default()
        };
        Self::with(state, None)
    }

    /// Reads `fd` to its end, on a thread of its own.
    pub fn of(fd: OwnedFd) -> Self {
        Self::gathering(fd, None)
    }

    /// Reads a terminal's master side, and can type on it.
    pub fn of_terminal(master: OwnedFd) -> Self {
        let keys = master.try_clone().unwrap().into();
        Self::gathering(master, Some(keys))
    }

    fn gathering(fd: OwnedFd, keys: Option<std::fs::File>) -> Self {
        let log = Self::with(State::default(), keys);
        let shared = log.clone();
        std::thread::spawn(move || shared.gather(fd.into()));
        log
    }

    fn with(state: State, keys: Option<std::fs::File>) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
            keys: Mutex::new(keys),
        }))
    }

    /// Types on the terminal.
    pub fn type_in(&self, text: &str) {
        self.terminal().write_all(text.as_bytes()).unwrap();
    }

    /// The terminal, to change its size.
    pub fn terminal(&self) -> std::fs::File {
        let keys = self.0.keys.lock().unwrap();
        let keys = keys.as_ref().expect("stdout is a terminal");
        keys.try_clone().unwrap()
    }

    fn gather(&self, mut from: std::fs::File) {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let mut state = self.0.state.lock().unwrap();
            while state.held {
                state = self.0.changed.wait(state).unwrap();
            }
            drop(state);
            // A terminal ends with EIO when its last process is gone.
            let count = from.read(&mut buffer).unwrap_or(0);
            let mut state = self.0.state.lock().unwrap();
            state.bytes.extend_from_slice(&buffer[..count]);
            state.ended = count == 0 || state.closed;
            self.0.changed.notify_all();
            if state.ended {
                return;
            }
        }
    }

    /// Stops reading (`true`) or goes on (`false`). One read that is under way still completes.
    pub fn hold(&self, held: bool) {
        self.0.state.lock().unwrap().held = held;
        self.0.changed.notify_all();
    }

    /// Reads no more, and closes the pipe, or the terminal; one read under way still completes.
    pub fn close(&self) {
        self.0.keys.lock().unwrap().take();
        self.0.state.lock().unwrap().closed = true;
    }

    /// Everything so far, the column of names unpadded.
    pub fn text(&self) -> String {
        unpadded(&self.0.state.lock().unwrap().bytes)
    }

    /// How many bytes came so far.
    pub fn len(&self) -> usize {
        self.0.state.lock().unwrap().bytes.len()
    }

    /// Waits until all that came so far contains this; gives everything so far.
    pub fn until(&self, wanted: &str) -> String {
        self.wait(SOON, |text| text.contains(wanted))
            .unwrap_or_else(|text| panic!("`{wanted}` never came:\n{text}"))
    }

    /// Waits until `holds` of everything so far; the error is everything so far.
    pub fn wait(&self, within: Duration, holds: impl Fn(&str) -> bool) -> Result<String, String> {
        let deadline = Instant::now() + within;
        let mut state = self.0.state.lock().unwrap();
        loop {
            let text = unpadded(&state.bytes);
            if holds(&text) {
                return Ok(text);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || state.ended {
                return Err(text);
            }
            state = self.0.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Waits for the end of the stream: every writer has closed it.
    pub fn finish(&self, within: Duration) {
        let deadline = Instant::now() + within;
        let mut state = self.0.state.lock().unwrap();
        state.held = false;
        self.0.changed.notify_all();
        while !state.ended && Instant::now() < deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            state = self.0.changed.wait_timeout(state, left).unwrap().0;
        }
    }
}

/// `web    | hello` → `web | hello`: how wide the column is depends on who else is there.
fn unpadded(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut plain = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let name = line.find(' ').unwrap_or(0);
        let rest = line[name..].trim_start_matches(' ');
        let marked = ["| ", "! ", "* "].iter().any(|mark| rest.starts_with(mark));
        if name > 0 && marked {
            plain.push_str(&line[..=name]);
            plain.push_str(rest);
        } else {
            plain.push_str(line);
        }
    }
    plain
}
