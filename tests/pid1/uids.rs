//! Who may ask what: every verb by real users, and by users of other containers' namespaces.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use nix::libc;

use crate::support::{Container, Recipe, SOON, can_contain, container, poll};

/// Where everybody could come to.
const SOCKET: &str = "/tmp/control.sock";
const GROUP: u32 = 4242;
const OWN: u32 = 12345;
const STRANGER: u32 = 6666;
/// What the kernel says of a user who is not in our user namespace.
const NOBODY: u32 = 65_534;

/// Every verb of the socket, as a client asks it, those that look first; the last one ends it all.
const VERBS: [&[&str]; 11] = [
    &["status"],
    &["logs", "web"],
    &["events", "-n", "1"],
    &["start", "--no-wait", "web"],
    &["restart", "--no-wait", "web"],
    &["reload", "--no-wait", "web"],
    &["signal", "CONT", "web"],
    &["stop", "--no-wait", "job"],
    &["rescan", "--dry-run"],
    &["rescan"],
    &["shutdown"],
];

/// `pidone`, run in the container's namespaces by this user, with these groups.
fn ask_as(it: &Container, uid: u32, groups: &str, words: &[&str]) -> Output {
    let mut command = Command::new("timeout");
    command.args(["-k", "1", "30", "nsenter", "-t", &it.pid.to_string()]);
    command.args(["-m", "-u", "-i", "-n", "-p", "-w/", "--", "setpriv"]);
    command.arg(format!("--reuid={uid}"));
    command.arg(format!("--regid={uid}")).arg(groups);
    command.arg("/mnt/pidone").args(words);
    command.env("PIDONE_SOCKET", SOCKET);
    command.output().expect("nsenter runs")
}

/// Whether it was allowed; a refusal names the user and the verb, and leaves everything as it is.
fn is_allowed(it: &Container, uid: u32, groups: &str, words: &[&str]) -> bool {
    let done = ask_as(it, uid, groups, words);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    if done.status.code() == Some(2) {
        let [looks, changes] = [
            format!("uid {uid} may not ask pidone anything"),
            format!("uid {uid} may not `{}`", words[0]),
        ];
        assert!(said.contains(&looks) || said.contains(&changes), "{said}");
        return false;
    }
    // Whoever ends the container may end with it, before he has his answer.
    let ends = words[0] == "shutdown";
    assert!(done.status.success() || ends, "{words:?}: {said}");
    true
}

fn fleet(recipe: Recipe) -> Container {
    let web = "command = [\"sleep\", \"1000\"]\n[reload]\nsignal = \"CONT\"\n";
    let it = recipe
        .env("PIDONE_SOCKET", SOCKET)
        .service("web", web)
        .service("job", "command = [\"sleep\", \"1000\"]\n")
        .start();
    it.until("web", "ready");
    // Nobody is kept away by the file's mode: what refuses is what the kernel says of the peer.
    let socket = format!("/proc/{}/root{SOCKET}", it.pid);
    fs::set_permissions(socket, fs::Permissions::from_mode(0o666)).unwrap();
    it
}

/// The table: a row for each user, a letter for each verb, `-` where it is refused.
fn table(it: &mut Container, users: &[(&str, u32, String)]) -> String {
    let mut table = String::new();
    for (who, uid, groups) in users {
        let before = it.service("web")["starts"].clone();
        let mut row = String::new();
        for words in VERBS {
            // It would be the last row.
            if words[0] == "shutdown" && *uid == 0 {
                continue;
            }
            let allowed = is_allowed(it, *uid, groups, words);
            row.push_str(if allowed { words[0] } else { "-" });
            row.push(' ');
        }
        if row.ends_with("- ") {
            assert_eq!(it.service("web")["starts"], before, "{who}");
        }
        writeln!(table, "{who}: {}", row.trim_end()).unwrap();
    }
    table
}

#[test]
fn every_verb_by_every_kind_of_user() {
    if !can_contain() {
        return;
    }
    // PID 1 is root.
    let mut it = fleet(container().env("PIDONE_CONTROL_GROUP", &GROUP.to_string()));
    let clear = || "--clear-groups".to_owned();
    let users = [
        ("stranger", STRANGER, clear()),
        ("nobody", NOBODY, clear()),
        ("group", STRANGER, format!("--groups={GROUP}")),
        ("root", 0, clear()),
    ];
    assert_eq!(
        table(&mut it, &users),
        "stranger: - - - - - - - - - - -\n\
         nobody: - - - - - - - - - - -\n\
         group: status logs events - - - - - - - -\n\
         root: status logs events start restart reload signal stop rescan rescan\n"
    );
    it.stop();
    // PID 1 is somebody.
    let mut it = fleet(container().uid(OWN));
    let users = [
        ("stranger", STRANGER, clear()),
        ("group", STRANGER, format!("--groups={GROUP}")),
        ("root", 0, clear()),
        ("own", OWN, clear()),
    ];
    assert_eq!(
        table(&mut it, &users),
        "stranger: - - - - - - - - - - -\n\
         group: - - - - - - - - - - -\n\
         root: status logs events start restart reload signal stop rescan rescan\n\
         own: status logs events start restart reload signal stop rescan rescan shutdown\n"
    );
    assert_eq!(it.wait(SOON).code, 0, "{}", it.err.text());
}

