//! `fix-attrs.d`: owners and modes that files are given at each boot, one line for each:
//! `PATH RECURSE USER[:GROUP][,ELSE] FILE-MODE DIRECTORY-MODE`.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use crate::os::{files, users};
use crate::service::environment::Environment;
use crate::service::overlay::is_on;
use crate::tools::s6::tell;

use super::scripts::beside_services;

/// A line, or a file of lines, longer than this is a mistake.
const BYTES_MAX: u64 = 256 << 10;
/// So many files are looked at for one line.
const FILES_MAX: usize = 1_000_000;

/// One line.
#[derive(PartialEq, Eq, Debug)]
struct Rule {
    path: PathBuf,
    recurse: bool,
    owner: String,
    file_mode: u32,
    directory_mode: u32,
}

/// Reads every file of the directory, in the order of names.
pub(super) fn run(variables: &Environment) -> u8 {
    let Ok(entries) = fs::read_dir(beside_services(variables, "fix-attrs.d")) else {
        return 0;
    };
    let hidden = is_on(variables, "S6_FIX_ATTRS_HIDDEN");
    let mut paths: Vec<PathBuf> = entries.filter_map(|it| Some(it.ok()?.path())).collect();
    paths.retain(|path| path.is_file() && !is_hidden(path));
    paths.sort_unstable();
    for path in paths {
        let text = match files::bounded(&path, BYTES_MAX) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(why) => {
                complain(&path, 0, &why);
                continue;
            }
        };
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Err(why) = rule(line).and_then(|rule| apply(&rule, hidden)) {
                complain(&path, at + 1, &why);
            }
        }
    }
    // A file that is not there yet is no reason for the container not to start.
    0
}

fn complain(path: &Path, line: usize, why: &str) {
    tell(
        b"fix-attrs",
        &format!("warning: {}:{line}: {why}", path.display()),
    );
}

fn rule(line: &str) -> Result<Rule, String> {
    let mut words = line.split_whitespace();
    let mut word = |what: &str| words.next().ok_or_else(|| format!("there is no {what}"));
    let path = PathBuf::from(word("path")?);
    let recurse = match word("`true` or `false`")? {
        "true" => true,
        "false" => false,
        other => return Err(format!("`{other}` is neither `true` nor `false`")),
    };
    let owner = word("owner")?.to_owned();
    let mode = |text: &str| {
        u32::from_str_radix(text, 8)
            .ok()
            .filter(|mode| *mode <= 0o7777)
            .ok_or_else(|| format!("`{text}` is no mode, such as 0644"))
    };
    Ok(Rule {
        path,
        recurse,
        owner,
        file_mode: mode(word("mode of files")?)?,
        directory_mode: mode(word("mode of directories")?)?,
    })
}

/// The owner: `user[:group]`, or what stands behind a comma where there is no such user.
fn owner(text: &str) -> Result<(u32, u32), String> {
    let mut last = String::new();
    for choice in text.split(',') {
        match users::resolve(choice.trim()) {
            Ok(user) => return Ok((user.uid, user.gid)),
            Err(why) => last = why,
        }
    }
    Err(last)
}

fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.as_bytes().starts_with(b".")
}

/// What is hidden below the rule's path is left as it is, unless `hidden` says otherwise.
fn apply(rule: &Rule, hidden: bool) -> Result<(), String> {
    let (uid, gid) = owner(&rule.owner)?;
    let mut open = vec![rule.path.clone()];
    let mut seen = 0;
    while let Some(path) = open.pop() {
        seen += 1;
        if seen > FILES_MAX {
            return Err(format!("more than {FILES_MAX} files"));
        }
        let fault = |why: std::io::Error| format!("{}: {why}", path.display());
        let data = fs::symlink_metadata(&path).map_err(fault)?;
        lchown(&path, Some(uid), Some(gid)).map_err(fault)?;
        if data.file_type().is_symlink() {
            continue;
        }
        let mode = if data.is_dir() {
            rule.directory_mode
        } else {
            rule.file_mode
        };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).map_err(fault)?;
        if data.is_dir() && rule.recurse {
            for entry in fs::read_dir(&path).map_err(fault)? {
                let path = entry.map_err(fault)?.path();
                if hidden || !is_hidden(&path) {
                    open.push(path);
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_whose_and_how() {
        let expected = Rule {
            path: "/var/lib/app".into(),
            recurse: true,
            owner: "app,1000:1000".into(),
            file_mode: 0o644,
            directory_mode: 0o755,
        };
        assert_eq!(
            rule("/var/lib/app true app,1000:1000 0644 0755"),
            Ok(expected)
        );
        for bad in [
            "/x",
            "/x maybe a 0 0",
            "/x true a 0999 0755",
            "/x true a 0644",
        ] {
            assert!(rule(bad).is_err(), "{bad}");
        }
    }
}
