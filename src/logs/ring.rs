//! The last lines of one service, in memory of a fixed size. Pure: it is given its storage.

use std::borrow::Cow;
use std::ops::DerefMut;
use std::time::Duration;

use memchr::{memchr, memchr_iter, memrchr_iter};

/// How many lines are remembered at most: enough to see what led to a death.
pub const LINES_MAX: usize = 256;

/// What stands before the text of each block: its length (4 bytes), how many lines that is (2),
/// where it came from (1), whether it is a part (1), and milliseconds since 1970 (6, enough for
/// 8,900 years).
const HEADER: usize = 14;

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

/// A ring of lines in `storage`: when the room (or the count) is used up, the oldest go. Lines that
/// were read together stay together in one block, because most are pushed out before anybody asks.
#[derive(Debug)]
pub struct Ring<S> {
    storage: S,
    /// Where the oldest block begins, and how many bytes are in use from there, around the end.
    head: usize,
    used: usize,
    lines: usize,
    /// The number that the next line gets.
    next: u64,
}

/// Lines that came together: texts with a line feed between each two.
#[derive(Clone, Copy, Debug)]
struct Block {
    len: usize,
    lines: usize,
    stream: Stream,
    partial: bool,
    wall: Duration,
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

    /// Whether a block of so many bytes finds room without any line going.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.used + bytes + HEADER <= self.storage.len()
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
        let kept = text.get(..self.longest()).unwrap_or(text);
        let block = Block {
            len: kept.len(),
            lines: 1,
            stream,
            partial: partial || kept.len() < text.len(),
            wall,
        };
        self.append_block(block, kept);
    }

    /// Remembers whole lines that were read at once.
    pub fn extend(&mut self, wall: Duration, stream: Stream, lines: &[u8]) {
        let room = self.storage.len().saturating_sub(HEADER);
        let text = lines.strip_suffix(b"\n").unwrap_or(lines);
        // From the end: as many lines as are of interest, the last one however long it is.
        let (mut start, mut count, mut longest) = (text.len(), 0, 0);
        let mut end = text.len();
        for begin in memrchr_iter(b'\n', text).map(|at| at + 1).chain([0]) {
            if count == LINES_MAX || count > 0 && text.len() - begin > room {
                break;
            }
            (start, count, longest) = (begin, count + 1, longest.max(end - begin));
            end = begin.saturating_sub(1);
        }
        let (passed, text) = text.split_at(start);
        if !passed.is_empty() {
            // What is remembered has no gaps.
            (self.head, self.used, self.lines) = (0, 0, 0);
            self.next += memchr_iter(b'\n', passed).count() as u64;
        }
        if longest > self.longest() {
            for line in text.split(|byte| *byte == b'\n') {
                self.push(wall, stream, false, line);
            }
            return;
        }
        let block = Block {
            len: text.len(),
            lines: count,
            stream,
            partial: false,
            wall,
        };
        self.append_block(block, text);
    }

    /// The remembered lines from number `from` on, oldest first.
    pub fn lines(&self, from: u64) -> impl Iterator<Item = Line<'_>> {
        let lines = Lines {
            ring: self,
            at: self.head,
            block: None,
            number: self.first(),
        };
        lines.filter(move |line| line.number >= from)
    }

    /// The longest text that is kept of one line.
    fn longest(&self) -> usize {
        (self.storage.len() / 4).saturating_sub(HEADER)
    }

    fn append_block(&mut self, block: Block, text: &[u8]) {
        self.make_room(HEADER + text.len(), block.lines);
        self.next += block.lines as u64;
        if self.has_room(text.len()) {
            self.append(&block.header());
            self.append(text);
            self.lines += block.lines;
        }
    }

    /// Drops the oldest lines until so many bytes and lines find room.
    fn make_room(&mut self, bytes: usize, lines: usize) {
        while self.lines > 0 {
            let over_lines = (self.lines + lines).saturating_sub(LINES_MAX);
            let over_bytes = (self.used + bytes).saturating_sub(self.storage.len());
            if over_lines == 0 && over_bytes == 0 {
                return;
            }
            self.drop_oldest(over_lines, over_bytes);
        }
    }

    /// Drops so many lines and bytes (or somewhat more bytes) of the oldest block, or all of it.
    fn drop_oldest(&mut self, lines: usize, bytes: usize) {
        let block = self.block(self.head);
        let (near, far) = self.slices(self.wrap(self.head + HEADER), block.len);
        let ends = memchr_iter(b'\n', near)
            .chain(memchr_iter(b'\n', far).map(|at| near.len() + at))
            .map(|at| at + 1);
        let cut = (1..)
            .zip(ends)
            .find(|(dropped, end)| *dropped >= lines && *end >= bytes);
        if let Some((dropped, end)) = cut {
            // The block's header moves up to the first line that stays.
            let rest = Block {
                len: block.len - end,
                lines: block.lines.saturating_sub(dropped),
                ..block
            };
            self.head = self.wrap(self.head + end);
            self.used -= end;
            self.lines -= dropped;
            self.write(self.head, &rest.header());
        } else {
            self.head = self.wrap(self.head + HEADER + block.len);
            self.used = self.used.saturating_sub(HEADER + block.len);
            self.lines = self.lines.saturating_sub(block.lines);
        }
    }

    fn block(&self, at: usize) -> Block {
        let mut header = [0; HEADER];
        for (to, from) in header.iter_mut().zip(self.read(at, HEADER).iter()) {
            *to = *from;
        }
        Block::from_header(header)
    }

    fn wrap(&self, at: usize) -> usize {
        if at >= self.storage.len() {
            at - self.storage.len()
        } else {
            at
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        self.write(self.wrap(self.head + self.used), bytes);
        self.used += bytes.len();
    }

    /// Writes `bytes` at `at`, around the end.
    fn write(&mut self, at: usize, bytes: &[u8]) {
        let (near, far) = bytes.split_at(bytes.len().min(self.storage.len().saturating_sub(at)));
        if let Some(to) = self.storage.get_mut(at..at + near.len()) {
            to.copy_from_slice(near);
        }
        if let Some(to) = self.storage.get_mut(..far.len()) {
            to.copy_from_slice(far);
        }
    }

    /// `len` bytes from `at`: up to the end, and around it.
    fn slices(&self, at: usize, len: usize) -> (&[u8], &[u8]) {
        let near = len.min(self.storage.len().saturating_sub(at));
        (
            self.storage.get(at..at + near).unwrap_or_default(),
            self.storage.get(..len - near).unwrap_or_default(),
        )
    }

    fn read(&self, at: usize, len: usize) -> Cow<'_, [u8]> {
        match self.slices(at, len) {
            (near, []) => Cow::Borrowed(near),
            (near, far) => Cow::Owned([near, far].concat()),
        }
    }
}

