//! What services write, on its way out: how fast, for how much CPU, and whether lines stay whole.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Plan, hold};
use crate::figures::Figures;
use crate::house::{House, PATIENCE, Running, pipe, until};
use crate::peers::{Fleet, Output, Peer};
use crate::processes;

pub(crate) const RATE: &str = "Output of one service, lines of 100 bytes: GiB/s";
pub(crate) const CPU: &str = "Output of one service, lines of 100 bytes: supervisors' CPU, s/GiB";
pub(crate) const TORN: &str = "Output of 10 services at once: torn or lost lines";
pub(crate) const CPU_OF_TEN: &str = "Output of 10 services at once: supervisors' CPU, s/GiB";

const LINE_BYTES: usize = 100;
const GIB: f64 = 1_073_741_824.0;

/// Who can do what, and the column it stands in.
fn ways(peer: Peer) -> &'static [(Output, &'static str)] {
    match peer {
        Peer::Pidone => &[
            (Output::Format("raw"), "raw"),
            (Output::Format("prefix"), "prefix"),
            (Output::Format("json"), "json"),
            (Output::Inherited, "inherited"),
        ],
        Peer::S6 => &[(Output::Inherited, "inherited"), (Output::Logged, "raw")],
        Peer::Runit | Peer::Horust => &[(Output::Inherited, "inherited")],
        // Through its own copy to `/dev/fd/1`.
        Peer::Supervisord | Peer::Floor => &[(Output::Logged, "raw")],
        Peer::Daemontools | Peer::Tini | Peer::DumbInit | Peer::Catatonit => &[],
    }
}

/// One service at full speed.
pub(crate) fn measure(house: &House, plan: &Plan, figures: &mut Figures) {
    let lines = plan.pick(5_000_000, 500_000);
    for peer in &plan.peers {
        for (output, column) in ways(*peer) {
            let flow = flow(house, *peer, *output, (1, lines), &["640"]);
            figures.add(RATE, column, peer.name(), flow.gib() / flow.seconds);
            figures.add(CPU, column, peer.name(), flow.cpu / flow.gib());
        }
    }
}

/// Ten services into one output.
pub(crate) fn writers(house: &House, plan: &Plan, figures: &mut Figures) {
    let lines = plan.pick(500_000, 50_000);
    for peer in plan.supervising() {
        for (output, column) in ways(peer) {
            let flow = flow(house, peer, *output, (10, lines), &["64"]);
            figures.add(TORN, column, peer.name(), flow.bad() as f64);
            figures.add(CPU_OF_TEN, column, peer.name(), flow.cpu / flow.gib());
        }
    }
}

/// What has come out, and at what cost.
pub(crate) struct Flow {
    wanted: usize,
    whole: usize,
    torn: usize,
    disorder: usize,
    pub(crate) seconds: f64,
    pub(crate) cpu: f64,
}

impl Flow {
    fn gib(&self) -> f64 {
        (self.wanted * LINE_BYTES) as f64 / GIB
    }

    /// Lines that came in pieces or not at all.
    fn bad(&self) -> usize {
        self.torn.max(self.wanted.saturating_sub(self.whole))
    }
}

/// Reads what comes out, in a process of its own.
struct Drain {
    child: Child,
    said: PathBuf,
}

impl Drop for Drain {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// So many services write so many lines each; `arguments` of `flood` follow.
pub(crate) fn flow(
    house: &House,
    peer: Peer,
    output: Output,
    (services, each): (usize, usize),
    arguments: &[&str],
) -> Flow {
    let each_text = each.to_string();
    let wanted = services * each;
    let fleet = Fleet {
        arguments: &[&["%", &*each_text], arguments].concat(),
        output,
        ..Fleet::of(services, "flood")
    };
    let dir = house.fresh_dir();
    let command = if peer == Peer::Floor {
        let words = ["00", &*each_text]
            .into_iter()
            .chain(arguments.iter().copied());
        let flood = [house.program("copy"), house.program("flood")];
        flood.into_iter().chain(words.map(Into::into)).collect()
    } else {
        peer.set_up(house, &dir, &fleet).expect("it supervises")
    };
    let (from, to) = pipe();
    let said = dir.join("drained");
    let child = Command::new(house.program("drain"))
        .arg(wanted.to_string())
        .stdin(from)
        .stdout(File::create(&said).expect("a file"))
        .spawn()
        .expect("drain");
    let drain = Drain { child, said };
    let running = house.up_with(&command, Stdio::from(to), false);
    await_end(house, &running, (peer, output), services, &drain, wanted)
}

fn await_end(
    house: &House,
    running: &Running,
    (peer, output): (Peer, Output),
    services: usize,
    drain: &Drain,
    wanted: usize,
) -> Flow {
    let written = running.stamped(services, PATIENCE * 2);
    hold(peer, running, written, "services can write");
    let said = || Some(fs::read_to_string(&drain.said).ok()?).filter(|text| !text.is_empty());
    let supervisors = processes::supervisors(running.pid1, &house.dir.join("bin"));
    // Lines that are lost do not come: then it ends when nobody works any more.
    let mut seen = (processes::cpu(&supervisors), Instant::now());
    until(PATIENCE, || {
        let now = processes::cpu(&supervisors);
        if now > seen.0 {
            seen = (now, Instant::now());
        }
        (said().is_some() || seen.1.elapsed() > Duration::from_secs(1)).then_some(())
    });
    let cpu = processes::cpu(&supervisors);
    running.stop(nix::sys::signal::Signal::SIGKILL, PATIENCE);
    let text = until(PATIENCE, said).expect("drain says what came");
    let numbers: Vec<usize> = text.split_whitespace().flat_map(str::parse).collect();
    let [first, last, whole, torn, disorder] = numbers[..] else {
        panic!("drain said {text}");
    };
    let flow = Flow {
        wanted,
        whole,
        torn,
        disorder,
        seconds: (last - first) as f64 / 1e9,
        cpu,
    };
    let kept = flow.bad() == 0 && flow.disorder == 0;
    // Into a pipe that is handed down the kernel mixes writes of more than PIPE_BUF, whoever wrote.
    if output != Output::Inherited {
        let promise = format!("{output:?}: all {wanted} lines whole, not {torn} torn of {whole}");
        hold(peer, running, kept, &promise);
    }
    flow
}
