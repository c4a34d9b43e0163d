//! A `[program:x]` → the service.toml of each of its processes.

use crate::diag::Diagnostic;
use crate::service::expand::is_name;
use crate::service::import::ini::{Key, Section};
use crate::service::import::native::{self, Native, array, quoted, template};
use crate::service::import::outputs;
use crate::service::import::percent::{Holes, Part};
use crate::service::import::reader::{Reader, Scope, flag};
use crate::service::import::words;
use crate::values::{Name, Signal};

/// So many retries and no more are a limit; whoever sets more means "for ever".
const RETRIES_MAX: i64 = 5;

/// Seconds that supervisord gives a program to stop, unless it says otherwise, as far as the ten
/// of `docker stop` allow.
const STOP_SECONDS: i64 = 8;

/// The longest time that a key may name, seconds: a day.
const SECONDS_MAX: i64 = 86_400;

/// A process of a program, before its service.toml is written.
pub(super) struct Process<'a> {
    pub(super) section: &'a Section,
    pub(super) scope: Scope<'a>,
    pub(super) name: Name,
    /// Those that start before it.
    pub(super) after: Vec<Name>,
}

/// Its service.toml.
pub(super) fn definition(reader: &mut Reader<'_>, process: &Process<'_>) -> String {
    let (section, scope) = (process.section, process.scope);
    let mut to = Native::default();
    command(reader, process, &mut to);
    if !process.after.is_empty() {
        to.set("", "after", &array(process.after.iter().map(Name::as_str)));
    }
    enabled(reader, section, scope, &mut to);
    surroundings(reader, section, scope, &mut to);
    environment(reader, section, scope, &mut to);
    restart(reader, section, &mut to);
    stop(reader, section, &mut to);
    outputs::read(reader, section, scope, &mut to);
    to.text()
}

fn command(reader: &mut Reader<'_>, process: &Process<'_>, to: &mut Native) {
    let section = process.section;
    if section.key("command").is_none() {
        let fault = Diagnostic::error(format!("[{}] has no `command`", section.name));
        let place = Some(section.place.clone());
        reader.told.faults.push(Diagnostic { place, ..fault });
        return;
    }
    let Some((text, key)) = reader.text(section, "command", process.scope) else {
        return;
    };
    let fault = match words::split(&text) {
        Ok(words) if words.is_empty() => "it is empty",
        Ok(words) => {
            to.set("", "command", &native::command(&words, &reader.holes));
            return;
        }
        Err(why) => why,
    };
    let fault = format!("cannot read the `command` of [{}]: {fault}", section.name);
    reader.fault(key, Diagnostic::error(fault));
}

fn enabled(reader: &mut Reader<'_>, section: &Section, scope: Scope<'_>, to: &mut Native) {
    let Some((text, key)) = reader.text(section, "autostart", scope) else {
        return;
    };
    let is_open = reader
        .holes
        .parts(&text)
        .any(|part| matches!(part, Part::Variable(..)));
    if is_open {
        let value = quoted(&template(&text, &reader.holes));
        to.set("", "enabled", &value);
        let instead = "decided at boot, and must be `true` or `false` then";
        reader.remark(section, key, instead, false);
    } else if !reader.flag(section, "autostart", true) {
        to.set("", "enabled", "false");
    }
}

fn surroundings(reader: &mut Reader<'_>, section: &Section, scope: Scope<'_>, to: &mut Native) {
    let conf = reader.conf;
    let own = reader.text(section, "user", scope);
    let all = conf.section("supervisord");
    let user = match (own, all) {
        (None, Some(all)) => reader.text(all, "user", Scope::default()),
        (own, _) => own,
    };
    // Whoever could set it was root, and a service is what pidone is.
    if let Some((user, _)) = user.filter(|(user, _)| user != "root" && user != "0") {
        to.set("", "user", &quoted(&template(&user, &reader.holes)));
    }
    if let Some((dir, _)) = reader.text(section, "directory", scope) {
        to.set("", "workdir", &quoted(&template(&dir, &reader.holes)));
    }
    let octal = |text: &str| {
        u32::from_str_radix(text, 8)
            .ok()
            .filter(|mask| *mask <= 0o777)
    };
    let umask = |text: &str| octal(text).map(Some);
    if let Some(umask) = reader.parsed(section, "umask", None, "an octal number", umask) {
        to.set("", "umask", &format!("\"{umask:03o}\""));
    }
}

fn environment(reader: &mut Reader<'_>, section: &Section, scope: Scope<'_>, to: &mut Native) {
    let conf = reader.conf;
    let mut all: Vec<(String, String)> = Vec::new();
    let outer = conf
        .section("supervisord")
        .map(|all| (all, Scope::default()));
    for (section, scope) in outer.into_iter().chain([(section, scope)]) {
        let Some((text, key)) = reader.text(section, "environment", scope) else {
            continue;
        };
        match words::pairs(&text) {
            Ok(pairs) => {
                for (name, value) in pairs {
                    named(reader, key, &name);
                    all.retain(|(old, _)| *old != name);
                    all.push((name, value));
                }
            }
            Err(why) => {
                let what = format!("cannot read the `environment` of [{}]: {why}", section.name);
                let hint = "supervisord reads `KEY=\"VALUE\",KEY2=\"VALUE\"`, and quotes are \
                            needed for all but letters, digits and `_/.+-():`";
                reader.fault(key, Diagnostic::error(what).hint(hint));
            }
        }
    }
    for (name, value) in all {
        to.variable(&name, &quoted(&template(&value, &reader.holes)));
    }
}

