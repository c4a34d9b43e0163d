//! Clusters of 3 to 1,000 nodes, each through one life: it comes together, it lives with what is
//! lost, one of it dies, it is cut in halves for a minute, and grows together again. The table of
//! docs/membership.md is written here.

use std::fmt::Write as _;
use std::time::Duration;

use pidone::agent::config::Profile;
use pidone::os::clock;
use pidone::values::stamp;

use crate::world::{Delay, NEAR, World, ms, seed};

/// One datagram in a hundred has its sender's probe answered too late.
const FAR: Delay = (10_000..30_000, 30_000..60_000);

/// A life: how many nodes, how much is lost, how long a datagram takes, and for how many seconds
/// the cluster lives before somebody dies, in each test run and with `GOSSIP=full`.
struct Life {
    nodes: usize,
    loss: f64,
    delay: Delay,
    short: u64,
    full: u64,
}

const fn life(nodes: usize, loss: f64, short: u64, full: u64) -> Life {
    Life {
        nodes,
        loss,
        delay: NEAR,
        short,
        full,
    }
}

const LIVES: &[Life] = &[
    life(3, 0.05, 600, 3600),
    life(30, 0.05, 60, 3600),
    Life {
        delay: FAR,
        ..life(30, 0.05, 20, 3600)
    },
    life(3, 0.2, 120, 3600),
    life(30, 0.2, 20, 3600),
    life(300, 0.05, 0, 3600),
    life(1000, 0.05, 0, 120),
    life(300, 0.2, 0, 60),
    life(1000, 0.2, 0, 10),
];

/// A member that was taken for dead and is not says so, and is believed, within this.
const HEALED_WITHIN: Duration = Duration::from_secs(10);

/// What came of a life.
#[derive(Default)]
struct Told {
    joined: Duration,
    /// Whom somebody took for dead who was not, how often, and for how long at most.
    doubted: usize,
    doubts: usize,
    longest: Duration,
    /// Nodes that have begun another life: somebody told them that they were taken for dead.
    lives: usize,
    /// Until the first, and until all, knew of a death.
    first: Duration,
    last: Duration,
    healed: Duration,
    /// Bytes a second of each node, the fewest first.
    sent: Vec<u64>,
    /// Of a node on average: probes, news, search, comparing.
    parts: [u64; 4],
    cpu: u64,
}

/// One in twenty lost: nobody is taken for dead who is not. One in five: few, and not for long.
#[test]
fn clusters_of_many_sizes_live_die_and_heal() {
    let mut table = String::from(HEAD);
    print!("{HEAD}");
    let span = std::env::var("SPAN").ok();
    let span: Option<u64> = span.map(|text| text.parse().unwrap());
    for life in LIVES {
        let is_long = is_full(life.nodes);
        let seconds = match (is_long, span) {
            (false, _) => life.short,
            (true, None) => life.full,
            (true, Some(span)) => span,
        };
        if seconds > 0 {
            let told = live(life, seconds);
            let row = row(life, seconds, &told);
            print!("{row}");
            table.push_str(&row);
            println!("{} s of CPU", told.cpu);
            judge(life, &told);
            // Each row at once: the long ones take minutes.
            if let Ok(path) = std::env::var("WRITE") {
                write(&path, &table);
            }
        }
    }
}

fn live(life: &Life, seconds: u64) -> Told {
    let cpu = cpu_seconds();
    let nodes = life.nodes;
    let mut told = Told::default();
    let mut world = World::cluster_over(nodes, Profile::Default, life.loss, life.delay.clone());
    told.joined = world.until(nodes, ms(60_000));
    // What all have to say of themselves when they come has gone around.
    world.run(ms(20_000));
    world.until(nodes, HEALED_WITHIN);

    let before = world.bytes;
    let sent_before: Vec<u64> = world.nodes.iter().map(|node| node.sent).collect();
    world.doubts.clear();
    world.run(Duration::from_secs(seconds));
    let bytes = world.bytes.since(before);
    let sent = world.nodes.iter().zip(sent_before);
    told.sent = sent
        .map(|(node, before)| (node.sent - before) / seconds)
        .collect();
    told.sent.sort_unstable();
    let parts = [bytes.probes, bytes.news, bytes.search, bytes.compare];
    told.parts = parts.map(|part| part / (nodes as u64 * seconds));
    told.lives = world
        .nodes
        .iter()
        .filter(|node| node.gossip.own().life != node.gossip.own().born)
        .count();
    world.until(nodes, HEALED_WITHIN);
    told.doubted = world.doubts.lasted.len();
    told.doubts = world.doubts.told;
    told.longest = world
        .doubts
        .lasted
        .iter()
        .max()
        .copied()
        .unwrap_or_default();

    die_and_come_back(&mut world, &mut told);
    world.cut = Some(nodes / 2);
    world.run(ms(60_000));
    world.cut = None;
    told.healed = world.until(nodes, ms(60_000));
    told.cpu = cpu_seconds() - cpu;
    told
}

