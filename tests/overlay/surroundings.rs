//! The same trees without rights: another user, a root that cannot be written, a `/run` from which
//! nothing is executed or in which nothing is made, and where something else is PID 1.

use crate::image::image;
use crate::order::in_order;
use crate::support::SOON;

/// What is done before the start, whom it runs as, and where the longrun stands then.
#[test]
fn rights_that_are_missing() {
    let user = "setpriv --reuid 1000 --regid 1000 --clear-groups --bounding-set -all";
    let dirs = "/run/s6-rc/servicedirs/app";
    let source = "/etc/s6-overlay/s6-rc.d/app";
    let table = [
        ("mount -o remount,noexec /run", "", dirs),
        ("mount -o remount,ro /", "", dirs),
        ("chown 1000 /run", user, dirs),
        (
            "mount -o remount,ro /; mount -o remount,noexec /run; chown 1000 /run",
            user,
            dirs,
        ),
        ("", user, source),
        ("", "/under", dirs),
        ("mount -o remount,ro /run", "/under", source),
        ("mount -o remount,ro /run", "", source),
    ];
    for (before, through, cwd) in table {
        let Some(image) = image() else { return };
        let image = image
            .env("BEFORE", before)
            .env("THROUGH", through)
            .script("under", "#!/bin/sh\n\"$@\"\nexit $?\n")
            .script("etc/cont-init.d/10-x", "#!/bin/sh\necho initialised\n")
            .longrun(
                "app",
                "#!/bin/sh\necho \"app in $(pwd)\"\nexec sleep 1000\n",
                &["base"],
            );
        let Some(mut running) = image.start(&["sh", "-c", "sleep 0.3; exit 6"]) else {
            return;
        };
        let ended = running.0.wait(SOON);
        let (out, err) = (running.0.out.text(), running.0.err.text());
        assert_eq!(ended.code, 6, "{before} {through}: {out}\n{err}");
        in_order(&out, &["initialised\n", &format!("app in {cwd}\n")]);
    }
}