impl Block {
    fn header(self) -> [u8; HEADER] {
        let [l0, l1, l2, l3] = u32::try_from(self.len).unwrap_or(u32::MAX).to_le_bytes();
        let [n0, n1] = u16::try_from(self.lines).unwrap_or(u16::MAX).to_le_bytes();
        let stream = match self.stream {
            Stream::Stdout => 0,
            Stream::Stderr => 1,
            Stream::Pidone => 2,
        };
        let ms = u64::try_from(self.wall.as_millis()).unwrap_or(u64::MAX);
        let [w0, w1, w2, w3, w4, w5, _, _] = ms.to_le_bytes();
        let partial = u8::from(self.partial);
        [
            l0, l1, l2, l3, n0, n1, stream, partial, w0, w1, w2, w3, w4, w5,
        ]
    }

    fn from_header(header: [u8; HEADER]) -> Self {
        let [
            l0,
            l1,
            l2,
            l3,
            n0,
            n1,
            stream,
            partial,
            w0,
            w1,
            w2,
            w3,
            w4,
            w5,
        ] = header;
        Self {
            len: u32::from_le_bytes([l0, l1, l2, l3]) as usize,
            lines: u16::from_le_bytes([n0, n1]).into(),
            stream: match stream {
                0 => Stream::Stdout,
                1 => Stream::Stderr,
                _ => Stream::Pidone,
            },
            partial: partial != 0,
            wall: Duration::from_millis(u64::from_le_bytes([w0, w1, w2, w3, w4, w5, 0, 0])),
        }
    }
}

/// Goes through the blocks and their lines.
struct Lines<'a, S> {
    ring: &'a Ring<S>,
    /// Where the next block begins, or the next line of `block`, of which `len` bytes are left.
    at: usize,
    block: Option<Block>,
    number: u64,
}

impl<'a, S: DerefMut<Target = [u8]>> Iterator for Lines<'a, S> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        if self.number == self.ring.next {
            return None;
        }
        let mut block = self.block.take().unwrap_or_else(|| {
            let block = self.ring.block(self.at);
            self.at = self.ring.wrap(self.at + HEADER);
            block
        });
        let (near, far) = self.ring.slices(self.at, block.len);
        let end = memchr(b'\n', near)
            .or_else(|| memchr(b'\n', far).map(|at| near.len() + at))
            .unwrap_or(block.len);
        let line = Line {
            number: self.number,
            wall: block.wall,
            stream: block.stream,
            partial: block.partial,
            text: self.ring.read(self.at, end),
        };
        self.number += 1;
        if block.lines > 1 {
            self.at = self.ring.wrap(self.at + end + 1);
            block.len = block.len.saturating_sub(end + 1);
            block.lines -= 1;
            self.block = Some(block);
        } else {
            self.at = self.ring.wrap(self.at + block.len);
        }
        Some(line)
    }
}
