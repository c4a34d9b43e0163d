//! The floors of the house: which module may import which. The table is the one that readers see,
//! in the documentation of `src/lib.rs`.

use crate::lexer::{Source, words};

/// Modules that are values to values, by their path: no runtime, kernel, file, socket or clock.
const PURE: [&str; 11] = [
    "values",
    "diag",
    "service",
    "machine",
    "members",
    "syslog",
    "template::data",
    "template::engine",
    "template::helpers",
    "agent::config",
    "agent::gossip",
];

/// What a pure module must not name. An address or a byte string of the system is a value; a
/// socket is not.
const IMPURE: [&str; 17] = [
    "tokio",
    "nix",
    "libc",
    "signal_hook",
    "std::fs",
    "std::io",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::ToSocketAddrs",
    "std::net::UdpSocket",
    "std::os::fd",
    "std::os::unix::fs",
    "std::os::unix::net",
    "std::os::unix::process",
    "std::process",
    "std::thread",
    "std::time::Instant",
];

/// Module paths with their floors, most specific first.
pub(crate) struct Floors(Vec<(String, usize)>);

impl Floors {
    /// Reads the table in the documentation of `lib.rs`.
    pub(crate) fn of_table(lib: &str) -> Self {
        let mut floors = Vec::new();
        for line in lib.lines().filter_map(|l| l.strip_prefix("//! |")) {
            let mut cells = line.split('|').map(str::trim);
            let Some(floor) = cells.next().and_then(|cell| cell.parse().ok()) else {
                continue;
            };
            for name in cells.next().unwrap_or("").split('`').skip(1).step_by(2) {
                floors.extend(expand(name).into_iter().map(|path| (path, floor)));
            }
        }
        floors.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
        Self(floors)
    }

    fn of(&self, module: &str) -> Option<usize> {
        self.0
            .iter()
            .find(|(path, _)| under(module, path))
            .map(|(_, floor)| *floor)
    }
}

/// `logs::{lines, ring}` → `logs::lines`, `logs::ring`.
fn expand(path: &str) -> Vec<String> {
    match path.split_once("::{") {
        None => vec![path.into()],
        Some((head, tail)) => tail
            .trim_end_matches('}')
            .split(',')
            .map(|leaf| format!("{head}::{}", leaf.trim()))
            .collect(),
    }
}

fn under(module: &str, path: &str) -> bool {
    module == path
        || module
            .strip_prefix(path)
            .is_some_and(|r| r.starts_with("::"))
}

/// `src/logs/lines.rs` → `logs::lines`; `src/logs/mod.rs` → `logs`; `None` outside `src/`.
pub(crate) fn module_of(path: &str) -> Option<String> {
    let inner = path.strip_prefix("src/")?.strip_suffix(".rs")?;
    let inner = inner.strip_suffix("/mod").unwrap_or(inner);
    Some(inner.replace('/', "::"))
}

/// Imports point down; on one floor, only within one folder.
pub(crate) fn point_down(sources: &[Source]) -> Vec<String> {
    let Some(lib) = sources.iter().find(|s| s.path == "src/lib.rs") else {
        return vec!["src/lib.rs: there is none".into()];
    };
    let floors = Floors::of_table(&lib.text);
    let mut faults = Vec::new();
    for source in sources {
        let Some(module) = module_of(&source.path).filter(|m| m != "lib") else {
            continue;
        };
        let Some(own) = floors.of(&module) else {
            faults.push(format!(
                "{}: `{module}` is on no floor of the table in src/lib.rs",
                source.path
            ));
            continue;
        };
        for (at, target) in imports(source, &module) {
            let top = |path: &str| path.split("::").next().map(str::to_owned);
            let fault = match floors.of(&target) {
                None => Some("is on no floor".to_owned()),
                Some(floor) if floor > own => Some(format!("is on floor {floor}, above {own}")),
                Some(floor) if floor == own && top(&target) != top(&module) => {
                    Some(format!("is another folder of the same floor {own}"))
                }
                Some(_) => None,
            };
            faults.extend(
                fault.map(|why| format!("{}: imports `{target}`, which {why}", source.place(at))),
            );
        }
    }
    faults
}

/// Pure modules name nothing of the world.
pub(crate) fn stay_pure(sources: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    for source in sources {
        let module = module_of(&source.path).unwrap_or_default();
        if !PURE.iter().any(|pure| under(&module, pure)) {
            continue;
        }
        for (at, path) in paths(&source.shipped) {
            if let Some(world) = IMPURE.iter().find(|world| under(&path, world)) {
                faults.push(format!(
                    "{}: `{module}` is pure and names `{world}`",
                    source.place(at)
                ));
            }
        }
    }
    faults
}

/// Every path of this crate that the file names, from the crate's root. In tests `super` is the
/// file itself, so only `crate::` paths count there.
fn imports(source: &Source, module: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, path) in paths(&source.code) {
        if let Some(rest) = path.strip_prefix("crate::") {
            found.push((at, rest.to_owned()));
        }
    }
    for (at, path) in paths(&source.shipped) {
        let mut base: Vec<&str> = module.split("::").collect();
        let mut rest = path.as_str();
        if !rest.starts_with("super::") {
            continue;
        }
        while let Some(tail) = rest.strip_prefix("super::") {
            // Inside `mod.rs` the file's module is the folder itself, as it is for `NAME.rs`.
            base.pop();
            rest = tail;
        }
        base.push(rest);
        found.push((at, base.join("::")));
    }
    found
}

