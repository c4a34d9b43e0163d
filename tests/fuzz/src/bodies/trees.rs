//! Trees of small files as s6 and s6-overlay have them. A tree is written as one text: a line
//! `== PATH` begins a file, and what follows is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use pidone::service::import::overlay;
use pidone::service::import::tree::{Leaf, Tree as Files};
use pidone::service::s6rc::source::{Entry, Listed, Tree};
use pidone::service::s6rc::{Known, compile};
use pidone::service::scandir;
use pidone::service::source::{Directory, File, HEAD_BYTES, Interpreter, Script};
use pidone::service::{difference, order};

use super::definitions::{load, made, sound};

/// Files by directory and name.
type Dirs = BTreeMap<Vec<u8>, BTreeMap<Vec<u8>, Vec<u8>>>;

/// More is only more of the same.
const FILES_MAX: usize = 200;

fn files(data: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for line in data.split_inclusive(|byte| *byte == b'\n') {
        let room = found.len() < FILES_MAX;
        match (line.strip_prefix(b"== "), found.last_mut()) {
            (Some(path), _) if room => {
                let path = path.strip_suffix(b"\n").unwrap_or(path).to_vec();
                // A file system has no other names.
                let bad = path.contains(&0) || path.split(|b| *b == b'/').any(<[u8]>::is_empty);
                found.push((if bad { b"x".to_vec() } else { path }, Vec::new()));
            }
            (Some(_), _) | (None, None) => {}
            (None, Some((_, content))) => content.extend(line),
        }
    }
    found
}

/// The first directory of each path, with what is below it.
fn dirs(data: &[u8]) -> Dirs {
    let mut dirs = Dirs::new();
    for (path, content) in files(data) {
        let at = path.iter().position(|byte| *byte == b'/');
        let (dir, name) = at.map_or((&path[..], &b""[..]), |at| (&path[..at], &path[at + 1..]));
        let dir = dirs.entry(dir.to_vec()).or_default();
        if !name.is_empty() {
            dir.insert(name.to_vec(), content);
        }
    }
    dirs
}

fn file(of: &BTreeMap<Vec<u8>, Vec<u8>>, name: &str) -> File {
    let content = of.get(name.as_bytes()).cloned();
    content.map_or(File::Absent, File::Content)
}

fn script(of: &BTreeMap<Vec<u8>, Vec<u8>>, name: &str) -> Script {
    let content = of.get(name.as_bytes());
    content.map_or(Script::Absent, |content| Script::Present {
        executable: !content.starts_with(b"-"),
        head: Some(content.iter().take(HEAD_BYTES).copied().collect()),
        interpreter: Interpreter::Found,
    })
}

fn directory(root: &str, name: &[u8], of: &BTreeMap<Vec<u8>, Vec<u8>>) -> Directory {
    let logger: BTreeMap<Vec<u8>, Vec<u8>> = of
        .iter()
        .filter_map(|(path, content)| Some((path.strip_prefix(b"log/")?.to_vec(), content.clone())))
        .collect();
    let name = OsString::from_vec(name.to_vec());
    let path = std::path::Path::new(root).join(&name);
    let log = (!logger.is_empty()).then(|| {
        let of = directory(&path.to_string_lossy(), b"log", &logger);
        Box::new(of)
    });
    Directory {
        path,
        name,
        definition: file(of, "service.toml"),
        run: script(of, "run"),
        finish: script(of, "finish"),
        down: of.contains_key(&b"down"[..]),
        down_signal: file(of, "down-signal"),
        timeout_kill: file(of, "timeout-kill"),
        timeout_finish: file(of, "timeout-finish"),
        notification_fd: file(of, "notification-fd"),
        max_death_tally: file(of, "max-death-tally"),
        lock_fd: of.contains_key(&b"lock-fd"[..]),
        log,
    }
}

fn listed(of: &BTreeMap<Vec<u8>, Vec<u8>>, name: &str) -> Listed {
    let inside = format!("{name}.d/").into_bytes();
    let names = of.keys().filter_map(|path| path.strip_prefix(&inside[..]));
    let names = names.filter(|name| !name.contains(&b'/'));
    Listed {
        files: names
            .map(|name| OsString::from_vec(name.to_vec()))
            .collect(),
        lines: file(of, name),
    }
}

