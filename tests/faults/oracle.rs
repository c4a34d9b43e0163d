//! The five promises, and whether they hold of a container that is looked at for a while.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::support::Container;
use crate::support::process::{Process, children};

/// In the order of the table: PID 1 lives; none of its children is a zombie for long; bystanders
/// keep their pids; `status` is answered; TERM ends everything.
pub(crate) const PROMISES: [&str; 5] = [
    "PID 1 lives",
    "no zombie for 2 s",
    "bystanders keep their pids",
    "`status` answers within 1 s",
    "TERM ends all within 10 s",
];

/// Why each of the promises is broken, those that are.
pub(crate) type Broken = [Option<String>; 5];

/// A zombie may be so old.
const ZOMBIE: Duration = Duration::from_secs(2);
/// `status` may take so long.
const STATUS: Duration = Duration::from_secs(1);
/// The end may take so long.
pub(crate) const TERM: Duration = Duration::from_secs(10);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// What the command lines of the bystanders hold.
const BYSTANDERS: [&str; 2] = ["100001", "bystander"];

/// The main processes of the bystanders that are there.
pub(crate) fn bystanders(it: &Container) -> BTreeSet<i32> {
    let is_one = |pid: &i32| BYSTANDERS.iter().any(|word| is_called(*pid, word));
    children(it.pid).into_iter().filter(is_one).collect()
}

/// Whether all of them are there.
pub(crate) fn all_stand_by(it: &Container) -> bool {
    bystanders(it).len() == BYSTANDERS.len()
}

/// Whether this process lives, and its command line holds this.
pub(crate) fn is_called(pid: i32, word: &str) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).contains(word)
}

/// Looks for this long at the first four promises.
pub(crate) fn watch(it: &Container, lasts: Duration) -> Broken {
    let mut broken = Broken::default();
    let before = bystanders(it);
    let mut zombies: BTreeMap<i32, Instant> = BTreeMap::new();
    let mut late = 0;
    let until = Instant::now() + lasts;
    loop {
        if Process::of(it.pid).is_none_or(|pid1| pid1.state == 'Z') {
            broken[0] = Some("it is gone".into());
            return broken;
        }
        let dead: Vec<i32> = children(it.pid)
            .into_iter()
            .filter(|pid| Process::of(*pid).is_some_and(|process| process.state == 'Z'))
            .collect();
        zombies.retain(|pid, _| dead.contains(pid));
        for pid in dead {
            if zombies.entry(pid).or_insert_with(Instant::now).elapsed() >= ZOMBIE {
                broken[1] = Some(format!("pid {pid} is a zombie"));
            }
        }
        if bystanders(it) != before || before.len() != BYSTANDERS.len() {
            broken[2] = Some(format!("they were {before:?}, are {:?}", bystanders(it)));
        }
        // Once may be the fault of whatever else this machine does.
        late = if ask(it).is_ok() { 0 } else { late + 1 };
        if late >= 2 {
            broken[3] = Some(ask(it).err().unwrap_or_else(|| "it comes late".into()));
        }
        if Instant::now() >= until {
            return broken;
        }
        std::thread::sleep(LOOK);
    }
}

/// Asks for the status at the socket, from outside; the error says what came instead.
fn ask(it: &Container) -> Result<(), String> {
    let root = format!("/proc/{}/root", it.pid);
    let uid = crate::support::process::field(it.pid, "Uid").unwrap_or_default();
    let uid = uid.split_whitespace().next().unwrap_or("0");
    let places = [
        format!("{root}/run/pidone/control.sock"),
        format!("{root}/tmp/pidone-{uid}/control.sock"),
    ];
    let began = Instant::now();
    let mut stream = places
        .iter()
        .find_map(|place| UnixStream::connect(place).ok())
        .ok_or("nobody listens")?;
    let _ = stream.set_read_timeout(Some(STATUS));
    let _ = stream.write_all(b"{\"version\":1,\"verb\":\"status\"}\n");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\n") && began.elapsed() < STATUS {
        let mut bytes = [0; 4096];
        match stream.read(&mut bytes) {
            Ok(count) if count > 0 => answer.extend_from_slice(&bytes[..count]),
            _ => break,
        }
    }
    let answer = String::from_utf8_lossy(&answer);
    if answer.contains("\"reply\":\"status\"") && began.elapsed() < STATUS {
        Ok(())
    } else {
        Err(format!("after {:?}: `{answer}`", began.elapsed()))
    }
}
