//! Every shape of service that the machine tells apart.

use std::time::Duration;

use pidone::service::definition::{
    Before, Health, Kind, Probe, Ready, Restart, RestartLimit, Service, Then, When,
};
use pidone::service::executable::Finish;
use pidone::service::pace::Pace;
use pidone::service::schedule::{Overlap, Schedule, Times};
use pidone::service::undo::Down;

use super::UNIT;

/// Every shape of service that the machine tells apart.
pub(crate) fn shapes() -> Vec<(String, Service)> {
    let mut shapes = Vec::new();
    let limited = Restart {
        when: When::OnFailure,
        limit: Some(RestartLimit {
            times: 2,
            within: UNIT * 3,
        }),
        ..Restart::default()
    };
    let restarts = [
        ("always", Restart::default()),
        ("on-failure, limited", limited.clone()),
        (
            "never",
            Restart {
                when: When::Never,
                ..Restart::default()
            },
        ),
    ];
    let probes = [
        ("none", None),
        ("fd", Some((Probe::Fd(3), None))),
        (
            "tcp",
            Some((Probe::Tcp("127.0.0.1:80".into()), Some(UNIT * 2))),
        ),
    ];
    let finish = |timeout| {
        let file = "finish".into();
        Some(Box::new(Finish { file, timeout }))
    };
    let finishes = [
        ("no", None),
        ("timed", finish(Some(UNIT))),
        ("endless", finish(None)),
    ];
    for kind in [Kind::Longrun, Kind::Oneshot] {
        for (probe_name, probe) in &probes {
            for (finish_name, finish) in &finishes {
                for (restart_name, restart) in &restarts {
                    // What never times out is walked with the simplest of the rest only.
                    let is_simple = probe.is_none() && *restart_name == "always";
                    let endless = is_simple.then_some(None);
                    // And who makes a oneshot that is restarted even when it ends well?
                    let is_odd = kind == Kind::Oneshot && *restart_name == "always";
                    if !is_simple && (*finish_name == "endless" || is_odd) {
                        continue;
                    }
                    for timeout in [Some(Some(UNIT * 2)), endless].into_iter().flatten() {
                        let service = shape(kind, probe.clone(), finish.clone(), restart, timeout);
                        let name = format!(
                            "{kind:?}, probe {probe_name}, finish {finish_name}, restart \
                             {restart_name}, stop timeout {timeout:?}"
                        );
                        shapes.push((name, service));
                    }
                }
            }
        }
    }
    shapes.extend(paced());
    shapes.extend(watched(&restarts));
    shapes.extend(with_before(&limited));
    shapes.extend(scheduled(&restarts));
    shapes.extend(with_down(&limited));
    shapes.extend(timed(&restarts));
    shapes
}

/// Oneshots that are to end in time.
fn timed(restarts: &[(&str, Restart)]) -> Vec<(String, Service)> {
    let made = restarts.iter().map(|(restart_name, restart)| {
        let mut service = shape(Kind::Oneshot, None, None, restart, Some(UNIT));
        service.timeout = Some(UNIT * 2);
        let name = format!("Oneshot, to end within 2, restart {restart_name}");
        (name, service)
    });
    made.collect()
}

/// Services at the pace of s6: those that tell when they are ready, and those that do not.
fn paced() -> Vec<(String, Service)> {
    let mut shapes = Vec::new();
    let restart = Restart {
        pace: Pace::S6,
        ..Restart::default()
    };
    let finish = Some(Box::new(Finish {
        file: "finish".into(),
        timeout: Some(UNIT * 2),
    }));
    for probe in [
        None,
        Some((Probe::Fd(3), None)),
        Some((Probe::Fd(3), Some(UNIT * 2))),
    ] {
        for finish in [None, finish.clone()] {
            let name = format!("at the pace of s6, probe {probe:?}, finish {finish:?}");
            let service = shape(Kind::Longrun, probe.clone(), finish, &restart, None);
            shapes.push((name, service));
        }
    }
    shapes
}

