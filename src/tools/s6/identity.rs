//! Users: `s6-setuidgid`, and its two halves, `s6-envuidgid` and `s6-applyuidgid`.

use crate::os::inplace::become_user;
use crate::os::users;

use super::call::{Call, Environment, Outcome, Stop, USAGE, number, shown};

/// The exit code for an account that is not there.
const UNKNOWN: u8 = 1;

/// Ids as the environment carries them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Ids {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
}

/// `s6-setuidgid USER PROG…`, with all the user's groups; or, by numbers, `s6-setuidgid UID:GID
/// PROG…`, with that one only.
pub(super) fn setuidgid(mut call: Call) -> Outcome {
    let usage = || Stop::usage("s6-setuidgid username prog...");
    if call.args.len() < 2 {
        return Err(usage());
    }
    let account = call.shift().ok_or_else(usage)?;
    if account.contains(&b':') {
        let (user, group) = halves(&account);
        let id = |half: Option<&[u8]>| half.and_then(number).ok_or_else(usage);
        apply(id(user)?, id(group)?, Some(Vec::new()))?;
    } else {
        let ids = account_ids(&account, false)?;
        apply(ids.uid, ids.gid, Some(ids.groups))?;
    }
    Ok(call.go_on())
}

fn halves(account: &[u8]) -> (Option<&[u8]>, Option<&[u8]>) {
    let mut halves = account.splitn(2, |byte| *byte == b':');
    let mut half = || halves.next().filter(|half| !half.is_empty());
    (half(), half())
}

fn uid(user: &[u8], numbers: bool) -> Result<u32, Stop> {
    let known = users::resolve(&shown(user)).ok();
    // A number's own entry, or none, is what the system finds; s6 looks for names.
    let named =
        known.filter(|known| known.name.as_bytes() == user && number(user) != Some(known.uid));
    let uid = named.map(|known| known.uid);
    let uid = uid.or_else(|| number(user).filter(|_| numbers));
    uid.ok_or_else(|| unknown("user", user))
}

fn unknown(what: &str, name: &[u8]) -> Stop {
    Stop::fatal(UNKNOWN, format!("unknown {what}: {}", shown(name)))
}

fn gid(group: &[u8], numbers: bool) -> Result<u32, Stop> {
    let known = users::group(&shown(group)).ok();
    let gid = known.filter(|gid| numbers || number(group) != Some(*gid));
    gid.ok_or_else(|| unknown("group", group))
}

/// A user's entry, by its name.
fn account_ids(account: &[u8], numbers: bool) -> Result<Ids, Stop> {
    let uid = uid(account, numbers)?;
    let entry = users::resolve(&shown(account)).map_err(|_| unknown("user", account))?;
    let gid = entry.gid;
    let groups = entry.groups.into_iter().filter(|group| *group != gid);
    Ok(Ids {
        uid,
        gid,
        groups: groups.collect(),
    })
}

/// `s6-envuidgid [-i | -D UID:GID:GROUPS] [-u | -g | -B] [-n] ACCOUNT PROG…`: UID, GID and GIDLIST
/// of the account.
pub(super) fn envuidgid(mut call: Call) -> Outcome {
    let usage = || {
        Stop::usage(
            "s6-envuidgid [ -i | -D defaultuid:defaultgid:defaultgidlist ] [ -u | -g | -B ] [ -n ] \
             account prog...",
        )
    };
    let (mut what, mut numbers, mut default) = ('a', false, None);
    for (option, value) in call.options("ugBniD:").map_err(|_| usage())? {
        match option {
            'n' => {
                numbers = true;
                // As s6 does: a number has no list of groups.
                what = if what == 'a' { 'B' } else { what };
            }
            'i' => default = None,
            'D' => default = Some(defaults(&value).ok_or_else(usage)?),
            letter => what = letter,
        }
    }
    if call.args.len() < 2 {
        return Err(usage());
    }
    let account = call.shift().ok_or_else(usage)?;
    let (user, group) = match what {
        'u' | 'a' => (Some(account.as_slice()), None),
        'g' => (None, Some(account.as_slice())),
        _ => halves(&account),
    };
    let fallback = default.as_ref();
    let or = |found: Result<u32, Stop>, other: Option<u32>| found.or_else(|stop| other.ok_or(stop));
    let mut ids = fallback.cloned().unwrap_or_default();
    if let Some(group) = group {
        ids.gid = or(gid(group, numbers), fallback.map(|ids| ids.gid))?;
    }
    match user {
        Some(user) if what == 'a' => match (account_ids(user, numbers), fallback) {
            (Ok(found), _) => ids = found,
            (Err(_), Some(_)) => {}
            (Err(stop), None) => return Err(stop),
        },
        Some(user) => ids.uid = or(uid(user, numbers), fallback.map(|ids| ids.uid))?,
        None => {}
    }
    export(&mut call.env, &ids, what);
    Ok(call.go_on())
}

