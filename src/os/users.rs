//! Users by name or number, from the text of `/etc/passwd` and `/etc/group`. No NSS: PID 1 never
//! loads code that asks a network who somebody is.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The longest passwd or group file that is read, in bytes; what is beyond does not count.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// The kernel takes no more supplementary groups (NGROUPS_MAX, setgroups(2)).
const GROUPS_MAX: usize = 65_536;

/// Whom a process runs as.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Supplementary groups, sorted. The primary one is always among them, as after a login: a
    /// file closed to that group must stay closed when the process changes its primary group.
    pub groups: Vec<u32>,
    /// For USER and LOGNAME: the name, or the number as text if it has no entry.
    pub name: String,
    /// For HOME; `/` without an entry.
    pub home: String,
    /// For SHELL; `/bin/sh` without an entry.
    pub shell: String,
}

/// Finds `app`, `1000`, `1000:1000`, `app:group` as `docker run --user` does: a name comes before
/// a number; a number need not have an entry, and its group is then 0; an explicit group takes the
/// place of the entry's own and of all supplementary ones.
///
/// # Errors
/// The sentence to show: no such user, no such group.
pub fn resolve(text: &str) -> Result<User, String> {
    resolve_in(
        text,
        &read(Path::new("/etc/passwd")),
        &read(Path::new("/etc/group")),
    )
}

/// The number of a group, by its name or number.
///
/// # Errors
/// The sentence to show: no such group.
pub fn group(text: &str) -> Result<u32, String> {
    find_group(text, &read(Path::new("/etc/group")))
}

/// [`resolve`], in these texts of passwd(5) and group(5).
///
/// # Errors
/// As [`resolve`].
pub fn resolve_in(text: &str, passwd: &str, group: &str) -> Result<User, String> {
    let (who, group_name) = match text.split_once(':') {
        Some((who, group)) => (who, Some(group)),
        None => (text, None),
    };
    let mut user = find_user(who, passwd)?;
    match group_name {
        Some(name) => user.gid = find_group(name, group)?,
        None => user.groups = groups_of(&user.name, group),
    }
    user.groups.push(user.gid);
    user.groups.sort_unstable();
    user.groups.dedup();
    Ok(user)
}

fn find_user(who: &str, passwd: &str) -> Result<User, String> {
    if who.is_empty() {
        return Err("a user is a name or a number, not nothing".into());
    }
    let number = id(who);
    let by_name = || entries(passwd).find(|user| user.name == who);
    let by_number = || number.and_then(|uid| entries(passwd).find(|user| user.uid == uid));
    let bare = || {
        number.map(|uid| User {
            uid,
            gid: 0,
            groups: Vec::new(),
            name: who.to_string(),
            home: "/".into(),
            shell: "/bin/sh".into(),
        })
    };
    by_name()
        .or_else(by_number)
        .or_else(bare)
        .ok_or_else(|| format!("no user `{who}` in /etc/passwd"))
}

/// The well-formed lines of passwd(5): `name:password:uid:gid:gecos:home:shell`.
fn entries(passwd: &str) -> impl Iterator<Item = User> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let uid = id(fields.nth(1)?)?;
        let gid = id(fields.next()?)?;
        let home = fields.nth(1)?;
        let shell = fields.next().unwrap_or_default();
        let or = |text: &str, other: &str| if text.is_empty() { other } else { text }.to_string();
        Some(User {
            uid,
            gid,
            groups: Vec::new(),
            name: name.to_string(),
            home: or(home, "/"),
            shell: or(shell, "/bin/sh"),
        })
    })
}

fn find_group(name: &str, group: &str) -> Result<u32, String> {
    lines_of_groups(group)
        .find(|(known, _, _)| *known == name)
        .map(|(_, gid, _)| gid)
        .or_else(|| id(name))
        .ok_or_else(|| format!("no group `{name}` in /etc/group"))
}

