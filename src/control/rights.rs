//! Who may ask what: root and pidone's own user everything, the control group to look.

use crate::control::protocol::{Refusal, RefusalKind, Request};

/// Who is at the other end of a connection, as the kernel says (SO_PEERCRED and SO_PEERGROUPS of
/// unix(7): as it was when it connected).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
    /// Its process; 0 if that is outside our pid namespace.
    pub pid: i32,
    /// Its supplementary groups.
    pub groups: Vec<u32>,
}

/// What the kernel says of a user (or group) who is nobody in our user namespace, that is, of a
/// stranger's container: as if it were `nobody`'s (user_namespaces(7), `overflowuid`).
const OVERFLOW: u32 = 65_534;

/// The number, if it is somebody's: `nobody`'s own is only that of a process which we can see.
pub fn known(id: u32, pid: i32) -> Option<u32> {
    (id != OVERFLOW || pid > 0).then_some(id)
}

/// What somebody may do, from least to most.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Right {
    /// Nothing.
    Nothing,
    /// Look: `status`, `logs`, `events`.
    Read,
    /// Everything.
    Change,
}

/// What this peer may do, where pidone runs as `own_uid` and its control group is `group`.
pub fn right(peer: &Peer, own_uid: u32, group: Option<u32>) -> Right {
    let uid = known(peer.uid, peer.pid);
    let mut groups = peer.groups.iter().chain([&peer.gid]);
    let mut is_member = |group| groups.any(|of| known(*of, peer.pid) == Some(group));
    if uid == Some(0) || uid == Some(own_uid) {
        Right::Change
    } else if group.is_some_and(&mut is_member) {
        Right::Read
    } else {
        Right::Nothing
    }
}

/// Whether somebody with this right may ask this; if not, what he is told.
pub fn allow(right: Right, request: &Request, peer: &Peer) -> Result<(), Refusal> {
    let needed = if request.changes() {
        Right::Change
    } else {
        Right::Read
    };
    if right >= needed {
        return Ok(());
    }
    let (uid, verb) = (peer.uid, request.verb());
    let may_look = if right == Right::Read {
        "the control group may look (`status`, `logs`, `events`); "
    } else {
        ""
    };
    Err(Refusal::new(
        RefusalKind::NotAllowed,
        format!("uid {uid} may not `{verb}`"),
    )
    .hint(format!(
        "{may_look}changes are for root and the user that pidone runs as"
    )))
}

/// What somebody is told who may do nothing at all.
pub fn stranger(peer: &Peer) -> Refusal {
    Refusal::new(
        RefusalKind::NotAllowed,
        format!("uid {} may not ask pidone anything", peer.uid),
    )
    .hint("root and the user that pidone runs as may; PIDONE_CONTROL_GROUP lets a group look")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(uid: u32, gid: u32, groups: &[u32]) -> Peer {
        Peer {
            uid,
            gid,
            pid: 7,
            groups: groups.to_vec(),
        }
    }

    #[test]
    fn root_and_own_user_change_and_the_group_looks() {
        let table = [
            (peer(0, 0, &[]), None, Right::Change),
            (peer(1000, 1000, &[]), None, Right::Change),
            (peer(33, 33, &[]), None, Right::Nothing),
            (peer(33, 33, &[50]), None, Right::Nothing),
            (peer(33, 33, &[50]), Some(50), Right::Read),
            (peer(33, 50, &[]), Some(50), Right::Read),
            (peer(33, 33, &[51]), Some(50), Right::Nothing),
            // Group 0 is a group like any other, and no uid.
            (peer(33, 0, &[]), None, Right::Nothing),
            (peer(33, 0, &[]), Some(0), Right::Read),
        ];
        for (peer, group, expected) in table {
            assert_eq!(right(&peer, 1000, group), expected, "{peer:?} {group:?}");
        }
    }

    /// pidone runs as `nobody`, as many images do: then everybody from outside looks like it.
    #[test]
    fn nobody_from_outside_is_nobody() {
        let at = |pid| Peer {
            pid,
            ..peer(OVERFLOW, OVERFLOW, &[OVERFLOW])
        };
        assert_eq!(right(&at(7), OVERFLOW, None), Right::Change);
        assert_eq!(right(&at(7), 1000, Some(OVERFLOW)), Right::Read);
        assert_eq!(right(&at(0), OVERFLOW, Some(OVERFLOW)), Right::Nothing);
        // A user of ours who comes from another pid namespace, as `nsenter` makes one.
        let root = Peer {
            pid: 0,
            ..peer(0, 0, &[])
        };
        assert_eq!(right(&root, OVERFLOW, None), Right::Change);
    }

    #[test]
    fn looking_is_not_changing() {
        let looks = Request::Status {
            names: vec![],
            detail: false,
        };
        let stops = Request::Stop {
            names: vec!["web".into()],
        };
        let somebody = peer(33, 33, &[]);
        assert!(allow(Right::Read, &looks, &somebody).is_ok());
        assert!(allow(Right::Change, &stops, &somebody).is_ok());
        assert!(allow(Right::Nothing, &looks, &somebody).is_err());
        let refusal = allow(Right::Read, &stops, &somebody).expect_err("it only looks");
        assert_eq!(refusal.message, "uid 33 may not `stop`");
        assert_eq!(refusal.kind, RefusalKind::NotAllowed);
    }
}
