//! `S6_LOGGING`: where everybody's output goes.

use crate::image::{Image, Running, image};
use crate::order::in_order;
use crate::support::{SOON, eventually};

/// Somebody of every kind who has something to say.
fn talkative(image: Image) -> Image {
    let run =
        |word: &str| format!("#!/bin/sh\necho {word}\necho {word} aloud >&2\nexec sleep 1000\n");
    image
        .script("etc/cont-init.d/x", "#!/bin/sh\necho from init\n")
        .script("etc/cont-finish.d/x", "#!/bin/sh\necho from finish\n")
        .oneshot("once", "echo \"from once\"\n", &["base"])
        .longrun("app", &run("from app"), &["once"])
        .script("etc/services.d/old/run", &run("from old"))
}

const ALL: [&str; 7] = [
    "from init\n",
    "from once\n",
    "from app\n",
    "from app aloud\n",
    "from old\n",
    "from old aloud\n",
    "from finish\n",
];

/// What the logger has written, from a place that outlives the container.
fn logged(running: &Running) -> String {
    crate::support::read(&running.0.path("logged"))
}

/// `S6_LOGGING`, `S6_CMD_USE_TERMINAL`, whether services are caught, and CMD.
#[test]
pub(crate) fn output_goes_to_one_logger() {
    for (value, terminal, services, cmd) in [
        ("0", "0", false, false),
        ("1", "0", true, false),
        ("2", "0", true, true),
        ("2", "1", true, false),
    ] {
        let Some(image) = image() else { return };
        let image = talkative(image)
            .env("S6_LOGGING", value)
            .env("S6_CMD_USE_TERMINAL", terminal)
            .env(
                "BEFORE",
                "mkdir -p /run/uncaught-logs; >/mnt/logged; \
                 ln -s /mnt/logged /run/uncaught-logs/current",
            )
            .env("S6_CMD_WAIT_FOR_SERVICES", "1");
        let line = "echo from cmd; sleep 0.3; exit 3";
        let Some(mut running) = image.start(&["sh", "-c", line]) else {
            return;
        };
        let ended = running.0.wait(SOON);
        let (out, err, log) = (running.0.out.text(), running.0.err.text(), logged(&running));
        let story = format!("{value} {terminal}:\n{out}\n{err}\n{log}");
        assert_eq!(ended.code, 3, "{story}");
        for line in ALL {
            assert_eq!(log.contains(line), services, "{line}{story}");
            assert_eq!(
                (out.clone() + &err).contains(line),
                !services,
                "{line}{story}"
            );
        }
        assert_eq!(log.contains("from cmd\n"), cmd, "{story}");
        assert_eq!(out.contains("from cmd\n"), !cmd, "{story}");
    }
}

/// The script's words, and the logger's user.
#[test]
pub(crate) fn lines_as_the_script_says() {
    for (script, user, stamped) in [("", "root", true), ("n3 s5000", "nobody", false)] {
        let Some(image) = image() else { return };
        let image = talkative(image)
            .env("S6_LOGGING", "1")
            .env("S6_LOGGING_SCRIPT", script)
            .env("S6_CATCHALL_USER", user);
        let Some(mut running) = image.start(&[]) else {
            return;
        };
        let file = "/run/uncaught-logs/current";
        eventually("all is logged", SOON, || {
            running.run(&["cat", file]).out.contains("from old aloud\n")
        });
        let log = running.run(&["cat", file]).out;
        let first = log
            .lines()
            .find(|line| line.ends_with("from init"))
            .unwrap();
        assert_eq!(first != "from init", stamped, "{log}");
        let owner = running.run(&["stat", "-c", "%U", file]).out;
        assert_eq!(owner.trim(), user);
        running.0.signal(libc::SIGTERM);
        assert_eq!(running.0.wait(SOON).code, 0, "{}", running.0.err.text());
        in_order(&log, &["from init", "from once", "from app"]);
    }
}
