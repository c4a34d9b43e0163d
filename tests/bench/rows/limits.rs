//! Where pidone comes to its limits: a thousand clients at once, and no descriptors left.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::scale::{ask, fleet};
use super::{Plan, hold};
use crate::figures::Figures;
use crate::house::{House, until};
use crate::peers::{Fleet, Peer};
use crate::processes;

pub(crate) const CLIENTS: &str = "pidone: 1,000 control clients at once, 100 services";
pub(crate) const DESCRIPTORS: &str = "pidone: 100 services with `ulimit -n 128`";

const SERVICES: usize = 100;
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

pub(crate) fn measure(house: &House, plan: &Plan, figures: &mut Figures) {
    clients(house, plan.pick(1000, 200), figures);
    descriptors(house, figures);
}

/// What a client was told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Status,
    Refused,
    Nothing,
}

fn clients(house: &House, count: usize, figures: &mut Figures) {
    let running = fleet(house, SERVICES);
    let supervisors = running.settle(&house.dir.join("bin"));
    let before = processes::memory(&supervisors).pss;
    let socket = running.dir.join("socket");
    // All are connected before the first one asks, and none leaves before the last is told.
    let turns: [Barrier; 3] = std::array::from_fn(|_| Barrier::new(count + 1));
    let (turns, socket) = (&turns, &socket);
    let (told, peak, ms) = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..count)
            .map(|_| scope.spawn(move || client(socket, turns)))
            .collect();
        turns[0].wait();
        let began = Instant::now();
        turns[1].wait();
        let ms = began.elapsed().as_secs_f64() * 1e3;
        let peak = processes::memory(&supervisors).pss;
        turns[2].wait();
        let told = clients.into_iter().map(std::thread::ScopedJoinHandle::join);
        let told: Vec<Told> = told.map(|told| told.expect("a client")).collect();
        (told, peak, ms)
    });
    let (one_more, answer) = ask(house, &running, &["status"]);
    hold(
        Peer::Pidone,
        &running,
        answer.status.code() == Some(0),
        "status answers after them",
    );
    running.settle(&house.dir.join("bin"));
    let after = processes::memory(&supervisors).pss;
    let of = |what| told.iter().filter(|told| **told == what).count() as f64;
    let mut add = |column: &str, value| figures.add(CLIENTS, column, "pidone", value);
    add("answered", of(Told::Status));
    add("refused", of(Told::Refused));
    add("told nothing", of(Told::Nothing));
    add("until all are told, ms", ms);
    add("then one status, ms", one_more);
    add("PSS before, KiB", before);
    add("with all, KiB", peak);
    add("after, KiB", after);
}

fn client(socket: &Path, turns: &[Barrier; 3]) -> Told {
    let stream = UnixStream::connect(socket).ok();
    turns[0].wait();
    let told = stream.as_ref().map_or(Told::Nothing, asked);
    turns[1].wait();
    turns[2].wait();
    told
}

fn asked(mut stream: &UnixStream) -> Told {
    let _ = stream.set_read_timeout(Some(ANSWER_WITHIN));
    // Who is refused may find the other side closed already; what it was told is still there.
    let _ = stream.write_all(b"{\"version\":1,\"verb\":\"status\"}\n");
    let mut line = String::new();
    let _ = BufReader::new(stream).read_line(&mut line);
    if line.contains("\"reply\":\"status\"") {
        Told::Status
    } else if line.contains("\"reply\":\"error\"") {
        Told::Refused
    } else {
        Told::Nothing
    }
}

/// What does not fit any more fails, and is told; what runs goes on, and TERM stops it.
fn descriptors(house: &House, figures: &mut Figures) {
    let fleet = Fleet::of(SERVICES, "stamp");
    let Some(command) = Peer::Pidone.set_up(house, &house.fresh_dir(), &fleet) else {
        return;
    };
    let limited = ["sh", "-c", "ulimit -n 128 && exec \"$@\"", "sh"].map(str::to_owned);
    let running = house.up(&[limited.to_vec(), command].concat());
    // It is settled when as many run as before, a second later.
    let mut seen = (0, Instant::now());
    until(Duration::from_secs(20), || {
        let now = running.stamps().len();
        if now != seen.0 {
            seen = (now, Instant::now());
        }
        (now > 0 && seen.1.elapsed() > Duration::from_secs(1)).then_some(())
    });
    let (ms, answer) = ask(house, &running, &["status"]);
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    let state = |word: &str| text.lines().filter(|line| line.contains(word)).count();
    let alive = !running.has_ended(Duration::ZERO);
    hold(
        Peer::Pidone,
        &running,
        alive,
        "PID 1 lives without descriptors",
    );
    let answered = answer.status.success() || text.lines().count() > SERVICES;
    let up = processes::services(running.pid1, &house.dir.join("bin")).len();
    let stopped = running.stop(Signal::SIGTERM, Duration::from_secs(10));
    hold(Peer::Pidone, &running, stopped.is_some(), "TERM stops all");
    let mut add = |column: &str, value| figures.add(DESCRIPTORS, column, "pidone", value);
    add("services up", up as f64);
    add("told as ready", state(" ready ") as f64);
    add("told as failing", state(" waiting to restart ") as f64);
    add("status answers", f64::from(u8::from(answered)));
    add("status, ms", ms);
    add("stop, ms", stopped.unwrap_or(f64::NAN));
}
