//! The surroundings of a process, from `service.toml`: user, directory, variables, limits.

use std::collections::BTreeSet;

use toml::de::DeValue;

use crate::diag::Diagnostic;
use crate::service::definition::Context;
use crate::service::environment::{Environment, bad_variable, with_secrets};
use crate::service::expand::{self, Fault, give_default};
use crate::service::faults::Faults;
use crate::service::limits::{Limit, Resource};
use crate::service::resolver::Resolver;
use crate::service::table::{Item, Table};
use crate::values::lists;

/// The resources of setrlimit(2) by the names that Compose and systemd use; those that count bytes
/// also take a size.
const RESOURCES: [(&str, Resource, bool); 10] = [
    ("as", Resource::As, true),
    ("core", Resource::Core, true),
    ("cpu", Resource::Cpu, false),
    ("data", Resource::Data, true),
    ("fsize", Resource::Fsize, true),
    ("memlock", Resource::Memlock, true),
    ("nofile", Resource::Nofile, false),
    ("nproc", Resource::Nproc, false),
    ("rtprio", Resource::Rtprio, false),
    ("stack", Resource::Stack, true),
];

/// capabilities(7); a capability's number is its place.
const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// Reads everything that surrounds the process.
pub(super) fn context(
    top: &Table<'_>,
    container: &Environment,
    faults: &mut Faults<'_>,
) -> Context {
    let mut read = |name| {
        let item: Item<'_> = top.get(name)?;
        filled(&item, faults).map(str::to_owned)
    };
    let (user, workdir) = (read("user"), read("workdir"));
    let secrets = top
        .get("secrets")
        .map_or_else(Vec::new, |item| variables(&item, faults));
    let env_files = top
        .get("env-file")
        .map_or_else(Vec::new, |item| env_files(&item, faults));
    let outer = Outer {
        container: with_secrets(container, &secrets),
        is_whole: env_files.is_empty(),
    };
    Context {
        user,
        workdir,
        umask: top.get("umask").and_then(|item| umask(&item, faults)),
        env: top
            .get("env")
            .map_or_else(Vec::new, |item| env(&item, &outer, faults)),
        env_files,
        env_pass: top.get("env-pass").map(|item| patterns(&item, faults)),
        secrets,
        limits: top
            .get("limits")
            .map_or_else(Vec::new, |item| limits(&item, faults)),
        nice: top
            .get("nice")
            .and_then(|item| item.whole(-20..=19, faults))
            .and_then(|nice| i32::try_from(nice).ok()),
        oom_score_adj: top
            .get("oom-score-adj")
            .and_then(|item| item.whole(-1000..=1000, faults))
            .and_then(|score| i32::try_from(score).ok()),
        no_new_privileges: top
            .get("no-new-privileges")
            .and_then(|item| item.flag(faults))
            .unwrap_or(false),
        capabilities: top
            .get("capabilities")
            .and_then(|item| capabilities(&item, faults)),
    }
}

/// A text that is expanded at each start, must not be empty, and can be taken apart.
fn filled<'a>(item: &Item<'a>, faults: &mut Faults<'_>) -> Option<&'a str> {
    let text = template(item, faults)?;
    if text.trim().is_empty() {
        let fault = format!("{} is empty", item.subject);
        return item.bad(faults, Diagnostic::error(fault));
    }
    Some(text)
}

/// A text that is expanded at each start and can be taken apart.
pub(super) fn template<'a>(item: &Item<'a>, faults: &mut Faults<'_>) -> Option<&'a str> {
    let text = item.quoted(faults)?;
    match expand::pieces(text) {
        Ok(_) => Some(text),
        Err(bad) => {
            let span = faults.within(item.span.clone(), text, &bad.at);
            let message = format!("cannot expand {}: {}", item.subject, bad.message);
            faults.at(span, Diagnostic::error(message).hint(bad.hint));
            None
        }
    }
}

fn umask(item: &Item<'_>, faults: &mut Faults<'_>) -> Option<u32> {
    if let DeValue::Integer(number) = item.value {
        let hint = format!("write it in quotes: \"{:0>3}\"", number.as_str());
        return item.wrong_but(faults, Some(hint));
    }
    let text = item.text(faults)?;
    let octal = text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    let mask = u32::from_str_radix(text, 8)
        .ok()
        .filter(|mask| octal && *mask <= 0o777);
    mask.or_else(|| {
        let fault = Diagnostic::error(format!("`{text}` is not a umask"))
            .hint("a umask is octal, from \"000\" to \"777\"; \"022\" is the usual one");
        item.bad(faults, fault)
    })
}

fn env(item: &Item<'_>, outer: &Outer, faults: &mut Faults<'_>) -> Vec<(String, String)> {
    let DeValue::Table(table) = item.value else {
        let hint = "write `env = { NAME = \"value\" }`, or a table `[env]`";
        item.wrong_but::<()>(faults, Some(hint.into()));
        return Vec::new();
    };
    let mut entries: Vec<_> = table.iter().collect();
    lists::sort_by_key(&mut entries, |(key, _)| key.span().start);
    let mut found = Vec::new();
    let mut places = Vec::new();
    for (key, value) in entries {
        let name = key.get_ref();
        if let Some(why) = bad_variable(name) {
            faults.at(key.span(), Diagnostic::error(why));
            continue;
        }
        let item = Item::new(format!("`env.{name}`"), "a string", value);
        if let Some(text) = template(&item, faults) {
            found.push((name.to_string(), text.to_owned()));
            places.push(item);
        }
    }
    check_values(&found, &places, outer, faults);
    found
}

