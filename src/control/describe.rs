//! A service's policies in words, for the page of one service.

use std::time::Duration;

use crate::service::definition::{
    Health, Probe, Ready, Reload, Restart, RestartLimit, Stop, StopBy, When,
};
use crate::service::pace::Pace;
use crate::service::schedule::{Overlap, Schedule, Times};
use crate::values::Name;
use crate::values::span::show_span;

/// `http://127.0.0.1:3000/healthz every 0.1s, within 30s`.
pub fn ready(ready: &Ready) -> String {
    let asked = match &ready.probe {
        Probe::Notify => "READY=1".to_owned(),
        probe => asked(probe, ready.interval),
    };
    match ready.within {
        Some(within) => format!("{asked}, within {}", show_span(within)),
        None => asked,
    }
}

/// `http://127.0.0.1:3000/healthz every 5s`.
pub fn health(health: &Health) -> String {
    asked(&health.probe, health.interval)
}

fn asked(probe: &Probe, interval: Duration) -> String {
    let every = format!(" every {}", show_span(interval));
    match probe {
        Probe::Tcp(address) => format!("tcp {address}{every}"),
        Probe::Http(address) => format!("{address}{every}"),
        Probe::Unix(path) => format!("unix {path}{every}"),
        Probe::File(path) => format!("file {path}{every}"),
        Probe::Exec(command) => format!("exec {}{every}", command.join(" ")),
        Probe::Fd(fd) => format!("a newline on descriptor {fd}"),
        Probe::Notify => format!("WATCHDOG=1{every}"),
    }
}

/// `drain web (at most 0.5s), then SIGQUIT, then SIGKILL after 5s`.
pub fn stop(stop: &Stop) -> String {
    let whom = if stop.group { " to its group" } else { "" };
    let asked = match stop.by {
        StopBy::Signal(signal) => format!("{signal}{whom}"),
        StopBy::EndOfInput => "end of input".to_owned(),
    };
    let asked = match &stop.before {
        Some(before) => format!(
            "{} (at most {}), then {asked}",
            before.command.join(" "),
            show_span(before.timeout)
        ),
        None => asked,
    };
    match stop.timeout {
        Some(timeout) => format!("{asked}, then SIGKILL after {}", show_span(timeout)),
        None => asked,
    }
}

/// `on failure, at most 5 in 60s, and with db`.
pub fn restart(restart: &Restart) -> String {
    let when = match restart.when {
        When::Always => "always",
        When::OnFailure => "on failure",
        When::Never => "never",
    };
    let pace = (restart.pace == Pace::S6).then(|| "at the pace of s6".to_owned());
    let limit = restart.limit.filter(|_| restart.when != When::Never);
    let limit = limit.map(|RestartLimit { times, within }| {
        let within = show_span(within);
        format!("at most {times} in {within}")
    });
    let with: Vec<&str> = restart.with.iter().map(Name::as_str).collect();
    let with = (!with.is_empty()).then(|| format!("and with {}", with.join(", ")));
    let parts = [Some(when.to_owned()), pace, limit, with];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// `*/5 * * * *, Europe/Vienna, up to 30s later`.
pub fn schedule(schedule: &Schedule) -> String {
    let times = match &schedule.times {
        Times::Cron(line) => format!("{}, {}", line.text, line.zone.name),
        Times::Every(every) => format!("every {}", show_span(*every)),
    };
    let later = (!schedule.spread.is_zero())
        .then(|| format!(", up to {} later", show_span(schedule.spread)));
    let queue = match schedule.overlap {
        Overlap::Skip => "",
        Overlap::Queue => ", once more if it still runs then",
    };
    format!("{times}{}{queue}", later.unwrap_or_default())
}

/// `SIGHUP`, or the command.
pub fn reload(reload: &Reload) -> String {
    match reload {
        Reload::Signal(signal) => signal.to_string(),
        Reload::Told(signal) => format!("{signal}, then it says READY=1"),
        Reload::Command(command) => command.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::definition::Before;
    use crate::values::Signal;

    #[test]
    fn words() {
        let seconds = Duration::from_secs;
        assert_eq!(stop(&Stop::default()), "SIGTERM, then SIGKILL after 5s");
        let for_ever = Stop {
            before: Some(Box::new(Before {
                command: vec!["drain".into(), "web".into()],
                timeout: Duration::from_millis(500),
            })),
            by: StopBy::Signal(Signal::QUIT),
            group: true,
            timeout: None,
        };
        assert_eq!(
            stop(&for_ever),
            "drain web (at most 0.5s), then SIGQUIT to its group"
        );
        assert_eq!(restart(&Restart::default()), "always");
        let limited = Restart {
            when: When::OnFailure,
            with: vec!["db".parse().unwrap()],
            limit: Some(RestartLimit {
                times: 5,
                within: seconds(60),
            }),
            ..Restart::default()
        };
        assert_eq!(
            restart(&limited),
            "on failure, at most 5 in 1m, and with db"
        );
        let paced = Restart {
            pace: Pace::S6,
            ..Restart::default()
        };
        assert_eq!(restart(&paced), "always, at the pace of s6");
        let probe = Ready {
            probe: Probe::Tcp("127.0.0.1:80".into()),
            interval: Duration::from_millis(100),
            within: Some(seconds(30)),
        };
        assert_eq!(ready(&probe), "tcp 127.0.0.1:80 every 0.1s, within 30s");
    }
}
