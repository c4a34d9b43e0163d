//! The keys of a supervisord.conf that need no code: what is told of them, by section.

/// What becomes of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// It is carried over, or what is told of it depends on other keys.
    Read,
    /// It has no meaning any more, and nobody misses it.
    Quiet,
    /// It is done otherwise.
    Otherwise(&'static str),
    /// It is lost, unless the value is one of those that mean "no".
    Lost(&'static str),
}

use Fate::{Lost, Otherwise, Quiet, Read};

/// Values by which an ability is switched off.
pub(super) const NO: [&str; 5] = ["no", "false", "off", "0", ""];

const LISTENERS: &str = "pidone has no event listeners that could want it";
const SYSLOG: &str = "lines go to the container's output; `pidone ship` sends them to a collector";

/// Keys of `[program:x]`.
pub(super) const PROGRAM: &[(&str, Fate)] = &[
    ("command", Read),
    ("process_name", Read),
    ("numprocs", Read),
    ("numprocs_start", Read),
    ("directory", Read),
    ("umask", Read),
    ("priority", Read),
    ("autostart", Read),
    ("autorestart", Read),
    ("startsecs", Read),
    ("startretries", Read),
    ("exitcodes", Read),
    ("stopsignal", Read),
    ("stopwaitsecs", Read),
    ("stopasgroup", Read),
    ("killasgroup", Read),
    ("user", Read),
    ("redirect_stderr", Read),
    ("environment", Read),
    ("stdout_logfile", Read),
    ("stderr_logfile", Read),
    ("stdout_logfile_maxbytes", Read),
    ("stderr_logfile_maxbytes", Read),
    ("stdout_logfile_backups", Read),
    ("stderr_logfile_backups", Read),
    ("stdout_capture_maxbytes", Lost(LISTENERS)),
    ("stderr_capture_maxbytes", Lost(LISTENERS)),
    ("stdout_events_enabled", Lost(LISTENERS)),
    ("stderr_events_enabled", Lost(LISTENERS)),
    ("stdout_syslog", Lost(SYSLOG)),
    ("stderr_syslog", Lost(SYSLOG)),
    ("serverurl", Quiet),
];

const DAEMON: &str = "it matters to a daemon only, which pidone is not";

/// Keys of `[supervisord]`.
pub(super) const SUPERVISORD: &[(&str, Fate)] = &[
    ("user", Read),
    ("environment", Read),
    ("logfile", Read),
    ("nodaemon", Quiet),
    ("logfile_maxbytes", Quiet),
    ("logfile_backups", Quiet),
    ("loglevel", Otherwise("set PIDONE_LOG")),
    ("pidfile", Quiet),
    ("identifier", Quiet),
    ("childlogdir", Quiet),
    ("minprocs", Quiet),
    ("nocleanup", Quiet),
    ("profile_options", Quiet),
    ("silent", Quiet),
    ("directory", Otherwise(DAEMON)),
    ("umask", Otherwise(DAEMON)),
    (
        "minfds",
        Lost("a service that needs more descriptors says `limits = { nofile = N }`"),
    ),
    ("strip_ansi", Lost("colours stay in the lines")),
];

/// Keys of `[group:x]`.
pub(super) const GROUP: &[(&str, Fate)] = &[("programs", Read), ("priority", Read)];

/// Sections that are no programs, by the beginning of their names.
pub(super) const SECTIONS: &[(&str, Fate)] = &[
    ("supervisord", Read),
    ("program:", Read),
    (
        "group:",
        Otherwise("services have no groups: `pidone restart` and the others take several names"),
    ),
    ("include", Read),
    (
        "unix_http_server",
        Otherwise("pidone has a socket of its own: `pidone status`, `start`, `stop`, `logs`"),
    ),
    (
        "inet_http_server",
        Lost("pidone listens on no network: `docker exec` with `pidone status` and the others"),
    ),
    ("supervisorctl", Quiet),
    ("rpcinterface:supervisor", Quiet),
    ("rpcinterface:", Lost("pidone takes no plugins")),
    ("ctlplugin:", Lost("pidone takes no plugins")),
    (
        "eventlistener:",
        Lost(
            "left out: there are no event listeners; `main = true` or \
             `restart.on-limit = \"exit\"` ends the container with a service",
        ),
    ),
    (
        "fcgi-program:",
        Lost("left out: nobody opens its socket for it; let it listen by itself"),
    ),
];

/// The row of this name.
pub(super) fn fate(rows: &[(&str, Fate)], name: &str) -> Option<Fate> {
    rows.iter()
        .find(|(row, _)| *row == name)
        .map(|(_, fate)| *fate)
}

/// The row of a section: the whole name, or what stands before its colon.
pub(super) fn section(name: &str) -> Option<Fate> {
    let begins = |row: &str| row.ends_with(':') && name.starts_with(row);
    let found = SECTIONS.iter().find(|(row, _)| *row == name || begins(row));
    found.map(|(_, fate)| *fate)
}
