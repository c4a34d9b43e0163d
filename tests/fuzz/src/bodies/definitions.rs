//! Definitions: service.toml, supervisord.conf, env files, execline.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use pidone::control::describe;
use pidone::diag::errors;
use pidone::service::definition::Service;
use pidone::service::envfile::{self, Entry};
use pidone::service::environment::{Environment, of_service};
use pidone::service::import::ini::Conf;
use pidone::service::import::{Made, mark, supervisord as conf};
use pidone::service::s6rc::words::{Fault, words};
use pidone::service::set::{self, Loaded};
use pidone::service::source::{Directory, File, Interpreter, Script};
use pidone::service::{difference, order};
use pidone::values::Name;

use super::faults;

/// The container's environment in these stories.
pub(super) fn container() -> Environment {
    let variables = [
        ("PATH", "/usr/bin:/bin"),
        ("PORT", "80"),
        ("A", "b c"),
        ("E", ""),
    ];
    let variables = variables.map(|(name, value)| (name.into(), value.into()));
    variables.into_iter().collect()
}

/// Reads directories in a world where every user is known, and no time zone.
pub(super) fn load(found: &[Directory]) -> Loaded {
    let zone = |name: &str| Err(format!("there is no `{name}`"));
    set::load(found, &container(), &|_| Ok(()), &zone)
}

fn directory(definition: &[u8]) -> Directory {
    Directory {
        name: "web".into(),
        path: "services.d/web".into(),
        definition: File::Content(definition.to_vec()),
        ..Directory::default()
    }
}

/// What holds of every service that was accepted.
pub(super) fn sound(service: &Service) {
    assert_eq!(difference::depth(service, &service.clone()), None);
    let name = service.name.as_str();
    let bare = name.strip_suffix("/log").unwrap_or(name);
    assert!(bare.parse::<Name>().is_ok(), "{name}");
    let read = |_: &Path, _: u64| Ok(b"A=1\nB=${A}\n".to_vec());
    if let Ok(laid) = of_service(&container(), service, &read) {
        for (name, value) in laid.environment.iter() {
            // Else execve(2) would take it for something else, or not at all.
            assert!(
                !name.is_empty() && !name.as_bytes().contains(&b'='),
                "{}",
                name.display()
            );
            assert!(!name.as_bytes().contains(&0) && !value.as_bytes().contains(&0));
        }
        for secret in &service.context.secrets {
            let shown = laid.environment.expand(&format!("${{{secret}}}"));
            assert!(shown.is_err(), "a secret can be shown: {secret}");
        }
    }
    let told = [
        service.ready.as_deref().map(describe::ready),
        service.health.as_deref().map(describe::health),
        Some(describe::stop(&service.stop)),
        Some(describe::restart(&service.restart)),
        service.reload.as_ref().map(describe::reload),
    ];
    for told in told.into_iter().flatten() {
        assert!(!told.is_empty());
    }
}

/// A `service.toml`.
pub(super) fn service_toml(data: &[u8]) {
    let found = [directory(data)];
    let loaded = load(&found);
    assert_eq!(loaded, load(&found), "the same text, read twice");
    let text = String::from_utf8_lossy(data);
    if let Ok(text) = std::str::from_utf8(data) {
        faults::stand(&loaded.diagnostics, text, "service.toml");
    }
    assert!(loaded.services.len() <= 1);
    let _ = order::stop_budget(&loaded, std::time::Duration::from_secs(9));
    if loaded.has_errors() {
        return;
    }
    assert_eq!(
        loaded.services.len(),
        1,
        "nothing is wrong, and nothing is there"
    );
    loaded.services.iter().for_each(sound);
    // A remark at the end says nothing.
    let more = load(&[directory(format!("{text}\n# the end\n").as_bytes())]);
    assert_eq!(more.services, loaded.services);
}

/// A `supervisord.conf`: what it becomes is what a service directory may hold.
pub(super) fn supervisord(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut read = Conf::default();
    let mut found = Vec::new();
    read.read(Path::new("supervisord.conf"), "/etc", &text, &mut found);
    read.settle();
    let variable = |name: &str| (name.len() < 3).then(|| "v w".to_owned());
    let _ = conf::includes(&read, &variable);
    let imported = conf::services(&read, &variable);
    found.extend(imported.faults.iter().cloned());
    faults::stand(
        &found,
        text.trim_start_matches('\u{feff}'),
        "supervisord.conf",
    );
    for remark in &imported.remarks {
        assert!(!remark.instead.is_empty());
    }
    if found.is_empty() {
        made(&imported.services);
    }
}

