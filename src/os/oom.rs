//! Whether the kernel's OOM killer has been here: the counter of our memory control group.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Counters and mount tables are far smaller; a file that is not is not what we think it is.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The counter's file has six short lines at most.
const COUNTER_BYTES_MAX: usize = 512;

/// The counter of processes that the kernel killed for memory in our control group. Compared
/// before and after a death by SIGKILL, it tells an OOM kill from an operator's.
#[derive(Debug)]
pub struct OomCounter {
    /// Open for good, so that a death by SIGKILL costs one call before the restart.
    file: Option<File>,
    last: Option<u64>,
}

impl OomCounter {
    /// Finds the counter: cgroup v2's `memory.events` or v1's `memory.oom_control`, where the
    /// mounts say that our group is seen.
    pub fn find() -> Self {
        let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
        let mounts = read(Path::new("/proc/self/mountinfo")).unwrap_or_default();
        let file = candidates(&groups, &mounts)
            .iter()
            .filter_map(|path| File::open(path).ok())
            .find(|file| count(file).is_some());
        let last = file.as_ref().and_then(count);
        Self { file, last }
    }

    /// Whether the kernel has killed for memory since this was last asked, or since the beginning.
    pub fn has_killed(&mut self) -> bool {
        let now = self.read();
        now > std::mem::replace(&mut self.last, now)
    }

    /// How many processes were killed so far; `None` where no counter is to be found (the root
    /// group has none, and neither has a container without /proc or /sys/fs/cgroup).
    pub fn read(&self) -> Option<u64> {
        count(self.file.as_ref()?)
    }
}

fn count(file: &File) -> Option<u64> {
    let mut bytes = [0; COUNTER_BYTES_MAX];
    let count = file.read_at(&mut bytes, 0).ok()?;
    parse_count(std::str::from_utf8(bytes.get(..count)?).ok()?)
}

fn read(path: &Path) -> Option<String> {
    let mut text = String::new();
    let file = File::open(path).ok()?;
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

/// The `oom_kill` line, which both files have (v1 since Linux 4.13).
fn parse_count(text: &str) -> Option<u64> {
    let value = |line: &str| line.strip_prefix("oom_kill ")?.trim().parse().ok();
    text.lines().find_map(value)
}

/// The files that may hold the counter, best first: v1's memory controller if it is mounted (on a
/// hybrid system v2 is there too, without it), then v2; our own group, then the mount's root,
/// which is our own group in a container that sees no more.
fn candidates(groups: &str, mounts: &str) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for (version, file) in [(1, "memory.oom_control"), (2, "memory.events")] {
        let Some(group) = group_path(groups, version) else {
            continue;
        };
        for (root, place) in mounted(mounts, version) {
            if let Some(below) = group.strip_prefix(root.trim_end_matches('/')) {
                paths.push(
                    Path::new(place)
                        .join(below.trim_start_matches('/'))
                        .join(file),
                );
            }
            paths.push(Path::new(place).join(file));
        }
    }
    paths
}

/// Our group in /proc/self/cgroup (cgroups(7)): `4:memory:/docker/ab` or `0::/docker/ab`.
fn group_path(groups: &str, version: u8) -> Option<&str> {
    groups.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let ours = match version {
            1 => controllers.split(',').any(|name| name == "memory"),
            _ => controllers.is_empty(),
        };
        // `/../x` is a group outside of what our cgroup namespace shows.
        (ours && !path.split('/').any(|part| part == "..")).then_some(path)
    })
}

/// Root and mount point of the hierarchies in /proc/self/mountinfo (proc_pid_mountinfo(5)):
/// `35 31 0:32 ROOT PLACE rw,relatime shared:1 - cgroup cgroup rw,memory`.
fn mounted(mounts: &str, version: u8) -> impl Iterator<Item = (&str, &str)> {
    mounts.lines().filter_map(move |line| {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(3);
        let (root, place) = (left.next()?, left.next()?);
        let mut right = right.split(' ');
        let (kind, options) = (right.next()?, right.nth(1).unwrap_or_default());
        let ours = match version {
            1 => kind == "cgroup" && options.split(',').any(|option| option == "memory"),
            _ => kind == "cgroup2",
        };
        ours.then_some((root, place))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(groups: &str, mounts: &str) -> Vec<String> {
        let paths = candidates(groups, mounts).into_iter();
        paths
            .map(|path| path.to_str().unwrap().to_string())
            .collect()
    }

    #[test]
    fn both_versions_are_counted() {
        let v2 = "low 0\nhigh 0\nmax 51\noom 2\noom_kill 3\noom_group_kill 0\n";
        assert_eq!(parse_count(v2), Some(3));
        assert_eq!(
            parse_count("oom_kill_disable 0\nunder_oom 0\noom_kill 7\n"),
            Some(7)
        );
        for nothing in [
            "",
            "oom_kill_disable 0\nunder_oom 0\n",
            "oom_kill x\n",
            "oom_kill",
        ] {
            assert_eq!(parse_count(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn a_container_sees_its_group_at_the_mount() {
        let v2 = "720 709 0:26 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw,nsdelegate\n";
        assert_eq!(
            found("0::/\n", v2),
            [
                "/sys/fs/cgroup/memory.events",
                "/sys/fs/cgroup/memory.events"
            ]
        );
        let v1 = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
            33 31 0:30 /docker/ab /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n\
            35 31 0:32 /docker/ab /sys/fs/cgroup/memory ro master:9 - cgroup cgroup rw,memory\n";
        let path = "/sys/fs/cgroup/memory/memory.oom_control";
        assert_eq!(
            found("5:cpu:/docker/ab\n4:memory:/docker/ab\n0::/\n", v1),
            [path, path]
        );
    }

    #[test]
    fn a_host_sees_its_group_below_the_mount() {
        let v2 = "30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n";
        let at = "/sys/fs/cgroup/system.slice/x.service/memory.events";
        assert_eq!(found("0::/system.slice/x.service\n", v2)[0], at);
        assert_eq!(found("0::/../other\n", v2), Vec::<String>::new());
        assert_eq!(found("", ""), Vec::<String>::new());
        assert_eq!(
            found("no:colon\n\n:::\n", "short - \n - cgroup2\n"),
            Vec::<String>::new()
        );
    }
}
