//! What the container ends with: CMD's code, the exit code file, and boots that fail.

use crate::image::image;
use crate::order::in_order;
use crate::support::SOON;

#[test]
fn a_finish_script_has_the_last_word() {
    let Some(image) = image() else { return };
    // As Home Assistant's images do: whoever died first says with what, and ends the container.
    let image = image
        .longrun("app", "#!/bin/sh\nsleep 0.3\nexit 4\n", &[])
        .script(
            "etc/s6-overlay/s6-rc.d/app/finish",
            "#!/bin/sh\nfile=/run/s6-linux-init-container-results/exitcode\n\
             if [ \"$1\" -eq 256 ]; then code=$((128 + $2)); else code=$1; fi\n\
             [ \"$(cat $file)\" != 0 ] || echo $code >$file\n\
             [ \"$2\" -eq 15 ] && exec /run/s6/basedir/bin/halt\n\
             exec /run/s6/basedir/bin/halt\n",
        );
    let Some(mut running) = image.start(&[]) else {
        return;
    };
    let ended = running.0.wait(SOON);
    assert_eq!(ended.code, 4, "{}", running.0.err.text());
}

#[test]
fn a_stop_ends_with_the_file() {
    for (written, code) in [("", 0), ("echo 143 >$file", 143), ("echo junk >$file", 0)] {
        let Some(image) = image() else { return };
        let finish =
            format!("#!/bin/sh\nfile=/run/s6-linux-init-container-results/exitcode\n{written}\n");
        let image = image
            .longrun("app", "#!/bin/sh\necho up\nexec sleep 1000\n", &[])
            .script("etc/s6-overlay/s6-rc.d/app/finish", &finish);
        let Some(mut running) = image.start(&[]) else {
            return;
        };
        running.0.out.until("up\n");
        running.0.signal(libc::SIGTERM);
        let ended = running.0.wait(SOON);
        assert_eq!(ended.code, code, "{written}: {}", running.0.err.text());
        assert!(
            ended.after < std::time::Duration::from_secs(3),
            "no grace is slept"
        );
    }
}

/// `S6_BEHAVIOUR_IF_STAGE2_FAILS`, what fails, and the code, with a CMD that ends with 5.
#[test]
pub(crate) fn boots_that_fail() {
    let table = [
        ("0", "hook", 5),
        ("1", "hook", 5),
        ("2", "hook", 9),
        ("0", "cont-init", 5),
        ("1", "cont-init", 5),
        ("2", "cont-init", 1),
        ("0", "oneshot", 5),
        ("2", "oneshot", 1),
    ];
    for (behaviour, what, code) in table {
        let Some(image) = image() else { return };
        let image = image.env("S6_BEHAVIOUR_IF_STAGE2_FAILS", behaviour);
        let image = match what {
            "hook" => image
                .script("hook", "#!/bin/sh\nexit 9\n")
                .env("S6_STAGE2_HOOK", "/hook"),
            "cont-init" => image.script("etc/cont-init.d/x", "#!/bin/sh\nexit 9\n"),
            _oneshot => image.oneshot("bad", "false\n", &["base"]).oneshot(
                "behind",
                "touch /mnt/behind\n",
                &["bad"],
            ),
        };
        let Some(mut running) = image.start(&["sh", "-c", "exit 5"]) else {
            return;
        };
        let ended = running.0.wait(SOON);
        assert_eq!(
            ended.code,
            code,
            "{behaviour} {what}: {}",
            running.0.err.text()
        );
        assert!(!running.0.path("behind").exists(), "{behaviour} {what}");
    }
}

/// `timeout-up` and `timeout-down` of a oneshot, and of a longrun that never says that it is ready.
#[test]
fn a_oneshot_that_takes_too_long_has_failed() {
    let Some(image) = image() else { return };
    let dir = "etc/s6-overlay/s6-rc.d";
    let image = image
        .oneshot("late", "sleep 1000\n", &[])
        .file(&format!("{dir}/late/timeout-up"), "300\n")
        .oneshot("behind", "echo never\n", &["late"])
        .longrun("mute", "#!/bin/sh\nexec sleep 1000\n", &[])
        .file(&format!("{dir}/mute/notification-fd"), "3\n")
        .file(&format!("{dir}/mute/timeout-up"), "300\n")
        .oneshot("undone", "true\n", &[])
        .file(&format!("{dir}/undone/down"), "sleep 1000\n")
        .file(&format!("{dir}/undone/timeout-down"), "300\n");
    let cmd = "s6-svstat -o up /run/service/mute; echo cmd; exit 6";
    let Some(mut running) = image.start(&["sh", "-c", cmd]) else {
        return;
    };
    let ended = running.0.wait(SOON);
    let (out, err) = (running.0.out.text(), running.0.err.text());
    assert_eq!(ended.code, 6, "{out}\n{err}");
    assert_eq!(out, "false\ncmd\n", "{err}");
    assert!(
        err.contains("late * failed: not ended within 0.3s"),
        "{err}"
    );
    assert!(ended.after < std::time::Duration::from_secs(3), "{err}");
}

#[test]
fn a_wrong_definition_ends_the_container() {
    let Some(image) = image() else { return };
    let image = image
        .longrun("app", "#!/bin/sh\nexec sleep 1000\n", &["absent"])
        .oneshot("odd", "if { true\n", &[]);
    let Some(mut running) = image.start(&["sh", "-c", "echo never"]) else {
        return;
    };
    let ended = running.0.wait(SOON);
    let err = running.0.err.text();
    assert_eq!(ended.code, 78, "{err}");
    in_order(
        &err,
        &[
            "error: `absent` is not defined\n \
             --> /etc/s6-overlay/s6-rc.d/app/dependencies.d/absent\n",
            "error: `up`: unmatched {\n --> /etc/s6-overlay/s6-rc.d/odd/up:1:1\n",
        ],
    );
    assert!(!running.0.out.text().contains("never"));
}

#[test]
fn what_an_earlier_life_left_is_gone() {
    let Some(image) = image() else { return };
    let image = image
        .env(
            "BEFORE",
            "mkdir -p /run/s6/container_environment \
             /run/service/old/supervise /run/s6-rc/servicedirs/app\n\
             echo x >/run/s6/container_environment/STALE\n\
             mkdir -p /run/s6-linux-init-container-results\n\
             echo 9 >/run/s6-linux-init-container-results/exitcode",
        )
        .longrun("app", "#!/bin/sh\nexec sleep 1000\n", &[]);
    let cmd = "with-contenv sh -c 'echo \"[$STALE] $(ls /run/service)\"'";
    let Some(mut running) = image.start(&["sh", "-c", cmd]) else {
        return;
    };
    let ended = running.0.wait(SOON);
    assert_eq!(ended.code, 0, "{}", running.0.err.text());
    assert_eq!(running.0.out.text(), "[] app\n");
}
