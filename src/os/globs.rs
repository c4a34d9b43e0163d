//! Files by a pattern: `*`, `?` and `[…]` in the parts of a path, as glob(3) has them.

use std::fs;
use std::path::{Component, Path, PathBuf};

/// So many files and no more are found: more is a pattern that means something else.
pub const FOUND_MAX: usize = 1000;

/// So many entries of directories are looked at in all.
const LOOKED_AT_MAX: usize = 100_000;

/// The files of this pattern, sorted; none where a directory cannot be read.
pub fn matching(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    let mut looked_at = 0;
    for component in pattern.components() {
        let part = component.as_os_str().to_string_lossy();
        let is_pattern =
            matches!(component, Component::Normal(_)) && part.contains(['*', '?', '[']);
        if !is_pattern {
            for path in &mut found {
                path.push(component);
            }
            continue;
        }
        let mut next = Vec::new();
        for dir in &found {
            let dir = if dir.as_os_str().is_empty() {
                Path::new(".")
            } else {
                dir
            };
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                looked_at += 1;
                if looked_at > LOOKED_AT_MAX {
                    break;
                }
                let name = entry.file_name();
                let name = name.to_string_lossy();
                let hidden = name.starts_with('.') && !part.starts_with('.');
                if !hidden && fits(part.as_bytes(), name.as_bytes()) {
                    next.push(dir.join(&*name));
                }
            }
        }
        found = next;
    }
    found.retain(|path| path.exists());
    found.sort();
    found.truncate(FOUND_MAX);
    found
}

/// Whether a name is one of those that a pattern means. A star is tried again a byte further on
/// when what follows it does not fit, and only the last one need be: so it takes no longer than
/// the product of both lengths.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut to) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while to < name.len() {
        let (ok, next) = match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, to));
                at += 1;
                continue;
            }
            Some(b'?') => (true, at + 1),
            Some(b'[') => class(pattern, at, name.get(to).copied()),
            Some(byte) => (name.get(to) == Some(byte), at + 1),
            None => (false, at),
        };
        if ok {
            (at, to) = (next, to + 1);
        } else if let Some((after, from)) = star {
            star = Some((after, from + 1));
            (at, to) = (after, from + 1);
        } else {
            return false;
        }
    }
    pattern
        .get(at..)
        .is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

/// Whether a byte is in the class that begins at `at`, and where the pattern goes on. Without a
/// closing bracket the opening one means itself.
fn class(pattern: &[u8], at: usize, byte: Option<u8>) -> (bool, usize) {
    let negated = matches!(pattern.get(at + 1), Some(b'!' | b'^'));
    let first = at + 1 + usize::from(negated);
    let rest = pattern.get(first + 1..).unwrap_or_default();
    let (Some(length), Some(byte)) = (rest.iter().position(|b| *b == b']'), byte) else {
        return (byte == Some(b'['), at + 1);
    };
    let end = first + 1 + length;
    let mut members = pattern.get(first..end).unwrap_or_default();
    let mut inside = false;
    while let [low, rest @ ..] = members {
        let (high, rest) = match rest {
            [b'-', high, rest @ ..] => (high, rest),
            rest => (low, rest),
        };
        inside |= (*low..=*high).contains(&byte);
        members = rest;
    }
    (inside != negated, end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_as_in_a_shell() {
        for (pattern, yes, no) in [
            (
                "*.conf",
                &["a.conf", "a.b.conf"][..],
                &["a.conf~", "conf"][..],
            ),
            ("a?c", &["abc"], &["ac", "abbc"]),
            ("*a*b*", &["ab", "xaxbx", "aab"], &["ba", "a"]),
            ("[0-9]*", &["1", "2x"], &["x2", ""]),
            ("[!a-c]x", &["dx"], &["ax", "x"]),
            ("[]a]", &["]", "a"], &["b"]),
            ("[a", &["[a"], &["a"]),
            ("a**", &["a", "ab"], &["b"]),
        ] {
            for name in yes {
                assert!(
                    fits(pattern.as_bytes(), name.as_bytes()),
                    "{pattern} {name}"
                );
            }
            for name in no {
                assert!(
                    !fits(pattern.as_bytes(), name.as_bytes()),
                    "{pattern} {name}"
                );
            }
        }
    }

    #[test]
    fn files_are_found_in_order() {
        let dir = std::env::temp_dir().join(format!("pidone-globs-{}", std::process::id()));
        for file in ["b/x.conf", "a/y.conf", "a/x.conf", "a/.z.conf", "a/x.txt"] {
            let path = dir.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let found = |pattern: &str| {
            let found = matching(&dir.join(pattern)).into_iter();
            let inner = |path: PathBuf| path.strip_prefix(&dir).unwrap().display().to_string();
            found.map(inner).collect::<Vec<_>>()
        };
        assert_eq!(found("*/x.conf"), ["a/x.conf", "b/x.conf"]);
        assert_eq!(found("a/*.conf"), ["a/x.conf", "a/y.conf"]);
        assert_eq!(found("a/x.txt"), ["a/x.txt"]);
        assert_eq!(found("none/*"), [""; 0]);
        let _ = fs::remove_dir_all(dir);
    }
}