/// `UID:GID:GROUP,GROUP`; what is left out is 0, or none.
fn defaults(text: &[u8]) -> Option<Ids> {
    let mut parts = text.splitn(3, |byte| *byte == b':');
    let mut id = || match parts.next() {
        None | Some([]) => Some(0),
        Some(part) => number(part),
    };
    let (uid, gid) = (id()?, id()?);
    let groups = list(parts.next().unwrap_or_default())?;
    Some(Ids { uid, gid, groups })
}

fn list(text: &[u8]) -> Option<Vec<u32>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    text.split(|byte| *byte == b',').map(number).collect()
}

fn export(env: &mut Environment, ids: &Ids, what: char) {
    if what != 'g' {
        env.set(b"UID", ids.uid.to_string());
    }
    if what != 'u' {
        env.set(b"GID", ids.gid.to_string());
    }
    if what == 'a' {
        let groups: Vec<String> = ids.groups.iter().map(u32::to_string).collect();
        env.set(b"GIDLIST", groups.join(","));
    }
}

/// `s6-applyuidgid [-z] [-u UID] [-g GID] [-G GROUPS] [-U] PROG…`: becomes what the options or,
/// with `-U`, the environment say. 0 changes nothing, as root is who can do this.
pub(super) fn applyuidgid(mut call: Call) -> Outcome {
    let usage =
        || Stop::usage("s6-applyuidgid [ -z ] [ -u uid ] [ -g gid ] [ -G gidlist ] [ -U ] prog...");
    let (mut uid, mut gid, mut groups, mut unexport) = (0, 0, None, false);
    for (option, value) in call.options("zUu:g:G:").map_err(|_| usage())? {
        match option {
            'z' => unexport = true,
            'u' => uid = number(&value).ok_or_else(usage)?,
            'g' => gid = number(&value).ok_or_else(usage)?,
            'G' => groups = Some(list(&value).ok_or_else(usage)?),
            _ => {
                uid = number(variable(&call.env, "UID")?).ok_or_else(|| invalid("UID"))?;
                gid = number(variable(&call.env, "GID")?).ok_or_else(|| invalid("GID"))?;
                let told = list(variable(&call.env, "GIDLIST")?);
                groups = Some(told.ok_or_else(|| invalid("GIDLIST"))?);
            }
        }
    }
    if call.args.is_empty() {
        return Err(usage());
    }
    apply(uid, gid, groups)?;
    if unexport {
        for name in [&b"UID"[..], b"GID", b"GIDLIST"] {
            call.env.remove(name);
        }
    }
    Ok(call.go_on())
}

fn variable<'a>(env: &'a Environment, name: &str) -> Result<&'a [u8], Stop> {
    env.get(name.as_bytes())
        .ok_or_else(|| Stop::fatal(USAGE, format!("{name} not set")))
}

fn invalid(name: &str) -> Stop {
    Stop::fatal(USAGE, format!("invalid ${name}"))
}

/// The primary group is always among the groups, as s6 has it.
fn apply(uid: u32, gid: u32, groups: Option<Vec<u32>>) -> Result<(), Stop> {
    let some = |id: u32| (id != 0).then_some(id);
    let groups = groups.map(|mut groups| {
        let own = some(gid).unwrap_or_else(crate::os::pid1::gid);
        groups.retain(|group| *group != own);
        groups.insert(0, own);
        groups
    });
    become_user(groups.as_deref(), some(gid), some(uid))
        .map_err(|(deed, errno)| Stop::unable(deed, errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_have_halves() {
        let text = |half: Option<&[u8]>| half.map(shown).unwrap_or_default();
        for (account, user, group) in [
            ("a:b", "a", "b"),
            ("a", "a", ""),
            (":b", "", "b"),
            ("a:", "a", ""),
            ("a:b:c", "a", "b:c"),
        ] {
            let (left, right) = halves(account.as_bytes());
            assert_eq!((text(left).as_str(), text(right).as_str()), (user, group));
        }
    }

    #[test]
    fn defaults_are_numbers() {
        let ids = |uid, gid, groups: &[u32]| {
            Some(Ids {
                uid,
                gid,
                groups: groups.to_vec(),
            })
        };
        assert_eq!(defaults(b"1:2:3,4"), ids(1, 2, &[3, 4]));
        assert_eq!(defaults(b"1"), ids(1, 0, &[]));
        assert_eq!(defaults(b":2"), ids(0, 2, &[]));
        assert_eq!(defaults(b"x:2"), None);
        assert_eq!(defaults(b"1:2:3,,4"), None);
        assert_eq!(list(b""), Some(vec![]));
    }
}
