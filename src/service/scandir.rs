//! A directory of services as `s6-svscan` has it: what s6 makes of what its files leave unsaid, and
//! the desk, which answers there as s6 does.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use crate::service::definition::{
    Context, Format, Kind, Output, Probe, Ready, Reload, Restart, Service, Stop, When,
};
use crate::service::pace::Pace;
use crate::service::permit::{Of, Permit};
use crate::service::source::{Directory, File};
use crate::values::{Name, Signal};

/// The desk's name, as a service.
pub const DESK: &str = "s6-svscan";

/// The desk makes a few files for each service; by then something is wrong, and the services start
/// without it.
const DESK_READY: Duration = Duration::from_secs(10);

/// The desk has little to say when it ends.
const DESK_STOP: Duration = Duration::from_secs(1);

/// What the desk may ask, so that it can do for whoever asks it.
const DESK_ASKS: [&str; 9] = [
    "status", "events", "start", "stop", "restart", "once", "signal", "rescan", "shutdown",
];

/// The services (and loggers) of these directories that say how long they may take to stop.
pub fn timed(found: &[Directory]) -> BTreeSet<String> {
    let mut timed = BTreeSet::new();
    for directory in found {
        let name = directory.name.to_string_lossy();
        let log = directory.log.as_deref();
        let log = log.map(|log| (format!("{name}/log"), log));
        let own = (name.into_owned(), directory);
        for (name, directory) in [own].into_iter().chain(log) {
            if directory.timeout_kill != File::Absent {
                timed.insert(name);
            }
        }
    }
    timed
}

/// Gives a service that is not pidone's own (it has no `service.toml`) s6's ways: its pace,
/// output as it is, SIGKILL only where `is_timed`, HUP as its reload.
pub fn settle(service: &mut Service, is_timed: bool) {
    if service.file_name != "run" {
        return;
    }
    service.restart = Restart {
        when: When::Always,
        pace: Pace::S6,
        ..Restart::default()
    };
    if !is_timed {
        service.stop.timeout = None;
    }
    service.reload = Some(Reload::Signal(Signal::HUP));
    if let Output::Container(format @ None) = &mut service.output {
        *format = Some(Format::Raw);
    }
}

/// The desk: the companion that keeps s6's FIFOs and files in the services' directories. With
/// `stand_ins` it keeps a process called `s6-supervise NAME` for each service, too.
///
/// # Errors
/// The directory's name is not UTF-8.
pub fn desk(program: &str, dir: &Path, stand_ins: bool) -> Result<Service, String> {
    let name: Name = DESK.parse()?;
    let shown = dir.to_str();
    let shown = shown.ok_or_else(|| format!("the name of {} is not UTF-8", dir.display()))?;
    let words = [program, "s6", "desk"].into_iter();
    let words = words.chain(stand_ins.then_some("--stand-ins"));
    let words = words.chain([shown]).map(str::to_owned);
    let permit = |verb| Permit { verb, of: Of::All };
    Ok(Service {
        dir: dir.to_owned(),
        file_name: DESK,
        ready: Some(Box::new(Ready {
            probe: Probe::Fd(3),
            interval: Duration::from_millis(100),
            within: Some(DESK_READY),
        })),
        stop: Stop {
            timeout: Some(DESK_STOP),
            ..Stop::default()
        },
        output: Output::Container(Some(Format::Raw)),
        control: DESK_ASKS.map(permit).into(),
        ..Service::new(name, words.collect())
    })
}

/// What s6 runs at this signal, `.s6-svscan/SIGNAL`, as a service that only the signal starts.
///
/// # Errors
/// The directory's name is not UTF-8.
pub fn at_signal(dir: &Path, signal: Signal) -> Result<Service, String> {
    let shown = dir.to_str();
    let shown = shown.ok_or_else(|| format!("the name of {} is not UTF-8", dir.display()))?;
    Ok(Service {
        dir: dir.to_owned(),
        file_name: ".s6-svscan",
        kind: Kind::Oneshot,
        enabled: false,
        restart: Restart {
            when: When::Never,
            ..Restart::default()
        },
        context: Context {
            workdir: Some(shown.to_owned()),
            ..Context::default()
        },
        output: Output::Container(Some(Format::Raw)),
        ..Service::new(
            name_at_signal(signal).parse()?,
            vec![format!(".s6-svscan/{signal}")],
        )
    })
}

/// The name of that service.
pub fn name_at_signal(signal: Signal) -> String {
    format!("{DESK}.{signal}")
}

/// The signals that such a script may be for.
pub const SIGNALS: [Signal; 8] = [
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    Signal::TERM,
    Signal::USR1,
    Signal::USR2,
    Signal::WINCH,
    Signal::PWR,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_files_leave_unsaid_is_s6s() {
        let directory = |name: &str, timeout| Directory {
            name: name.into(),
            timeout_kill: timeout,
            ..Directory::default()
        };
        let mut web = directory("web", File::Absent);
        web.log = Some(Box::new(directory("log", File::Content(b"5".into()))));
        let found = [web, directory("db", File::Content(b"3000".into()))];
        assert_eq!(timed(&found), ["db", "web/log"].map(String::from).into());
        let mut service = Service::new("web".parse().unwrap(), Vec::new());
        let before = service.clone();
        settle(&mut service, false);
        assert_eq!(service, before, "it is not s6's");
        service.file_name = "run";
        settle(&mut service, false);
        assert_eq!(service.stop.timeout, None);
        assert_eq!(service.restart.pace, Pace::S6);
        assert_eq!(service.output, Output::Container(Some(Format::Raw)));
    }

    #[test]
    fn the_desk_may_ask_for_all() {
        let desk = desk("/usr/bin/pidone", Path::new("/run/service"), true).unwrap();
        assert_eq!(desk.name.as_str(), DESK);
        assert_eq!(desk.control.len(), DESK_ASKS.len());
        assert!(desk.control.iter().all(|permit| permit.of == Of::All));
    }
}
