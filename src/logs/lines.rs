//! Bytes become lines. Pure: a buffer of bytes in, pieces out; a line that has not ended is kept.

use std::ops::Range;

use memchr::{memchr, memrchr};

/// The longest line that is passed on whole, in bytes without its line feed. Also the size of a
/// read, so that no line can begin and end in one read and be longer than this.
pub const LINE_BYTES_MAX: usize = 64 << 10;

/// An open line is kept in the heap up to this size between reads; a larger buffer is given back,
/// because the heap is copied (its page tables at least) by every fork.
const KEPT_BYTES_MAX: usize = 4 << 10;

/// One line, or a part of a line that is too long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece<'a> {
    /// The bytes as they came. They end with the line feed, unless `open` or the stream ended.
    pub text: &'a [u8],
    /// The beginning of this line was passed on before.
    pub continues: bool,
    /// The rest of this line follows.
    pub open: bool,
}

/// Splits one stream. What it says depends on the bytes only, not on how they were read.
#[derive(Debug, Default)]
pub struct Splitter {
    /// The beginning (or the middle, if `continues`) of a line whose end has not come yet.
    tail: Vec<u8>,
    continues: bool,
}

impl Splitter {
    /// Takes what was read: at most `LINE_BYTES_MAX` bytes. A line that was open before comes out
    /// through `each`; the range says which bytes of `batch` are whole lines (where nothing needed
    /// copying); what follows them is kept.
    pub fn feed(&mut self, batch: &[u8], mut each: impl FnMut(Piece<'_>)) -> Range<usize> {
        let start = if self.tail.is_empty() {
            0
        } else {
            self.finish_open(batch, &mut each)
        };
        let rest = batch.get(start..).unwrap_or_default();
        let whole = memrchr(b'\n', rest).map_or(0, |at| at + 1);
        self.tail
            .extend_from_slice(rest.get(whole..).unwrap_or_default());
        start..start + whole
    }

    /// Adds to the open line until it ends; returns how much of `batch` that took.
    fn finish_open(&mut self, batch: &[u8], each: &mut impl FnMut(Piece<'_>)) -> usize {
        let mut taken = 0;
        while let Some(rest) = batch.get(taken..).filter(|rest| !rest.is_empty()) {
            let room = LINE_BYTES_MAX.saturating_sub(self.tail.len());
            // One byte more than there is room for: a line feed needs none.
            let window = rest.get(..=room).unwrap_or(rest);
            let end = memchr(b'\n', window);
            let take = match end {
                Some(at) => at + 1,
                None => rest.len().min(room),
            };
            self.tail
                .extend_from_slice(rest.get(..take).unwrap_or_default());
            taken += take;
            if end.is_none() && window.len() <= room {
                return taken;
            }
            each(Piece {
                text: &self.tail,
                continues: self.continues,
                open: end.is_none(),
            });
            self.continues = end.is_none();
            self.forget();
            if end.is_some() {
                return taken;
            }
        }
        taken
    }

    /// The stream's process has ended: passes on what never got its line feed.
    pub fn flush(&mut self, each: impl FnOnce(Piece<'_>)) {
        if !self.tail.is_empty() {
            each(Piece {
                text: &self.tail,
                continues: self.continues,
                open: false,
            });
        }
        self.continues = false;
        self.forget();
    }

    fn forget(&mut self) {
        if self.tail.capacity() > KEPT_BYTES_MAX {
            self.tail = Vec::new();
        } else {
            self.tail.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All pieces of `stream` read in batches of the given sizes (the last one for the rest).
    fn pieces(stream: &[u8], sizes: &[usize]) -> Vec<(Vec<u8>, bool, bool)> {
        let mut splitter = Splitter::default();
        let mut out = Vec::new();
        let mut rest = stream;
        let mut sizes = sizes.iter().copied();
        while !rest.is_empty() {
            let size = sizes.next().unwrap_or(LINE_BYTES_MAX).min(rest.len());
            let (batch, after) = rest.split_at(size);
            let whole = splitter.feed(batch, |p| out.push((p.text.to_vec(), p.continues, p.open)));
            for line in batch[whole].split_inclusive(|byte| *byte == b'\n') {
                out.push((line.to_vec(), false, false));
            }
            rest = after;
        }
        splitter.flush(|p| out.push((p.text.to_vec(), p.continues, p.open)));
        out
    }

    #[test]
    fn lines_are_the_same_wherever_reads_end() {
        let stream = b"one\n\ntwo \xff\x00\r\n\n\nthree";
        let whole = pieces(stream, &[]);
        let texts: Vec<&[u8]> = whole.iter().map(|(text, _, _)| text.as_slice()).collect();
        let lines: [&[u8]; 6] = [b"one\n", b"\n", b"two \xff\x00\r\n", b"\n", b"\n", b"three"];
        assert_eq!(texts, lines);
        for first in 1..stream.len() {
            for second in 1..=stream.len() - first {
                assert_eq!(pieces(stream, &[first, second]), whole, "{first} {second}");
            }
        }
        assert_eq!(pieces(stream, &[1; 100]), whole);
    }

    #[test]
    fn a_line_is_cut_only_when_it_is_too_long() {
        for (len, sizes) in [
            (LINE_BYTES_MAX, vec![LINE_BYTES_MAX]),
            (LINE_BYTES_MAX + 1, vec![LINE_BYTES_MAX, 1]),
            (3 * LINE_BYTES_MAX, vec![LINE_BYTES_MAX; 3]),
            (
                2 * LINE_BYTES_MAX - 1,
                vec![LINE_BYTES_MAX, LINE_BYTES_MAX - 1],
            ),
        ] {
            let mut stream = vec![b'x'; len];
            stream.extend_from_slice(b"\nnext\n");
            for batch in [LINE_BYTES_MAX, LINE_BYTES_MAX - 1, 60_000, 777] {
                let found = pieces(&stream, &vec![batch; len / batch + 2]);
                let (last, long) = found.split_last().expect("there is `next`");
                assert_eq!(last, &(b"next\n".to_vec(), false, false));
                let plain = |(text, _, _): &(Vec<u8>, bool, bool)| {
                    text.len() - usize::from(text.ends_with(b"\n"))
                };
                assert_eq!(long.iter().map(plain).collect::<Vec<_>>(), sizes);
                for (at, (text, continues, open)) in long.iter().enumerate() {
                    assert_eq!(*continues, at > 0);
                    assert_eq!(*open, at + 1 < long.len());
                    assert_eq!(text.ends_with(b"\n"), !open);
                }
            }
        }
    }

    #[test]
    fn nothing_is_kept_of_a_long_line() {
        let mut splitter = Splitter::default();
        let _ = splitter.feed(&vec![b'x'; LINE_BYTES_MAX], |_| {});
        let _ = splitter.feed(b"\n", |_| {});
        assert_eq!(splitter.tail.capacity(), 0);
    }

    #[test]
    fn flush_gives_the_open_line_once() {
        let mut splitter = Splitter::default();
        assert_eq!(splitter.feed(b"a\nb", |_| panic!("nothing was open")), 0..2);
        let mut last = Vec::new();
        splitter.flush(|piece| last.push(piece.text.to_vec()));
        splitter.flush(|piece| last.push(piece.text.to_vec()));
        assert_eq!(last, [b"b".to_vec()]);
    }
}
