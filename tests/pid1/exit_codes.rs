//! What the container's exit code says.

use crate::support::{Recipe, SOON, can_contain, container};

/// Boots a fresh PID 1 for each number of a list, one after the other, and prints
/// `NUMBER CODE` a line. `$CALL` is how each is called.
const BATCH: &str = r#"mkdir -p /tmp/none
for i in $NUMBERS; do
    export NUMBER="$i"
    set -- init --services /tmp/none -- sh -c "$HOW"
    if [ -e /mnt/services/job ]; then set -- init --services /mnt/services; fi
    unshare --fork --pid --mount-proc -- /mnt/pidone "$@" 2>/tmp/err </dev/null
    code=$?
    echo "$i $code"
done
"#;

fn batch(recipe: Recipe, numbers: &[u32], how: &str) -> Vec<(u32, u32)> {
    let words: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    let mut it = recipe
        .env("NUMBERS", &words.join(" "))
        .env("HOW", how)
        .file("batch.sh", BATCH)
        .program(&["sh", "/mnt/batch.sh"])
        .start();
    assert_eq!(it.wait(SOON * 6).code, 0, "{}", it.err.text());
    it.out
        .text()
        .lines()
        .map(|line| {
            let (number, code) = line.split_once(' ').unwrap();
            (number.parse().unwrap(), code.parse().unwrap())
        })
        .collect()
}

fn job(how: &str) -> Recipe {
    container().service("job", &format!("main = true\ncommand = '{how}'\n"))
}

/// Signals that end a process, by number. 32 and 33 are the C library's own.
fn ending_signals() -> Vec<u32> {
    const OTHERS: [u32; 8] = [17, 18, 19, 20, 21, 22, 23, 28];
    (1..=31)
        .chain(34..=64)
        .filter(|n| !OTHERS.contains(n))
        .collect()
}

fn all_codes() -> Vec<u32> {
    (0..=255).collect()
}

/// The list is what was asked for, each with the code that `expected` gives.
fn check(got: &[(u32, u32)], numbers: &[u32], expected: impl Fn(u32) -> u32) {
    let want: Vec<_> = numbers.iter().map(|n| (*n, expected(*n))).collect();
    assert_eq!(got, want);
}

#[test]
fn every_code_of_cmd() {
    if can_contain() {
        let numbers = all_codes();
        check(
            &batch(container(), &numbers, "exit $NUMBER"),
            &numbers,
            |n| n,
        );
    }
}

#[test]
fn every_code_of_main() {
    if can_contain() {
        let numbers = all_codes();
        check(&batch(job("exit $NUMBER"), &numbers, ""), &numbers, |n| n);
    }
}

#[test]
fn every_ending_signal_of_cmd() {
    if can_contain() {
        let numbers = ending_signals();
        let how = "ulimit -c 0; kill -$NUMBER $$; sleep 30";
        check(&batch(container(), &numbers, how), &numbers, |n| 128 + n);
    }
}

#[test]
fn every_ending_signal_of_main() {
    if can_contain() {
        let numbers = ending_signals();
        let job = job("ulimit -c 0; kill -$NUMBER $$; sleep 30");
        check(&batch(job, &numbers, ""), &numbers, |n| 128 + n);
    }
}

/// Boots, waits for the end, and gives the code.
fn code_of(recipe: Recipe) -> (i32, String) {
    let mut it = recipe.start();
    let ended = it.wait(SOON);
    (ended.code, it.err.text())
}

#[test]
fn cmd_that_cannot_run() {
    if !can_contain() {
        return;
    }
    let (code, err) = code_of(container().cmd(&["/nowhere/to/be/found"]));
    assert_eq!(code, 127, "{err}");
    assert!(err.contains("/nowhere/to/be/found"), "{err}");
    let (code, err) = code_of(container().file("plain", "x\n").cmd(&["/mnt/plain"]));
    assert_eq!(code, 126, "{err}");
    assert!(err.contains("/mnt/plain"), "{err}");
}

#[test]
fn bad_usage() {
    if !can_contain() {
        return;
    }
    for args in [
        ["/mnt/pidone", "init", "--no-such-flag"],
        ["/mnt/pidone", "exec", "--nope"],
    ] {
        let (code, err) = code_of(container().program(&args));
        assert_eq!(code, 64, "{args:?}: {err}");
    }
    let (code, err) = code_of(container().program(&["/mnt/pidone", "bash"]));
    assert_ne!(code, 0);
    assert!(err.contains("pidone init -- bash"), "no hint: {err}");
}

#[test]
fn the_code_of_cmd_stands_whatever_had_to_be_killed() {
    if !can_contain() {
        return;
    }
    let stubborn = "command = \"trap '' TERM; exec sleep 1000\"\n[stop]\ntimeout = \"100ms\"\n";
    let (code, err) = code_of(
        container()
            .service("stubborn", stubborn)
            .cmd(&["sh", "-c", "exit 7"]),
    );
    assert_eq!(code, 7, "{err}");
}

#[test]
fn what_main_needs_fails() {
    if !can_contain() {
        return;
    }
    let (code, err) = code_of(
        container()
            .service("migrate", "type = \"oneshot\"\ncommand = \"exit 3\"\n")
            .service(
                "app",
                "main = true\nneeds = [\"migrate\"]\ncommand = [\"sleep\", \"1000\"]\n",
            ),
    );
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("migrate") && err.contains("app"), "{err}");
}

#[test]
fn cmd_waits_no_longer_than_it_is_told() {
    if !can_contain() {
        return;
    }
    let never = "command = [\"sleep\", \"1000\"]\n[ready]\nexec = [\"false\"]\nwithin = \"60s\"\n";
    let mut it = container()
        .service("never", never)
        .env("PIDONE_CMD_WAIT", "300ms")
        .cmd(&["sh", "-c", "exit 7"])
        .start();
    let ended = it.wait(SOON);
    assert_eq!(ended.code, 1, "{}", it.err.text());
    assert!(it.err.text().contains("never"), "{}", it.err.text());
}

#[test]
fn when_everything_has_ended() {
    if !can_contain() {
        return;
    }
    let once = |how: &str| format!("type = \"oneshot\"\ncommand = \"{how}\"\n");
    let (code, err) = code_of(
        container()
            .service("a", &once("true"))
            .service("b", &once("true")),
    );
    assert_eq!(code, 0, "{err}");
    let (code, err) = code_of(
        container()
            .service("a", &once("true"))
            .service("b", &once("exit 42")),
    );
    assert_eq!(code, 42, "{err}");
}

#[test]
fn a_limit_that_ends_the_container() {
    if !can_contain() {
        return;
    }
    let toml = |code: u8| {
        format!(
            "command = \"exit {code}\"\n[restart]\nlimit = {{ times = 1, within = \"60s\" }}\n\
             on-limit = \"exit\"\n"
        )
    };
    for (own, whole) in [(9, 9), (0, 1)] {
        let (code, err) = code_of(container().service("flaky", &toml(own)));
        assert_eq!(code, whole, "{err}");
    }
}

#[test]
fn a_code_that_was_asked_for() {
    if !can_contain() {
        return;
    }
    let mut it = container()
        .service("web", "command = [\"sleep\", \"1000\"]\n")
        .start();
    it.until("web", "ready");
    // The client is inside: it may be gone with the container before it has said its own word.
    let answer = it.pidone(&["shutdown", "--code", "33"]);
    assert!([0, -1, 143, 137].contains(&answer.code), "{answer:?}");
    assert_eq!(it.wait(SOON).code, 33, "{}", it.err.text());
}
