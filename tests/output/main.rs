//! Stories of output: real pipes, sockets, files and terminals around a router.

// A test may panic, and so may what helps it.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod farewell;
mod stage;

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use pidone::logs::router::Router;
use pidone::os::clock;
use pidone::service::definition::Format;
use stage::{
    Random, Reader, check_lines, drive, line, listen, name, pipe, rest, run, settings, write_lines,
};

/// Long enough for a flush that has somebody to read.
const LONG: Duration = Duration::from_secs(30);

/// A router to pipes with readers, and the readers of its stdout and stderr.
fn router(format: Format) -> (Router, Reader, Reader) {
    let ((out, to_out), (err, to_err)) = (pipe(), pipe());
    let router = Router::new(to_out, to_err, settings(format)).expect("a router");
    (router, Reader::new(out), Reader::new(err))
}

/// A copy of where a service writes its stdout.
fn stdout_of(router: &mut Router, unit: usize, service: &str, format: Format) -> File {
    let (stdout, _) = router
        .pipes(unit, &name(service), format, None)
        .expect("pipes");
    File::from(stdout.try_clone_to_owned().expect("a copy"))
}

/// Ten services as fast as they can, half of them on stderr; every line of both.
fn ten_writers(format: Format, text: impl Fn(&str) -> String) {
    const LINES: usize = 5000;
    let (out, err) = run(async {
        let (mut router, out, err) = router(format);
        let mut writers = Vec::new();
        for unit in 0..10 {
            let service = name(&format!("s{unit}"));
            let (stdout, stderr) = router.pipes(unit, &service, format, None).expect("pipes");
            let to = if unit % 2 == 0 { stdout } else { stderr };
            let to = to.try_clone_to_owned().expect("a copy");
            writers.push(write_lines(to, unit, LINES, 300));
        }
        drive(&mut router, |_| writers.iter().all(JoinHandle::is_finished)).await;
        assert!(router.flush(LONG, clock::wall()).await);
        (out.finish(), err.finish())
    });
    for (bytes, odd) in [(out, 0), (err, 1)] {
        let all = String::from_utf8(bytes).expect("it is text");
        let lines: Vec<String> = all.lines().map(&text).collect();
        let counts = check_lines(lines.iter().map(String::as_str), 10);
        for (unit, count) in counts.into_iter().enumerate() {
            assert_eq!(count, if unit % 2 == odd { LINES } else { 0 });
        }
    }
}

#[test]
fn ten_writers_in_raw() {
    ten_writers(Format::Raw, str::to_owned);
}

#[test]
fn ten_writers_with_prefixes() {
    ten_writers(Format::Prefix, |line| {
        let (prefix, text) = line.split_at(9);
        let unit = text.split(' ').next().expect("a writer");
        let mark = if unit.parse::<usize>().expect("a number") % 2 == 0 {
            '|'
        } else {
            '!'
        };
        assert_eq!(prefix, format!("s{unit}     {mark} "));
        text.to_owned()
    });
}

#[test]
fn ten_writers_in_json() {
    ten_writers(Format::Json, |line| {
        let object: serde_json::Value = serde_json::from_str(line).expect("JSON");
        object["msg"].as_str().expect("a text").to_owned()
    });
}

#[test]
fn a_reader_that_stops_holds_up_only_its_writer() {
    const LINES: usize = 20_000;
    let out = run(async {
        let ((out, to_out), (err, to_err)) = (pipe(), pipe());
        let mut router = Router::new(to_out, to_err, settings(Format::Raw)).expect("a router");
        let (out, _err) = (Reader::held(out), Reader::new(err));
        let to = stdout_of(&mut router, 0, "loud", Format::Raw);
        let writer = write_lines(to, 0, LINES, 300);
        drive(&mut router, |router| router.count(0).bytes > 256 << 10).await;
        // Its neighbours are heard meanwhile, and it gets no further.
        let mut neighbour = stdout_of(&mut router, 1, "quiet", Format::None);
        for round in 1..=100 {
            neighbour.write_all(b"here\n").expect("it is read");
            drive(&mut router, |router| router.count(1).lines == round).await;
        }
        rest(&mut router).await;
        let read = router.count(0).bytes;
        // The queue, a read beyond its mark, our own pipe and the reader's.
        assert!(read <= (256 + 64 + 64 + 64) << 10, "{read} bytes in memory");
        assert!(!writer.is_finished());
        out.go();
        drive(&mut router, |_| writer.is_finished()).await;
        assert!(router.flush(LONG, clock::wall()).await);
        out.finish()
    });
    let text = String::from_utf8(out).expect("it is text");
    assert_eq!(check_lines(text.lines(), 1), [LINES]);
}