/// A directory of services.
pub(super) fn scandir(data: &[u8]) {
    let found: Vec<Directory> = dirs(data)
        .iter()
        .map(|(name, of)| directory("services.d", name, of))
        .collect();
    let timed = scandir::timed(&found);
    let loaded = load(&found);
    assert_eq!(loaded, load(&found));
    for fault in &loaded.diagnostics {
        let shown = fault.to_string();
        assert!(shown.len() < 16_384 + 4 * data.len());
    }
    if loaded.has_errors() {
        return;
    }
    let _ = order::stop_budget(&loaded, std::time::Duration::from_secs(9));
    let names: BTreeSet<&str> = loaded
        .services
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(names.len(), loaded.services.len(), "two of one name");
    for service in &loaded.services {
        sound(service);
        for other in &service.needs {
            assert!(names.contains(other.as_str()), "nobody is {other}");
        }
        let mut settled = service.clone();
        scandir::settle(&mut settled, timed.contains(service.name.as_str()));
        sound(&settled);
    }
    let none = difference::differences(&loaded.services, loaded.services.clone());
    assert_eq!(none, []);
}

/// A tree of s6-rc's definitions, and the same files as a tree of s6-overlay that is imported.
pub(super) fn s6rc(data: &[u8]) {
    let dirs = dirs(data);
    let entry = |(name, of): (&Vec<u8>, &BTreeMap<Vec<u8>, Vec<u8>>)| Entry {
        directory: directory("s6-rc.d", name, of),
        kind: file(of, "type"),
        contents: listed(of, "contents"),
        dependencies: listed(of, "dependencies"),
        up: file(of, "up"),
        down: file(of, "down"),
        timeout_up: file(of, "timeout-up"),
        timeout_down: file(of, "timeout-down"),
        producer_for: file(of, "producer-for"),
        consumer_for: file(of, "consumer-for"),
        pipeline_name: file(of, "pipeline-name"),
        essential: of.contains_key(&b"flag-essential"[..]),
    };
    let tree = Tree {
        entries: dirs.iter().map(entry).collect(),
        bundles: vec!["etc/s6-overlay/user-bundles.d".into()],
    };
    let known = Known::from([("base".parse().unwrap(), Vec::new())]);
    let compiled = compile(&tree, &known);
    assert_eq!(compiled, compile(&tree, &known));
    for fault in &compiled.diagnostics {
        let shown = fault.to_string();
        assert!(shown.len() < 16_384 + 4 * data.len());
    }
    if !compiled
        .diagnostics
        .iter()
        .any(|f| f.severity == pidone::diag::Severity::Error)
    {
        let names: BTreeSet<&str> = compiled
            .services
            .iter()
            .map(|it| it.name.as_str())
            .collect();
        assert_eq!(names.len(), compiled.services.len(), "two of one name");
        compiled.services.iter().for_each(sound);
        for (bundle, members) in &compiled.bundles {
            for member in members {
                assert!(names.contains(member.as_str()), "{bundle} holds {member}");
            }
        }
    }
    import(data);
}

fn import(data: &[u8]) {
    let leaf = |(path, content): (Vec<u8>, Vec<u8>)| {
        let path = String::from_utf8(path).ok()?;
        let is_program = !content.starts_with(b"-");
        let leaf = Leaf {
            content,
            is_program,
        };
        let etc = path.starts_with("etc/");
        let path = if etc {
            path
        } else {
            format!("etc/s6-overlay/s6-rc.d/{path}")
        };
        Some((path, leaf))
    };
    let tree = Files {
        root: "rootfs".into(),
        files: files(data).into_iter().filter_map(leaf).collect(),
    };
    let imported = overlay::services(&tree);
    for remark in &imported.remarks {
        assert!(!remark.line().is_empty());
    }
    if imported.faults.is_empty() {
        made(&imported.services);
    }
}
