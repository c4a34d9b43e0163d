//! Files as the source: a directory of files with lines `HOST IP`, such as the lab's `/nodes`, or
//! one file, as JSON if it is called so. The kernel tells of changes; where it cannot, we look.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::agent::sources::nodes::{json, lines};
use crate::agent::sources::{Report, unique};
use crate::members::member::{Member, Origin};
use crate::os::files;
use crate::os::poll::Poller;
use crate::os::reason::reason;
use crate::values::lists;

/// The kernel's word can be lost (a network's file system has none), so we look now and then.
const POLL: Duration = Duration::from_secs(2);
/// Files of a directory that are looked at.
const FILES_MAX: usize = 10_000;
/// The largest file of a directory, bytes: some lines.
const NODE_BYTES_MAX: u64 = 64 << 10;
/// The largest single file, bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Where the members stand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// A directory, or a file.
    pub path: PathBuf,
    /// The port of an address without one; 0: it is not known.
    pub port: u16,
}

/// What the kernel tells of a directory, and where it is waited for.
struct Notices(Inotify, Poller);

/// Follows the files, for ever.
pub async fn follow(settings: Settings, reports: mpsc::Sender<Report>) {
    let mut watch = None;
    let mut last = None;
    loop {
        // Before the files are read: what changes after that wakes us.
        watch = watch.or_else(|| watched(&settings.path).ok());
        let found = read(&settings);
        if last.as_ref() != Some(&found) {
            let (origin, answer) = (Origin::File, found.clone());
            if reports.send(Report { origin, answer }).await.is_err() {
                return;
            }
            last = Some(found);
        }
        match &mut watch {
            None => sleep(POLL).await,
            Some(notices) => {
                let changed = tokio::time::timeout(POLL, heard(notices)).await;
                if let Ok(false) = changed {
                    watch = None;
                }
            }
        }
    }
}

/// The directory that holds the members, or the file: a file is replaced by a rename, and a watch
/// of the old one would stay with it.
fn watched(path: &Path) -> io::Result<Notices> {
    let dir = match path.parent() {
        Some(parent) if !path.is_dir() => parent,
        Some(_) | None => path,
    };
    let notices = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    let changes = AddWatchFlags::IN_CLOSE_WRITE
        | AddWatchFlags::IN_MOVE
        | AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_DELETE_SELF
        | AddWatchFlags::IN_MOVE_SELF
        | AddWatchFlags::IN_ONLYDIR;
    notices.add_watch(dir, changes)?;
    let poller = Poller::new()?;
    poller.add(notices.as_fd(), 0)?;
    Ok(Notices(notices, poller))
}

/// Waits for a change; false: the directory itself is gone, and another may take its place.
async fn heard(notices: &mut Notices) -> bool {
    let Notices(notices, poller) = notices;
    poller.wait().await;
    let mut lives = true;
    // All that is there, so that a hundred changes at once are one.
    while let Ok(events) = notices.read_events() {
        let gone = AddWatchFlags::IN_IGNORED | AddWatchFlags::IN_MOVE_SELF;
        lives &= !events.iter().any(|event| event.mask.intersects(gone));
    }
    lives
}

fn read(settings: &Settings) -> Result<Vec<Member>, String> {
    let (path, port) = (&settings.path, settings.port);
    let told = |path: &Path, why: String| format!("{}: {why}", path.display());
    if !path.is_dir() {
        let text = text(path, FILE_BYTES_MAX).map_err(|why| told(path, why))?;
        let is_json = path.extension().is_some_and(|ending| ending == "json");
        let read = if is_json { json } else { lines };
        return read(&text, port, Origin::File)
            .map(unique)
            .map_err(|why| told(path, why));
    }
    let entries = fs::read_dir(path).map_err(|error| told(path, reason(&error)))?;
    let mut members = Vec::new();
    for entry in entries.take(FILES_MAX) {
        let entry = entry.map_err(|error| told(path, reason(&error)))?;
        // Whoever writes a file under another name first hides it behind a dot.
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        // A file that is gone by now, or that nobody understands, is no member; the others are.
        let text = text(&entry.path(), NODE_BYTES_MAX);
        let found = text.and_then(|text| lines(&text, port, Origin::File));
        members.extend(found.unwrap_or_default());
    }
    lists::sort(&mut members, |a, b| a.name.cmp(&b.name));
    Ok(unique(members))
}

fn text(path: &Path, bytes_max: u64) -> Result<String, String> {
    let bytes = files::bounded(path, bytes_max)?;
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The next report, as names or the fault.
    async fn next(reports: &mut mpsc::Receiver<Report>) -> String {
        let report = tokio::time::timeout(Duration::from_secs(10), reports.recv()).await;
        match report.unwrap().unwrap().answer {
            Err(why) => why,
            Ok(members) => {
                let names: Vec<&str> = members.iter().map(|m| m.name.as_str()).collect();
                names.join(" ")
            }
        }
    }

    #[test]
    fn a_directory_is_followed() {
        let dir = std::env::temp_dir().join(format!("pidone-nodes-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        let settings = Settings {
            path: dir.clone(),
            port: 3000,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (tell, mut reports) = mpsc::channel(8);
            let task = tokio::spawn(follow(settings, tell));
            let none = format!("{}: no such file or directory", dir.display());
            assert_eq!(next(&mut reports).await, none);
            fs::create_dir(&dir).unwrap();
            assert_eq!(next(&mut reports).await, "");
            for (name, text) in [
                ("s1", "s1 10.0.0.1\n"),
                (".s2", "s2 10.0.0.2\n"),
                ("bad", "../../etc 10.0.0.3\n"),
            ] {
                fs::write(dir.join(name), text).unwrap();
            }
            assert_eq!(next(&mut reports).await, "s1");
            let began = crate::os::clock::now();
            fs::rename(dir.join(".s2"), dir.join("s2")).unwrap();
            assert_eq!(next(&mut reports).await, "s1 s2");
            let took = crate::os::clock::now().since(began);
            assert!(took < POLL, "the kernel told it, not the clock: {took:?}");
            fs::remove_file(dir.join("s1")).unwrap();
            assert_eq!(next(&mut reports).await, "s2");
            // Another directory in its place.
            fs::rename(&dir, dir.with_extension("old")).unwrap();
            fs::create_dir(&dir).unwrap();
            fs::write(dir.join("s9"), "s9 10.0.0.9\n").unwrap();
            let mut seen = next(&mut reports).await;
            while seen != "s9" {
                seen = next(&mut reports).await;
            }
            task.abort();
        });
        let _ = fs::remove_dir_all(&dir);
        let _ = fs::remove_dir_all(dir.with_extension("old"));
    }

    #[test]
    fn a_file_of_json_is_followed_through_renames() {
        let dir = std::env::temp_dir().join(format!("pidone-json-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir(&dir).unwrap();
        let path = dir.join("nodes.json");
        let put = |text: &str| {
            fs::write(dir.join("new"), text).unwrap();
            fs::rename(dir.join("new"), &path).unwrap();
        };
        put(r#"[{"name": "s1", "ip": "10.0.0.1"}]"#);
        let settings = Settings {
            path: path.clone(),
            port: 0,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (tell, mut reports) = mpsc::channel(8);
            let task = tokio::spawn(follow(settings, tell));
            assert_eq!(next(&mut reports).await, "s1");
            put("[");
            assert!(next(&mut reports).await.contains("nodes.json: EOF"));
            put(r#"[{"name": "s2", "ip": "10.0.0.2"}]"#);
            assert_eq!(next(&mut reports).await, "s2");
            task.abort();
        });
        let _ = fs::remove_dir_all(&dir);
    }
}
