//! Who may ask what, with real users.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use crate::house::{Dir, House};

const GROUP: u32 = 4242;
const SOMEBODY: u32 = 65_533;

/// The `pidone` that was built, where everybody can execute it.
fn binary(dir: &Dir) -> std::path::PathBuf {
    let copy = dir.0.join("pidone");
    fs::copy(env!("CARGO_BIN_EXE_pidone"), &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    copy
}

fn run_as(uid: u32, groups: &str, binary: &Path, socket: &Path, words: &[&str]) -> Output {
    Command::new("setpriv")
        .arg(format!("--reuid={uid}"))
        .arg(format!("--regid={uid}"))
        .arg(groups)
        .arg(binary)
        .args(words)
        .env("PIDONE_SOCKET", socket)
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    format!(
        "{}{}exit {}\n",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        output.status.code().unwrap()
    )
}

fn can_switch_users() -> bool {
    let has_setpriv = Command::new("setpriv").arg("--version").output().is_ok();
    if !nix::unistd::Uid::effective().is_root() || !has_setpriv {
        eprintln!("skipped: needs root and setpriv, to be somebody else");
        return false;
    }
    true
}

#[test]
fn the_group_looks_and_changes_nothing() {
    if !can_switch_users() {
        return;
    }
    let (house, dir) = (House::open(Some(GROUP)), Dir::new());
    let binary = binary(&dir);
    let member = format!("--groups={GROUP}");
    let run = |words: &[&str]| text(&run_as(SOMEBODY, &member, &binary, &house.socket, words));
    assert_eq!(run(&["status", "-o", "name,state"]), "web\tready\nexit 0\n");
    assert_eq!(
        run(&["stop", "web"]),
        "error: uid 65533 may not `stop`\nhint: the control group may look (`status`, `logs`, \
         `events`); changes are for root and the user that pidone runs as\nexit 2\n"
    );
    assert!(run(&["shutdown"]).starts_with("error: uid 65533 may not `shutdown`"));
}

#[test]
fn strangers_get_nothing() {
    if !can_switch_users() {
        return;
    }
    let (house, dir) = (House::open(Some(GROUP)), Dir::new());
    let binary = binary(&dir);
    let run = |words: &[&str]| {
        text(&run_as(
            SOMEBODY,
            "--clear-groups",
            &binary,
            &house.socket,
            words,
        ))
    };
    let refusal = run(&["status"]);
    assert!(
        refusal.starts_with("error: cannot reach pidone at "),
        "{refusal}"
    );
    assert!(refusal.contains(": Permission denied\nhint: "), "{refusal}");
    assert!(refusal.ends_with("exit 2\n"), "{refusal}");
    // Even if the file's mode is opened by somebody, the kernel's word about the peer stands.
    fs::set_permissions(&house.socket, fs::Permissions::from_mode(0o666)).unwrap();
    let refusal = run(&["status"]);
    assert!(
        refusal.starts_with("error: uid 65533 may not ask pidone anything\n"),
        "{refusal}"
    );
}
