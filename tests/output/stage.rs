//! What the stories of output need: writers, readers that can be held, and lines that prove that
//! they are whole.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use pidone::logs::router::{Router, Settings};
use pidone::logs::story;
use pidone::os::clock;
use pidone::service::definition::Format;
use pidone::values::Name;
use tracing::level_filters::LevelFilter;

/// Longer than any story takes on a loaded machine; reached only when something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn settings(format: Format) -> Settings {
    Settings {
        format,
        memory: 16 << 20,
        services: 10,
        column: 6,
    }
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

pub(crate) fn pipe() -> (OwnedFd, OwnedFd) {
    nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).expect("a pipe")
}

/// Runs a story on the runtime that PID 1 has.
pub(crate) fn run<T>(story: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(story)
}

/// Keeps what pidone says on this thread. The first call is made once: what is said while another
/// thread is still installing would be lost.
pub(crate) fn listen() {
    static FIRST: std::sync::Once = std::sync::Once::new();
    FIRST.call_once(|| drop(story::install(LevelFilter::INFO)));
    drop(story::install(LevelFilter::INFO));
}

/// Lets the router work until `done` says so.
pub(crate) async fn drive(router: &mut Router, mut done: impl FnMut(&Router) -> bool) {
    let end = clock::now() + PATIENCE;
    while !done(router) {
        assert!(clock::now() < end, "the condition never came true");
        tokio::select! {
            work = router.wait() => router.turn(work, clock::wall()),
            () = tokio::time::sleep(Duration::from_millis(1)) => {}
        }
        router.tell_story(clock::wall());
    }
}

/// Lets the router work until there is nothing to do: then it must sleep, not spin.
pub(crate) async fn rest(router: &mut Router) {
    let end = clock::now() + PATIENCE;
    let quiet = Duration::from_millis(50);
    while let Ok(work) = tokio::time::timeout(quiet, router.wait()).await {
        assert!(clock::now() < end, "it never comes to rest");
        router.turn(work, clock::wall());
    }
}

/// Reads everything, once (and as long as) it is allowed to.
pub(crate) struct Reader {
    allow: Sender<()>,
    thread: JoinHandle<Vec<u8>>,
}

impl Reader {
    /// A reader that waits for `go`.
    pub(crate) fn held(from: impl Into<OwnedFd>) -> Self {
        let (allow, allowed): (Sender<()>, Receiver<()>) = channel();
        let mut from = File::from(from.into());
        let thread = std::thread::spawn(move || {
            let mut all = Vec::new();
            let mut buffer = vec![0; 1 << 16];
            let _ = allowed.recv();
            // A terminal whose other side is gone says EIO.
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                all.extend_from_slice(&buffer[..count]);
            }
            all
        });
        Self { allow, thread }
    }

    /// A reader that reads at once.
    pub(crate) fn new(from: impl Into<OwnedFd>) -> Self {
        let reader = Self::held(from);
        reader.go();
        reader
    }

    pub(crate) fn go(&self) {
        self.allow.send(()).expect("the reader lives");
    }

    /// Everything that was read, after the last writer closed.
    pub(crate) fn finish(self) -> Vec<u8> {
        drop(self.allow);
        self.thread.join().expect("the reader does not panic")
    }
}

/// A generator of numbers that is the same each time (xorshift).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn checksum(text: &str) -> u32 {
    text.bytes()
        .fold(1, |sum: u32, byte| sum.wrapping_mul(31) ^ u32::from(byte))
}

/// A line that says who wrote it, which of theirs it is, and whether it is whole.
pub(crate) fn line(writer: usize, number: usize, filler: usize) -> String {
    let text = format!("{writer} {number} {}", "x".repeat(filler));
    format!("{text} {:08x}\n", checksum(&text))
}

/// Writes `count` such lines, several at once, cut anywhere.
pub(crate) fn write_lines(
    to: impl Into<OwnedFd>,
    writer: usize,
    count: usize,
    longest: u64,
) -> JoinHandle<()> {
    let mut to = File::from(to.into());
    std::thread::spawn(move || {
        let mut random = Random(writer as u64 + 1);
        let mut waiting = Vec::new();
        for number in 0..count {
            let filler = usize::try_from(random.below(longest)).expect("it is small");
            waiting.extend_from_slice(line(writer, number, filler).as_bytes());
            let cut = usize::try_from(random.below(20_000)).expect("it is small");
            if waiting.len() > cut {
                to.write_all(&waiting[..cut]).expect("PID 1 reads");
                waiting.drain(..cut);
            }
        }
        to.write_all(&waiting).expect("PID 1 reads");
    })
}

/// Checks that lines are whole and each writer's are all there, in order; returns how many.
pub(crate) fn check_lines<'a>(
    lines: impl IntoIterator<Item = &'a str>,
    writers: usize,
) -> Vec<usize> {
    let mut next = vec![0; writers];
    for line in lines {
        let (text, sum) = line
            .rsplit_once(' ')
            .unwrap_or_else(|| panic!("torn: {line:?}"));
        assert_eq!(format!("{:08x}", checksum(text)), sum, "torn: {line:?}");
        let mut words = text.split(' ');
        let mut number = || words.next().and_then(|word| word.parse::<usize>().ok());
        let (writer, number) = (number().expect("a writer"), number().expect("a number"));
        assert_eq!(next[writer], number, "writer {writer} lost a line");
        next[writer] += 1;
    }
    next
}
