//! Bad input on a service's notify socket: from strangers, too much, too long, with descriptors.

use std::fs;
use std::io::Write;

use nix::libc;

use crate::notify::{NOTIFY, TALKER, page, say, talker, until};
use crate::support::{Container, SOON, can_contain, container, poll};

#[test]
fn strangers_are_not_heard() {
    if !can_contain() {
        return;
    }
    let other = "command = \"mkfifo /mnt/other; \
                 exec perl /mnt/talker.pl /run/pidone/notify/web /mnt/other\"\n";
    let mut it = talker("").service("other", other).start();
    it.until("other", "ready");
    say(&it, "STATUS=mine");
    until(&mut it, "says", "mine");
    for word in ["READY=1", "STATUS=theirs", "STOPPING=1", "READY=1"] {
        let path = it.path("other");
        assert!(poll(SOON, || path.exists()));
        let mut fifo = fs::OpenOptions::new().write(true).open(path).unwrap();
        writeln!(fifo, "{word}").unwrap();
    }
    it.err.until("is not heard: it is none of its own");
    // What comes after them has been heard after them.
    say(&it, "STATUS=mine again");
    until(&mut it, "says", "mine again");
    assert_eq!(it.service("web")["state"], "starting");
    say(&it, "READY=1");
    it.until("web", "ready");
    let told = it.err.text();
    assert_eq!(told.matches("is not heard").count(), 1, "{told}");
    it.stop();
}

#[test]
fn what_is_too_long_or_refused_is_told_once() {
    if !can_contain() {
        return;
    }
    let mut it = talker("").start();
    for _twice in 0..2 {
        say(&it, "x5000");
        say(&it, "MAINPID=1");
    }
    say(&it, "READY=0");
    say(&it, "x4096");
    say(&it, "STATUS=still here");
    until(&mut it, "says", "still here");
    assert_eq!(it.service("web")["state"], "starting");
    let told = it.err.text();
    for line in [
        "web * a notification of more than 4096 bytes is not heard",
        "web * MAINPID is not heard: its main process is the one that was started",
    ] {
        assert_eq!(told.matches(line).count(), 1, "{line}: {told}");
    }
    it.signal(libc::SIGTERM);
    it.wait(SOON);
}

#[test]
fn a_flood_holds_up_nobody() {
    if !can_contain() {
        return;
    }
    let flood = "use Socket; socket(my $s, AF_UNIX, SOCK_DGRAM, 0);
        my $to = sockaddr_un($ENV{NOTIFY_SOCKET}); my $n = 0;
        while (1) { send($s, 'READY=1' . qq{\\nSTATUS=} . $n++, 0, $to) }";
    let mut it = container()
        .file("flood.pl", flood)
        .service(
            "web",
            &format!("command = [\"perl\", \"/mnt/flood.pl\"]\n{NOTIFY}"),
        )
        .service("other", "command = [\"sleep\", \"1000\"]\n")
        .start();
    it.until("web", "ready");
    for _round in 0..10 {
        assert_eq!(it.pidone(&["restart", "other"]).code, 0);
    }
    let heard = page(&it)["says"].clone();
    assert!(poll(SOON, || page(&it)["says"] != heard));
    it.stop();
}

#[test]
fn descriptors_are_closed_and_a_barrier_falls() {
    if !can_contain() {
        return;
    }
    // sendmsg(2) by hand: Perl has no word for passing descriptors.
    let barrier = r"use Socket; use POSIX ();
$| = 1;
my $call = (POSIX::uname())[4] eq 'x86_64' ? 46 : 211;
socket(my $s, AF_UNIX, SOCK_DGRAM, 0) or die;
connect($s, sockaddr_un($ENV{NOTIFY_SOCKET})) or die;
for my $text ('FDSTORE=1', 'READY=1', 'BARRIER=1') {
    pipe(my $read, my $write) or die;
    my @fds = (fileno $write) x ($text eq 'FDSTORE=1' ? 200 : 1);
    my $rights = pack('Q l l l*', 16 + 4 * @fds, 1, 1, @fds) . (qq{\0} x (4 * (@fds % 2)));
    my $iov = pack('P Q', $text, length $text);
    my $message = pack('Q Q P Q P Q Q', 0, 0, $iov, 1, $rights, length $rights, 0);
    syscall($call, fileno $s, $message, 0) > 0 or die qq{sendmsg: $!};
    close $write;
    # The end of the pipe: nobody holds the other end any more.
    sysread($read, my $rest, 1);
    print qq{$text fell\n};
}
sleep 1000;
";
    let toml = format!("command = [\"perl\", \"/mnt/barrier.pl\"]\n{NOTIFY}");
    let mut it = container()
        .file("barrier.pl", barrier)
        .service("web", &toml)
        .start();
    it.out.until("BARRIER=1 fell");
    it.until("web", "ready");
    let open = fs::read_dir(format!("/proc/{}/fd", it.pid))
        .unwrap()
        .count();
    assert!(open < 60, "{open} descriptors");
    it.stop();
}

#[test]
fn its_own_user_can_write_and_nobody_else() {
    if !can_contain() {
        return;
    }
    let other = "user = \"4243\"\ncommand = \"mkfifo /tmp/other; \
                 exec perl /mnt/talker.pl /run/pidone/notify/web /tmp/other\"\n";
    let mut it = container()
        .file("talker.pl", TALKER)
        .service(
            "web",
            &format!(
                "user = \"4242\"\ncommand = \"mkfifo /tmp/say; \
                 exec perl /mnt/talker.pl $NOTIFY_SOCKET /tmp/say\"\n{NOTIFY}"
            ),
        )
        .service("other", other)
        .start();
    it.until("other", "ready");
    let tell = |it: &mut Container, at: &str| {
        let line = format!("until [ -p {at} ]; do sleep 0.02; done; echo READY=1 >{at}");
        assert_eq!(it.run(&["sh", "-c", &line]).code, 0);
    };
    tell(&mut it, "/tmp/other");
    it.out.until("other | cannot: Permission denied");
    assert_eq!(it.service("web")["state"], "starting");
    tell(&mut it, "/tmp/say");
    it.until("web", "ready");
    it.stop();
}
