//! `pidone s6 install`: the links, and that a second run changes nothing.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use crate::side::{Folder, names};
use crate::support::PIDONE;

/// A root with our binary in it, which links can lead to.
fn root() -> Folder {
    let root = Folder::new();
    fs::create_dir_all(root.0.join("usr/bin")).unwrap();
    // Not `fs::copy`: a file that is still open in a process that another test forks cannot run.
    let copied = Command::new("cp")
        .arg(PIDONE)
        .arg(root.0.join("usr/bin/pidone"))
        .status();
    assert!(copied.unwrap().success());
    root
}

fn install(root: &Folder) -> (i32, String) {
    let done = Command::new(root.0.join("usr/bin/pidone"))
        .args(["s6", "install", "--root"])
        .arg(&root.0)
        .output()
        .unwrap();
    let text = [done.stdout, done.stderr].concat();
    (
        done.status.code().unwrap(),
        String::from_utf8(text).unwrap(),
    )
}

#[test]
fn links_are_made_once() {
    let root = root();
    fs::create_dir(root.0.join("command")).unwrap();
    symlink("/package/s6-svc", root.0.join("command/with-contenv")).unwrap();
    fs::write(root.0.join("usr/bin/with-contenv"), "#!/bin/sh\n").unwrap();
    fs::write(
        root.0.join("init"),
        "#!/bin/sh -e\n# This is the s6-overlay init\n",
    )
    .unwrap();
    let (code, told) = install(&root);
    assert_eq!(code, 0, "{told}");
    let kept = "kept /usr/bin/with-contenv: a file of the image\n";
    assert!(
        told.starts_with(|c: char| c.is_ascii_digit()) && told.ends_with(kept),
        "{told}"
    );
    // The system may have its own of these.
    let apart = ["halt", "poweroff", "reboot", "shutdown"];
    let mut names = names();
    names.retain(|name| !apart.contains(&name.as_str()));
    for name in names
        .iter()
        .map(|name| format!("command/{name}"))
        .chain(["init".into()])
    {
        let target = fs::read_link(root.0.join(&name)).unwrap();
        assert_eq!(target.to_str(), Some("/usr/bin/pidone"), "{name}");
    }
    // No shell's own words, and nothing that is left over.
    assert!(!root.0.join("usr/bin/cd").exists() && !root.0.join("usr/bin/if").exists());
    let files = fs::read_dir(root.0.join("command")).unwrap().count();
    assert_eq!(files, names.len());
    let (code, again) = install(&root);
    assert_eq!(code, 0, "{again}");
    assert!(
        again.starts_with("0 links made to /usr/bin/pidone, "),
        "{again}"
    );
}

#[test]
fn what_is_somebody_elses_stays() {
    let root = root();
    fs::write(root.0.join("init"), "#!/bin/sh\nexec /my/own\n").unwrap();
    let (code, told) = install(&root);
    assert_eq!(code, 0);
    assert!(told.contains("kept /init: a file of the image\n"), "{told}");
}

#[test]
fn a_root_without_the_binary_is_refused() {
    let root = Folder::new();
    let done = Command::new(PIDONE)
        .args(["s6", "install", "--root"])
        .arg(&root.0)
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(1));
    let told = String::from_utf8(done.stderr).unwrap();
    assert!(
        told.starts_with("error: cannot link to ") && told.contains("is not below"),
        "{told}"
    );
    assert_eq!(fs::read_dir(&root.0).unwrap().count(), 0);
    let mode = fs::metadata(PIDONE).unwrap().permissions().mode();
    assert!(mode & 0o111 != 0);
}

#[test]
fn a_slip_is_told() {
    let done = Command::new(PIDONE)
        .args(["s6", "s6-scv"])
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(2));
    let told = String::from_utf8(done.stderr).unwrap();
    assert!(
        told.starts_with("error: unknown tool `s6-scv`\nhint: "),
        "{told}"
    );
    let done = Command::new(PIDONE)
        .args(["s6", "s6-echo", "-n", "a", "b"])
        .output()
        .unwrap();
    assert_eq!(
        (done.status.code(), done.stdout.as_slice()),
        (Some(0), &b"a b"[..])
    );
}
