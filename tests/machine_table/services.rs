//! The services whose table is printed: each shows other parts of the machine.

use std::time::Duration;

use pidone::service::definition::{self, Before, Health, Kind, Probe, Ready, Service, Then};
use pidone::service::executable::Finish;
use pidone::service::schedule::{Overlap, Schedule, Times};

pub(crate) fn web() -> Service {
    let mut web = Service::new("web".parse().unwrap(), vec!["web".into()]);
    web.ready = Some(Box::new(Ready {
        probe: Probe::Tcp("127.0.0.1:80".into()),
        interval: Duration::from_millis(100),
        within: Some(Duration::from_secs(30)),
    }));
    web.health = Some(Box::new(Health {
        probe: Probe::Tcp("127.0.0.1:80".into()),
        interval: Duration::from_secs(5),
        timeout: Duration::from_secs(1),
        retries: 3,
        start_period: Duration::from_secs(10),
        then: Then::Restart,
    }));
    web.finish = Some(Box::new(Finish {
        file: "finish".into(),
        timeout: Some(Duration::from_secs(5)),
    }));
    web.restart.jitter_permille = 0;
    web
}

/// It tells by itself that it is ready, and that it lives.
pub(crate) fn queue() -> Service {
    let mut queue = Service::new("queue".parse().unwrap(), vec!["queue".into()]);
    queue.ready = Some(Box::new(Ready {
        probe: Probe::Notify,
        interval: Duration::from_millis(100),
        within: Some(Duration::from_secs(30)),
    }));
    queue.health = Some(Box::new(Health {
        probe: Probe::Notify,
        interval: Duration::from_secs(5),
        timeout: Duration::from_secs(1),
        retries: 2,
        start_period: Duration::ZERO,
        then: Then::Nothing,
    }));
    queue
}

pub(crate) fn migrate() -> Service {
    let mut migrate = Service::new("migrate".parse().unwrap(), vec!["migrate".into()]);
    migrate.kind = Kind::Oneshot;
    migrate.restart.when = definition::When::Never;
    migrate
}

pub(crate) fn report() -> Service {
    let mut report = Service::new("report".parse().unwrap(), vec!["report".into()]);
    report.kind = Kind::Oneshot;
    report.restart.when = definition::When::OnFailure;
    report.restart.jitter_permille = 0;
    report.schedule = Some(Box::new(Schedule {
        times: Times::Every(Duration::from_secs(3600)),
        overlap: Overlap::Skip,
        spread: Duration::ZERO,
    }));
    report
}

pub(crate) fn api() -> Service {
    let mut api = Service::new("api".parse().unwrap(), vec!["api".into()]);
    api.stop.before = Some(Box::new(Before {
        command: vec!["drain".into()],
        timeout: Duration::from_millis(500),
    }));
    api.restart.jitter_permille = 0;
    api
}
