//! What was measured: values by group, column and peer, and their statistics.

use serde::{Deserialize, Serialize};

/// A cell of the tables.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Cell {
    /// The table: what is measured, and its unit.
    pub(crate) group: String,
    /// The column: the variant, such as a number of services.
    pub(crate) column: String,
    pub(crate) peer: String,
    /// One of each round, or several.
    pub(crate) values: Vec<f64>,
    /// What stands in place of a figure, or beside it.
    pub(crate) note: Option<String>,
}

/// Everything of one run.
#[derive(Default, Debug, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) cells: Vec<Cell>,
}

impl Figures {
    fn cell(&mut self, group: &str, column: &str, peer: &str) -> &mut Cell {
        let same = |cell: &Cell| cell.group == group && cell.column == column && cell.peer == peer;
        let at = self.cells.iter().position(same).unwrap_or_else(|| {
            self.cells.push(Cell {
                group: group.into(),
                column: column.into(),
                peer: peer.into(),
                values: Vec::new(),
                note: None,
            });
            self.cells.len() - 1
        });
        &mut self.cells[at]
    }

    /// One more value of this cell.
    pub(crate) fn add(&mut self, group: &str, column: &str, peer: &str, value: f64) {
        self.cell(group, column, peer).values.push(value);
    }

    /// Why there is no value, or what it does not tell; the last word counts.
    pub(crate) fn note(&mut self, group: &str, column: &str, peer: &str, note: &str) {
        self.cell(group, column, peer).note = Some(note.into());
    }

    pub(crate) fn get(&self, group: &str, column: &str, peer: &str) -> Option<&Cell> {
        let mut cells = self.cells.iter();
        cells.find(|cell| cell.group == group && cell.column == column && cell.peer == peer)
    }

    pub(crate) fn median(&self, group: &str, column: &str, peer: &str) -> Option<f64> {
        self.get(group, column, peer)?.median()
    }

    /// The groups in the order in which they came.
    pub(crate) fn groups(&self) -> Vec<&str> {
        distinct(self.cells.iter().map(|cell| &*cell.group))
    }

    /// The columns of a group, likewise.
    pub(crate) fn columns(&self, group: &str) -> Vec<&str> {
        let cells = self.cells.iter().filter(|cell| cell.group == group);
        distinct(cells.map(|cell| &*cell.column))
    }
}

fn distinct<'a>(words: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut found = Vec::new();
    for word in words {
        if !found.contains(&word) {
            found.push(word);
        }
    }
    found
}

impl Cell {
    fn sorted(&self) -> Vec<f64> {
        let mut values = self.values.clone();
        values.sort_by(f64::total_cmp);
        values
    }

    /// The middle one; of an even number the lower middle.
    pub(crate) fn median(&self) -> Option<f64> {
        let values = self.sorted();
        values.get(values.len().saturating_sub(1) / 2).copied()
    }

    /// The least and the greatest.
    pub(crate) fn spread(&self) -> Option<(f64, f64)> {
        let values = self.sorted();
        Some((*values.first()?, *values.last()?))
    }
}

/// A figure for people: three digits that count.
pub(crate) fn short(value: f64) -> String {
    let digits = match value.abs() {
        _ if value.fract() == 0.0 => 0,
        size if size < 0.01 => 4,
        size if size < 0.1 => 3,
        size if size < 10.0 => 2,
        size if size < 100.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.digits$}");
    let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
    // Thousands apart, from five digits on.
    let whole = match whole.len() {
        0..=4 => whole.to_owned(),
        length => {
            let head = length % 3;
            let mut parts = vec![&whole[..head]];
            parts.extend((head..length).step_by(3).map(|at| &whole[at..at + 3]));
            parts.retain(|part| !part.is_empty());
            parts.join(",")
        }
    };
    if rest.is_empty() {
        whole
    } else {
        format!("{whole}.{rest}")
    }
}