fn named(reader: &mut Reader<'_>, key: &Key, name: &str) {
    if !is_name(name) {
        let shown = template(name, &Holes::default());
        let fault = format!("`{shown}` is no name of a variable");
        reader.fault(key, Diagnostic::error(fault));
    }
}

/// What follows a death.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    Always,
    Unexpected,
    Never,
}

fn restart(reader: &mut Reader<'_>, section: &Section, to: &mut Native) {
    let again = |text: &str| match flag(text) {
        Some(true) => Some(Again::Always),
        Some(false) => Some(Again::Never),
        None => (text.to_lowercase() == "unexpected").then_some(Again::Unexpected),
    };
    let takes = "true, false or unexpected";
    let again = reader.parsed(section, "autorestart", Again::Unexpected, takes, again);
    let codes = |text: &str| {
        let code = |part: &str| part.trim().parse::<u8>().ok();
        text.split(',').map(code).collect::<Option<Vec<u8>>>()
    };
    let takes = "exit codes with commas between them";
    let codes = reader.parsed(section, "exitcodes", vec![0], takes, codes);
    let when = match again {
        Again::Never => "never",
        Again::Unexpected if codes.contains(&0) => "on-failure",
        Again::Always | Again::Unexpected => "always",
    };
    if again == Again::Unexpected && codes != [0] {
        let instead = if codes.contains(&0) {
            "only 0 is expected: any other code is followed by a restart"
        } else {
            "every end is followed by a restart"
        };
        if let Some(key) = section.key("exitcodes") {
            reader.remark(section, key, instead, true);
        }
    }
    let starts = reader.whole(section, "startsecs", 1, 0..=SECONDS_MAX);
    let limit = limit(reader, section, starts, again);
    let resets = section.key("startsecs").is_some() && starts > 0 && again != Again::Never;
    if limit.is_none() && !resets {
        if when != "always" {
            to.set("", "restart", &quoted(when));
        }
        return;
    }
    if when != "always" {
        to.set("restart", "when", &quoted(when));
    }
    if resets {
        to.set("restart", "reset-after", &format!("\"{starts}s\""));
    }
    if let Some((times, seconds)) = limit {
        let value = format!("{{ times = {times}, within = \"{seconds}s\" }}");
        to.set("restart", "limit", &value);
    }
}

/// How many restarts within how many seconds are too many.
fn limit(
    reader: &mut Reader<'_>,
    section: &Section,
    starts: i64,
    again: Again,
) -> Option<(i64, i64)> {
    let retries = reader.whole(section, "startretries", 3, 0..=i64::from(i32::MAX));
    let key = section.key("startretries")?;
    if again == Again::Never || starts == 0 {
        return None;
    }
    if retries > RETRIES_MAX {
        let instead = "tried again for ever, after pauses that grow to 30s";
        reader.remark(section, key, instead, false);
        return None;
    }
    let instead = match retries {
        0 => "one restart is the least: a second one within `startsecs` is too many",
        _some => "restarts are counted within that many times `startsecs`",
    };
    reader.remark(section, key, instead, retries == 0);
    let times = retries.max(1);
    Some((times, times * starts))
}

fn stop(reader: &mut Reader<'_>, section: &Section, to: &mut Native) {
    let signal = |text: &str| {
        let name = text.to_uppercase();
        let whole = match name.parse::<i32>() {
            Ok(_) => name,
            Err(_) => format!("SIG{}", name.trim_start_matches("SIG")),
        };
        whole.parse::<Signal>().ok()
    };
    let signal = reader.parsed(section, "stopsignal", Signal::TERM, "a signal", signal);
    if signal != Signal::TERM {
        to.set("stop", "signal", &quoted(&signal.to_string()));
    }
    let group = reader.flag(section, "stopasgroup", false);
    if group {
        to.set("stop", "group", "true");
    }
    if let Some(key) = section.key("killasgroup")
        && !reader.flag(section, "killasgroup", group)
    {
        if group {
            let fault = "`stopasgroup = true` and `killasgroup = false` exclude each other";
            reader.fault(key, Diagnostic::error(fault));
        } else {
            let instead = "the last SIGKILL goes to the whole group in any case";
            reader.remark(section, key, instead, false);
        }
    }
    let seconds = reader.whole(section, "stopwaitsecs", STOP_SECONDS, 0..=SECONDS_MAX);
    to.set("stop", "timeout", &format!("\"{seconds}s\""));
}
