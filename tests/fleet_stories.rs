//! Stories of fleets: small scripts and all that follows from them, one file each in
//! `golden/fleet/`. `UPDATE=1 cargo test --test fleet_stories` writes what follows anew.
//!
//! A script has a block for each service and then what happens from outside:
//! ```text
//! db
//!   probe tcp within 3s
//!   life: ready after 1s, exits 1 after 2s
//!   life: ignores TERM
//! web
//!   needs db
//! at 4s rescan - web + db finish
//! at 5s TERM
//! # output
//! ```
//! A service's processes lead its lives, one each, the last one for ever; without any, they become
//! ready at once and end when asked to. The boot comes at 0s; `at 30s over` ends a story in which
//! the container lives on.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may"
)]

mod world;

use std::fs;
use std::path::Path;
use std::time::Duration;

use pidone::machine::shutdown::Reason;
use pidone::machine::slot::{Input, Ix, Limits, Want};
use pidone::service::definition::{
    Before, Health, Kind, OnLimit, Probe, Ready, RestartLimit, Service, Then, When,
};
use pidone::service::executable::Finish;
use pidone::service::pace::Pace;
use pidone::service::schedule::{Overlap, Schedule, Times};
use pidone::service::undo::Down;
use pidone::values::span::parse_span;
use pidone::values::{Exit, Signal};

use world::World;
use world::life::{Exec, Life, NO_BEFORE, NO_FINISH};
use world::story::{Story, word};

/// What separates a script from what follows from it.
const OUTPUT: &str = "# output\n";

/// A script as it is read.
#[derive(Default)]
struct Script {
    services: Vec<(Service, Vec<Life>)>,
    cmd: Option<Ix>,
    deeds: Vec<(Duration, String)>,
    stop: Option<Duration>,
    cmd_wait: Option<Duration>,
}

fn read(text: &str) -> Script {
    let mut script = Script::default();
    for line in text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        let words: Vec<&str> = line.split_whitespace().collect();
        match *words {
            ["at", at, ..] => script.deeds.push((span(at), words[2..].join(" "))),
            ["stop-timeout", time] if !line.starts_with(' ') => script.stop = Some(span(time)),
            ["cmd-wait", time] => script.cmd_wait = Some(span(time)),
            [name] if !line.starts_with(' ') => {
                let service = Service::new(name.parse().unwrap(), vec![name.into()]);
                script.services.push((service, Vec::new()));
            }
            ["cmd"] => {
                script.cmd = Some(script.services.len() - 1);
                let (service, _) = script.services.last_mut().unwrap();
                be_main(service);
            }
            ["life:", ..] => {
                let (_, lives) = script.services.last_mut().unwrap();
                lives.push(life(line.trim().trim_start_matches("life:")));
            }
            _ => field(
                &mut script.services.last_mut().unwrap().0,
                line.trim(),
                &words,
            ),
        }
    }
    for (_, lives) in &mut script.services {
        if lives.is_empty() {
            lives.push(Life::default());
        }
    }
    script
}

fn be_main(service: &mut Service) {
    service.main = true;
    service.restart.when = When::Never;
}

/// What runs when its process is gone.
fn last(service: &mut Service, is_finish: bool) {
    let timeout = Some(Duration::from_secs(5));
    if is_finish {
        let file = "finish".into();
        service.finish = Some(Box::new(Finish { file, timeout }));
    } else {
        let command = vec!["down".into()];
        service.down = Some(Box::new(Down { command, timeout }));
    }
}

