//! pidone and its peers side by side: `tests/bench.sh` prepares what this needs. A benchmark, not a
//! test: it fails where pidone breaks a promise of correctness, and on no figure.

// A measurement that cannot be made may panic, starts processes and looks at clocks; its figures
// are for people.
#![allow(
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::format_push_string,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a benchmark"
)]

mod figures;
mod goals;
mod house;
mod options;
mod peers;
mod processes;
mod readme;
mod report;
mod rows;

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use figures::Figures;
use house::House;
use options::Options;
use peers::said;
use report::Run;
use rows::{Plan, ROWS};

fn main() -> ExitCode {
    let options = match Options::read(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(fault) => {
            eprintln!("tests/bench.sh: {fault}");
            return ExitCode::from(64);
        }
    };
    let (run, faults) = match &options.from {
        Some(file) => {
            let text = fs::read_to_string(file).expect("the file of an earlier run");
            let run = serde_json::from_str(&text).expect("figures of an earlier run");
            (run, Vec::new())
        }
        None => measure(&options),
    };
    println!("{}", run.page());
    if let Some(file) = &options.json {
        let text = serde_json::to_string_pretty(&run).expect("values");
        fs::write(file, text + "\n").expect("the file for JSON");
    }
    if options.write {
        fs::write("docs/benchmarks.md", run.page()).expect("docs/benchmarks.md");
    }
    if options.readme {
        let text = fs::read_to_string("README.md").expect("README.md");
        let text = readme::rewritten(&text, &run).expect("README.md has its marks");
        fs::write("README.md", text).expect("README.md");
    }
    for fault in &faults {
        eprintln!("failed: {fault}");
    }
    ExitCode::from(u8::from(!faults.is_empty()))
}

/// All rounds, and the rows that ended in a panic: the others are measured all the same.
fn measure(options: &Options) -> (Run, Vec<String>) {
    let pidone = std::env::var("PIDONE").unwrap_or_else(|_| "target/pidone".into());
    let pidone = fs::canonicalize(pidone).expect("docker/build.sh builds target/pidone");
    let house = House::new(pidone);
    let mut versions = BTreeMap::new();
    let mut plan = Plan {
        peers: Vec::new(),
        quick: options.quick,
    };
    for peer in &options.peers {
        let version = peer.version(&house);
        if version.is_ok() {
            plan.peers.push(*peer);
        }
        let told = version.unwrap_or_else(|why| {
            eprintln!("{}: left out: {why}", peer.name());
            format!("left out: {why}")
        });
        versions.insert(peer.name().to_owned(), told);
    }
    let machine = machine();
    let mut figures = Figures::default();
    let mut faults = Vec::new();
    for round in 0..options.rounds {
        for row in ROWS.iter().filter(|row| options.has(row.name)) {
            if round < row.rounds_max {
                eprintln!("round {} of {}: {}", round + 1, options.rounds, row.name);
                let measured = AssertUnwindSafe(|| (row.measure)(&house, &plan, &mut figures));
                if catch_unwind(measured).is_err() {
                    faults.push(format!("{} in round {}", row.name, round + 1));
                }
            }
        }
    }
    let run = Run {
        date: said("date", &["-u", "+%F"]).unwrap_or_default(),
        machine,
        rounds: options.rounds,
        quick: options.quick,
        versions,
        figures,
    };
    (run, faults)
}

/// Where this is: processors, kernel, and what else goes on.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = said("uname", &["-r"]).unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?").to_owned();
    format!("{cores} cores, Linux {kernel}, load {load} before")
}
