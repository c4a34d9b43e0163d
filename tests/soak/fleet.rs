//! Who lives in the soak: one of each kind of service.

use std::fs;
use std::path::Path;

use crate::support::{Recipe, container};

/// Those that are up whenever nobody does anything to them.
pub(crate) const KEPT_UP: [&str; 7] = [
    "health", "json", "logged", "notify", "prefix", "raw", "slow",
];

/// Writes 1,000 lines at its start, and 1,000 more whenever it is asked to reload. A line is one
/// write(2), so that whoever is killed leaves no half of one.
const WRITER: &str = "command = \"flood() { i=0; while [ $i -lt 1000 ]; do i=$((i+1)); \
    echo soak $i end; done; }; trap flood HUP; flood; while :; do sleep 1; done\"\n\
    [restart]\nmax-delay = \"100ms\"\n";

/// Every service and its definition.
fn services() -> Vec<(&'static str, String)> {
    let short = "[restart]\nmax-delay = \"100ms\"\n";
    vec![
        ("prefix", WRITER.into()),
        ("raw", format!("{WRITER}[log]\nformat = \"none\"\n")),
        ("json", format!("{WRITER}[log]\nformat = \"json\"\n")),
        (
            "notify",
            format!(
                "command = \"echo >&3; exec sleep 1000\"\n{short}[ready]\nfd = 3\n\
                 within = \"10s\"\n"
            ),
        ),
        (
            "health",
            format!(
                "command = [\"sleep\", \"1000\"]\nneeds = [\"notify\"]\n{short}[health]\n\
                 exec = [\"true\"]\ninterval = \"300ms\"\n"
            ),
        ),
        (
            "slow",
            format!(
                "command = \"trap 'sleep 0.1; exit 0' TERM; while :; do sleep 0.05; done\"\n\
                 {short}[stop]\nbefore = [\"sleep\", \"0.05\"]\n"
            ),
        ),
        (
            "flaps",
            format!("command = \"(sleep 0.2 &); sleep 0.1; exit 1\"\n{short}"),
        ),
        (
            "job",
            "command = [\"true\"]\ntype = \"oneshot\"\nevery = \"1s\"\n".into(),
        ),
    ]
}

/// The container.
pub(crate) fn recipe() -> Recipe {
    let run = "#!/bin/sh\nwhile :; do echo logged; sleep 0.05; done\n";
    let recipe = container()
        .env("PIDONE_LOG_MEMORY", "256KiB")
        .script("services/logged/run", run)
        .script(
            "services/logged/log/run",
            "#!/bin/sh\nexec cat >/dev/null\n",
        );
    let all = services().into_iter();
    all.fold(recipe, |recipe, (name, toml)| recipe.service(name, &toml))
}

/// Writes a definition so that nobody sees half of it.
pub(crate) fn define(of: &Path, name: &str, toml: &str) {
    let dir = of.join("services").join(name);
    // Each driver writes its own.
    let new = of.join(format!("new-{name}-{:?}", std::thread::current().id()));
    fs::write(&new, toml).unwrap();
    // Somebody may take the directory away meanwhile.
    let _ = fs::create_dir_all(&dir);
    let _ = fs::rename(new, dir.join("service.toml"));
}

/// Everybody as at the beginning, and nobody else.
pub(crate) fn define_all(of: &Path) {
    let _ = fs::remove_dir_all(of.join("services/extra"));
    for (name, toml) in services() {
        define(of, name, &toml);
    }
}

/// The definition of a service with another umask, so that it is another one.
pub(crate) fn changed(name: &str, umask: usize) -> Option<String> {
    let found = services().into_iter().find(|(other, _)| *other == name);
    found.map(|(_, toml)| format!("umask = \"{umask:03}\"\n{toml}"))
}

/// The first line of `prefix` that is not as it was written.
pub(crate) fn torn(text: &str) -> Option<String> {
    let is_whole = |line: &str| {
        let number = line
            .strip_prefix("soak ")
            .and_then(|line| line.strip_suffix(" end"));
        number.is_some_and(|number| number.parse::<u32>().is_ok())
    };
    let mut lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("prefix | "));
    lines.find(|line| !is_whole(line)).map(ToOwned::to_owned)
}

#[test]
fn what_is_not_a_whole_line_is_torn() {
    assert_eq!(torn("prefix | soak 7 end\nraw | x\n"), None);
    for bad in ["soak 1soak 1 end", "oak 1 end", "soak 1"] {
        let text = format!("prefix | {bad}\n");
        assert_eq!(torn(&text).as_deref(), Some(bad));
    }
}
