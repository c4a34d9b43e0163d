//! pidone's own settings: `PIDONE_…` variables over `/etc/pidone/pidone.toml` over defaults.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use toml::de::{DeTable, DeValue};
use tracing::level_filters::LevelFilter;

use crate::diag::{Diagnostic, nearest};
use crate::service::definition::Format;
use crate::service::environment::Environment;
use crate::service::fields::Field;
use crate::service::policy::FORMATS;
use crate::service::table::{Faults, Table, span_fault};
use crate::values::{parse_size, parse_span};

/// Where services are looked for unless a setting says otherwise.
pub const SERVICES_DIR: &str = "/etc/services.d";

/// Where settings are looked for beside the environment.
pub const FILE: &str = "/etc/pidone/pidone.toml";

/// The settings, with their defaults.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The service roots; later ones override by name.
    pub services: Vec<PathBuf>,
    /// The control socket; `None`: the usual places, one after the other.
    pub socket: Option<PathBuf>,
    /// The group that may read over the control socket.
    pub control_group: Option<String>,
    /// How much pidone says of itself.
    pub log: LevelFilter,
    /// How output is written where a service does not say it.
    pub log_format: Format,
    /// Bytes of output kept in memory, all services together.
    pub log_memory: u64,
    /// From the order to stop to the last kill.
    pub stop_timeout: Duration,
    /// So long CMD waits for the services to be ready.
    pub cmd_wait: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            services: vec![SERVICES_DIR.into()],
            socket: None,
            control_group: None,
            log: LevelFilter::INFO,
            log_format: Format::Prefix,
            log_memory: 16 << 20,
            // Docker kills 10 s after it has asked.
            stop_timeout: Duration::from_secs(9),
            cmd_wait: Duration::from_secs(30),
        }
    }
}

const fn setting(
    name: &'static str,
    takes: &'static str,
    default: &'static str,
    meaning: &'static str,
) -> Field {
    Field {
        section: "",
        name,
        takes,
        default,
        meaning,
    }
}

/// Every setting, by its key in the file.
pub const SETTINGS: &[Field] = &[
    setting(
        "services",
        "directories, separated by colons",
        SERVICES_DIR,
        "where services are defined; later ones override by name",
    ),
    setting(
        "socket",
        "a path",
        "/run/pidone/control.sock",
        "the control socket",
    ),
    setting(
        "control-group",
        "a group",
        "none",
        "who may read over the control socket, beside root",
    ),
    setting(
        "log",
        "error, warn, info, debug, trace or off",
        "info",
        "how much pidone says of itself",
    ),
    setting(
        "log-format",
        "prefix, raw, json, none or inherit",
        "prefix",
        "how output is written where a service does not say it",
    ),
    setting(
        "log-memory",
        "a size",
        "16MiB",
        "output kept in memory, all services together",
    ),
    setting(
        "stop-timeout",
        "a duration",
        "9s",
        "from the order to stop to the last kill",
    ),
    setting(
        "cmd-wait",
        "a duration",
        "30s",
        "so long CMD waits for the services to be ready",
    ),
];

/// A setting's variable: `PIDONE_` and its key in capitals.
pub fn variable(key: &str) -> String {
    format!("PIDONE_{}", key.to_ascii_uppercase().replace('-', "_"))
}

/// The variables that are ours, and that services do not get.
pub fn variables() -> impl Iterator<Item = String> {
    SETTINGS.iter().map(|setting| variable(setting.name))
}

/// Reads the settings: the environment's win over the file's.
pub fn read(environment: &Environment, file: Option<(&Path, &str)>) -> (Settings, Vec<Diagnostic>) {
    let mut settings = Settings::default();
    let mut found = file.map_or_else(Vec::new, |(path, text)| settings.read_file(path, text));
    for setting in SETTINGS {
        let name = variable(setting.name);
        let Some(value) = environment.get(&name) else {
            continue;
        };
        if let Err(fault) = settings.set(setting, value) {
            let message = format!("{name}: {}", fault.message);
            found.push(Diagnostic { message, ..fault });
        }
    }
    found.extend(slips(environment));
    (settings, found)
}

/// Variables that look like a setting with a slip of the pen.
fn slips(environment: &Environment) -> Vec<Diagnostic> {
    let known: Vec<String> = variables().collect();
    let names = environment.iter().filter_map(|(name, _)| name.to_str());
    names
        .filter(|name| name.starts_with("PIDONE_") && !known.iter().any(|known| known == name))
        .filter_map(|name| {
            let near = nearest(name, known.iter().map(String::as_str))?;
            let close = near.len().abs_diff(name.len()) <= 2;
            close.then(|| {
                Diagnostic::warning(format!("unknown setting {name}"))
                    .hint(format!("did you mean `{near}`?"))
            })
        })
        .collect()
}

