//! The last lines of one service, in memory of a fixed size. Pure: it is given its storage.

use std::borrow::Cow;
use std::ops::DerefMut;
use std::time::Duration;

use memchr::{memchr_iter, memrchr};

/// How many lines are remembered at most: enough to see what led to a death.
pub const LINES_MAX: usize = 256;

/// What stands before each text: its length (4 bytes), where it came from (1), whether it is a
/// part (1), and milliseconds since 1970 (6, enough for 8,900 years).
const HEADER: usize = 12;

/// Where a line came from, as screens mark it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stream {
    /// The service's standard output: `|`.
    Stdout,
    /// The service's standard error: `!`.
    Stderr,
    /// pidone about the service (or about itself): `*`.
    Pidone,
}

/// A remembered line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line<'a> {
    /// Counts this ring's lines from 0, without gaps, whether remembered or not.
    pub number: u64,
    /// When it was read, since 1970 UTC, in milliseconds.
    pub wall: Duration,
    /// Where it came from.
    pub stream: Stream,
    /// More of this line was written than is here.
    pub partial: bool,
    /// The text without its line feed.
    pub text: Cow<'a, [u8]>,
}

/// A ring of lines in `storage`: when the room (or the count) is used up, the oldest go.
#[derive(Debug)]
pub struct Ring<S> {
    storage: S,
    /// Where the oldest record begins, and how many bytes are in use from there, around the end.
    head: usize,
    used: usize,
    lines: usize,
    /// The number that the next line gets.
    next: u64,
}

impl<S: DerefMut<Target = [u8]>> Ring<S> {
    /// An empty ring. A storage too small for anything remembers nothing, but counts.
    pub fn new(storage: S) -> Self {
        Self {
            storage,
            head: 0,
            used: 0,
            lines: 0,
            next: 0,
        }
    }

    /// What it was given.
    pub fn storage(&self) -> &S {
        &self.storage
    }

    /// The number of the next line: how many there ever were.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The number of the oldest line that is remembered.
    pub fn first(&self) -> u64 {
        self.next - self.lines as u64
    }

    /// Whether texts of `bytes` bytes (line feeds counted) in `lines` lines find room without
    /// any line going.
    pub fn has_room(&self, bytes: usize, lines: usize) -> bool {
        self.used + bytes + lines * HEADER <= self.storage.len()
    }

    /// The same lines in another (larger) storage.
    pub fn moved(self, storage: S) -> Self {
        let mut moved = Self::new(storage);
        moved.next = self.first();
        for line in self.lines(0) {
            moved.push(line.wall, line.stream, line.partial, &line.text);
        }
        moved
    }

    /// Remembers one line; `text` may end with its line feed. A text over a quarter of the room is
    /// cut and marked, so that no single line can push out all others.
    pub fn push(&mut self, wall: Duration, stream: Stream, partial: bool, text: &[u8]) {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let fits = (self.storage.len() / 4)
            .saturating_sub(HEADER)
            .min(text.len());
        let kept = text.get(..fits).unwrap_or_default();
        let needed = HEADER + fits;
        while self.lines > 0 && (self.lines == LINES_MAX || self.used + needed > self.storage.len())
        {
            self.drop_oldest();
        }
        self.next += 1;
        if self.used + needed > self.storage.len() {
            return;
        }
        self.append(&header(fits, stream, partial || fits < text.len(), wall));
        self.append(kept);
        self.lines += 1;
    }

    /// Remembers whole lines that were read at once: only the last ones are looked at closely.
    pub fn extend(&mut self, wall: Duration, stream: Stream, lines: &[u8]) {
        let mut start = lines.len();
        let mut count = 0;
        while start > 0 && count < LINES_MAX {
            let body = lines.get(..start - 1).unwrap_or_default();
            let line = memrchr(b'\n', body).map_or(0, |at| at + 1);
            // The very last line is kept whatever its size; `push` cuts it.
            if count > 0 && lines.len() - line + (count + 1) * HEADER > self.storage.len() {
                break;
            }
            start = line;
            count += 1;
        }
        let (passed, kept) = lines.split_at(start);
        if !passed.is_empty() {
            // What is remembered has no gaps.
            (self.head, self.used, self.lines) = (0, 0, 0);
            self.next += memchr_iter(b'\n', passed).count() as u64;
        }
        for line in kept.split_inclusive(|byte| *byte == b'\n') {
            self.push(wall, stream, false, line);
        }
    }

    /// The remembered lines from number `from` on, oldest first.
    pub fn lines(&self, from: u64) -> impl Iterator<Item = Line<'_>> {
        let mut at = self.head;
        (self.first()..self.next)
            .map(move |number| {
                let line = self.line(at, number);
                at = self.wrap(at + HEADER + line.text.len());
                line
            })
            .filter(move |line| line.number >= from)
    }

    fn line(&self, at: usize, number: u64) -> Line<'_> {
        let mut header = [0; HEADER];
        for (to, from) in header.iter_mut().zip(self.read(at, HEADER).iter()) {
            *to = *from;
        }
        let [l0, l1, l2, l3, stream, partial, wall @ ..] = header;
        let len = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let [w0, w1, w2, w3, w4, w5] = wall;
        Line {
            number,
            wall: Duration::from_millis(u64::from_le_bytes([w0, w1, w2, w3, w4, w5, 0, 0])),
            stream: match stream {
                0 => Stream::Stdout,
                1 => Stream::Stderr,
                _ => Stream::Pidone,
            },
            partial: partial != 0,
            text: self.read(self.wrap(at + HEADER), len),
        }
    }

    fn drop_oldest(&mut self) {
        let record = HEADER + self.line(self.head, 0).text.len();
        self.head = self.wrap(self.head + record);
        self.used = self.used.saturating_sub(record);
        self.lines -= 1;
    }

    fn wrap(&self, at: usize) -> usize {
        if at >= self.storage.len() {
            at - self.storage.len()
        } else {
            at
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        let at = self.wrap(self.head + self.used);
        let (near, far) = bytes.split_at(bytes.len().min(self.storage.len() - at));
        if let Some(to) = self.storage.get_mut(at..at + near.len()) {
            to.copy_from_slice(near);
        }
        if let Some(to) = self.storage.get_mut(..far.len()) {
            to.copy_from_slice(far);
        }
        self.used += bytes.len();
    }

    /// `len` bytes from `at`, around the end; shorter only if the ring were broken.
    fn read(&self, at: usize, len: usize) -> Cow<'_, [u8]> {
        let near = len.min(self.storage.len() - at);
        let first = self.storage.get(at..at + near).unwrap_or_default();
        if near == len {
            return Cow::Borrowed(first);
        }
        let second = self.storage.get(..len - near).unwrap_or_default();
        Cow::Owned([first, second].concat())
    }
}

