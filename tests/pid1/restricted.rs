//! Where much is missing: rights, files, descriptors, the number 1.

use crate::support::{Recipe, can_contain, container};

fn fleet(recipe: Recipe) -> Recipe {
    recipe
        .service("a", "command = \"echo a is up; exec sleep 1000\"\n")
        .service(
            "b",
            "needs = [\"a\"]\ncommand = \"echo b is up; exec sleep 1000\"\n",
        )
}

/// Boots, starts in order, passes output on, answers if it can be asked, and stops.
fn works(recipe: Recipe, answers: bool) {
    let mut it = fleet(recipe).start();
    it.out.until("a | a is up\n");
    it.out.until("b | b is up\n");
    if answers {
        it.until("b", "ready");
        assert_eq!(it.pidone(&["health"]).code, 0);
        assert_eq!(it.pidone(&["restart", "b"]).code, 0);
    }
    it.stop();
}

#[test]
fn not_as_pid_1() {
    if can_contain() {
        works(container().below(), true);
    }
}

#[test]
fn as_a_user_nobody_knows() {
    if can_contain() {
        works(container().uid(12345), true);
    }
}

#[test]
fn without_capabilities() {
    if can_contain() {
        works(container().no_caps(), true);
    }
}

#[test]
fn on_a_read_only_root() {
    if can_contain() {
        works(container().read_only(), true);
    }
}

#[test]
fn without_a_writable_run() {
    if can_contain() {
        works(container().run_unwritable(), true);
    }
}

#[test]
fn with_nothing_writable_at_all() {
    if !can_contain() {
        return;
    }
    let recipe = container()
        .read_only()
        .run_unwritable()
        .tmp_unwritable()
        .uid(12345);
    let mut it = fleet(recipe).start();
    it.out.until("b | b is up\n");
    let err = it.err.text();
    assert!(
        err.contains("socket"),
        "it must say that it cannot be asked: {err}"
    );
    it.stop();
}

#[test]
fn all_of_it_at_once_and_not_pid_1() {
    if can_contain() {
        works(
            container()
                .read_only()
                .run_unwritable()
                .uid(12345)
                .no_caps()
                .below(),
            true,
        );
    }
}

#[test]
fn without_proc() {
    if can_contain() {
        works(container().no_proc(), true);
    }
}

#[test]
fn without_proc_below_another_pid_1() {
    if can_contain() {
        works(container().no_proc().below(), true);
    }
}

#[test]
fn with_descriptor_0_closed() {
    if can_contain() {
        works(container().stdin_closed(), true);
    }
}

#[test]
fn with_every_descriptor_closed() {
    if !can_contain() {
        return;
    }
    let script = "exec /mnt/pidone init --services /mnt/services <&- >&- 2>&-";
    let mut it = container()
        .service(
            "a",
            "command = \"echo up; touch /mnt/up; exec sleep 1000\"\n",
        )
        .program(&["sh", "-c", script])
        .start();
    let up = crate::support::poll(crate::support::SOON, || it.path("up").exists());
    assert!(up, "it never started");
    it.until("a", "ready");
    it.stop();
}

#[test]
fn a_user_who_may_not_switch_users() {
    if !can_contain() {
        return;
    }
    let toml = "user = \"nobody\"\ncommand = \"echo up; exec sleep 1000\"\n";
    let mut it = container()
        .uid(12345)
        .service("web", toml)
        .service("other", "command = \"echo other; exec sleep 1000\"\n")
        .start();
    it.out.until("other | other\n");
    it.until("web", "waiting-to-restart");
    let err = it.err.text();
    assert!(
        err.contains("web") && err.contains("not permitted"),
        "{err}"
    );
    it.stop();
}

#[test]
fn another_user_without_the_right_to_give_pipes_away() {
    if !can_contain() {
        return;
    }
    let mut it = container()
        .through("setpriv --bounding-set=-chown --inh-caps=-chown")
        .service(
            "web",
            "command = \"id -u; exec sleep 1000\"\nuser = \"nobody\"\n",
        )
        .start();
    it.out.until("web | 65534\n");
    it.until("web", "ready");
    it.err.until("web * it cannot open /dev/stdout");
    it.stop();
}

/// Refuses system calls as an engine's profile does: some are "not permitted", clone3 is "unknown".
const SECCOMP: &str = r"use POSIX ();
my $x86 = (POSIX::uname())[4] eq 'x86_64';
# mount, ptrace, keyctl, unshare
my ($prctl, @never) = $x86 ? (157, 165, 101, 250, 272) : (167, 40, 117, 219, 97);
my @filter = (pack('SCCL', 0x20, 0, 0, 0));
for my $rule (map({ [$_, 1] } @never), [435, 38]) {
    push @filter, pack('SCCL', 0x15, 0, 1, $rule->[0]);
    push @filter, pack('SCCL', 0x06, 0, 0, 0x50000 | $rule->[1]);
}
push @filter, pack('SCCL', 0x06, 0, 0, 0x7fff0000);
my $program = pack('S x6 P', scalar @filter, join('', @filter));
syscall($prctl, 22, 2, $program, 0, 0) == 0 or die qq{seccomp: $!};
exec @ARGV;
";

/// What the Pod of docs/restricted.md asks for, without an engine: a user who is not root, no
/// capability, no new privileges, a filter of system calls, a read-only root.
#[test]
fn the_restricted_profile_of_kubernetes() {
    if !can_contain() {
        return;
    }
    let facts = "command = \"grep -E '^(Uid|CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status; \
                 touch /usr/x; unshare --user true; exec sleep 1000\"\n";
    let recipe = container()
        .uid(65532)
        .no_caps()
        .read_only()
        .file("seccomp.pl", SECCOMP)
        .service("facts", facts)
        .through("setpriv --no-new-privs perl /mnt/seccomp.pl");
    let mut it = fleet(recipe).start();
    for fact in [
        "Uid:\t65532\t65532\t65532\t65532",
        "CapEff:\t0000000000000000",
        "CapBnd:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
    ] {
        it.out.until(&format!("facts | {fact}\n"));
    }
    it.err.until("Read-only file system");
    it.err.until("unshare failed: Operation not permitted");
    it.until("b", "ready");
    assert_eq!(it.pidone(&["health"]).code, 0);
    assert_eq!(it.pidone(&["restart", "b"]).code, 0);
    it.stop();
}