#[test]
fn somebody_else_writes_to_the_same_pipe() {
    const LINES: usize = 20_000;
    let ((out, to_out), (err, to_err)) = (pipe(), pipe());
    let flags = fcntl(&to_out, FcntlArg::F_GETFL).expect("flags");
    let second = File::from(to_out.try_clone().expect("a copy"));
    let bytes = run(async {
        let mut router = Router::new(&to_out, to_err, settings(Format::Raw)).expect("a router");
        let (out, _err) = (Reader::new(out), Reader::new(err));
        let first = stdout_of(&mut router, 0, "web", Format::Raw);
        let first = write_lines(first, 0, LINES, 1000);
        let second = std::thread::spawn(move || {
            for number in 0..LINES {
                let line = line(1, number, number * 7 % 1000);
                (&second).write_all(line.as_bytes()).expect("it is read");
            }
        });
        drive(&mut router, |_| first.is_finished() && second.is_finished()).await;
        assert!(router.flush(LONG, clock::wall()).await);
        assert_eq!(fcntl(&to_out, FcntlArg::F_GETFL), Ok(flags));
        assert_eq!(flags & OFlag::O_NONBLOCK.bits(), 0);
        drop(to_out);
        out.finish()
    });
    let text = String::from_utf8(bytes).expect("it is text");
    assert_eq!(check_lines(text.lines(), 2), [LINES, LINES]);
}

/// Every line of a service arrives through this kind of output.
fn through(to: impl Into<OwnedFd>, read: impl FnOnce() -> Vec<u8>) {
    const LINES: usize = 5000;
    let to = to.into();
    let flags = fcntl(&to, FcntlArg::F_GETFL).expect("flags");
    run(async {
        // One file behind both: one queue.
        let mut router = Router::new(&to, &to, settings(Format::Raw)).expect("a router");
        let writers: Vec<_> = (0..2)
            .map(|unit| {
                let to = stdout_of(&mut router, unit, &format!("s{unit}"), Format::Raw);
                write_lines(to, unit, LINES, 300)
            })
            .collect();
        drive(&mut router, |_| writers.iter().all(JoinHandle::is_finished)).await;
        assert!(router.flush(LONG, clock::wall()).await);
    });
    assert_eq!(fcntl(&to, FcntlArg::F_GETFL), Ok(flags));
    drop(to);
    let text = String::from_utf8(read()).expect("it is text");
    assert_eq!(check_lines(text.lines(), 2), [LINES; 2]);
}

#[test]
fn through_a_socket() {
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    let reader = Reader::new(theirs);
    through(ours, || reader.finish());
}

#[test]
fn through_a_file() {
    let path = std::env::temp_dir().join(format!("pidone-output-{}", std::process::id()));
    through(File::create(&path).expect("a file"), || {
        let bytes = std::fs::read(&path).expect("it was written");
        std::fs::remove_file(&path).expect("it is ours");
        bytes
    });
}

#[test]
fn through_a_terminal() {
    let pty = nix::pty::openpty(None, None).expect("a terminal");
    let reader = Reader::new(pty.master);
    through(pty.slave, || reader.finish());
}

#[test]
fn nobody_reads_any_more() {
    let err = run(async {
        listen();
        let ((out, to_out), (err, to_err)) = (pipe(), pipe());
        let mut router = Router::new(to_out, to_err, settings(Format::Prefix)).expect("a router");
        let err = Reader::new(err);
        drop(out);
        let to = stdout_of(&mut router, 0, "web", Format::Prefix);
        let writer = write_lines(to, 0, 20_000, 300);
        drive(&mut router, |_| writer.is_finished()).await;
        assert!(router.lost() > 1 << 20);
        assert!(router.flush(LONG, clock::wall()).await);
        err.finish()
    });
    assert_eq!(
        String::from_utf8_lossy(&err),
        "pidone * cannot write to stdout: Broken pipe; what cannot be written is thrown away\n"
    );
}

/// What comes out for these bytes on a service's stdout.
fn out_of(format: Format, bytes: Vec<u8>) -> Vec<u8> {
    run(async {
        let (mut router, out, err) = router(format);
        let mut to = stdout_of(&mut router, 0, "web", format);
        let writer = std::thread::spawn(move || to.write_all(&bytes).expect("it is read"));
        drive(&mut router, |_| writer.is_finished()).await;
        assert!(router.flush(LONG, clock::wall()).await);
        assert!(err.finish().is_empty());
        out.finish()
    })
}

#[test]
fn raw_changes_no_byte() {
    let mut random = Random(7);
    for size in [0, 1, 65_535, 65_536, 65_537, 1 << 20] {
        let mut next = || u8::try_from(random.below(256)).expect("a byte");
        let bytes: Vec<u8> = (0..size).map(|_| next()).collect();
        assert!(out_of(Format::Raw, bytes.clone()) == bytes, "{size} bytes");
        assert!(
            out_of(Format::Raw, vec![0; size]) == vec![0; size],
            "{size} zeros"
        );
    }
}

#[test]
fn long_lines_come_in_marked_pieces() {
    let mut bytes = vec![b'x'; 150_000];
    bytes.extend_from_slice(b"\nshort\n");
    let out = String::from_utf8(out_of(Format::Prefix, bytes.clone())).expect("it is text");
    let rest = 150_000 - 2 * 65_536;
    let shape: Vec<(&str, usize)> = out.lines().map(|l| (&l[..9], l.len() - 9)).collect();
    let more = "web    |+";
    let expected = [
        ("web    | ", 65_536),
        (more, 65_536),
        (more, rest),
        ("web    | ", 5),
    ];
    assert_eq!(shape, expected);
    let out = String::from_utf8(out_of(Format::Json, bytes)).expect("it is text");
    let partial: Vec<bool> = out
        .lines()
        .map(|l| l.ends_with("\"partial\":true}"))
        .collect();
    assert_eq!(partial, [true, true, false, false]);
}