/// One is killed; when all know, it is started again at the same address.
fn die_and_come_back(world: &mut World, told: &mut Told) {
    let (nodes, victim) = (world.nodes.len(), world.nodes.len() / 3);
    world.nodes[victim].dead = true;
    let death = world.now;
    let mut first = None;
    while world.believers(victim) > 0 {
        if world.believers(victim) < nodes - 1 {
            first = first.or(Some(world.now));
        }
        assert!(world.now.since(death) < ms(30_000));
        world.run(ms(10));
    }
    told.last = world.now.since(death);
    told.first = first.unwrap_or(world.now).since(death);
    world.nodes[victim] = world.node(victim, Profile::Default, &format!("n{victim}"));
    world.until(nodes, ms(30_000));
    world.run(ms(10_000));
    world.until(nodes, HEALED_WITHIN);
}

fn judge(life: &Life, told: &Told) {
    assert!(
        told.doubted == 0 || life.loss > 0.05,
        "{} were doubted",
        told.doubted
    );
    assert!(told.lives == 0 || life.loss > 0.05, "{} lives", told.lives);
    assert!(told.longest <= HEALED_WITHIN, "for {:?}", told.longest);
    assert!(told.healed <= ms(30_000), "{:?}", told.healed);
}

const HEAD: &str = "\
| nodes | lost | delay | simulated | together after | false failures | a death is known to the \
first, to all | whole after 60 s in halves | bytes a second, each: p50, max | of these probes, \
news, search, comparing |
|---|---|---|---|---|---|---|---|---|---|
";

fn row(life: &Life, seconds: u64, told: &Told) -> String {
    let s = |span: Duration| format!("{:.1} s", span.as_secs_f64());
    let mut row = String::new();
    let delay = if life.delay == NEAR {
        "≤ 2 ms, 5 % ≤ 20"
    } else {
        "≤ 30 ms, 5 % ≤ 60"
    };
    let failed = match told.doubted {
        0 => "0".into(),
        some => format!("{some}, the longest for {}", s(told.longest)),
    };
    let median = told.sent[told.sent.len() / 2];
    let most = told.sent[told.sent.len() - 1];
    let [probes, news, search, compare] = told.parts;
    writeln!(
        row,
        "| {} | {:.0} % | {delay} | {seconds} s | {} | {failed} | {}, {} | {} | {median}, {most} | \
         {probes}, {news}, {search}, {compare} |",
        life.nodes,
        life.loss * 100.0,
        s(told.joined),
        s(told.first),
        s(told.last),
        s(told.healed),
    )
    .unwrap();
    row
}

/// Puts the table between its marks in this file.
fn write(path: &str, table: &str) {
    const BEGIN: &str = "<!-- simulation -->\n";
    const END: &str = "<!-- end -->";
    let text = std::fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let today = &stamp::rfc3339(clock::wall())[..10];
    let seed = seed();
    let text =
        format!("{before}{BEGIN}Seed {seed}, profile `default`, {today}.\n\n{table}{END}{after}");
    std::fs::write(path, text).unwrap();
}

/// Whether clusters of so many nodes are played for long.
fn is_full(nodes: usize) -> bool {
    let wish = std::env::var("GOSSIP").unwrap_or_default();
    wish == "full" || wish == nodes.to_string()
}

/// How much this thread has computed, in seconds (proc_pid_stat(5): at 100 a second).
fn cpu_seconds() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split(' ').collect();
    let ticks = |at: usize| fields[at].parse::<u64>().unwrap();
    (ticks(12) + ticks(13)) / 100
}
