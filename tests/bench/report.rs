//! The figures as Markdown: what was promised, and a table of each group with peers in lines.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::figures::{Cell, Figures, short};
use crate::goals;
use crate::peers::{ALL, Peer};

/// What was run where: one file of JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    /// The day, as 2026-11-25.
    pub(crate) date: String,
    pub(crate) machine: String,
    pub(crate) rounds: usize,
    pub(crate) quick: bool,
    /// Of each peer its version, or why it is not there.
    pub(crate) versions: BTreeMap<String, String>,
    #[serde(flatten)]
    pub(crate) figures: Figures,
}

impl Run {
    /// The whole page.
    pub(crate) fn page(&self) -> String {
        let mut text = format!(
            "# Benchmarks\n\nBy `tests/bench.sh` on {}: {}. Rounds: {}{}; peers in turn within a \
             round, each as PID 1 of a fresh namespace.\n\nA cell is the median, the least and the \
             greatest value, and the median over pidone's. Every service is a small static program.\
             \n\n",
            self.date,
            self.machine,
            self.rounds,
            if self.quick { " (the quick form)" } else { "" },
        );
        text += "| peer | version |\n|---|---|\n";
        for peer in ALL {
            if let Some(version) = self.versions.get(peer.name()) {
                text += &format!("| {} | {version} |\n", peer.name());
            }
        }
        text += &format!("\n## What is promised\n\n{}", goals::table(&self.figures));
        for group in self.figures.groups() {
            text += &format!("\n## {group}\n\n{}", self.table(group));
        }
        text
    }

    fn table(&self, group: &str) -> String {
        let columns = self.figures.columns(group);
        let mut text = format!("| | {} |\n", columns.join(" | "));
        text += &format!("|---|{}\n", "---:|".repeat(columns.len()));
        for peer in self.lines(group) {
            let cell = |column: &&str| self.cell(group, column, peer);
            let cells: Vec<String> = columns.iter().map(cell).collect();
            text += &format!("| {peer} | {} |\n", cells.join(" | "));
        }
        text
    }

    /// The peers of a group in their usual order, and after them what else has lines there.
    fn lines(&self, group: &str) -> Vec<&str> {
        let cells = self.figures.cells.iter().filter(|cell| cell.group == group);
        let mut found: Vec<&str> = Vec::new();
        for cell in cells {
            if !found.contains(&&*cell.peer) {
                found.push(&cell.peer);
            }
        }
        found.sort_by_key(|name| ALL.iter().position(|peer| peer.name() == *name));
        found
    }

    fn cell(&self, group: &str, column: &str, peer: &str) -> String {
        let Some(cell) = self.figures.get(group, column, peer) else {
            return String::new();
        };
        let ours = self.figures.median(group, column, Peer::Pidone.name());
        let ratio = match (cell.median(), ours) {
            (Some(median), Some(ours)) if peer != Peer::Pidone.name() && ours > 0.0 => {
                format!(" ×{}", short(median / ours))
            }
            _ => String::new(),
        };
        let mut words: Vec<String> = told(cell).into_iter().map(|text| text + &ratio).collect();
        words.extend(cell.note.clone());
        words.join("; ")
    }
}

/// The median with its spread, where there is one.
fn told(cell: &Cell) -> Option<String> {
    let median = short(cell.median()?);
    let (least, most) = cell
        .spread()
        .map(|(least, most)| (short(least), short(most)))?;
    Some(if least == most {
        median
    } else {
        format!("{median} [{least}–{most}]")
    })
}
