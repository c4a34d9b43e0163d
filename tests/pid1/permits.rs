//! A service that may ask pidone a few things, over a descriptor and with no other right.

use crate::support::{Container, SOON, can_contain, container, poll};

const WEB: &str = "command = [\"sleep\", \"1000\"]\n[reload]\nsignal = \"CONT\"\n";

/// A service that nobody gave any right but this, and that runs a script.
fn asks(control: &str, script: &str) -> String {
    format!(
        "command = [\"sh\", \"-c\", '''\n{script}\nexec sleep 1000\n''']\nuser = \"nobody\"\n\
         control = {control}\n"
    )
}

/// What the service `app` has written, once it has said that it is done.
fn heard(it: &Container) -> String {
    let done = |text: &str| text.lines().any(|line| line == "app | done");
    assert!(
        poll(SOON, || done(&it.out.text())),
        "{}\n{}",
        it.out.text(),
        it.err.text()
    );
    it.out.text()
}

#[test]
fn what_it_names_works_and_all_else_is_refused() {
    if !can_contain() {
        return;
    }
    let script = "exec 2>&1\n\
        ask() { /mnt/pidone \"$@\"; echo \"$1: $?\"; }\n\
        id -u; id -G; ls -l /run/pidone/control.sock | cut -c1-10\n\
        env -u PIDONE_CONTROL_FD /mnt/pidone status\n\
        ask reload web | sed 's/after .*/after/'\n\
        ask status -o name,state web\n\
        ask status\n\
        ask reload other\n\
        ask stop web\n\
        ask shutdown\n\
        ask logs web\n\
        /mnt/pidone events -n 0 && echo 'events: 0'\n\
        echo done";
    let control = "[\"events\", \"reload:web\", \"status:web\"]";
    let mut it = container()
        .service("web", WEB)
        .service("other", WEB)
        .service(
            "app",
            &format!("needs = [\"web\"]\n{}", asks(control, script)),
        )
        .start();
    let said = heard(&it);
    let of_app = said.lines().filter_map(|line| line.strip_prefix("app | "));
    let of_app: Vec<&str> = of_app.collect();
    let refused = |what: &str| {
        format!(
            "error: service `app` may not {what}\nhint: its service.toml says `control = \
             [\"events\", \"reload:web\", \"status:web\"]`, and nothing else is allowed"
        )
    };
    let expected = [
        "65534\n65534\nsrw-------\n\
         error: cannot reach pidone at /run/pidone/control.sock: Permission denied\n\
         hint: root and the user that pidone runs as may; PIDONE_CONTROL_GROUP lets a group look",
        "web: reloaded after\nreload: 0\nweb\tready\nstatus: 0",
        &format!("{}\nstatus: 2", refused("`status`")),
        &format!("{}\nreload: 2", refused("`reload` `other`")),
        &format!("{}\nstop: 2", refused("`stop` `web`")),
        &format!("{}\nshutdown: 2", refused("`shutdown`")),
        &format!("{}\nlogs: 2", refused("`logs` `web`")),
        "events: 0\ndone",
    ]
    .join("\n");
    assert_eq!(of_app.join("\n"), expected);
    assert_eq!(it.service("web")["state"], "ready");
    it.stop();
}

#[test]
fn a_program_may_talk_over_the_descriptor_itself() {
    if !can_contain() {
        return;
    }
    // A shell has no other way to read a socket than as a file.
    let script = "say() { printf '{\"version\":1,%s}\\n' \"$1\" >&3; head -n 1 <&3; }\n\
        echo \"fd $PIDONE_CONTROL_FD\"\n\
        say '\"verb\":\"reload\",\"names\":[\"web\"]' | cut -d, -f1-2\n\
        say '\"verb\":\"stop\",\"names\":[\"web\"]' | cut -d, -f1-3\n\
        say '\"verb\":\"reload\",\"names\":[\"web\"]' | cut -d, -f1-2\n\
        echo done";
    let mut it = container()
        .service("web", WEB)
        .service(
            "app",
            &format!("needs = [\"web\"]\n{}", asks("[\"reload:*\"]", script)),
        )
        .start();
    assert_eq!(
        heard(&it),
        "app | fd 3\n\
         app | {\"version\":1,\"reply\":\"ok\"\n\
         app | {\"version\":1,\"reply\":\"error\",\"kind\":\"not-allowed\"\n\
         app | {\"version\":1,\"reply\":\"ok\"\n\
         app | done\n"
    );
    it.stop();
}

#[test]
fn it_is_worth_nothing_after_the_process() {
    if !can_contain() {
        return;
    }
    // The child leaves the group and outlives its parent, with the parent's descriptor.
    let script = "exec 2>&1\n\
        if [ -e /tmp/second ]; then /mnt/pidone reload web; echo done; exec sleep 1000; fi\n\
        touch /tmp/second\n\
        setsid sh -c 'while [ ! -e /tmp/go ]; do sleep 0.05; done;\n\
            /mnt/pidone reload web; echo \"orphan $?\"' &\n\
        /mnt/pidone events -f --json >/tmp/first &\n\
        while [ ! -s /tmp/first ]; do sleep 0.05; done\n\
        exit 0";
    let control = "[\"reload:web\", \"events\"]";
    let mut it = container()
        .service("web", WEB)
        .service(
            "app",
            &format!("needs = [\"web\"]\n{}", asks(control, script)),
        )
        .start();
    heard(&it);
    assert!(it.out.text().contains("app | web: reloaded"));
    it.run(&["touch", "/tmp/go"]);
    assert!(
        poll(SOON, || it.out.text().contains("app | orphan 2\n")),
        "{}",
        it.out.text()
    );
    assert!(!it.out.text().contains("orphan 0"));
    it.stop();
}

#[test]
fn without_a_socket_it_works_all_the_same() {
    if !can_contain() {
        return;
    }
    let script = "/mnt/pidone reload web; echo $?; /mnt/pidone reload --no-wait web; echo done";
    let mut it = container()
        .run_unwritable()
        .tmp_unwritable()
        .service("web", WEB)
        .service(
            "app",
            &format!("needs = [\"web\"]\n{}", asks("[\"reload:web\"]", script)),
        )
        .start();
    assert_eq!(
        heard(&it),
        "app | web: reload accepted\napp | 0\napp | done\n"
    );
    let err = it.err.text();
    assert!(err.contains("no control socket"), "{err}");
    assert!(
        err.contains(
            "cannot wait for the result: `control` of this service does not have `events`"
        ),
        "{err}"
    );
    it.stop();
}

#[test]
fn nobody_else_is_handed_anything() {
    if !can_contain() {
        return;
    }
    let script = "ls /proc/self/fd | wc -l; echo \"fd ${PIDONE_CONTROL_FD-none}\"; echo done";
    let plain = asks("[]", script);
    let mut it = container()
        .env("PIDONE_CONTROL_FD", "3")
        .service("app", &plain)
        .start();
    // 0, 1, 2, and the one by which `ls` reads.
    assert_eq!(heard(&it), "app | 4\napp | fd none\napp | done\n");
    it.stop();
}
