//! What images made for s6-overlay 2 rely on.

use crate::image::image;
use crate::order::in_order;
use crate::support::SOON;

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