/// Services whose health is watched, in each way that the machine tells apart.
fn watched(restarts: &[(&str, Restart)]) -> Vec<(String, Service)> {
    let mut shapes = Vec::new();
    let probes = [Probe::Tcp("127.0.0.1:80".into()), Probe::Notify];
    for (restart_name, restart) in restarts {
        for probe in &probes {
            for (retries, then) in [(1, Then::Restart), (2, Then::Restart), (2, Then::Nothing)] {
                for start_period in [Duration::ZERO, UNIT * 2] {
                    let timeout = Some(UNIT * 2);
                    let mut service = shape(Kind::Longrun, None, None, restart, timeout);
                    service.health = Some(Box::new(Health {
                        probe: probe.clone(),
                        interval: UNIT,
                        timeout: UNIT,
                        retries,
                        start_period,
                        then,
                    }));
                    let name = format!(
                        "health by {probe:?}, {retries} retries, then {then:?}, start-period \
                         {start_period:?}, restart {restart_name}"
                    );
                    shapes.push((name, service));
                }
            }
        }
    }
    shapes
}

/// Those with `stop.before`, which does not care how they start.
fn with_before(restart: &Restart) -> Vec<(String, Service)> {
    let mut shapes = Vec::new();
    let finish = Some(Box::new(Finish {
        file: "finish".into(),
        timeout: Some(UNIT),
    }));
    let simple = |kind| shape(kind, None, finish.clone(), restart, Some(UNIT * 2));
    for (name, timeout) in [("1", UNIT), ("4", UNIT * 4)] {
        for stop in [Some(UNIT * 2), None] {
            for kind in [Kind::Longrun, Kind::Oneshot] {
                let mut service = simple(kind);
                service.stop.timeout = stop;
                service.stop.before = Some(Box::new(Before {
                    command: vec!["before".into()],
                    timeout,
                }));
                if kind == Kind::Longrun && stop.is_some() {
                    service.health = Some(Box::new(Health {
                        probe: Probe::Tcp("127.0.0.1:80".into()),
                        interval: UNIT,
                        timeout: UNIT,
                        retries: 1,
                        start_period: Duration::ZERO,
                        then: Then::Restart,
                    }));
                }
                let name = format!("{kind:?}, before {name} units, stop timeout {stop:?}");
                shapes.push((name, service));
            }
        }
    }
    shapes
}

/// Oneshots whose work is undone.
fn with_down(restart: &Restart) -> Vec<(String, Service)> {
    let mut shapes = Vec::new();
    for timeout in [Some(UNIT), None] {
        let mut service = shape(Kind::Oneshot, None, None, restart, Some(UNIT * 2));
        let command = vec!["down".into()];
        service.down = Some(Box::new(Down { command, timeout }));
        shapes.push((format!("Oneshot, down within {timeout:?}"), service));
    }
    shapes
}

fn shape(
    kind: Kind,
    probe: Option<(Probe, Option<Duration>)>,
    finish: Option<Box<Finish>>,
    restart: &Restart,
    stop: Option<Duration>,
) -> Service {
    let mut service = Service::new("web".parse().unwrap(), vec!["web".into()]);
    service.kind = kind;
    service.ready = probe.map(|(probe, within)| {
        Box::new(Ready {
            probe,
            interval: UNIT,
            within,
        })
    });
    service.finish = finish;
    service.restart = Restart {
        max_delay: UNIT,
        jitter_permille: 0,
        reset_after: UNIT * 3,
        ..restart.clone()
    };
    service.stop.timeout = stop;
    service
}

/// Oneshots with a schedule.
fn scheduled(restarts: &[(&str, Restart)]) -> Vec<(String, Service)> {
    let mut shapes = Vec::new();
    for (restart_name, restart) in restarts {
        let finish = Some(Box::new(Finish {
            file: "finish".into(),
            timeout: Some(UNIT),
        }));
        for finish in [None, finish] {
            let name = format!("scheduled, restart {restart_name}, finish {finish:?}");
            let mut service = shape(Kind::Oneshot, None, finish, restart, Some(UNIT * 2));
            service.schedule = Some(Box::new(Schedule {
                times: Times::Every(UNIT * 4),
                overlap: Overlap::Skip,
                spread: Duration::ZERO,
            }));
            shapes.push((name, service));
        }
    }
    shapes
}
