//! The fields of `service.toml`: one table, from which the parser knows what there is and what to
//! suggest, and help, documentation and schema what to say.

pub mod others;

/// A key of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// The table it stands in; empty for the top of the file.
    pub section: &'static str,
    /// The key.
    pub name: &'static str,
    /// What it takes, to be read after "must be".
    pub takes: &'static str,
    /// The same for programs.
    pub shape: Shape,
    /// What stands if it is absent, for people; empty if nothing does.
    pub default: &'static str,
    /// What it means, in a line.
    pub meaning: &'static str,
}

/// The form of a value, as a schema tells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// A boolean.
    Flag,
    /// A boolean, or a string.
    FlagOrText,
    /// A string.
    Text,
    /// An array of strings.
    Texts,
    /// A string, or an array of them.
    TextOrTexts,
    /// A string of octal digits.
    Octal,
    /// A string that is a duration.
    Span,
    /// A signal's name or number.
    Signal,
    /// A whole number from this one to that one.
    Whole(i64, i64),
    /// A number from 0 to 1.
    Part,
    /// One of these strings.
    Words(&'static [&'static str]),
    /// A table of strings with keys of the user's own.
    Variables,
    /// A table of numbers and sizes with these keys.
    Limits(&'static [&'static str]),
    /// A table whose keys are the fields of the section of this name.
    Table,
    /// The same, or one of these strings.
    TableOr(&'static [&'static str]),
}