/// One line of a service's block.
fn field(service: &mut Service, line: &str, words: &[&str]) {
    let names = || {
        words[1..]
            .iter()
            .map(|name| name.parse().unwrap())
            .collect()
    };
    match *words {
        ["needs", ..] => service.needs = names(),
        ["after", ..] => service.after = names(),
        ["main"] => be_main(service),
        ["oneshot"] => {
            service.kind = Kind::Oneshot;
            service.restart.when = When::Never;
        }
        ["off"] => service.enabled = false,
        ["on"] => service.enabled = true,
        ["probe", kind, ref rest @ ..] => {
            let probe = match kind {
                "tcp" => Probe::Tcp("127.0.0.1:80".into()),
                "fd" => Probe::Fd(3),
                "notify" => Probe::Notify,
                other => panic!("a probe by {other}?"),
            };
            service.ready = Some(Box::new(Ready {
                probe,
                interval: Duration::from_millis(100),
                within: rest.get(1).map(|within| span(within)),
            }));
        }
        ["health", kind, ref rest @ ..] => service.health = Some(Box::new(health(kind, rest))),
        ["every", every, ref rest @ ..] => {
            service.schedule = Some(Box::new(schedule(span(every), rest == ["queue"])));
        }
        ["before", timeout] => {
            service.stop.before = Some(Box::new(Before {
                command: vec!["before".into()],
                timeout: span(timeout),
            }));
        }
        ["finish" | "down"] => last(service, line.trim() == "finish"),
        ["restart", "with", ..] => {
            let names = words[2..].iter();
            service.restart.with = names.map(|name| name.parse().unwrap()).collect();
        }
        ["pace", "s6"] => service.restart.pace = Pace::S6,
        ["restart", "always"] => service.restart.when = When::Always,
        ["restart", "on-failure"] => service.restart.when = When::OnFailure,
        ["restart", "never"] => service.restart.when = When::Never,
        ["limit", times, "in", within, ref rest @ ..] => {
            service.restart.limit = Some(RestartLimit {
                times: times.parse().unwrap(),
                within: span(within),
            });
            if rest == ["then", "exit"] {
                service.restart.on_limit = OnLimit::Exit;
            }
        }
        ["stop-timeout", "never"] => service.stop.timeout = None,
        ["stop-timeout", timeout] => service.stop.timeout = Some(span(timeout)),
        _ => panic!("`{line}`?"),
    }
    service.restart.jitter_permille = 0;
}

/// A `[health]`, from `tcp every 5s retries 3 start-period 10s then nothing`.
fn health(kind: &str, rest: &[&str]) -> Health {
    let mut health = Health {
        probe: match kind {
            "tcp" => Probe::Tcp("127.0.0.1:80".into()),
            "notify" => Probe::Notify,
            other => panic!("health by {other}?"),
        },
        interval: Duration::from_secs(5),
        timeout: Duration::from_secs(1),
        retries: 3,
        start_period: Duration::ZERO,
        then: Then::Restart,
    };
    for pair in rest.chunks(2) {
        match *pair {
            ["every", time] => health.interval = span(time),
            ["retries", number] => health.retries = number.parse().unwrap(),
            ["start-period", time] => health.start_period = span(time),
            ["then", "nothing"] => health.then = Then::Nothing,
            _ => panic!("health with {pair:?}?"),
        }
    }
    health
}

fn schedule(every: Duration, queues: bool) -> Schedule {
    Schedule {
        times: Times::Every(every),
        overlap: if queues {
            Overlap::Queue
        } else {
            Overlap::Skip
        },
        spread: Duration::ZERO,
    }
}

/// A life, from `ready after 1s, exits 1 after 2s`.
fn life(text: &str) -> Life {
    let mut life = Life::default();
    for part in text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        let words: Vec<&str> = part.split_whitespace().collect();
        match *words {
            ["ready", "after", time] => life.ready = Some(span(time)),
            ["never", "ready"] => life.ready = None,
            ["exits", code, "after", time] => life.ends = Some((span(time), exit(code))),
            ["dies", "of", signal, "after", time] => {
                life.ends = Some((span(time), Exit::Signal(signal.parse().unwrap())));
            }
            ["sick", "after", time, "for", long] => life.sick = Some((span(time), span(long))),
            ["says", "stopping", "after", time] => life.leaves = Some(span(time)),
            ["ignores", "TERM"] => life.on_term = None,
            ["ends", "in", time] => life.on_term = Some((span(time), Exit::Code(0))),
            ["does", "not", "die"] => life.is_undying = true,
            ["cannot", "exec"] => life.exec = Exec::Fails(Duration::from_millis(1)),
            ["hangs", "before", "exec"] => life.exec = Exec::Hangs,
            ["no", "process"] => life.exec = Exec::NoProcess,
            ["leaves", count, "orphans"] => life.orphans = count.parse().unwrap(),
            ["leaves", count, "stubborn", "orphans"] => {
                life.orphans = count.parse().unwrap();
                life.stubborn_orphans = true;
            }
            ["before", "takes", time] => life.before = Some(span(time)),
            ["before", "hangs"] => life.before = None,
            ["no", "process", "for", "before"] => life.before = Some(NO_BEFORE),
            ["finish", "exits", code, "after", time] => {
                life.finish = Some((span(time), exit(code)));
            }
            ["finish", "hangs"] => life.finish = None,
            ["no", "process", "for", "finish"] => life.finish = Some((Duration::ZERO, NO_FINISH)),
            _ => panic!("a life with `{part}`?"),
        }
    }
    life
}