fn groups_of(name: &str, group: &str) -> Vec<u32> {
    lines_of_groups(group)
        .filter(|(_, _, members)| members.split(',').any(|member| member == name))
        .map(|(_, gid, _)| gid)
        .take(GROUPS_MAX - 1)
        .collect()
}

/// The well-formed lines of group(5): `name:password:gid:member,member`.
fn lines_of_groups(group: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    group.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let gid = id(fields.nth(1)?)?;
        Some((name, gid, fields.next().unwrap_or_default()))
    })
}

/// A user's or group's number. The highest means "no change" to setresuid(2), so nobody has it.
fn id(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten();
    number.filter(|number| *number != u32::MAX)
}

/// The file's text; nothing if it is not there, or no regular file. Opened without blocking, as a
/// FIFO of that name must not hang the boot.
fn read(path: &Path) -> String {
    let mut bytes = Vec::new();
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path);
    if let Ok(file) = opened
        && file.metadata().is_ok_and(|data| data.is_file())
    {
        // What was read before an error is as good as a shorter file.
        let _ = file.take(FILE_BYTES_MAX).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
        # a comment\nbroken\nalso:x:abc:1:::\n\
        app:x:1000:1001:App,,,:/home/app:/bin/zsh\n\
        bare:x:1002:1002:::\n+::::::\n12:x:77:78::/twelve:\n";
    const GROUP: &str = "root:x:0:\napp:x:1001:\nvideo:x:44:other,app\nbad:x:no:app\n\
        audio:x:29:app\nshort:x:5\ntwice:x:44:app\n";

    fn ids(text: &str) -> Result<(u32, u32, Vec<u32>), String> {
        resolve_in(text, PASSWD, GROUP).map(|user| (user.uid, user.gid, user.groups))
    }

    #[test]
    fn a_user_is_found_as_docker_finds_it() {
        assert_eq!(ids("app"), Ok((1000, 1001, vec![29, 44, 1001])));
        assert_eq!(
            ids("1000"),
            Ok((1000, 1001, vec![29, 44, 1001])),
            "by number"
        );
        assert_eq!(ids("app:video"), Ok((1000, 44, vec![44])));
        assert_eq!(ids("app:7"), Ok((1000, 7, vec![7])));
        assert_eq!(ids("1000:1000"), Ok((1000, 1000, vec![1000])));
        assert_eq!(ids("4242"), Ok((4242, 0, vec![0])), "no entry: group 0");
        assert_eq!(ids("4242:4343"), Ok((4242, 4343, vec![4343])));
        assert_eq!(ids("12"), Ok((77, 78, vec![78])), "a name before a number");
    }

    #[test]
    fn surroundings_follow_the_entry() {
        let told = |text: &str| {
            let user = resolve_in(text, PASSWD, GROUP).unwrap();
            (user.name, user.home, user.shell)
        };
        let three = |a: &str, b: &str, c: &str| (a.into(), b.into(), c.into());
        assert_eq!(told("1000"), three("app", "/home/app", "/bin/zsh"));
        assert_eq!(told("bare"), three("bare", "/", "/bin/sh"));
        assert_eq!(told("4242"), three("4242", "/", "/bin/sh"));
    }

    #[test]
    fn nobody_is_told() {
        assert_eq!(ids("nope"), Err("no user `nope` in /etc/passwd".into()));
        assert_eq!(ids("app:nope"), Err("no group `nope` in /etc/group".into()));
        for bad in [
            "",
            ":",
            ":app",
            "app:",
            "-1",
            "+",
            "4294967295",
            "99999999999",
            "also",
            "#",
        ] {
            assert!(ids(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn without_files_numbers_remain() {
        assert_eq!(resolve_in("0", "", "").map(|user| user.uid), Ok(0));
        assert!(resolve_in("root", "", "").is_err());
        assert_eq!(read(Path::new("/dev/zero")), "");
        assert_eq!(read(Path::new("/nowhere")), "");
    }
}