/// What a field takes, in words and as a shape.
pub(crate) struct Takes(pub(crate) &'static str, pub(crate) Shape);

pub(crate) const BOOL: Takes = Takes("true or false", Shape::Flag);
pub(crate) const TEXT: Takes = Takes("a string", Shape::Text);
const NAMES: Takes = Takes("an array of service names", Shape::Texts);
pub(crate) const COMMAND: Takes = Takes(
    "an array of strings (exec form) or a string (shell form)",
    Shape::TextOrTexts,
);
pub(crate) const SPAN: Takes = Takes("a duration", Shape::Span);
const SIGNAL: Takes = Takes("a signal", Shape::Signal);
pub(crate) const TABLE: Takes = Takes("a table", Shape::Table);
const KIND: Takes = Takes(
    "\"longrun\" or \"oneshot\"",
    Shape::Words(&["longrun", "oneshot"]),
);
const ENABLED: Takes = Takes(
    "true, false or a string that becomes one of them",
    Shape::FlagOrText,
);
const OCTAL: Takes = Takes("a string of octal digits", Shape::Octal);
pub(crate) const VARIABLES: Takes = Takes("a table of strings", Shape::Variables);
const FILES: Takes = Takes("a path or an array of paths", Shape::TextOrTexts);
const PATTERNS: Takes = Takes(
    "an array of variables' names, which may end in `*`",
    Shape::Texts,
);
const SECRETS: Takes = Takes("an array of variables' names", Shape::Texts);
const LIMITS: Takes = Takes(
    "a table of numbers, sizes or \"unlimited\"",
    Shape::Limits(&RESOURCES),
);
const NICE: Takes = Takes("a whole number", Shape::Whole(-20, 19));
const OOM: Takes = Takes("a whole number", Shape::Whole(-1000, 1000));
const PERMITS: Takes = Takes("an array of verbs, or VERB:NAME", Shape::Texts);
const CAPABILITIES: Takes = Takes("an array of capability names", Shape::Texts);
const TCP: Takes = Takes("a string like \"127.0.0.1:5432\"", Shape::Text);
const HTTP: Takes = Takes(
    "a string like \"http://127.0.0.1:3000/healthz\"",
    Shape::Text,
);
const UNIX: Takes = Takes("a path like \"/run/app/app.sock\"", Shape::Text);
const FILE: Takes = Takes("a path like \"/run/app/ready\"", Shape::Text);
const DESCRIPTOR: Takes = Takes("a whole number", Shape::Whole(3, 254));
const YES: Takes = Takes("true", Shape::Flag);
const THEN: Takes = Takes(
    "\"restart\" or \"nothing\"",
    Shape::Words(&["restart", "nothing"]),
);
const POLICY: Takes = Takes(
    "a table, or one of \"always\", \"on-failure\", \"never\"",
    Shape::TableOr(&["always", "on-failure", "never"]),
);
const WHEN: Takes = Takes(
    "\"always\", \"on-failure\" or \"never\"",
    Shape::Words(&["always", "on-failure", "never"]),
);
const PART: Takes = Takes("a number from 0 to 1", Shape::Part);
const LIMIT: Takes = Takes(
    "a table like { times = 10, within = \"60s\" }",
    Shape::Table,
);
const TIMES: Takes = Takes("a whole number", Shape::Whole(1, 1000));
const ON_LIMIT: Takes = Takes("\"stop\" or \"exit\"", Shape::Words(&["stop", "exit"]));
const CRON: Takes = Takes("a string like \"30 4 * * *\", or \"@daily\"", Shape::Text);
const OVERLAP: Takes = Takes("\"skip\" or \"queue\"", Shape::Words(&["skip", "queue"]));
const FORMAT: Takes = Takes(
    "\"prefix\", \"raw\", \"json\", \"none\" or \"inherit\"",
    Shape::Words(&["prefix", "raw", "json", "none", "inherit"]),
);

/// The resources of setrlimit(2), by the names that Compose and systemd use.
pub const RESOURCES: [&str; 10] = [
    "as", "core", "cpu", "data", "fsize", "memlock", "nofile", "nproc", "rtprio", "stack",
];

/// One row a field: section, name, what it takes, default, meaning.
macro_rules! table {
    ($($section:literal $name:literal: $takes:ident, $default:literal, $meaning:literal;)*) => {
        &[$(Field {
            section: $section,
            name: $name,
            takes: $takes.0,
            shape: $takes.1,
            default: $default,
            meaning: $meaning,
        }),*]
    };
}
pub(crate) use table;

/// Every field of `service.toml`, in the order in which people should read them.
pub const SERVICE: &[Field] = table! {
    "" "command": COMMAND, "the file `run`", "what is started";
    "" "type": KIND, "longrun", "runs until it is stopped, or once";
    "" "needs": NAMES, "none", "started when these are ready, stopped before them";
    "" "after": NAMES, "none", "started once these are ready or have failed, stopped before them";
    "" "main": BOOL, "false", "when it ends, the container ends with its exit code";
    "" "enabled": ENABLED, "true", "whether the boot starts it";
    "" "schedule": CRON, "none", "a oneshot that runs by itself, by this line of cron";
    "" "every": SPAN, "none", "a oneshot that runs by itself, so long after it last did";
    "" "timezone": TEXT, "the container's TZ, else UTC", "whose clocks `schedule` is about";
    "" "overlap": OVERLAP, "skip",
        "moments that come while it runs pass, or make it run once more after that";
    "" "spread": SPAN, "0s", "each run comes later by up to this, left to chance";
    "" "user": TEXT, "pidone's own", "a name or uid[:gid]";
    "" "workdir": TEXT, "the image's; the service directory for `run`", "where it starts";
    "" "umask": OCTAL, "pidone's own", "the mode bits that new files do not get";
    "" "env": VARIABLES, "none", "variables beside and above the container's";
    "" "env-file": FILES, "none",
        "files of NAME=VALUE lines, read at each start; `env` wins over them";
    "" "env-pass": PATTERNS, "everything", "which of the container's variables it gets";
    "" "secrets": SECRETS, "none", "each from the file that NAME_FILE names, read at each start";
    "" "limits": LIMITS, "pidone's own", "resource limits, soft and hard alike";
    "" "nice": NICE, "pidone's own", "scheduling priority, -20 to 19";
    "" "oom-score-adj": OOM, "pidone's own",
        "-1000 to 1000: the higher, the sooner the kernel kills it for memory";
    "" "no-new-privileges": BOOL, "false", "set-user-ID programs gain nothing";
    "" "capabilities": CAPABILITIES, "left as they are", "kept when dropping to `user`";
    "" "control": PERMITS, "nothing",
        "what it may ask of pidone, over the descriptor PIDONE_CONTROL_FD";
    "" "ready": TABLE, "ready once started",
        "how readiness is told: exactly one of http, tcp, unix, exec, file, fd, notify";
    "" "health": TABLE, "none",
        "how it is watched once it is ready: exactly one of http, tcp, unix, exec, file, notify";
    "" "restart": POLICY, "always; never for main and oneshot", "what follows a death";
    "" "stop": TABLE, "SIGTERM, SIGKILL after 5s", "how it is asked to end";
    "" "reload": TABLE, "none", "how it is asked to read its configuration again";
    "" "log": TABLE, "PIDONE_LOG_FORMAT", "how its output is written";
    "ready" "http": HTTP, "", "ready when a GET is answered with 200 to 399";
    "ready" "tcp": TCP, "", "ready when a connection is accepted";
    "ready" "unix": UNIX, "", "ready when a connection to this socket is accepted";
    "ready" "exec": COMMAND, "", "ready when this command exits 0";
    "ready" "file": FILE, "", "ready when this file is there";
    "ready" "fd": DESCRIPTOR, "", "ready when the service writes a newline to this descriptor";
    "ready" "notify": YES, "", "ready when the service sends READY=1 (sd_notify)";
    "ready" "interval": SPAN, "100ms", "from one attempt's end to the next";
    "ready" "within": SPAN, "30s", "not ready by then: a failed start";
    "health" "http": HTTP, "", "well when a GET is answered with 200 to 399";
    "health" "tcp": TCP, "", "well when a connection is accepted";
    "health" "unix": UNIX, "", "well when a connection to this socket is accepted";
    "health" "exec": COMMAND, "", "well when this command exits 0";
    "health" "file": FILE, "", "well while this file is there";
    "health" "notify": YES, "", "well while WATCHDOG=1 comes at least every `interval` (sd_notify)";
    "health" "interval": SPAN, "5s", "from one check's end to the next";
    "health" "timeout": SPAN, "1s", "an answer that takes longer is a failure";
    "health" "retries": TIMES, "3",
        "the first failure makes it unready, so many in a row are too many";
    "health" "start-period": SPAN, "0s",
        "failures do not count for so long, until the first success";
    "health" "then": THEN, "restart", "what too many failures lead to";
    "restart" "when": WHEN, "always; never for main and oneshot", "after which deaths";
    "restart" "with": NAMES, "none",
        "also restarted once one of these has been, and is ready again";
    "restart" "delay": SPAN, "0s", "before the first restart; then 250ms, doubling";
    "restart" "max-delay": SPAN, "30s", "the longest wait";
    "restart" "jitter": PART, "0.1", "the part of a wait that is left to chance";
    "restart" "reset-after": SPAN, "10s", "up this long: the waits start over";
    "restart" "limit": LIMIT, "none", "more restarts than this, and it has failed";
    "restart" "on-limit": ON_LIMIT, "stop",
        "a reached limit fails the service, or ends the container";
    "restart.limit" "times": TIMES, "", "how many restarts";
    "restart.limit" "within": SPAN, "", "in how long";
    "stop" "before": COMMAND, "none",
        "run as the service runs, before the signal, on every deliberate stop";
    "stop" "before-timeout": SPAN, "500ms",
        "then that command is killed; the signal follows in any case";
    "stop" "signal": SIGNAL, "SIGTERM", "what asks it to end";
    "stop" "group": BOOL, "false", "the signal goes to the whole process group";
    "stop" "timeout": SPAN, "5s", "then SIGKILL to the process group";
    "reload" "signal": SIGNAL, "", "sent to the main process";
    "reload" "notify": BOOL, "false",
        "with `signal`: done when it says READY=1 after RELOADING=1 (sd_notify)";
    "reload" "command": COMMAND, "", "run as the service runs";
    "log" "format": FORMAT, "PIDONE_LOG_FORMAT", "how its output is written";
};

/// A section's field of this name.
pub fn find(fields: &'static [Field], section: &str, name: &str) -> Option<&'static Field> {
    fields
        .iter()
        .find(|field| field.section == section && field.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_is_a_field_and_no_field_is_there_twice() {
        for (at, field) in SERVICE.iter().enumerate() {
            let (above, name) = field
                .section
                .rsplit_once('.')
                .unwrap_or(("", field.section));
            assert!(name.is_empty() || find(SERVICE, above, name).is_some());
            let first = SERVICE
                .iter()
                .position(|f| (f.section, f.name) == (field.section, field.name));
            assert_eq!(first, Some(at));
        }
    }
}
