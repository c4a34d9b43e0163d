//! Trees and variables with mistakes in them: as the real tools do, or a clear error.

use crate::image::{Image, image};
use crate::order::in_order;
use crate::support::SOON;

const DIR: &str = "etc/s6-overlay/s6-rc.d";

const RUN: &str = "#!/bin/sh\nexec sleep 1000\n";

/// What is wrong, and all that must be told of it.
type Wrong = (&'static str, fn(Image) -> Image, &'static [&'static str]);

const TABLE: &[Wrong] = &[
    (
        "a circle of needs",
        |image| image.longrun("a", RUN, &["b"]).longrun("b", RUN, &["a"]),
        &["error: `a` and `b` need each other: a → b → a\n"],
    ),
    (
        "one that needs itself, through a bundle",
        |image| {
            image
                .longrun("a", RUN, &["b"])
                .file(&format!("{DIR}/all/type"), "bundle\n")
                .file(&format!("{DIR}/all/contents.d/a"), "")
                .longrun("b", RUN, &["all"])
        },
        &["error: `a` and `b` need each other: a → b → a\n"],
    ),
    (
        "a bundle that holds itself",
        |image| {
            image
                .file(&format!("{DIR}/one/type"), "bundle\n")
                .file(&format!("{DIR}/one/contents.d/other"), "")
                .file(&format!("{DIR}/other/type"), "bundle\n")
                .file(&format!("{DIR}/other/contents"), "one\n")
        },
        &["error: the bundle `one` holds itself: one > other\n"],
    ),
    (
        "no type, and one that is none",
        |image| {
            image
                .script(&format!("{DIR}/app/run"), RUN)
                .file(&format!("{DIR}/odd/type"), "longrum\n")
        },
        &[
            "error: `app` has no `type`\n",
            "error: unknown type `longrum`\n --> /etc/s6-overlay/s6-rc.d/odd/type:1:1\n",
            "hint: did you mean `longrun`?\n",
        ],
    ),
    (
        "neither run nor up",
        |image| {
            image
                .file(&format!("{DIR}/app/type"), "longrun\n")
                .file(&format!("{DIR}/once/type"), "oneshot\n")
        },
        &[
            "error: the longrun `app` has no `run`\n",
            "error: the oneshot `once` has no `up`\n",
        ],
    ),
    (
        "reserved names, and names of stages",
        |image| {
            image
                .longrun("s6rc-app", RUN, &[])
                .longrun("fix-attrs", RUN, &[])
        },
        &[
            "error: `s6rc-app` begins with `s6rc-`, which s6-rc keeps for itself\n",
            "error: `fix-attrs` is the name of a stage of the boot\n",
        ],
    ),
    (
        "a block that does not end, and one that does not begin",
        |image| {
            image
                .oneshot("a", "if { true\n", &[])
                .oneshot("b", "true }\n", &[])
        },
        &["error: `up`: unmatched {\n", "error: `up`: unmatched }\n"],
    ),
    (
        "contents that are no text",
        |image| {
            image
                .env(
                    "BEFORE",
                    "printf 'echo \\377' >/etc/s6-overlay/s6-rc.d/a/up; \
                     printf '\\377' >/etc/s6-overlay/s6-rc.d/b/notification-fd",
                )
                .oneshot("a", "", &[])
                .longrun("b", RUN, &[])
                .file(&format!("{DIR}/b/notification-fd"), "")
        },
        &["error: `up` is not UTF-8\n", "s6-rc.d/b/notification-fd"],
    ),
    (
        "a tree for another init that has the same names",
        |image| {
            image
                .script("etc/services.d/app/run", RUN)
                .file("etc/services.d/app/respawn", "")
                .script("etc/services.d/other/run", RUN)
                .file("etc/services.d/other/min_running_time", "500\n")
        },
        &[
            "error: `/etc/services.d/app` is made for another init, which is not s6\n",
            "error: `/etc/services.d/other` is made for another init, which is not s6\n",
        ],
    ),
];

#[test]
fn mistakes_end_the_container_and_are_told() {
    for (what, make, told) in TABLE {
        let Some(image) = image() else { return };
        let Some(mut running) = make(image).start(&["echo", "never"]) else {
            return;
        };
        let ended = running.0.wait(SOON);
        let (out, err) = (running.0.out.text(), running.0.err.text());
        assert_eq!(ended.code, 78, "{what}: {out}\n{err}");
        for line in *told {
            assert!(err.contains(line), "{what}: no `{line}` in\n{err}");
        }
        assert_eq!(out, "", "{what}: {err}");
    }
}

#[test]
fn what_s6_takes_is_taken() {
    let Some(image) = image() else { return };
    let image = image
        .oneshot(
            "a",
            "#!/bin/sh is a comment\nforeground { echo one } echo \"t\\0x77o\"\n",
            &[],
        )
        .oneshot("empty", "", &["a"])
        .longrun("late", "", &["empty"])
        .file(
            &format!("{DIR}/late/run"),
            "#!/bin/sh\necho \"run of mode $(stat -c %a \
             /etc/s6-overlay/s6-rc.d/late/run)\"\nexec sleep 1000\n",
        )
        .env("BEFORE", "chmod 0644 /etc/s6-overlay/s6-rc.d/late/run")
        .oneshot("unknown", "no-such-word { a } echo b\n", &[])
        .script(
            "script",
            "#!/usr/bin/execlineb -P\nno-such-block { a b } echo c\n",
        )
        .oneshot("script", "/script\n", &[]);
    let Some(mut running) = image.start(&["sh", "-c", "sleep 0.3; exit 5"]) else {
        return;
    };
    let ended = running.0.wait(SOON);
    let (out, err) = (running.0.out.text(), running.0.err.text());
    assert_eq!(ended.code, 5, "{out}\n{err}");
    in_order(&out, &["one\ntwo\n", "run of mode 644\n"]);
    for line in [
        "cannot execute `no-such-word`: no such file",
        "unable to exec no-such-block",
    ] {
        assert!(err.contains(line), "no `{line}` in\n{err}");
    }
}

/// Values that are no text, or nothing, or more than a line.
#[test]
fn variables_of_any_bytes() {
    let Some(image) = image() else { return };
    let image = image
        .script(
            "raw",
            "#!/bin/bash\nexport RAW=$'a\\377b' LINES_=$'one\\ntwo\\n' EMPTY= 'EQUALS=a=b'\n\
             exec \"$@\"\n",
        )
        .env("THROUGH", "/raw")
        .script(
            "etc/services.d/app/run",
            "#!/usr/bin/with-contenv bash\nprintf '[%q] ' \"$RAW\" \"$LINES_\" \
             \"${EMPTY-unset}\" \"$EQUALS\"; echo\nprintcontenv RAW | od -An -tx1\n\
             printcontenv ABSENT; echo \"= $?\"\nexec sleep 1000\n",
        );
    let Some(mut running) = image.start(&[]) else {
        return;
    };
    running.0.out.until("= ");
    running.0.signal(libc::SIGTERM);
    let ended = running.0.wait(SOON);
    let (out, err) = (running.0.out.text(), running.0.err.text());
    assert_eq!(ended.code, 0, "{err}");
    in_order(
        &out,
        &[
            "[$'a\\377b'] [$'one\\ntwo\\n'] [''] [a=b] \n",
            " 61 ff 62",
            "= 2\n",
        ],
    );
}
