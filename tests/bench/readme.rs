//! The README's table: a few rows with peers in columns, between two marks.

use crate::figures::short;
use crate::peers::Peer;
use crate::report::Run;
use crate::rows::{footprint, idle, life, output, reap, restart};

const BEGIN: &str = "<!-- figures -->\n";
const END: &str = "<!-- /figures -->\n";

const PEERS: [Peer; 5] = [
    Peer::Pidone,
    Peer::S6,
    Peer::Runit,
    Peer::Supervisord,
    Peer::Horust,
];

/// The label, and where its figure is; of several columns a peer's first.
const LINES: [(&str, &str, &[&str]); 9] = [
    ("start of 100 services, ms", life::START, &["100"]),
    ("stop of 100, ms", life::STOP, &["100"]),
    ("memory for 100 (PSS), KiB", life::PSS, &["100"]),
    ("restart after SIGKILL, ms", restart::RESTART, &["1"]),
    ("wake-ups in 20 s idle", idle::WAKEUPS, &["20 s"]),
    (
        "CPU s/GiB of captured output",
        output::CPU,
        &["prefix", "raw"],
    ),
    (
        "lines torn, 10 writers",
        output::TORN,
        &["prefix", "raw", "inherited"],
    ),
    ("20,000 orphans: tail, ms", reap::REAP, &[reap::TAIL]),
    ("size, MB", footprint::FOOTPRINT, &[footprint::BYTES]),
];

/// The README with this run's block in it; `None` if it has no marks.
pub(crate) fn rewritten(readme: &str, run: &Run) -> Option<String> {
    let (before, rest) = readme.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{}{END}{after}", block(run)))
}

/// Without blanks around the bars, which would count as words.
fn block(run: &Run) -> String {
    let names: Vec<&str> = PEERS.iter().map(|peer| peer.name()).collect();
    let mut text = format!(
        "{}, {}:\n\n|what|{}|\n|---|{}\n",
        run.date,
        run.machine,
        names.join("|"),
        "---:|".repeat(names.len())
    );
    for (label, group, columns) in LINES {
        let cell = |peer: &Peer| {
            let found = columns.iter().find_map(|column| {
                let cell = run.figures.get(group, column, peer.name())?;
                Some(cell.median().map_or_else(|| ">12 s".to_owned(), short))
            });
            found.unwrap_or_else(|| "–".into())
        };
        let cells: Vec<String> = PEERS.iter().map(cell).collect();
        text += &format!("|{label}|{}|\n", cells.join("|"));
    }
    text
}
