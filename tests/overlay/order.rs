//! Who comes after whom, and what each gets to see.

use crate::image::{Image, image};
use crate::support::{SOON, eventually};

/// Where lines of a story stand in what was written; each must be there, in this order.
pub(crate) fn in_order(text: &str, lines: &[&str]) {
    let mut rest = text;
    for line in lines {
        let at = rest.find(line);
        assert!(at.is_some(), "no `{line}` in its place:\n{text}");
        rest = &rest[at.unwrap() + line.len()..];
    }
}

/// Something for every stage.
fn with_every_stage(image: Image) -> Image {
    image
        .script(
            "hook",
            "#!/bin/sh\necho \"hook $1 in $(pwd), NAME is [$NAME]\"\n\
             d=/etc/s6-overlay/s6-rc.d\nmkdir -p $d/made\necho oneshot >$d/made/type\n\
             echo 'echo \"made by the hook\"' >$d/made/up\n>$d/user/contents.d/made\n\
             mkdir $d/made/dependencies.d\n>$d/made/dependencies.d/base\n",
        )
        .env("S6_STAGE2_HOOK", "/hook now")
        .env("NAME", "a value")
        .env("EMPTY", "")
        .file("etc/fix-attrs.d/10-x", "/var/lib/x true nobody 0640 0750\n")
        .file("var/lib/x/deep/file", "")
        .script(
            "etc/cont-init.d/10-first",
            "#!/usr/bin/with-contenv sh\necho \"first, NAME is [$NAME]\"\n\
             stat -c '%U %a' /var/lib/x/deep /var/lib/x/deep/file\n",
        )
        .script(
            "etc/cont-init.d/20-second",
            "#!/bin/sh\necho \"second, NAME is [$NAME]\"\nexit 3\n",
        )
        .script("etc/cont-finish.d/10-last", "#!/bin/sh\necho last\n")
        .oneshot(
            "prepare",
            "/etc/s6-overlay/s6-rc.d/prepare/run\n",
            &["base"],
        )
        .script(
            "etc/s6-overlay/s6-rc.d/prepare/run",
            "#!/bin/sh\necho \"prepare is $RC_NAME\"\n",
        )
        .file(
            "etc/s6-overlay/s6-rc.d/prepare/down",
            "echo \"prepare is undone\"\n",
        )
        .longrun(
            "app",
            "#!/bin/sh\necho \"app in $(pwd), umask $(umask), NAME is [$NAME]\"\nexec sleep 1000\n",
            &["prepare"],
        )
        .script(
            "etc/services.d/old/run",
            "#!/command/with-contenv sh\necho \"old in $(pwd), NAME is [$NAME], \
             EMPTY is [${EMPTY-unset}]\"\nexec sleep 1000\n",
        )
}

#[test]
fn the_stages_of_version_3() {
    let Some(image) = image() else { return };
    let image = with_every_stage(image);
    let Some(mut running) = image.start(&[
        "sh",
        "-c",
        "echo \"cmd, NAME is [$NAME]\"; sleep 0.2; exit 7",
    ]) else {
        return;
    };
    let ended = running.0.wait(SOON);
    let (out, err) = (running.0.out.text(), running.0.err.text());
    assert_eq!(ended.code, 7, "{out}\n{err}");
    in_order(
        &out,
        &[
            "hook now in /, NAME is []\n",
            "first, NAME is [a value]\nnobody 750\nnobody 640\n",
            "second, NAME is []\n",
            "prepare is prepare\n",
            "app in /run/s6-rc/servicedirs/app, umask 0022, NAME is []\n",
            "prepare is undone\n",
            "last\n",
        ],
    );
    in_order(&out, &["second", "made by the hook\n", "last\n"]);
    in_order(
        &out,
        &[
            "second",
            "old in /run/s6/legacy-services/old, NAME is [a value], EMPTY is []\n",
        ],
    );
    in_order(
        &out,
        &["prepare is prepare\n", "cmd, NAME is []\n", "last\n"],
    );
    in_order(
        &err,
        &[
            "cont-init: info: running /etc/cont-init.d/10-first\n",
            "cont-init: info: /etc/cont-init.d/20-second exited 3\n",
            "cmd ended (exit code 7)",
            "cont-finish: info: /etc/cont-finish.d/10-last exited 0\n",
            "exit 7\n",
        ],
    );
}

#[test]
fn debians_own_tools_find_the_services() {
    let Some(image) = image() else { return };
    let image = image
        .longrun("app", "#!/bin/sh\nexec sleep 1000\n", &[])
        .script("etc/services.d/old/run", "#!/bin/sh\nexec sleep 1000\n");
    let Some(mut running) = image.start(&[]) else {
        return;
    };
    for dir in ["/run/service/app", "/var/run/service/old"] {
        eventually("somebody serves it", SOON, || {
            running.run(&["s6-svok", dir]).code == 0
        });
        let up = running.run(&["s6-svwait", "-u", "-t", "10000", dir]);
        assert_eq!(up.code, 0, "{dir}: {up:?}\n{}", running.0.err.text());
        let pid = running.run(&["s6-svstat", "-o", "pid", dir]);
        let before = running.run(&["s6-svc", "-wr", "-T", "5000", "-r", dir]);
        let after = running.run(&["s6-svstat", "-o", "pid", dir]);
        assert!(before.code == 0 || before.code == 1, "{before:?}");
        assert_ne!(pid.out, after.out, "{dir}");
    }
    let found = running.run(&["pgrep", "-f", "s6-supervise app"]);
    assert_eq!(found.code, 0, "{found:?}");
    let halted = running.run(&["/run/s6/basedir/bin/halt"]);
    assert_eq!(halted.code, 0, "{halted:?}");
    let ended = running.0.wait(SOON);
    assert_eq!(ended.code, 0, "{}", running.0.err.text());
}