fn span(text: &str) -> Duration {
    if text == "0s" {
        Duration::ZERO
    } else {
        parse_span(text).unwrap()
    }
}

fn exit(text: &str) -> Exit {
    Exit::Code(text.parse().unwrap())
}

/// What a reading finds: `- web` is gone; `web needs db` says something else, or is new; `web new`
/// is new and says nothing.
fn edit(defined: &mut Vec<(Service, Vec<Life>)>, words: &[&str]) {
    for edit in words.split(|word| *word == "+") {
        match edit {
            ["-", name] => defined.retain(|(service, _)| service.name.as_str() != *name),
            [name, said @ ..] => {
                let is_it = |(service, _): &(Service, _)| service.name.as_str() == *name;
                let at = defined.iter().position(is_it).unwrap_or_else(|| {
                    let service = Service::new(name.parse().unwrap(), vec![(*name).into()]);
                    defined.push((service, vec![Life::default()]));
                    defined.len() - 1
                });
                match said {
                    ["new"] => {}
                    ["umask", mask] => {
                        defined[at].0.context.umask = Some(mask.parse().unwrap());
                    }
                    said => field(&mut defined[at].0, &said.join(" "), said),
                }
            }
            [] => {}
        }
    }
}

/// What follows from a script.
fn play(text: &str) -> String {
    let script = read(text);
    let limits = Limits {
        stop: script.stop.unwrap_or(Duration::from_secs(9)),
        cmd_wait: script.cmd_wait.unwrap_or(Duration::from_secs(30)),
    };
    let mut defined = script.services.clone();
    let mut world = World::new(script.services, limits);
    let begin = world.now;
    world.story = Some(Story::new(begin, usize::MAX, true));
    let find = |world: &World, name: &str| {
        let slots = world.fleet.slots();
        slots
            .iter()
            .position(|slot| slot.service.name.as_str() == name)
            .unwrap()
    };
    let mut over = begin + Duration::from_secs(3600);
    for (at, deed) in &script.deeds {
        let words: Vec<&str> = deed.split_whitespace().collect();
        let input = match *words {
            ["over"] => {
                over = begin + *at;
                continue;
            }
            ["rescan", ref edits @ ..] => {
                edit(&mut defined, edits);
                world.plan_rescan(begin + *at, defined.clone());
                continue;
            }
            ["exit", name, code] => {
                let ix = find(&world, name);
                world.plan_exit(begin + *at, ix, exit(code));
                continue;
            }
            ["start", name] => Input::Start(find(&world, name)),
            ["stop", name] => Input::Stop(find(&world, name)),
            ["restart", name] => Input::Restart(find(&world, name)),
            ["once", name] => Input::Once(find(&world, name)),
            ["shutdown"] => Input::Shutdown(Reason::Asked(None)),
            ["shutdown", code] => Input::Shutdown(Reason::Asked(Some(code.parse().unwrap()))),
            [signal] => {
                let signal: Signal = signal.parse().unwrap();
                Input::Shutdown(Reason::Signal(signal))
            }
            _ => panic!("`{deed}`?"),
        };
        world.plan(begin + *at, input);
    }
    world.boot(script.cmd);
    world.run(over);
    if world.exit.is_none() {
        let states = world.fleet.slots().iter().map(|slot| {
            let is_by_hand = slot.want == Want::Down;
            let by_hand = if is_by_hand { " by hand" } else { "" };
            format!("{} {}{by_hand}", slot.service.name, word(slot.unit.state))
        });
        let states = states.collect::<Vec<_>>().join(", ");
        world.tell(|_| format!("over: {states}"));
    }
    let restarts = world.fleet.slots().iter().filter(|slot| slot.restarts > 0);
    let restarts: Vec<_> = restarts
        .map(|slot| format!("{} {}", slot.service.name, slot.restarts))
        .collect();
    if !restarts.is_empty() {
        world.tell(|_| format!("restarts: {}", restarts.join(", ")));
    }
    world.story.unwrap().text()
}

#[test]
fn stories_end_as_they_are_told() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/fleet");
    let mut wrong = Vec::new();
    let mut paths: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        let (script, told) = text.split_once(OUTPUT).unwrap_or((&text, ""));
        let follows = play(script);
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, format!("{script}{OUTPUT}{follows}")).unwrap();
        } else if follows != told || follows.contains("NOT SO") {
            wrong.push(format!(
                "{}\n--- told\n{told}--- follows\n{follows}",
                path.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