/// `pidone status` in a sister container: other user, pid and mount namespaces, and the directory
/// of the socket mounted into it; there by this user, who is somebody else outside.
fn from_another_container(it: &Container, inside: u32) -> (bool, String) {
    let script = format!(
        "set -e\nmount -t tmpfs tmpfs /run\nmkdir /run/pidone\nmount --bind {} /run/pidone\n\
         exec unshare --user --map-user={inside} --map-group={inside} {} status",
        it.path("shared").display(),
        it.path("client").display()
    );
    let done = Command::new("setpriv")
        .args([
            &format!("--reuid={STRANGER}"),
            &format!("--regid={STRANGER}"),
        ])
        .args([
            "--clear-groups",
            "timeout",
            "-k",
            "1",
            "30",
            "unshare",
            "--user",
        ])
        .args([
            "--map-root-user",
            "--mount",
            "--pid",
            "--fork",
            "sh",
            "-c",
            &script,
        ])
        .env("PIDONE_SOCKET", "/run/pidone/control.sock")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    (done.status.success(), said)
}

#[test]
fn users_of_other_namespaces_are_strangers() {
    if !can_contain() {
        return;
    }
    // Both as images have it: pidone as `nobody`, the uid that the kernel makes of any stranger.
    for inside in [NOBODY, 1000] {
        let user = format!("unshare --user --map-user={inside} --map-group={inside}");
        let it = container()
            .env("PIDONE_SOCKET", "/mnt/shared/control.sock")
            .env("PIDONE_CONTROL_GROUP", &inside.to_string())
            .file("shared/.keep", "")
            .service("web", "command = [\"sleep\", \"1000\"]\n")
            .through(&user)
            .start();
        // Once it answers its own, it has set the mode itself.
        let answers = || ask_own(&it).status.success();
        assert!(poll(SOON, answers), "{}", it.err.text());
        let mode = fs::Permissions::from_mode(0o666);
        fs::set_permissions(it.path("shared/control.sock"), mode).unwrap();
        let client = it.path("client");
        fs::copy(crate::support::PIDONE, &client).unwrap();
        fs::set_permissions(&client, fs::Permissions::from_mode(0o755)).unwrap();
        // Root there is no root here; nor is `nobody` there ours.
        for there in [0, NOBODY, 1000] {
            let (done, said) = from_another_container(&it, there);
            assert!(
                !done && said.contains("may not ask pidone anything"),
                "{there}: {said}"
            );
        }
        assert!(answers());
    }
}

/// Its own user, from inside: the same question is answered.
fn ask_own(it: &Container) -> Output {
    let mut command = Command::new("nsenter");
    command.args(["-t", &it.pid.to_string(), "-U", "--preserve-credentials"]);
    command.args(["-m", "-p", "-w/", "--", "/mnt/pidone", "status"]);
    command.env("PIDONE_SOCKET", "/mnt/shared/control.sock");
    command.output().unwrap()
}

#[test]
fn only_a_services_own_user_drains_it() {
    if !can_contain() {
        return;
    }
    let agent = "name = \"n1\"\nbind = \"127.0.0.1:7946\"\nsocket = \"/tmp/agent.sock\"\n\
                 announce = [{ service = \"web\", port = 80 }, { service = \"api\", port = 81 }]\n";
    let sleeps = |uid: u32| format!("user = \"{uid}\"\ncommand = [\"sleep\", \"1000\"]\n");
    let mut it = container()
        .file("agent.toml", agent)
        .service(
            "agent",
            "command = [\"/mnt/pidone\", \"agent\", \"--config\", \"/mnt/agent.toml\"]\n\
             user = \"4141\"\ncontrol = [\"events\", \"status\"]\n[ready]\nnotify = true\n",
        )
        .service("web", &sleeps(OWN))
        .service("api", &sleeps(STRANGER))
        .start();
    for name in ["agent", "web", "api"] {
        it.until(name, "ready");
    }
    let socket = format!("/proc/{}/root/tmp/agent.sock", it.pid);
    assert!(Path::new(&socket).exists(), "{}", it.err.text());
    let drain = |uid: u32, service: &str| {
        let words = ["drain", service, "--socket", "/tmp/agent.sock"];
        let done = ask_as(&it, uid, "--clear-groups", &words);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        let refused = format!("uid {uid} may not drain `{service}`");
        assert_eq!(done.status.success(), !said.contains(&refused), "{said}");
        done.status.success()
    };
    // The agent learns of the processes from PID 1's events.
    assert!(poll(SOON, || drain(OWN, "web")), "{}", it.err.text());
    let all = [
        (OWN, "api"),
        (STRANGER, "web"),
        (STRANGER, "api"),
        (NOBODY, "web"),
    ];
    assert_eq!(
        all.map(|(uid, name)| drain(uid, name)),
        [false, false, true, false]
    );
    for uid in [0, 4141] {
        assert!(drain(uid, "web") && drain(uid, "api"), "{uid}");
    }
    it.signal(libc::SIGTERM);
    it.wait(SOON);
}