impl Settings {
    fn read_file(&mut self, path: &Path, text: &str) -> Vec<Diagnostic> {
        let mut faults = Faults::new(path, text);
        let (document, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            for error in errors {
                let span = error.span().unwrap_or(text.len()..text.len());
                faults.at(span, Diagnostic::error(error.message()));
            }
            return faults.sorted();
        }
        let table = Table::open(SETTINGS, "", document.get_ref(), &mut faults);
        for setting in SETTINGS {
            let Some(item) = table.get(setting.name) else {
                continue;
            };
            let value = match item.value {
                // Only the list of directories is one; it reads better as an array.
                DeValue::Array(_) if setting.name == "services" => item
                    .array("a directory", &mut faults)
                    .into_iter()
                    .flatten()
                    .filter_map(|item| item.text(&mut faults))
                    .collect::<Vec<&str>>()
                    .join(":"),
                _ => match item.text(&mut faults) {
                    Some(text) => text.to_owned(),
                    None => continue,
                },
            };
            if let Err(fault) = self.set(setting, OsStr::new(&value)) {
                faults.at(item.span, fault);
            }
        }
        faults.sorted()
    }

    /// Sets one setting from its text.
    fn set(&mut self, setting: &Field, value: &OsStr) -> Result<(), Diagnostic> {
        let text = value.to_string_lossy();
        let other = || Diagnostic::error(format!("must be {}, not `{text}`", setting.takes));
        if text.is_empty() {
            return Err(Diagnostic::error(format!(
                "is empty; it must be {}",
                setting.takes
            )));
        }
        match setting.name {
            "services" => {
                let parts = value.as_bytes().split(|b| *b == b':');
                let parts = parts.filter(|part| !part.is_empty());
                self.services = parts.map(|part| OsStr::from_bytes(part).into()).collect();
            }
            "socket" => self.socket = Some(value.into()),
            "control-group" => self.control_group = Some(text.into_owned()),
            "log" => {
                self.log = LevelFilter::from_str(&text).map_err(|_| {
                    other().suggest(&text, ["error", "warn", "info", "debug", "trace", "off"])
                })?;
            }
            "log-format" => {
                let found = FORMATS.iter().find(|(word, _)| *word == text);
                let (_, format) = found
                    .ok_or_else(|| other().suggest(&text, FORMATS.iter().map(|(word, _)| *word)))?;
                self.log_format = *format;
            }
            "log-memory" => {
                self.log_memory = parse_size(&text).map_err(|why| {
                    Diagnostic::error(why).hint("sizes are written `64KiB`, `10MiB`, `1GiB`")
                })?;
            }
            "stop-timeout" => {
                self.stop_timeout = parse_span(&text).map_err(|why| span_fault(&text, why))?;
            }
            _ => self.cmd_wait = parse_span(&text).map_err(|why| span_fault(&text, why))?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    fn shown(faults: &[Diagnostic]) -> String {
        faults
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let environment = environment(&[
            ("PIDONE_SERVICES", "/a::/b"),
            ("PIDONE_STOP_TIMEOUT", "28s"),
            ("PIDONE_LOG", "debug"),
        ]);
        let file = "services = [\"/c\"]\nlog-format = \"json\"\nlog-memory = \"1MiB\"\n\
                    cmd-wait = \"1m\"\nsocket = \"/s\"\ncontrol-group = \"ops\"\nlog = \"warn\"\n";
        let (settings, faults) = read(&environment, Some((Path::new("pidone.toml"), file)));
        assert_eq!(faults, []);
        assert_eq!(
            settings,
            Settings {
                services: vec!["/a".into(), "/b".into()],
                socket: Some("/s".into()),
                control_group: Some("ops".into()),
                log: LevelFilter::DEBUG,
                log_format: Format::Json,
                log_memory: 1 << 20,
                stop_timeout: Duration::from_secs(28),
                cmd_wait: Duration::from_secs(60),
            }
        );
        let (settings, faults) = read(&Environment::default(), None);
        assert_eq!((settings, faults), (Settings::default(), Vec::new()));
    }

    #[test]
    fn every_fault_is_told() {
        let environment = environment(&[
            ("PIDONE_LOG", "loud"),
            ("PIDONE_LOG_FORMAT", "jsn"),
            ("PIDONE_LOG_MEMORY", "much"),
            ("PIDONE_STOP_TIMEOUT", "28"),
            ("PIDONE_CMD_WAIT", ""),
            ("PIDONE_SERVCES", "/x"),
            ("PIDONE_CONTROL_FD", "5"),
        ]);
        let file = "service = []\nlog = 3\ncmd-wait = \"x\"\nservices = [1]\n";
        let (_, faults) = read(&environment, Some((Path::new("pidone.toml"), file)));
        assert_eq!(
            shown(&faults),
            "error: unknown key `service`\n --> pidone.toml:1:1\n  |\n\
             1 | service = []\n  | ^^^^^^^\n\
             hint: did you mean `services`?\n\n\
             error: `log` must be error, warn, info, debug, trace or off, not a whole number\n \
             --> pidone.toml:2:7\n  |\n2 | log = 3\n  |       ^\n\n\
             error: `x` is not a duration\n --> pidone.toml:3:12\n  |\n3 | cmd-wait = \"x\"\n  \
             |            ^^^\nhint: durations are written `250ms`, `10s`, `2m`, `1h`\n\n\
             error: an item of `services` must be a directory, not a whole number\n \
             --> pidone.toml:4:13\n  |\n4 | services = [1]\n  |             ^\n\n\
             error: is empty; it must be directories, separated by colons\n"
        );
    }
}
