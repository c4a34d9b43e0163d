//! What scripts made for s6 say that means something else, or nothing, to a native service.

use crate::service::import::Remark;
use crate::service::import::tree::{Leaf, Tree};

/// Words, what is told of a line that holds one, and whether something is lost with it.
const WORDS: &[(&str, &str, bool)] = &[
    (
        "/run/s6/container_environment",
        "nobody writes or reads it: a variable is the service's `env`, or a file of `env-file`",
        true,
    ),
    (
        "/run/s6/basedir/bin/",
        "is not there: `pidone shutdown`, by a service with `control = [\"shutdown\"]`",
        true,
    ),
    (
        "/run/s6-linux-init-container-results",
        "nobody reads it: `main = true`, or `pidone shutdown --code N`",
        true,
    ),
    (
        "/run/service",
        "is not there: `pidone restart NAME`, `signal` and the others",
        true,
    ),
    ("/run/s6", "is not there", true),
    (
        "s6-notifyoncheck",
        "works once `pidone s6 install` was run; `[ready] exec` needs no such program",
        false,
    ),
    (
        "s6-setuidgid",
        "works once `pidone s6 install` was run; `user` needs no such program",
        false,
    ),
    (
        "s6-svc",
        "reaches no native service: `pidone restart NAME`, `signal` and the others",
        true,
    ),
    (
        "s6-rc",
        "reaches no native service: `pidone start NAME`, `stop`",
        true,
    ),
    ("s6-", "works once `pidone s6 install` was run", false),
    ("execlineb", "works once `pidone s6 install` was run", false),
    (
        "logutil-service",
        "works once `pidone s6 install` was run",
        false,
    ),
];

/// So much of a line is shown.
const SHOWN_MAX: usize = 60;

/// Tells of the lines of a script that name what is s6's.
pub(super) fn tell(tree: &Tree, path: &str, leaf: &Leaf, remarks: &mut Vec<Remark>) {
    let Ok(text) = str::from_utf8(&leaf.content) else {
        return;
    };
    for (at, line) in text.lines().enumerate() {
        let told = match line.strip_prefix("#!") {
            Some(rest) if at == 0 => head(rest),
            _ if line.trim_start().starts_with('#') => None,
            _body => {
                let found = WORDS.iter().find(|(word, ..)| line.contains(word));
                found.map(|(_, told, lost)| ((*told).to_owned(), *lost))
            }
        };
        if let Some((instead, lost)) = told {
            let mut what: String = line.trim().chars().take(SHOWN_MAX).collect();
            if what.len() < line.trim().len() {
                what.push('…');
            }
            remarks.push(Remark {
                place: tree.place(path, Some((at + 1, line))),
                what,
                instead,
                lost,
            });
        }
    }
}

/// What is told of an interpreter. The variables of the container are every native service's.
fn head(line: &str) -> Option<(String, bool)> {
    let (program, rest) = line.trim().split_once([' ', '\t']).unwrap_or((line, ""));
    match program.rsplit('/').next()? {
        "with-contenv" => {
            let rest = rest.trim();
            let hint = if rest.is_empty() { "/bin/sh" } else { rest };
            Some((
                format!("not needed, and works once `pidone s6 install` was run; else `{hint}`"),
                false,
            ))
        }
        "execlineb" => Some(("works once `pidone s6 install` was run".into(), false)),
        _other => None,
    }
}
