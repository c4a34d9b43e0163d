//! Faults of the kernel, the disk, the reader and the services, one by one, with the real binary as
//! PID 1: five promises are looked at while each lasts, and 2 s after it. `FAULT=words` tries those
//! whose name holds them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a test may stop where it stands, and waits for conditions with a deadline"
)]

#[path = "../support/mod.rs"]
mod support;

mod clock;
mod disks;
mod hangs;
mod oracle;
mod output;
mod processes;
mod resources;
mod signals;
mod stage;

use std::fmt::Write as _;
use std::fs;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Mutex;

use oracle::{Broken, PROMISES};
use stage::Fault;
use support::can_contain;

/// So many containers at once; most of the time they wait.
const AT_ONCE: usize = 6;

fn faults() -> Vec<&'static Fault> {
    [
        resources::FAULTS,
        disks::FAULTS,
        output::FAULTS,
        signals::FAULTS,
        clock::FAULTS,
        processes::FAULTS,
        hangs::FAULTS,
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What became of a fault.
#[derive(Default)]
struct Outcome {
    during: Broken,
    after: Broken,
    /// The second container did not even come that far.
    failed: Option<String>,
}

fn only_end(end: Option<String>) -> Broken {
    [None, None, None, None, end]
}

/// The same, where a test that stops where it stands is a promise broken.
fn or_not(work: impl FnOnce() -> (Broken, Broken)) -> (Broken, Broken) {
    std::panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_told| {
        let why = Some("the fault could not be made, or not be ended".to_owned());
        (Broken::default(), [why, None, None, None, None])
    })
}

/// Where it is not as the table says.
fn complaints(fault: &Fault, outcome: &Outcome) -> Vec<String> {
    let failed = outcome.failed.as_ref();
    let mut all: Vec<_> = failed
        .map(|why| format!("{}: {why}", fault.name))
        .into_iter()
        .collect();
    for (at, promise) in PROMISES.iter().enumerate() {
        match (fault.during[at], &outcome.during[at]) {
            (true, Some(why)) => all.push(format!("{}: {promise}, during: {why}", fault.name)),
            (false, None) => all.push(format!(
                "{}: {promise}: the table says that it does not hold, and it does",
                fault.name
            )),
            (true, None) | (false, Some(_)) => {}
        }
        if let Some(why) = &outcome.after[at] {
            all.push(format!("{}: {promise}, 2 s after: {why}", fault.name));
        }
    }
    all
}

fn row(name: &str, holds: [bool; 5]) -> String {
    let cell = |held| if held { "holds" } else { "–" };
    let mut row = format!("| {name} |");
    for held in holds {
        let _ = write!(row, " {} |", cell(held));
    }
    row
}

#[test]
fn five_promises_hold_through_every_fault() {
    if !can_contain() {
        return;
    }
    let wanted = std::env::var("FAULT").unwrap_or_default();
    let mut faults = faults();
    faults.retain(|fault| fault.name.contains(&wanted));
    assert!(!faults.is_empty(), "no fault is called `{wanted}`");
    let outcomes: Vec<Mutex<Outcome>> = faults.iter().map(|_| Mutex::default()).collect();
    let next = Mutex::new(0..2 * faults.len());
    let work = || {
        while let Some(job) = { next.lock().unwrap().next() } {
            let (fault, outcome) = (faults[job / 2], &outcomes[job / 2]);
            if job % 2 == 0 {
                let (during, after) = or_not(|| stage::survive(fault));
                let mut outcome = outcome.lock().unwrap();
                let end = outcome.during[4].take();
                (outcome.during, outcome.after) = (during, after);
                outcome.during[4] = end;
            } else {
                let (mut during, after) = or_not(|| (only_end(stage::end(fault)), <_>::default()));
                let mut outcome = outcome.lock().unwrap();
                outcome.during[4] = during[4].take();
                outcome.failed = after[0].clone();
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(work);
        }
    });
    let mut wrong = Vec::new();
    for (fault, outcome) in faults.iter().zip(outcomes) {
        let outcome = outcome.into_inner().unwrap();
        let held = outcome.during.each_ref().map(Option::is_none);
        println!("{}", row(fault.name, held));
        wrong.extend(complaints(fault, &outcome));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The table of the page, from the faults.
fn table() -> String {
    let mut table = format!("| while this lasts | {} |\n", PROMISES.join(" | "));
    table.push_str("|---|---|---|---|---|---|\n");
    for fault in faults() {
        let _ = writeln!(table, "{}", row(fault.name, fault.during));
    }
    table
}

#[test]
fn the_page_has_the_table() {
    const MARKS: [&str; 2] = ["<!-- faults -->\n", "<!-- end -->\n"];
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/faults.md");
    let page = fs::read_to_string(&path).unwrap();
    let (head, rest) = page.split_once(MARKS[0]).unwrap();
    let (told, tail) = rest.split_once(MARKS[1]).unwrap();
    if std::env::var_os("UPDATE").is_some() {
        let text = format!("{head}{}{}{}{tail}", MARKS[0], table(), MARKS[1]);
        fs::write(&path, text).unwrap();
    } else {
        assert_eq!(told, table(), "UPDATE=1 writes it anew");
    }
}

#[test]
fn a_row_that_says_too_much_or_too_little_is_told_of() {
    let fault = faults()[0];
    let mut outcome = Outcome::default();
    for (at, held) in fault.during.iter().enumerate() {
        outcome.during[at] = (!held).then(|| "so".into());
    }
    assert_eq!(complaints(fault, &outcome), Vec::<String>::new());
    outcome.after[1] = Some("pid 7 is a zombie".into());
    outcome.during[0] = Some("it is gone".into());
    assert_eq!(complaints(fault, &outcome).len(), 2);
    let modest = Fault {
        during: [false; 5],
        ..*fault
    };
    assert_eq!(complaints(&modest, &Outcome::default()).len(), 5);
}
