//! Where the socket may be, and what is in its way.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use pidone::control::place::Place;
use pidone::control::server::Server;

use crate::house::{Dir, plain};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

fn in_shared(path: std::path::PathBuf) -> Place {
    Place {
        path,
        shared_parent: true,
    }
}

#[test]
fn the_socket_is_for_its_owner() {
    let dir = Dir::new();
    let place = plain(dir.0.join("pidone/control.sock"));
    let _listener = place.listen(None).unwrap();
    assert_eq!(mode(&place.path), 0o600);
    assert_eq!(mode(&dir.0.join("pidone")), 0o755);
    let private = in_shared(dir.0.join("pidone-0/control.sock"));
    let _listener = private.listen(None).unwrap();
    assert_eq!(mode(&dir.0.join("pidone-0")), 0o700);
}

#[test]
fn the_group_may_open_it_too() {
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("skipped: only root can give a file to any group");
        return;
    }
    let dir = Dir::new();
    let place = plain(dir.0.join("control.sock"));
    let _listener = place.listen(Some(4242)).unwrap();
    assert_eq!(mode(&place.path), 0o660);
    assert_eq!(fs::metadata(&place.path).unwrap().gid(), 4242);
}

#[test]
fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
    let dir = Dir::new();
    let place = plain(dir.0.join("control.sock"));
    drop(UnixListener::bind(&place.path).unwrap());
    assert!(place.path.exists());
    let live = place.listen(None).unwrap();
    let refusal = place.listen(None).unwrap_err();
    assert_eq!(refusal.to_string(), "another pidone answers there");
    drop(live);
    drop(place.listen(None).unwrap());
}

#[test]
fn what_is_not_ours_stays() {
    let dir = Dir::new();
    let place = plain(dir.0.join("control.sock"));
    fs::write(&place.path, "precious").unwrap();
    let refusal = place.listen(None).unwrap_err();
    assert_eq!(refusal.to_string(), "there is a file that is not a socket");
    assert_eq!(fs::read_to_string(&place.path).unwrap(), "precious");

    fs::create_dir(dir.0.join("theirs")).unwrap();
    symlink(dir.0.join("theirs"), dir.0.join("pidone-1")).unwrap();
    let refusal = in_shared(dir.0.join("pidone-1/control.sock"))
        .listen(None)
        .unwrap_err();
    assert!(
        refusal.to_string().ends_with("pidone-1: not a directory"),
        "{refusal}"
    );

    fs::create_dir(dir.0.join("pidone-2")).unwrap();
    fs::set_permissions(dir.0.join("pidone-2"), fs::Permissions::from_mode(0o777)).unwrap();
    let refusal = in_shared(dir.0.join("pidone-2/control.sock"))
        .listen(None)
        .unwrap_err();
    assert!(
        refusal
            .to_string()
            .ends_with("others may see or change what is in it"),
        "{refusal}"
    );
}

#[test]
fn somebody_elses_directory_is_refused() {
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("skipped: only root can give a directory away");
        return;
    }
    let dir = Dir::new();
    let theirs = dir.0.join("pidone-3");
    fs::create_dir(&theirs).unwrap();
    std::os::unix::fs::chown(&theirs, Some(4242), None).unwrap();
    fs::set_permissions(&theirs, fs::Permissions::from_mode(0o700)).unwrap();
    let refusal = in_shared(theirs.join("control.sock"))
        .listen(None)
        .unwrap_err();
    assert!(
        refusal.to_string().ends_with("belongs to somebody else"),
        "{refusal}"
    );
}

#[test]
fn a_path_that_is_too_long_is_an_error() {
    let place = plain(Path::new("/tmp").join("x".repeat(200)));
    assert!(place.listen(None).is_err());
}

#[test]
fn the_next_place_is_taken_and_every_reason_told() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let dir = Dir::new();
    let nowhere = plain("/proc/pidone/control.sock");
    let good = plain(dir.0.join("control.sock"));
    let server = Server::bind(&[nowhere.clone(), good.clone()], None).unwrap();
    assert_eq!(server.path(), good.path);
    let refusal = Server::bind(&[nowhere.clone(), good.clone()], None)
        .err()
        .unwrap();
    let expected = format!(
        "/proc/pidone/control.sock: no such file or directory; {}: another pidone \
         answers there",
        good.path.display()
    );
    assert_eq!(refusal.to_string(), expected);
    // The file goes with its server, and only its own.
    drop(server);
    assert!(!good.path.exists());
    let server = Server::bind(std::slice::from_ref(&good), None).unwrap();
    fs::remove_file(&good.path).unwrap();
    fs::write(&good.path, "somebody else's").unwrap();
    drop(server);
    assert!(good.path.exists());
}
