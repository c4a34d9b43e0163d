//! `pidone s6`: the links by which images find the tools, and a tool by its name.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::diag::{Diagnostic, nearest};
use crate::os::signals::SignalSet;

use super::scan::desk;
use super::{Kind, TOOLS, is_tool, run, stage};

const USAGE: &str = "\
usage: pidone s6 install [--root DIR]
       pidone s6 NAME [ARG]...

install  makes the links that images built for s6-overlay expect: every tool in /command, all but
         execline's words in /usr/bin, and /init. Files that are no links stay as they are, but for
         s6-overlay's own /init. A second run changes nothing. DIR is another root of the image.
NAME     runs that tool, as its link would.

";

/// Bad usage, as clap has it for the other verbs.
const CODE_USAGE: u8 = 2;
/// s6-overlay's `/init` is a short script.
const INIT_BYTES_MAX: u64 = 64 << 10;

/// The verb `s6`, with the words behind it; gives the exit code.
pub fn verb(args: &[OsString], born_with: SignalSet) -> u8 {
    match args {
        [] => {
            say(&mut io::stderr(), &usage());
            CODE_USAGE
        }
        [word, ..] if word == "-h" || word == "--help" => {
            say(&mut io::stdout(), &usage());
            0
        }
        [word] if word == "install" => install(Path::new("/")),
        [word, option, root] if word == "install" && option == "--root" => install(Path::new(root)),
        [word, ..] if word == "install" => complain(&Diagnostic::error(
            "`install` takes `--root DIR`, or nothing",
        )),
        [word, rest @ ..] if word == "desk" => desk(rest),
        [word, rest @ ..] if word == "stage" => stage::verb(rest, born_with),
        [name, ..] if is_tool(name) => run(args, born_with),
        [name, ..] => {
            let name = name.to_string_lossy();
            let names = || TOOLS.iter().map(|(name, _, _)| *name).chain(["install"]);
            let told = Diagnostic::error(format!("unknown tool `{name}`"));
            let told = match nearest(&name, names()) {
                Some(_) => told.suggest(&name, names()),
                None => told.hint("`pidone s6 --help` lists them"),
            };
            complain(&told)
        }
    }
}

fn usage() -> String {
    let names: Vec<&str> = TOOLS.iter().map(|(name, _, _)| *name).collect();
    let mut text = String::from(USAGE);
    let mut line = String::from("Tools:");
    for name in names {
        if line.len() + name.len() > 90 {
            text.push_str(&line);
            text.push('\n');
            line = String::from("      ");
        }
        line.push(' ');
        line.push_str(name);
    }
    text + &line + "\n"
}

fn complain(told: &Diagnostic) -> u8 {
    say(&mut io::stderr(), &told.to_string());
    CODE_USAGE
}

fn say(to: &mut impl Write, text: &str) {
    // Nobody reads it: then nobody misses it.
    let _ = to.write_all(text.as_bytes());
}

/// What became of one link.
#[derive(PartialEq, Eq, Debug)]
enum Made {
    /// It is new, or leads to us now.
    Linked,
    /// It led to us before.
    Unchanged,
    /// Something else is there, and stays.
    Kept,
}

/// Makes every link below `root`: 0 if all is done, 1 if something could not be.
fn install(root: &Path) -> u8 {
    let done = target(root).and_then(|target| {
        let links = links(root);
        let mut counts = [0_usize; 2];
        let mut kept = Vec::new();
        for link in links {
            let made = place(root, &link, &target)
                .map_err(|error| format!("link {}: {error}", root.join(&link).display()))?;
            match made {
                Made::Linked => counts[0] += 1,
                Made::Unchanged => counts[1] += 1,
                Made::Kept => kept.push(link),
            }
        }
        Ok((counts, kept, target))
    });
    match done {
        Ok(([linked, unchanged], kept, target)) => {
            let mut text = format!(
                "{linked} links made to {}, {unchanged} were there\n",
                target.display()
            );
            let kept = kept.iter().map(|link| link.display());
            text.extend(kept.map(|link| {
                format!(
                    "kept /{link}: a file of the image
"
                )
            }));
            say(&mut io::stdout(), &text);
            0
        }
        Err(what) => {
            say(
                &mut io::stderr(),
                &Diagnostic::error(format!("cannot {what}")).to_string(),
            );
            1
        }
    }
}

/// Our own file, as the image will see it.
fn target(root: &Path) -> Result<PathBuf, String> {
    let ours =
        env::current_exe().map_err(|error| format!("tell where this program lies: {error}"))?;
    let root =
        fs::canonicalize(root).map_err(|error| format!("enter {}: {error}", root.display()))?;
    let inside = ours
        .strip_prefix(&root)
        .map(|inside| Path::new("/").join(inside));
    inside.map_err(|_| {
        format!(
            "link to {}, which is not below {}",
            ours.display(),
            root.display()
        )
    })
}

/// Every link, relative to the root. `/bin` counts only where it is not `/usr/bin`.
fn links(root: &Path) -> Vec<PathBuf> {
    let all = TOOLS
        .iter()
        .filter(|(_, kind, _)| *kind != Kind::Apart)
        .map(|(name, _, _)| Path::new("command").join(name));
    let programs = || TOOLS.iter().filter(|(_, kind, _)| *kind == Kind::Program);
    let in_usr = programs().map(|(name, _, _)| Path::new("usr/bin").join(name));
    let mut links: Vec<PathBuf> = all.chain(in_usr).collect();
    if fs::symlink_metadata(root.join("bin")).is_ok_and(|data| data.is_dir()) {
        // The first line of scripts of s6-overlay's second version.
        links.push("bin/execlineb".into());
    }
    links.push("init".into());
    links
}

fn place(root: &Path, link: &Path, target: &Path) -> io::Result<Made> {
    let place = root.join(link);
    if Path::new("/").join(link) == target {
        return Ok(Made::Unchanged);
    }
    if let Some(dir) = place.parent() {
        fs::create_dir_all(dir)?;
    }
    match fs::symlink_metadata(&place) {
        Ok(data) if data.is_symlink() => {
            if fs::read_link(&place)? == target {
                return Ok(Made::Unchanged);
            }
        }
        Ok(_) if link != Path::new("init") || !is_overlays(&place) => return Ok(Made::Kept),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    // Never without the name in between: the image may be running.
    let mut beside = place.clone().into_os_string();
    beside.push(OsStr::new(".pidone"));
    if let Err(error) = fs::remove_file(&beside)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    symlink(target, &beside)?;
    fs::rename(&beside, &place)?;
    Ok(Made::Linked)
}

/// Whether a file is the `/init` that s6-overlay brings.
fn is_overlays(path: &Path) -> bool {
    let text = crate::os::files::bounded(path, INIT_BYTES_MAX).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.starts_with("#!") && text.contains("s6")
}
