//! A table of checks, as text. A row is a line of shell, run with both sides. After `~ WHY` the
//! next row differs by intent, and what ours gives stands below it: `|` stdout, `!` stderr, `=` the
//! exit code.

use crate::side::{Folder, Given, Tools, links, ours, real};

struct Row {
    line: String,
    /// Why ours differs, and what it gives.
    differs: Option<(String, String)>,
}

fn rows(table: &str) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut why = None;
    for line in table
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("# "))
    {
        if let Some(reason) = line.strip_prefix("~ ") {
            why = Some(reason.to_string());
        } else if line.starts_with(['|', '!', '='])
            && rows.last().is_some_and(|row| row.differs.is_some())
        {
            let (_, given) = rows.last_mut().unwrap().differs.as_mut().unwrap();
            given.extend([line, "\n"]);
        } else {
            let differs = why.take().map(|why| (why, String::new()));
            rows.push(Row {
                line: line.to_string(),
                differs,
            });
        }
    }
    rows
}

/// Runs every row with both sides, and complains of every difference that is not a named one.
pub(crate) fn check(tools: Tools, table: &str) {
    check_with(tools, table, |given| given);
}

/// [`check`], of what `even` leaves: pids and other numbers that no two runs share.
pub(crate) fn check_with(tools: Tools, table: &str, even: fn(Given) -> Given) {
    if !tools.are_there() {
        return;
    }
    let links = links();
    let faults: Vec<String> = rows(table)
        .iter()
        .filter_map(|row| fault(tools, &links, row, even))
        .collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Runs every row with ours alone, which must give what stands below it.
pub(crate) fn golden(table: &str) {
    let links = links();
    for row in rows(table) {
        let (_, told) = row.differs.unwrap();
        assert_eq!(ours(&links, &row.line).lines(), told, "{}", row.line);
    }
}

fn fault(tools: Tools, links: &Folder, row: &Row, even: fn(Given) -> Given) -> Option<String> {
    let even = |given| even(without_usage(given)).lines();
    let real = even(real(tools, &row.line));
    let ours = even(ours(links, &row.line));
    let line = &row.line;
    match &row.differs {
        None if real == ours => None,
        None => Some(format!("{line}\n  real:\n{real}  ours:\n{ours}")),
        Some((why, given)) if *given != ours => Some(format!(
            "{line}\n~ {why}\n  real:\n{real}  ours:\n{ours}  told:\n{given}"
        )),
        Some((why, _)) if real == ours => Some(format!(
            "{line}\n~ {why}: but there is no difference:\n{real}"
        )),
        Some(_) => None,
    }
}

/// How a tool words its usage differs between versions: only whose usage it is counts.
fn without_usage(given: Given) -> Given {
    let cut = |line: &str| match line.split_once(": usage: ") {
        Some((name, _)) => format!("{name}: usage\n"),
        None => line.to_string(),
    };
    let err = given.err.split_inclusive('\n').map(cut).collect();
    Given { err, ..given }
}
