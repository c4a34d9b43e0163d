//! Tools that ask about the whole tree: `s6-rc` with its bundles, `pidone check`, and a pipeline of
//! more than two.

use crate::image::image;
use crate::order::in_order;
use crate::support::{SOON, read};

const DIR: &str = "etc/s6-overlay/s6-rc.d";

#[test]
fn the_middle_of_a_pipeline_reads_and_writes() {
    let Some(image) = image() else { return };
    let filter =
        |word: &str| format!("#!/bin/sh\nwhile read -r line; do echo \"{word}($line)\"; done\n");
    let image = image
        .longrun("first", "#!/bin/sh\necho one\nexec sleep 1000\n", &[])
        .file(&format!("{DIR}/first/producer-for"), "middle\n")
        .longrun("middle", &filter("middle"), &[])
        .file(&format!("{DIR}/middle/consumer-for"), "first\n")
        .file(&format!("{DIR}/middle/producer-for"), "last\n")
        .longrun("last", &filter("last"), &[])
        .file(&format!("{DIR}/last/consumer-for"), "middle\n");
    let Some(mut running) = image.start(&[]) else {
        return;
    };
    running.0.out.until("last(middle(one))\n");
    running.0.signal(libc::SIGTERM);
    assert_eq!(running.0.wait(SOON).code, 0, "{}", running.0.err.text());
}

#[test]
fn s6_rc_knows_bundles_of_the_tree() {
    let Some(image) = image() else { return };
    let run = "#!/bin/sh\nexec sleep 1000\n";
    let image = image
        .longrun("one", run, &[])
        .longrun("two", run, &["one"])
        .file(&format!("{DIR}/both/type"), "bundle\n")
        .file(&format!("{DIR}/both/contents.d/one"), "")
        .file(&format!("{DIR}/both/contents.d/two"), "");
    let cmd = "s6-rc -a list | sort | tr '\\n' ' '; echo; s6-rc -d change both; echo $?; \
               s6-svstat -o up /run/service/one; s6-svstat -o up /run/service/two; \
               s6-rc -u change both; echo $?; s6-svstat -o up /run/service/two; \
               s6-rc -u change absent; echo $?";
    let Some(mut running) = image.start(&["sh", "-c", cmd]) else {
        return;
    };
    let ended = running.0.wait(SOON);
    let (out, err) = (running.0.out.text(), running.0.err.text());
    assert_eq!(ended.code, 0, "{out}\n{err}");
    assert!(
        out.ends_with("one two \n0\nfalse\nfalse\n0\ntrue\n3\n"),
        "{out}\n{err}"
    );
}

#[test]
fn check_reads_the_tree_in_the_build_of_an_image() {
    for (bundle, wanted) in [
        ("one", "checked: no faults\n0\n"),
        ("absent", "error: `absent` is not defined\n"),
    ] {
        let Some(image) = image() else { return };
        let image = image
            .env(
                "BEFORE",
                "/usr/bin/pidone check >/mnt/checked 2>&1; echo $? >>/mnt/checked",
            )
            .longrun("one", "#!/bin/sh\nexec sleep 1000\n", &[])
            .file(&format!("{DIR}/user/contents.d/{bundle}"), "");
        let Some(mut running) = image.start(&["true"]) else {
            return;
        };
        running.0.wait(SOON);
        in_order(&read(&running.0.path("checked")), &[wanted]);
    }
}
