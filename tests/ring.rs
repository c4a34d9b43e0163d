//! Stories of the ring of remembered lines: whatever is pushed, in whatever room, it holds the last
//! lines, without gaps.

use std::borrow::Cow;
use std::time::Duration;

use pidone::logs::ring::{LINES_MAX, Line, Ring, Stream};

/// What is kept of one line at most: a quarter of the room, less what each block needs.
fn longest_of(size: usize) -> usize {
    (size / 4).saturating_sub(14)
}

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
            assert!(held.len() <= LINES_MAX);
            assert_eq!(ring.first() + held.len() as u64, all.len() as u64);
            let suffix = &all[all.len() - held.len()..];
            for (line, text) in ring.lines(0).zip(suffix) {
                let cut = text.len() > longest_of(size);
                assert_eq!(line.partial, cut);
                assert!(text.as_bytes().starts_with(&line.text));
                assert!(cut || line.text.len() == text.len());
            }
        }
        assert_eq!(ring.next(), 600);
        assert!(size < 64 || !texts(&ring).is_empty(), "{size}");
    }
}

#[test]
fn many_at_once_are_as_one_by_one() {
    for size in [64, 100, 1000, 5000, 65_536] {
        for count in [1, 2, 10, 255, 256, 257, 1000] {
            let (mut once, mut each) = (Ring::new(vec![0; size]), Ring::new(vec![0; size]));
            let lines: Vec<String> = (0..count).map(|n| format!("line {n}\n")).collect();
            let mut all = Vec::new();
            for _ in 0..3 {
                once.extend(WALL, Stream::Stdout, lines.concat().as_bytes());
                for line in &lines {
                    each.push(WALL, Stream::Stdout, false, line.as_bytes());
                    all.push(line.trim_end().to_owned());
                }
                for ring in [&once, &each] {
                    let held = texts(ring);
                    assert_eq!(ring.next(), all.len() as u64);
                    assert_eq!(ring.first() + held.len() as u64, ring.next());
                    assert!(size == 64 || all.ends_with(&held), "{size} {count}");
                    assert!(!held.is_empty() && held.len() <= LINES_MAX);
                }
                assert!(texts(&once).len() >= texts(&each).len());
            }
        }
    }
}

/// Blocks of all sizes, long lines among them: always a suffix without gaps.
#[test]
fn blocks_lose_their_oldest_lines_first() {
    for size in [100, 1000, 4096, 65_536] {
        let mut ring = Ring::new(vec![0; size]);
        let mut all = Vec::new();
        let mut state = 1_u64;
        let mut random = |limit: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            usize::try_from((state >> 33) % limit).expect("it is small")
        };
        for round in 0..400 {
            let count = 1 + random(if round % 7 == 0 { 500 } else { 8 });
            let longest = if round % 11 == 0 {
                70_000 / count as u64
            } else {
                60
            };
            let lines: Vec<String> = (0..count).map(|_| "y".repeat(random(longest))).collect();
            ring.extend(WALL, Stream::Stderr, (lines.join("\n") + "\n").as_bytes());
            all.extend(lines);
            let held: Vec<Line<'_>> = ring.lines(0).collect();
            assert_eq!(ring.next(), all.len() as u64);
            assert_eq!(ring.first() + held.len() as u64, ring.next());
            assert!(!held.is_empty() && held.len() <= LINES_MAX);
            for (line, text) in held.iter().zip(&all[all.len() - held.len()..]) {
                assert!(text.as_bytes().starts_with(&line.text));
                assert_eq!(line.partial, text.len() > longest_of(size));
            }
        }
    }
}

#[test]
fn a_follower_sees_what_it_missed() {
    let mut ring = Ring::new(vec![0; 8192]);
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