/// What an import writes is TOML with keys that are known, and its own: other faults, such as two
/// that wait for each other, are those of what it has read, and `pidone import` tells of them.
pub(super) fn made(services: &[Made]) {
    let directories: Vec<Directory> = services.iter().map(written).collect();
    let loaded = load(&directories);
    if errors(&loaded.diagnostics) == 0 {
        assert_eq!(loaded.services.len(), services.len());
        loaded.services.iter().for_each(sound);
    }
    for made in services {
        let beside: Vec<(&str, &[u8])> = made
            .extras
            .iter()
            .map(|extra| (extra.path.as_str(), extra.content.as_slice()))
            .collect();
        assert!(
            mark::is_untouched(made.definition.as_bytes(), &beside),
            "a second import would not know its own: {}",
            made.definition
        );
        let broken = toml::from_str::<toml::Table>(&made.definition).err();
        assert!(broken.is_none(), "{}\n{}", made.definition, broken.unwrap());
        let unknown = |fault: &&pidone::diag::Diagnostic| fault.message.contains("unknown key");
        let fault = loaded.diagnostics.iter().find(unknown);
        assert!(fault.is_none(), "{}\n{}", made.definition, fault.unwrap());
    }
}

fn written(made: &Made) -> Directory {
    let script = |name: &str| {
        let extra = made.extras.iter().find(|extra| extra.path == name);
        extra.map_or(Script::Absent, |extra| Script::Present {
            executable: true,
            head: Some(extra.content.iter().take(256).copied().collect()),
            interpreter: Interpreter::Found,
        })
    };
    Directory {
        name: made.name.as_str().into(),
        path: format!("made/{}", made.name).into(),
        definition: File::Content(made.definition.clone().into_bytes()),
        run: script("run"),
        finish: script("finish"),
        ..Directory::default()
    }
}

/// A file of variables: what is written of its entries reads as the same.
pub(super) fn envfile(data: &[u8]) {
    let entries = match envfile::parse(data) {
        Err(bad) => {
            let lines = data.split(|byte| *byte == b'\n').count();
            assert!(
                (1..=lines).contains(&bad.line) && bad.why.len() < 200,
                "{bad:?}"
            );
            return;
        }
        Ok(entries) => entries,
    };
    let mut text = Vec::new();
    for entry in &entries {
        text.extend(b"export ");
        match entry {
            Entry::Pass(name) => text.extend(name.bytes()),
            Entry::Set(name, value) => {
                assert!(!value.as_bytes().contains(&0));
                text.extend(name.bytes());
                text.extend(b"=\"");
                value.as_bytes().iter().for_each(|byte| match byte {
                    b'\n' => text.extend(b"\\n"),
                    b'"' | b'\\' | b'$' => text.extend([b'\\', *byte]),
                    _ => text.push(*byte),
                });
                text.push(b'"');
            }
        }
        text.push(b'\n');
    }
    assert_eq!(envfile::parse(&text), Ok(entries));
}

/// An execline script: its words, each in quotes, are the same words.
pub(super) fn execline(data: &[u8]) {
    let found = match words(data) {
        Err(Fault::Syntax | Fault::Unclosed | Fault::Unopened) => return,
        Ok(found) => found,
    };
    let bytes: usize = found.iter().map(Vec::len).sum();
    // Each word may be as deep as there are braces before it.
    assert!(bytes <= data.len() * (data.len().min(1024) + 1));
    let mut text = Vec::new();
    for word in &found {
        assert!(!word.contains(&0));
        text.push(b'"');
        for byte in word {
            if matches!(byte, b'"' | b'\\') {
                text.push(b'\\');
            }
            text.push(*byte);
        }
        text.extend(b"\"\n");
    }
    assert_eq!(words(&text).as_ref(), Ok(&found));
    let as_arguments: Vec<OsString> = found.into_iter().map(OsString::from_vec).collect();
    assert!(
        as_arguments
            .iter()
            .all(|word| !word.as_bytes().contains(&0))
    );
}
