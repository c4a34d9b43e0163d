//! pidone's own settings: `PIDONE_…` variables over `/etc/pidone/pidone.toml` over defaults.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use toml::de::DeValue;
use tracing::level_filters::LevelFilter;

use crate::diag::{Diagnostic, nearest};
use crate::service::definition::Format;
use crate::service::environment::Environment;
use crate::service::faults::Faults;
use crate::service::fields::{Field, Shape};
use crate::service::form;
use crate::service::policy::FORMATS;
use crate::service::table::{Table, span_hint};
use crate::values::span::{parse_size, parse_span};

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
        shape: Shape::Text,
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
        if let Err(fault) = settings.set(setting, &name, value) {
            found.push(fault);
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
                Diagnostic::warning(format!("unknown setting `{name}`"))
                    .hint(format!("did you mean `{near}`?"))
            })
        })
        .collect()
}

impl Settings {
    fn read_file(&mut self, path: &Path, text: &str) -> Vec<Diagnostic> {
        let (document, form) = form::read(text, path);
        if !form.is_empty() {
            return form;
        }
        let mut faults = Faults::new(path, text);
        let table = Table::open(SETTINGS, "", document.get_ref(), &mut faults);
        for setting in SETTINGS {
            let Some(item) = table.get(setting.name) else {
                continue;
            };
            let value = match item.value {
                // Only the list of directories is one; it reads better as an array.
                DeValue::Array(_) if setting.name == "services" => {
                    let items = item.array("a directory", &mut faults).unwrap_or_default();
                    let dirs = items.iter().map(|item| item.text(&mut faults));
                    dirs.collect::<Option<Vec<&str>>>()
                        .map(|dirs| dirs.join(":"))
                }
                _ => item.text(&mut faults).map(str::to_owned),
            };
            let Some(value) = value else { continue };
            if let Err(fault) = self.set(setting, setting.name, OsStr::new(&value)) {
                faults.at(item.span, fault);
            }
        }
        faults.sorted()
    }

    /// Sets one setting from its text; `called` is what the user wrote.
    fn set(&mut self, setting: &Field, called: &str, value: &OsStr) -> Result<(), Diagnostic> {
        let text = value.to_string_lossy();
        let wrong = |not: &str| {
            Diagnostic::error(format!("`{called}` must be {}, not {not}", setting.takes))
        };
        let other = || wrong(&format!("`{text}`"));
        if text.is_empty() {
            return Err(wrong("empty"));
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
                self.log_memory = parse_size(&text)
                    .map_err(|_| other().hint("sizes are written `64KiB`, `10MiB`, `1GiB`"))?;
            }
            "stop-timeout" => {
                self.stop_timeout = parse_span(&text).map_err(|_| span_hint(other(), &text))?;
            }
            _ => self.cmd_wait = parse_span(&text).map_err(|_| span_hint(other(), &text))?,
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
    fn every_fault_of_the_file_is_told() {
        let file =
            "service = []\nlog = 3\ncmd-wait = \"x\"\nservices = [1, \"/a\"]\nsocket = \"\"\n";
        let path = Path::new("pidone.toml");
        let (_, faults) = read(&Environment::default(), Some((path, file)));
        let shown: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown.join("\n"),
            "error: unknown key `service`\n --> pidone.toml:1:1\n  |\n\
             1 | service = []\n  | ^^^^^^^\n\
             hint: did you mean `services`?\n\n\
             error: `log` must be error, warn, info, debug, trace or off, not a whole number\n \
             --> pidone.toml:2:7\n  |\n2 | log = 3\n  |       ^\n\n\
             error: `cmd-wait` must be a duration, not `x`\n --> pidone.toml:3:12\n  |\n\
             3 | cmd-wait = \"x\"\n  |            ^^^\n\
             hint: durations are written `250ms`, `10s`, `2m`, `1h`\n\n\
             error: an item of `services` must be a directory, not a whole number\n \
             --> pidone.toml:4:13\n  |\n4 | services = [1, \"/a\"]\n  |             ^\n\n\
             error: `socket` must be a path, not empty\n --> pidone.toml:5:10\n  |\n\
             5 | socket = \"\"\n  |          ^^\n"
        );
        let (_, faults) = read(
            &Environment::default(),
            Some((path, "log = \nservices = [\n")),
        );
        assert_eq!(faults.len(), 2, "{faults:?}");
    }
}
