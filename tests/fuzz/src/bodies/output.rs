//! What services write and tell: lines, datagrams of syslog, sd_notify.

use std::time::Duration;

use pidone::logs::format::{Origin, Writer};
use pidone::logs::lines::{LINE_BYTES_MAX, Piece, Splitter};
use pidone::logs::ring::{LINES_MAX, Ring, Stream};
use pidone::service::definition::Format;
use pidone::service::notice::{Word, words};
use pidone::syslog::record::{Carrier, Format as Frame, Level, Record, frame};
use pidone::syslog::{line, parse};

/// Bytes as they come from a pipe: the first eight say how they are read, and how often each run of
/// the rest is repeated, so that a line can be long.
pub(super) fn lines(data: &[u8]) {
    let Some((&[repeat, sizes @ ..], seed)) = data.split_first_chunk::<8>() else {
        return;
    };
    let times = 1 + usize::from(repeat) * usize::from(repeat.trailing_zeros() >= 4);
    let stream: Vec<u8> = seed
        .iter()
        .copied()
        .cycle()
        .take(seed.len() * times)
        .collect();
    let sizes = sizes.map(|size| (1 + usize::from(size) * 257).min(LINE_BYTES_MAX));
    let found = pieces(&stream, &sizes);
    let joined: Vec<u8> = found.iter().flat_map(|(text, _, _)| text.clone()).collect();
    assert!(joined == stream, "what comes out is not what went in");
    let mut before = false;
    for (text, continues, open) in &found {
        assert_eq!(*continues, before, "a part without its beginning");
        assert!(text.len() <= LINE_BYTES_MAX + 1);
        let ends = text.iter().filter(|byte| **byte == b'\n').count();
        assert!(ends <= 1 && (ends == 0 || text.ends_with(b"\n") && !open));
        before = *open;
    }
    assert_eq!(
        pieces(&stream, &[LINE_BYTES_MAX]),
        found,
        "it matters how it was read"
    );
    written(&found);
    remembered(&stream, &found);
}

type Owned = (Vec<u8>, bool, bool);

fn pieces(stream: &[u8], sizes: &[usize]) -> Vec<Owned> {
    let mut splitter = Splitter::default();
    let mut out: Vec<Owned> = Vec::new();
    let mut rest = stream;
    for size in sizes.iter().copied().cycle() {
        if rest.is_empty() {
            break;
        }
        let (batch, after) = rest.split_at(size.min(rest.len()));
        let whole = splitter.feed(batch, |p| out.push((p.text.to_vec(), p.continues, p.open)));
        let whole = batch[whole].split_inclusive(|byte| *byte == b'\n');
        out.extend(whole.map(|line| (line.to_vec(), false, false)));
        rest = after;
    }
    splitter.flush(|p| out.push((p.text.to_vec(), p.continues, p.open)));
    out
}

/// In every format a piece is one line, and of JSON an object with the text.
fn written(found: &[Owned]) {
    let origin = Origin {
        name: "web",
        pid: None,
        stream: Stream::Stdout,
        wall: Duration::from_millis(1_795_341_839_123),
    };
    let writers = [Format::Prefix, Format::Json, Format::Raw]
        .map(|format| (format, Writer::new(format, origin, 6)));
    for (text, continues, open) in found.iter().take(200) {
        let piece = Piece {
            text,
            continues: *continues,
            open: *open,
        };
        for (format, writer) in &writers {
            let mut out = Vec::new();
            writer.line(&mut out, piece);
            match format {
                Format::Raw => assert_eq!(&out, text),
                Format::Json => {
                    let object: serde_json::Value = serde_json::from_slice(&out).unwrap();
                    let bare = text.strip_suffix(b"\n").unwrap_or(text);
                    assert_eq!(object["msg"], *String::from_utf8_lossy(bare));
                    assert_eq!(object["service"], "web");
                }
                _ => {
                    assert!(out.ends_with(b"\n"));
                    assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
                    assert!(out.starts_with(b"web   "));
                }
            }
        }
    }
}