#[test]
fn the_worst_that_json_can_make_of_bytes_fits() {
    for bytes in [vec![b'\n'; 300_000], vec![1; 300_000], vec![0xff; 300_000]] {
        let out = String::from_utf8(out_of(Format::Json, bytes.clone())).expect("it is text");
        let texts = out.lines().map(|line| {
            let object: serde_json::Value = serde_json::from_str(line).expect("JSON");
            object["msg"].as_str().expect("a text").chars().count()
        });
        let (lines, chars) = texts.fold((0, 0), |(n, sum), chars| (n + 1, sum + chars));
        let feeds = bytes.split(|byte| *byte == b'\n').count() - 1;
        assert_eq!(chars + feeds, 300_000);
        assert_eq!(lines, feeds.max(5));
    }
}

#[test]
fn a_death_ends_the_open_line() {
    let (out, err) = run(async {
        listen();
        let (mut router, out, err) = router(Format::Prefix);
        let mut web = stdout_of(&mut router, 0, "web", Format::Prefix);
        let mut raw = stdout_of(&mut router, 1, "raw", Format::Raw);
        web.write_all(b"whole\nopen").expect("there is room");
        raw.write_all(b"open too").expect("there is room");
        router.drain(0, clock::wall());
        router.drain(1, clock::wall());
        tracing::info!(service = "web", "died");
        router.tell_story(clock::wall());
        web.write_all(b"again\n").expect("there is room");
        drive(&mut router, |router| router.count(0).lines == 4).await;
        let last: Vec<_> = router
            .last_lines(Some(0), 3)
            .map(|line| String::from_utf8_lossy(&line.text).into_owned())
            .collect();
        assert_eq!(last, ["open", "died", "again"]);
        assert_eq!(router.numbers(Some(0)), (0, 4));
        drive(&mut router, Router::is_settled).await;
        rest(&mut router).await;
        assert!(router.flush(LONG, clock::wall()).await);
        (out.finish(), err.finish())
    });
    assert_eq!(
        String::from_utf8_lossy(&out),
        "web    | whole\nweb    | open\nopen too\nweb    | again\n"
    );
    assert_eq!(String::from_utf8_lossy(&err), "web    * died\n");
}

#[test]
fn a_flush_without_a_reader_is_bounded() {
    run(async {
        let ((out, to_out), (_err, to_err)) = (pipe(), pipe());
        let mut router = Router::new(to_out, to_err, settings(Format::Raw)).expect("a router");
        let mut to = stdout_of(&mut router, 0, "web", Format::Raw);
        let writer = std::thread::spawn(move || to.write_all(&vec![b'\n'; 200_000]));
        drive(&mut router, |_| writer.is_finished()).await;
        assert!(!router.flush(Duration::from_millis(50), clock::wall()).await);
        drop(out);
    });
}

#[test]
fn a_logger_reads_what_is_left_and_then_the_end() {
    let mut left = Vec::new();
    run(async {
        let (mut router, _out, _err) = router(Format::Raw);
        let (read, write) = router.logger_pipe(3, None).expect("a pipe");
        let reader = read.try_clone_to_owned().expect("a copy");
        let mut writer = File::from(write.try_clone_to_owned().expect("a copy"));
        writer.write_all(b"last words").expect("there is room");
        drop(writer);
        router.close_logger_input(3);
        std::io::Read::read_to_end(&mut File::from(reader), &mut left).expect("the end");
        let (_, again) = router.logger_pipe(3, None).expect("a new pipe");
        assert!(again.as_fd().try_clone_to_owned().is_ok());
    });
    assert_eq!(left, b"last words");
}

#[test]
fn pipes_belong_to_the_user_of_the_service() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: only root can give pipes away");
        return;
    }
    run(async {
        let (mut router, _out, _err) = router(Format::Raw);
        let owner = Some((12_345, 54_321));
        let (stdout, stderr) = router
            .pipes(0, &name("web"), Format::Raw, owner)
            .expect("pipes");
        for end in [stdout, stderr] {
            let stat = nix::sys::stat::fstat(end).expect("it is open");
            assert_eq!(Some((stat.st_uid, stat.st_gid)), owner);
        }
    });
}

#[test]
fn a_forgotten_service_is_gone() {
    run(async {
        let (mut router, _out, _err) = router(Format::Raw);
        let mut to = stdout_of(&mut router, 0, "web", Format::Raw);
        router.retire(0);
        assert!(router.sweep() && !router.sweep());
        assert!(to.write_all(b"x").is_err());
        assert_eq!(router.numbers(Some(0)), (0, 0));
        router.drain(0, clock::wall());
        drop(stdout_of(&mut router, 0, "other", Format::Json));
    });
}