/// Every `a::b::c` of the code, `use` trees spread out.
fn paths(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut skip_to = 0;
    for word in words(code) {
        if word.at < skip_to || code[..word.at].ends_with("::") {
            continue;
        }
        let mut leaves = Vec::new();
        let end = tree(code, word.at, "", &mut leaves);
        if leaves.len() == 1 && !leaves[0].1.contains("::") {
            continue;
        }
        skip_to = end;
        found.extend(leaves);
    }
    found
}

/// Reads one path or `use` tree from `at`; gives its end and adds its leaves.
fn tree(code: &str, at: usize, head: &str, leaves: &mut Vec<(usize, String)>) -> usize {
    let word: String = code[at..]
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_' || *c == '*')
        .collect();
    let path = if head.is_empty() {
        word.clone()
    } else {
        format!("{head}::{word}")
    };
    let after = at + word.len();
    let Some(rest) = code[after..].strip_prefix("::") else {
        leaves.push((at, path));
        return after;
    };
    let next = after + 2;
    if !rest.starts_with('{') {
        // A turbofish (`::<T>`) ends the path too.
        if rest.starts_with('<') {
            leaves.push((at, path));
            return next;
        }
        return tree(code, next, &path, leaves);
    }
    let mut cursor = next + 1;
    loop {
        cursor += code[cursor..].len() - code[cursor..].trim_start_matches([' ', '\n', ',']).len();
        match code[cursor..].chars().next() {
            None => return code.len(),
            Some('}') => return cursor + 1,
            Some(c) if c.is_alphanumeric() || c == '_' || c == '*' => {
                cursor = tree(code, cursor, &path, leaves);
            }
            Some(c) => cursor += c.len_utf8(),
        }
        // `name as other` imports `name` only.
        if let Some(tail) = code[cursor..].strip_prefix(" as ") {
            let alias = tail
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_');
            cursor += 4 + alias.count();
        }
    }
}

mod tests {
    use super::{module_of, point_down, stay_pure};
    use crate::lexer::Source;

    const LIB: &str = "//! | floor | modules |\n//! | 0 | [`values`], [`diag`] | nothing |\n\
        //! | 1 | [`service`] |\n//! | 2 | [`machine`] (pure), [`os`], `logs::{lines, ring}` |\n\
        //! | 3 | [`logs`], [`control`] |\n//! | 6 | `main` |\n";

    fn faults(path: &str, text: &str) -> Vec<String> {
        point_down(&[Source::new("src/lib.rs", LIB), Source::new(path, text)])
    }

    #[test]
    fn modules_of_paths() {
        assert_eq!(module_of("src/logs/lines.rs").unwrap(), "logs::lines");
        assert_eq!(module_of("src/logs/mod.rs").unwrap(), "logs");
        assert_eq!(module_of("tests/x.rs"), None);
    }

    #[test]
    fn down_is_fine() {
        let text = "use crate::values::{Name, Pid as P};\n\
                    use crate::service::definition::Service;\n\
                    fn f() { crate::logs::ring::x(); super::lines::y(); }\n";
        assert_eq!(faults("src/logs/router.rs", text), Vec::<String>::new());
    }

    #[test]
    fn up_is_not() {
        for text in [
            "use crate::logs::router::Router;",
            "fn f() -> crate::logs::Router {}",
            "use crate::{values::Name, control::{server::Server, client}};",
            "#[cfg(test)]\nmod tests { use crate::control::server; }",
        ] {
            assert!(!faults("src/machine/step.rs", text).is_empty(), "{text}");
        }
        let found = faults("src/logs/lines.rs", "use super::router::Router;");
        assert_eq!(
            found,
            ["src/logs/lines.rs:1: imports `logs::router::Router`, which is on floor 3, above 2"]
        );
    }

    #[test]
    fn sideways_is_not() {
        for (path, text) in [
            ("src/machine/step.rs", "use crate::os::kill;"),
            ("src/values.rs", "use crate::diag::Spot;"),
            ("src/values.rs", "use super::diag::Spot;"),
            ("src/logs/router.rs", "use crate::control::server;"),
        ] {
            assert_eq!(faults(path, text).len(), 1, "{path} {text}");
        }
        assert!(
            faults(
                "src/control/server.rs",
                "use crate::control::protocol::Ask;"
            )
            .is_empty()
        );
    }

    #[test]
    fn nowhere_is_not() {
        assert_eq!(faults("src/attic.rs", "").len(), 1);
        assert_eq!(faults("src/main.rs", "use crate::attic::X;").len(), 1);
    }

    #[test]
    fn the_world_is_not_pure() {
        for text in [
            "use std::fs;",
            "use std::{fs::File, fmt};",
            "use std::time::{Duration, Instant};",
            "use std::net::{IpAddr, TcpStream};",
            "use tokio::net::UnixStream;",
            "fn f() { nix::unistd::getpid(); }",
        ] {
            let source = Source::new("src/machine/step.rs", text);
            assert_eq!(stay_pure(&[source]).len(), 1, "{text}");
        }
        let fine = "use std::time::Duration;\nuse std::net::IpAddr;\n\
                    #[cfg(test)]\nmod tests { use std::fs; }";
        assert!(stay_pure(&[Source::new("src/service/parse.rs", fine)]).is_empty());
        assert!(stay_pure(&[Source::new("src/os/kill.rs", "use nix::libc;")]).is_empty());
    }
}