/// What is remembered is the end of what was written.
fn remembered(stream: &[u8], found: &[Owned]) {
    let whole = found.iter().all(|(_, continues, open)| !continues && !open);
    let mut ring = Ring::new(vec![0; 2048]);
    let mut together = Ring::new(vec![0; 2048]);
    let wall = Duration::from_secs(7);
    for (text, _, open) in found {
        ring.push(wall, Stream::Stderr, *open, text);
    }
    if !stream.is_empty() {
        together.extend(wall, Stream::Stderr, stream);
    }
    for (ring, count) in [(&ring, found.len()), (&together, found.len())] {
        if !whole {
            continue;
        }
        assert_eq!(ring.next(), count as u64);
        let lines: Vec<_> = ring.lines(0).collect();
        assert!(lines.len() <= LINES_MAX && lines.len() as u64 == ring.next() - ring.first());
        for (line, (text, _, _)) in lines.iter().rev().zip(found.iter().rev()) {
            let text = text.strip_suffix(b"\n").unwrap_or(text);
            assert!(text.starts_with(&line.text));
            assert!(line.partial || text.len() == line.text.len());
        }
    }
}

/// A datagram of syslog.
pub(super) fn syslog(data: &[u8]) {
    let message = parse::parse(data);
    let range = data.as_ptr_range();
    let inside = [message.tag, message.pid, message.id, message.text];
    for part in inside.into_iter().chain(message.data.iter().copied()) {
        let part = part.as_ptr_range();
        let is_inside = range.start <= part.start && part.end <= range.end;
        assert!(part.is_empty() || is_inside, "it is not of the datagram");
    }
    let total: usize = message.data.iter().map(|it| it.len()).sum();
    let heads = message.tag.len() + message.pid.len() + message.id.len();
    assert!(total + heads + message.text.len() <= data.len());
    for sent in [None, Some(70_000)] {
        let mut out = String::new();
        line::write(&mut out, &message, sent);
        let line = out.strip_suffix('\n').expect("a line");
        assert!(!line.contains(char::is_control), "{line:?}");
        assert!(line.len() <= 100 + 8 * data.len());
    }
    shipped(data);
}

/// A line on its way to a collector can be read by one.
fn shipped(text: &[u8]) {
    let record = Record {
        ts: "2026-11-25T11:12:13.456Z",
        host: "h",
        service: "web",
        stream: Some("stdout"),
        level: Level::Info,
        text,
        event: None,
    };
    let json = frame(Frame::Json, Carrier::Stream, &record);
    assert_eq!(json.iter().filter(|byte| **byte == b'\n').count(), 1);
    let object: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(object["msg"], *String::from_utf8_lossy(text));
    let datagram = frame(Frame::Rfc5424, Carrier::Datagram, &record);
    let counted = frame(Frame::Rfc5424, Carrier::Stream, &record);
    let expected = [format!("{} ", datagram.len()).as_bytes(), &datagram].concat();
    assert_eq!(counted, expected);
    let read = parse::parse(&datagram);
    assert_eq!((read.tag, read.priority.severity()), (&b"web"[..], 6));
    let ends = [b'\n', b'\r', 0];
    let kept = text
        .iter()
        .rposition(|byte| !ends.contains(byte))
        .map_or(0, |at| at + 1);
    let kept = &text[..kept];
    assert_eq!(
        read.text,
        kept.strip_prefix(b"\xef\xbb\xbf").unwrap_or(kept)
    );
}

/// A datagram of sd_notify.
pub(super) fn notify(data: &[u8]) {
    let words = words(data);
    assert!(words.len() <= 64);
    for word in words {
        match word {
            Word::Extend(more) => assert!(more <= Duration::from_secs(3600)),
            Word::Status(text) | Word::Note(text) | Word::Event(text) => {
                assert!(
                    text.chars().count() <= 201,
                    "{} characters",
                    text.chars().count()
                );
                assert!(!text.contains(|c: char| c.is_control()), "{text:?}");
            }
            Word::Ready
            | Word::Reloading
            | Word::Stopping
            | Word::Alive
            | Word::Alarm
            | Word::Errno(_)
            | Word::MainPid(_) => {}
        }
    }
}
