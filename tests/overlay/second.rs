//! What images made for s6-overlay 2 rely on.

use crate::image::image;
use crate::order::in_order;
use crate::support::SOON;

#[test]
fn scripts_and_cmd_see_all_variables_and_are_told_of_in_its_words() {
    let Some(image) = image() else { return };
    let image = image
        .env("NAME", "two")
        .script(
            "etc/cont-init.d/10-x",
            "#!/bin/sh\necho \"init of $NAME\"; exit 3\n",
        )
        .script(
            "etc/cont-finish.d/x",
            "#!/bin/sh\necho \"finish of $NAME\"\n",
        )
        .script(
            "etc/services.d/app/run",
            "#!/bin/sh\necho \"app of [$NAME]\"\necho >&3\nexec sleep 1000\n",
        )
        .file("etc/services.d/app/notification-fd", "3\n")
        .env("S6_CMD_WAIT_FOR_SERVICES", "1");
    let Some(mut running) = image.start(&["sh", "-c", "echo \"cmd of $NAME\"; exit 4"]) else {
        return;
    };
    let ended = running.0.wait(SOON);
    let (out, err) = (running.0.out.text(), running.0.err.text());
    assert_eq!(ended.code, 4, "{out}\n{err}");
    in_order(
        &out,
        &[
            "[cont-init.d] executing container initialization scripts...\n",
            "[cont-init.d] 10-x: executing... \n",
            "init of two\n",
            "[cont-init.d] 10-x: exited 3.\n",
            "[cont-init.d] done.\n",
            "[services.d] starting services\n",
            "app of []\n",
            "[services.d] done.\n",
            "cmd of two\n",
            "[cont-finish.d] executing container finish scripts...\n",
            "[cont-finish.d] x: executing... \n",
            "finish of two\n",
            "[cont-finish.d] x: exited 0.\n",
            "[cont-finish.d] done.\n",
        ],
    );
}

#[test]
fn version_2_by_its_own_paths() {
    let Some(image) = image() else { return };
    let image = image
        .script(
            "etc/cont-init.d/10-x",
            "#!/usr/bin/with-contenv sh\necho \"init of $NAME\"; ls /var/run/s6/etc/cont-init.d\n",
        )
        .env("NAME", "two")
        .script(
            "etc/services.d/app/run",
            "#!/usr/bin/with-contenv sh\necho \"app of $NAME\"\nexec sleep 1000\n",
        )
        .script(
            "etc/services.d/app/finish",
            "#!/usr/bin/execlineb -S1\nif { s6-test ${1} -ne 0 }\nif { s6-test ${1} -ne 256 }\n\
             s6-svscanctl -t /var/run/s6/services\n",
        );
    let Some(mut running) = image.start(&[]) else {
        return;
    };
    running.0.out.until("app of two\n");
    in_order(
        &running.0.out.text(),
        &["init of two\n", "10-x\n", "app of two\n"],
    );
    let found = running.run(&["s6-svstat", "-o", "up", "/var/run/s6/services/app"]);
    assert_eq!(
        (found.code, found.out.as_str()),
        (0, "true\n"),
        "{}",
        found.err
    );
    let code = "echo 5 >/var/run/s6/env-stage3/S6_STAGE2_EXITED";
    assert_eq!(running.run(&["sh", "-c", code]).code, 0);
    let stopped = running.run(&["s6-svscanctl", "-t", "/var/run/s6/services"]);
    assert_eq!(stopped.code, 0, "{}", stopped.err);
    let ended = running.0.wait(SOON);
    assert_eq!(ended.code, 5, "{}", running.0.err.text());
}
