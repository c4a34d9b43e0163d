//! What copying output costs PID 1's thread: `cargo bench --bench throughput [MIB]`. A figure to
//! look at, not a test.

// A measurement that cannot be made may panic.
#![allow(clippy::expect_used, clippy::indexing_slicing)]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::thread::JoinHandle;

use nix::fcntl::OFlag;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::pipe2;
use pidone::logs::router::{Router, Settings};
use pidone::os::clock;
use pidone::service::definition::Format;

/// What each run writes, in MiB, unless the first argument says otherwise.
const MIB: usize = 1024;

/// As in the comparison with other supervisors: lines of 100 bytes, 640 at once.
const LINE_BYTES: usize = 100;
const LINES_AT_ONCE: usize = 640;

fn main() {
    let mib = std::env::args()
        .find_map(|word| word.parse().ok())
        .unwrap_or(MIB);
    println!("writers  format  CPU-s/GiB  GiB/s  ({mib} MiB, lines of {LINE_BYTES} bytes)");
    floor(mib);
    for writers in [1, 10] {
        for format in [Format::Raw, Format::Prefix, Format::Json, Format::None] {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(measure(writers, format, mib));
        }
    }
}

/// The least that any copy through memory costs here and now: blocking read and write.
fn floor(mib: usize) {
    let (out, to_out) = pipe2(OFlag::O_CLOEXEC).expect("a pipe");
    let (from, to) = pipe2(OFlag::O_CLOEXEC).expect("a pipe");
    let reader = read_all(out);
    let each = (mib << 20) / (LINE_BYTES * LINES_AT_ONCE);
    let start = (cpu_seconds(), clock::now());
    let writer = write_all(to, each);
    let (mut from, mut to_out) = (File::from(from), File::from(to_out));
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        to_out
            .write_all(&buffer[..count])
            .expect("the reader reads");
    }
    drop(to_out);
    print(1, "(copy)", each, start);
    writer.join().expect("the writer ends");
    reader.join().expect("the reader ends");
}

/// Prints one line: `blocks` were copied since `start`.
fn print(writers: usize, format: &str, blocks: usize, start: (f64, pidone::values::Moment)) {
    let seconds = clock::now().since(start.1).as_secs_f64();
    let cpu = cpu_seconds() - start.0;
    #[allow(clippy::cast_precision_loss)] // a figure for people
    let gib = (blocks * LINE_BYTES * LINES_AT_ONCE) as f64 / f64::from(1 << 30);
    println!(
        "{writers:7}  {format:6}  {:9.2}  {:5.2}",
        cpu / gib,
        gib / seconds
    );
}

/// Copies so much of so many services' output, and prints what this thread used for it.
async fn measure(writers: usize, format: Format, mib: usize) {
    let (out, to_out) = pipe2(OFlag::O_CLOEXEC).expect("a pipe");
    let settings = Settings {
        format,
        memory: 16 << 20,
        services: writers,
        column: 6,
    };
    let mut router = Router::new(&to_out, &to_out, settings).expect("a router");
    drop(to_out);
    let reader = read_all(out);
    let each = (mib << 20) / writers / (LINE_BYTES * LINES_AT_ONCE);
    let start = (cpu_seconds(), clock::now());
    let threads: Vec<JoinHandle<()>> = (0..writers)
        .map(|unit| {
            let name = format!("s{unit}").parse().expect("a name");
            let (stdout, _) = router.pipes(unit, &name, format, None).expect("pipes");
            write_all(stdout.try_clone_to_owned().expect("a copy"), each)
        })
        .collect();
    while !threads.iter().all(JoinHandle::is_finished) {
        let work = router.wait().await;
        router.turn(work, clock::wall());
    }
    let done = router
        .flush(std::time::Duration::from_secs(10), clock::wall())
        .await;
    assert!(done, "the reader reads");
    print(
        writers,
        &format!("{format:?}").to_lowercase(),
        writers * each,
        start,
    );
    reader.join().expect("the reader ends");
}

fn write_all(to: OwnedFd, times: usize) -> JoinHandle<()> {
    let line = [vec![b'x'; LINE_BYTES - 1], vec![b'\n']].concat();
    let block = line.repeat(LINES_AT_ONCE);
    let mut to = File::from(to);
    std::thread::spawn(move || {
        for _ in 0..times {
            to.write_all(&block).expect("PID 1 reads");
        }
    })
}

fn read_all(from: OwnedFd) -> JoinHandle<()> {
    let mut from = File::from(from);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(1..) = from.read(&mut buffer) {}
    })
}

/// What this thread has used so far, in user and system mode.
fn cpu_seconds() -> f64 {
    let spent = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("the clock exists");
    std::time::Duration::from(spent).as_secs_f64()
}
