//! The variables that the contract names, a row each: what they change.

use crate::image::image;
use crate::support::SOON;

/// The variable and its value, what the output must hold then, and what without it.
const TABLE: &[(&str, &str, &str, &str)] = &[
    ("S6_KEEP_ENV", "1", "cmd has [seen]\n", "cmd has []\n"),
    ("S6_CMD_ARG0", "/wrap", "wrapped sh\n", "cmd has []\n"),
    ("S6_STAGE2_HOOK", "echo hook", "hook\n", "init\n"),
    ("S6_RUNTIME_PROFILE", "other", "init of other\n", "init\n"),
    (
        "S6_KILL_FINISH_MAXTIME",
        "1000",
        "cut short\n",
        "finished\n",
    ),
];

#[test]
fn each_variable_changes_what_it_says() {
    for (name, value, with, without) in TABLE {
        for is_set in [true, false] {
            let Some(image) = image() else { return };
            let finish = "#!/bin/sh\ntrap 'echo cut short; exit 1' ALRM\nsleep 2 & wait $!\n\
                          echo finished\n";
            let image = image
                .env("SEEN", "seen")
                .script("wrap", "#!/bin/sh\necho \"wrapped $1\"\nexec \"$@\"\n")
                .script("etc/cont-init.d/x", "#!/bin/sh\necho init\n")
                .script("etc/cont-finish.d/x", finish)
                .script(
                    "etc/cont-profile.d/other/cont-init.d/x",
                    "#!/bin/sh\necho init of other\n",
                )
                .longrun("app", "#!/bin/sh\nexec sleep 1000\n", &[]);
            let image = if is_set {
                image.env(name, value)
            } else {
                image
            };
            let cmd = ["sh", "-c", "echo \"cmd has [$SEEN]\"; exit 2"];
            let Some(mut running) = image.start(&cmd) else {
                return;
            };
            let ended = running.0.wait(SOON);
            let (out, err) = (running.0.out.text(), running.0.err.text());
            assert_eq!(ended.code, 2, "{name}: {out}\n{err}");
            let wanted = if is_set { with } else { without };
            assert!(out.contains(wanted), "{name} {is_set}: {out}\n{err}");
        }
    }
}