/// `env-file`: one path or several, each expanded with the container's environment.
fn env_files(item: &Item<'_>, faults: &mut Faults<'_>) -> Vec<String> {
    let paths = match item.value {
        DeValue::Array(_) => item.array("a path", faults).unwrap_or_default(),
        _ => vec![item.clone()],
    };
    let filled = paths.iter().filter_map(|item| filled(item, faults));
    filled.map(str::to_owned).collect()
}

/// An array of variables' names.
fn variables(item: &Item<'_>, faults: &mut Faults<'_>) -> Vec<String> {
    named(item, "a variable's name", faults, |name| {
        if name.contains('*') {
            return Some("a secret is one variable, without `*`".to_owned());
        }
        bad_variable(name)
    })
}

/// `env-pass`: names, and beginnings with a `*` after them.
fn patterns(item: &Item<'_>, faults: &mut Faults<'_>) -> Vec<String> {
    named(item, "a variable's name", faults, |pattern| {
        let start = pattern.strip_suffix('*');
        if start.unwrap_or(pattern).contains('*') {
            return Some(format!("`{pattern}` has a `*` before its end"));
        }
        start.map_or_else(
            || bad_variable(pattern),
            |start| bad_variable(&format!("{start}x")),
        )
    })
}

/// The strings of an array in which `bad` finds no fault.
fn named(
    item: &Item<'_>,
    takes: &'static str,
    faults: &mut Faults<'_>,
    bad: impl Fn(&str) -> Option<String>,
) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for item in item.array(takes, faults).unwrap_or_default() {
        let Some(text) = item.text(faults) else {
            continue;
        };
        if let Some(why) = bad(text) {
            item.bad::<()>(faults, Diagnostic::error(why));
        } else if !found.iter().any(|known| known == text) {
            found.push(text.to_owned());
        }
    }
    found
}

/// What stands around `env` where it is checked.
struct Outer {
    /// The container's environment, and the secrets.
    container: Environment,
    /// There is nothing else: no file whose variables are not known yet.
    is_whole: bool,
}

/// Puts the values together once, to find what will fail at each start. That a variable is not set
/// is a warning only: it may be set where the container runs, and not where its image is built.
fn check_values(
    env: &[(String, String)],
    items: &[Item<'_>],
    outer: &Outer,
    faults: &mut Faults<'_>,
) {
    let mut resolver = Resolver::new(&outer.container, env);
    let mut told = BTreeSet::new();
    for ((name, _), item) in env.iter().zip(items) {
        let Err(fault) = resolver.value(name) else {
            continue;
        };
        let message = format!("cannot expand {}: {fault}", item.subject);
        match fault {
            Fault::Circle(names) => {
                let circle: BTreeSet<String> = lists::filled(names);
                if !told.insert(circle) {
                    continue;
                }
                item.bad::<()>(
                    faults,
                    Diagnostic::error(message).hint(
                        "a variable's own name means the container's value: \
                     `PATH = \"/app/bin:${PATH}\"`",
                    ),
                );
            }
            Fault::Unset(_) if !outer.is_whole => {}
            Fault::Unset(unset) => {
                if told.insert(lists::filled([unset.clone()])) {
                    let hint = give_default(&unset);
                    item.bad::<()>(faults, Diagnostic::warning(message).hint(hint));
                }
            }
            Fault::TooDeep
            | Fault::TooLong
            | Fault::Malformed(_)
            | Fault::NotText
            | Fault::Secret(_) => {
                item.bad::<()>(faults, Diagnostic::error(message));
            }
        }
    }
}

fn limits(item: &Item<'_>, faults: &mut Faults<'_>) -> Vec<(Resource, Limit)> {
    let DeValue::Table(table) = item.value else {
        let hint = "write `limits = { nofile = 65536 }`".to_owned();
        item.wrong_but::<()>(faults, Some(hint));
        return Vec::new();
    };
    let mut found = Vec::new();
    for (key, value) in table {
        let name = key.get_ref();
        let Some((_, resource, bytes)) = RESOURCES.iter().find(|(known, ..)| known == name) else {
            let all: Vec<&str> = RESOURCES.iter().map(|(name, ..)| *name).collect();
            let fault = Diagnostic::error(format!("unknown limit `{name}`"))
                .hint(format!("the limits are {}", all.join(", ")));
            faults.at(key.span(), fault.suggest(name, all));
            continue;
        };
        let takes = if *bytes {
            "a size or \"unlimited\""
        } else {
            "a whole number or \"unlimited\""
        };
        let item = Item::new(format!("`limits.{name}`"), takes, value);
        let limit = match item.value {
            DeValue::String(text) if *text == "unlimited" => Some(Limit::Unlimited),
            _ if *bytes => item.size(faults).map(Limit::At),
            _ => item
                .whole(0..=i64::MAX, faults)
                .and_then(|number| u64::try_from(number).ok())
                .map(Limit::At),
        };
        found.extend(limit.map(|limit| (*resource, limit)));
    }
    found
}

fn capabilities(item: &Item<'_>, faults: &mut Faults<'_>) -> Option<Vec<u8>> {
    let mut found = Vec::new();
    for item in item.array("a capability's name", faults)? {
        let Some(text) = item.text(faults) else {
            continue;
        };
        let upper = text.to_ascii_uppercase();
        let word = upper.strip_prefix("CAP_").unwrap_or(&upper);
        let number = CAPABILITIES.iter().position(|name| *name == word);
        if let Some(number) = number.and_then(|number| u8::try_from(number).ok()) {
            found.push(number);
        } else {
            let fault = Diagnostic::error(format!("unknown capability `{text}`"));
            item.bad::<()>(faults, fault.suggest(word, CAPABILITIES));
        }
    }
    found.sort_unstable();
    found.dedup();
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::fields;

    #[test]
    fn the_table_of_fields_knows_every_limit() {
        assert_eq!(RESOURCES.map(|(name, ..)| name), fields::RESOURCES);
    }
}
