//! The fields of `service.toml`: one table, from which the parser knows what there is and what to
//! suggest, and help and documentation what to say.

/// A key of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// The table it stands in; empty for the top of the file.
    pub section: &'static str,
    /// The key.
    pub name: &'static str,
    /// What it takes, to be read after "must be".
    pub takes: &'static str,
    /// What stands if it is absent, for people.
    pub default: &'static str,
    /// What it means, in a line.
    pub meaning: &'static str,
}

const fn field(
    section: &'static str,
    name: &'static str,
    takes: &'static str,
    default: &'static str,
    meaning: &'static str,
) -> Field {
    Field {
        section,
        name,
        takes,
        default,
        meaning,
    }
}

const BOOL: &str = "true or false";
const TEXT: &str = "a string";
const NAMES: &str = "an array of service names";
const COMMAND: &str = "an array of strings (exec form) or a string (shell form)";
const SPAN: &str = "a duration";
const SIGNAL: &str = "a signal";
const TABLE: &str = "a table";

/// Every field of `service.toml`, in the order in which people should read them.
pub const SERVICE: &[Field] = &[
    field("", "command", COMMAND, "the file `run`", "what is started"),
    field(
        "",
        "type",
        "\"longrun\" or \"oneshot\"",
        "longrun",
        "runs until it is stopped, or once",
    ),
    field(
        "",
        "needs",
        NAMES,
        "none",
        "started when these are ready, stopped before them",
    ),
    field(
        "",
        "after",
        NAMES,
        "none",
        "started once these are ready or have failed, stopped before them",
    ),
    field(
        "",
        "main",
        BOOL,
        "false",
        "when it ends, the container ends with its exit code",
    ),
    field(
        "",
        "enabled",
        "true, false or a string that becomes one of them",
        "true",
        "whether the boot starts it",
    ),
    field("", "user", TEXT, "pidone's own", "a name or uid[:gid]"),
    field(
        "",
        "workdir",
        TEXT,
        "the image's; the service directory for `run`",
        "where it starts",
    ),
    field(
        "",
        "umask",
        "a string of octal digits",
        "pidone's own",
        "the mode bits that new files do not get",
    ),
    field(
        "",
        "env",
        "a table of strings",
        "none",
        "variables beside and above the container's",
    ),
    field(
        "",
        "limits",
        TABLE,
        "pidone's own",
        "resource limits, soft and hard alike",
    ),
    field(
        "",
        "nice",
        "a whole number",
        "pidone's own",
        "scheduling priority, -20 to 19",
    ),
    field(
        "",
        "no-new-privileges",
        BOOL,
        "false",
        "set-user-ID programs gain nothing",
    ),
    field(
        "",
        "capabilities",
        "an array of capability names",
        "left as they are",
        "kept when dropping to `user`",
    ),
    field(
        "",
        "ready",
        TABLE,
        "ready once started",
        "how readiness is told: exactly one of tcp, http, exec, fd",
    ),
    field(
        "",
        "restart",
        "a table, or one of \"always\", \"on-failure\", \"never\"",
        "always; never for main and oneshot",
        "what follows a death",
    ),
    field(
        "",
        "stop",
        TABLE,
        "SIGTERM, SIGKILL after 5s",
        "how it is asked to end",
    ),
    field(
        "",
        "reload",
        TABLE,
        "none",
        "how it is asked to read its configuration again",
    ),
    field(
        "",
        "log",
        TABLE,
        "PIDONE_LOG_FORMAT",
        "how its output is written",
    ),
    field(
        "ready",
        "tcp",
        "a string like \"127.0.0.1:5432\"",
        "",
        "ready when a connection is accepted",
    ),
    field(
        "ready",
        "http",
        "a string like \"http://127.0.0.1:3000/healthz\"",
        "",
        "ready when a GET is answered with 200 to 399",
    ),
    field(
        "ready",
        "exec",
        COMMAND,
        "",
        "ready when this command exits 0",
    ),
    field(
        "ready",
        "fd",
        "a whole number",
        "",
        "ready when the service writes a newline to this descriptor",
    ),
    field(
        "ready",
        "interval",
        SPAN,
        "100ms",
        "from one attempt's end to the next",
    ),
    field(
        "ready",
        "within",
        SPAN,
        "30s",
        "not ready by then: a failed start",
    ),
    field(
        "restart",
        "when",
        "\"always\", \"on-failure\" or \"never\"",
        "always; never for main and oneshot",
        "after which deaths",
    ),
    field(
        "restart",
        "delay",
        SPAN,
        "0s",
        "before the first restart; then 250ms, doubling",
    ),
    field("restart", "max-delay", SPAN, "30s", "the longest wait"),
    field(
        "restart",
        "jitter",
        "a number from 0 to 1",
        "0.1",
        "the part of a wait that is left to chance",
    ),
    field(
        "restart",
        "reset-after",
        SPAN,
        "10s",
        "up this long: the waits start over",
    ),
    field(
        "restart",
        "limit",
        "a table like { times = 10, within = \"60s\" }",
        "none",
        "more restarts than this, and it has failed",
    ),
    field(
        "restart",
        "on-limit",
        "\"stop\" or \"exit\"",
        "stop",
        "a reached limit fails the service, or ends the container",
    ),
    field(
        "restart.limit",
        "times",
        "a whole number",
        "",
        "how many restarts",
    ),
    field("restart.limit", "within", SPAN, "", "in how long"),
    field("stop", "signal", SIGNAL, "SIGTERM", "what asks it to end"),
    field(
        "stop",
        "group",
        BOOL,
        "false",
        "the signal goes to the whole process group",
    ),
    field(
        "stop",
        "timeout",
        SPAN,
        "5s",
        "then SIGKILL to the process group",
    ),
    field("reload", "signal", SIGNAL, "", "sent to the main process"),
    field("reload", "command", COMMAND, "", "run as the service runs"),
    field(
        "log",
        "format",
        "\"prefix\", \"raw\", \"json\", \"none\" or \"inherit\"",
        "PIDONE_LOG_FORMAT",
        "how its output is written",
    ),
];

/// What other supervisors and Compose call our fields.
const OTHERS: &[(&str, &str)] = &[
    ("cmd", "command"),
    ("depends-on", "needs"),
    ("depends_on", "needs"),
    ("entrypoint", "command"),
    ("environment", "env"),
    ("exec-start", "command"),
    ("healthcheck", "ready"),
    ("kill-signal", "stop.signal"),
    ("logs", "log"),
    ("priority", "nice"),
    ("requires", "needs"),
    ("start", "command"),
    ("stop-signal", "stop.signal"),
    ("stop-timeout", "stop.timeout"),
    ("timeout", "stop.timeout"),
    ("ulimits", "limits"),
    ("wants", "after"),
    ("working-directory", "workdir"),
    ("working_dir", "workdir"),
];

/// A section's field of this name.
pub fn find(fields: &'static [Field], section: &str, name: &str) -> Option<&'static Field> {
    fields
        .iter()
        .find(|field| field.section == section && field.name == name)
}

/// The field that somebody means who writes `name` here, by what others call it.
pub fn translated(section: &str, name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    let found = OTHERS.iter().find(|(other, _)| *other == name);
    found.filter(|_| section.is_empty()).map(|(_, ours)| *ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_translation_leads_to_a_field() {
        for (_, ours) in OTHERS {
            let (section, name) = ours.split_once('.').unwrap_or(("", ours));
            assert!(find(SERVICE, section, name).is_some(), "{ours}");
        }
    }

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