fn header(len: usize, stream: Stream, partial: bool, wall: Duration) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let ms = u64::try_from(wall.as_millis()).unwrap_or(u64::MAX);
    let (front, back) = header.split_at_mut(6);
    let stream = match stream {
        Stream::Stdout => 0,
        Stream::Stderr => 1,
        Stream::Pidone => 2,
    };
    let [l0, l1, l2, l3] = u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes();
    front.copy_from_slice(&[l0, l1, l2, l3, stream, u8::from(partial)]);
    let [w0, w1, w2, w3, w4, w5, _, _] = ms.to_le_bytes();
    back.copy_from_slice(&[w0, w1, w2, w3, w4, w5]);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALL: Duration = Duration::from_millis(1_790_000_000_123);

    fn texts(ring: &Ring<Vec<u8>>) -> Vec<String> {
        ring.lines(0)
            .map(|line| String::from_utf8_lossy(&line.text).into_owned())
            .collect()
    }

    #[test]
    fn a_line_comes_back_as_it_went() {
        let mut ring = Ring::new(vec![0; 4096]);
        ring.push(WALL, Stream::Stderr, true, b"hello \xff\n");
        ring.push(WALL, Stream::Pidone, false, b"");
        let lines: Vec<Line<'_>> = ring.lines(0).collect();
        let first = Line {
            number: 0,
            wall: WALL,
            stream: Stream::Stderr,
            partial: true,
            text: Cow::Borrowed(b"hello \xff"),
        };
        let second = Line {
            number: 1,
            wall: WALL,
            stream: Stream::Pidone,
            partial: false,
            text: Cow::Borrowed(b""),
        };
        assert_eq!(lines, [first, second]);
    }

    /// Any storage, any lengths: the ring holds a suffix of what was pushed, without gaps.
    #[test]
    fn the_oldest_go_first_at_every_size() {
        for size in (0..300).chain([4096]) {
            let mut ring = Ring::new(vec![0; size]);
            let mut all = Vec::new();
            for n in 0..600 {
                let text = format!("{n}{}", "x".repeat(n * 7 % 11));
                ring.push(WALL, Stream::Stdout, false, text.as_bytes());
                all.push(text);
                let held = texts(&ring);
                assert!(held.len() <= LINES_MAX && ring.used <= size);
                assert_eq!(ring.first() + held.len() as u64, all.len() as u64);
                let suffix = &all[all.len() - held.len()..];
                for (line, text) in ring.lines(0).zip(suffix) {
                    let cut = size / 4 < HEADER + text.len();
                    assert_eq!(line.partial, cut);
                    assert!(text.as_bytes().starts_with(&line.text));
                    assert!(cut || line.text.len() == text.len());
                }
            }
            assert_eq!(ring.next(), 600);
            assert!(size < 48 || !texts(&ring).is_empty(), "{size}");
        }
    }

    #[test]
    fn many_at_once_are_as_one_by_one() {
        for size in [64, 100, 1000, 5000, 65_536] {
            for count in [1, 2, 10, 255, 256, 257, 1000] {
                let (mut once, mut each) = (Ring::new(vec![0; size]), Ring::new(vec![0; size]));
                let lines: Vec<String> = (0..count).map(|n| format!("line {n}\n")).collect();
                for round in 0..3 {
                    once.extend(WALL, Stream::Stdout, lines.concat().as_bytes());
                    for line in &lines {
                        each.push(WALL, Stream::Stdout, false, line.as_bytes());
                    }
                    assert_eq!(once.next(), each.next());
                    assert_eq!(texts(&once).last(), texts(&each).last());
                    let (held, all) = (texts(&once), texts(&each));
                    assert!(all.ends_with(&held), "{size} {count} {round}");
                    assert!(held.len() * 2 >= all.len(), "{size} {count} {round}");
                }
            }
        }
    }

    #[test]
    fn a_follower_sees_what_it_missed() {
        let mut ring = Ring::new(vec![0; 4096]);
        for n in 0..1000 {
            ring.push(WALL, Stream::Stdout, false, format!("{n}").as_bytes());
        }
        assert_eq!((ring.first(), ring.next()), (1000 - 256, 1000));
        let from: Vec<u64> = ring.lines(998).map(|line| line.number).collect();
        assert_eq!(from, [998, 999]);
    }

    #[test]
    fn moving_keeps_lines_and_numbers() {
        let mut small = Ring::new(vec![0; 200]);
        for n in 0..50 {
            small.push(WALL, Stream::Stdout, false, format!("{n}").as_bytes());
        }
        let (before, first) = (texts(&small), small.first());
        let large = small.moved(vec![0; 4096]);
        assert_eq!(
            (texts(&large), large.first(), large.next()),
            (before, first, 50)
        );
    }
}
