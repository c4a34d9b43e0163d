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

/// The commands of `s6-rc` that follow each other, and what each prints and exits with.
const CHANGES: &[(&str, &str, &str)] = &[
    (
        "s6-rc -a list",
        "fix-attrs kept legacy-cont-init legacy-services one reader writer ",
        "0",
    ),
    ("s6-rc list line", "reader writer ", "0"),
    ("s6-rc listall one", "one ", "0"),
    ("s6-rc -d listall one", "one two ", "0"),
    ("s6-rc -u change again; s6-rc list again", "again ", "0"),
    ("s6-rc listall two", "one two ", "0"),
    (
        "s6-rc -b -v 2 -u change two 2>&1",
        "s6-rc: info: service two: starting s6-rc: info: service \
     two successfully started ",
        "0",
    ),
    (
        "s6-rc -d change line; s6-rc list line; s6-svstat -o up /run/service/writer",
        "reader writer false ",
        "0",
    ),
    (
        "s6-rc -u change line; s6-svstat -o up /run/service/reader",
        "true ",
        "0",
    ),
    (
        "s6-rc -d change kept 2>&1",
        "s6-rc: warning: service kept is essential: not stopped ",
        "0",
    ),
    ("s6-svstat -o up /run/service/kept", "true ", "0"),
    (
        "s6-rc -D change kept; s6-svstat -o up /run/service/kept",
        "false ",
        "0",
    ),
    (
        "s6-rc start kept; s6-svstat -o up /run/service/kept",
        "true ",
        "0",
    ),
    (
        "s6-rc stop two; s6-svstat -o up /run/service/two",
        "false ",
        "0",
    ),
    (
        "s6-rc -u -p change one; s6-svstat -o up /run/service/writer",
        "false ",
        "0",
    ),
    (
        "s6-rc -a list",
        "again fix-attrs kept legacy-cont-init legacy-services one ",
        "0",
    ),
    (
        "s6-rc -u change bad 2>&1",
        "s6-rc: warning: unable to start service bad ",
        "1",
    ),
    (
        "s6-rc -t 200 -u change slow 2>&1",
        "s6-rc: fatal: timed out ",
        "2",
    ),
    (
        "s6-rc -u change absent 2>&1",
        "s6-rc: fatal: absent is not a recognized identifier in \
     /run/s6-rc/compiled/resolve.cdb ",
        "3",
    ),
    (
        "s6-rc -n 0 -u change two 2>&1",
        "s6-rc-dryrun: info: service two: starting ",
        "0",
    ),
    ("s6-rc -Z list 2>/dev/null", "", "100"),
    ("s6-rc 2>/dev/null", "", "100"),
    ("PIDONE_SOCKET=/absent s6-rc -a list 2>/dev/null", "", "111"),
    (
        "echo nonsense >>/run/s6-rc/pidone-tree; s6-rc -a list 2>&1",
        "s6-rc: fatal: invalid service \
     database in /run/s6-rc/pidone-tree ",
        "4",
    ),
];

#[test]
fn s6_rc_changes_what_it_is_asked_to() {
    let Some(image) = image() else { return };
    let run = "#!/bin/sh\nexec sleep 1000\n";
    let script: String = CHANGES
        .iter()
        .flat_map(|(line, ..)| ["(", line, ") | tr '\\n' ' '; echo \"= ${PIPESTATUS[0]}\"\n"])
        .collect();
    let mut image = image
        .longrun("one", run, &[])
        .longrun("kept", run, &["base"])
        .file(&format!("{DIR}/kept/flag-essential"), "")
        .longrun("writer", run, &[])
        .file(&format!("{DIR}/writer/producer-for"), "reader\n")
        .longrun("reader", "#!/bin/sh\nexec cat\n", &[])
        .file(&format!("{DIR}/reader/consumer-for"), "writer\n")
        .file(&format!("{DIR}/reader/pipeline-name"), "line\n")
        .file("script", &script);
    // Those that only `s6-rc` starts.
    for (name, kind, file, text) in [
        ("two", "longrun", "run", run),
        ("bad", "oneshot", "up", "false\n"),
        ("slow", "oneshot", "up", "sleep 1000\n"),
        ("again", "oneshot", "up", "sh -c \"echo run >>/run/runs\"\n"),
    ] {
        image = image
            .file(&format!("{DIR}/{name}/type"), kind)
            .script(&format!("{DIR}/{name}/{file}"), text);
    }
    let image = image.file(&format!("{DIR}/two/dependencies.d/one"), "");
    let Some(mut running) = image.start(&["bash", "/script"]) else {
        return;
    };
    running.0.wait(SOON);
    let (out, err) = (running.0.out.text(), running.0.err.text());
    for ((line, told, code), got) in CHANGES.iter().zip(out.lines()) {
        assert_eq!(got, format!("{told}= {code}"), "{line}\n{out}\n{err}");
    }
    assert_eq!(out.lines().count(), CHANGES.len(), "{out}\n{err}");
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
