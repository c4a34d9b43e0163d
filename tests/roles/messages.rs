//! Datagrams as real programs write them, and the line that each becomes.

use pidone::syslog::{line, parse};

/// A datagram, and its line.
const STORY: &[(&[u8], &str)] = &[
    // haproxy: `log /dev/log format raw|rfc3164|rfc5424`, with `log-send-hostname` and without.
    (
        b"<134>Nov 22 11:25:09 haproxy[412]: 127.0.0.1:40220 [22/Nov/2026:11:25:09.017] web \
            nodes/n1 0/0/0/2/2 200 151 - - ---- 1/1/0/0/0 0/0 \"GET / HTTP/1.1\"\n",
        "haproxy[412] 127.0.0.1:40220 [22/Nov/2026:11:25:09.017] web nodes/n1 0/0/0/2/2 200 151 \
            - - ---- 1/1/0/0/0 0/0 \"GET / HTTP/1.1\"",
    ),
    (
        b"<129>Nov  2 11:25:09 box haproxy[412]: Server nodes/n1 is DOWN, reason: Layer4 \
            timeout.\n",
        "haproxy[412] Server nodes/n1 is DOWN, reason: Layer4 timeout.",
    ),
    (
        b"<134>1 2026-11-22T11:25:09.017+00:00 box haproxy 412 - - Proxy web started.\n",
        "haproxy[412] Proxy web started.",
    ),
    // logger(1): to a socket, to a server (RFC 5424 with timeQuality), and by hand.
    (b"<13>Nov 22 11:25:09 root: hello world", "root hello world"),
    (
        b"<13>1 2026-11-22T11:25:09.017000+00:00 box root - - [timeQuality tzKnown=\"1\" \
            isSynced=\"0\"] hello",
        "root hello",
    ),
    (
        b"<13>1 2026-11-22T11:25:09Z box app 7 LOGIN [timeQuality tzKnown=\"1\"][user@32473 \
            name=\"a \\\"b\\] c\"] in",
        "app[7] LOGIN [user@32473 name=\"a \\\"b\\] c\"] in",
    ),
    // sshd, cron, postfix, systemd, and a kernel line.
    (
        b"<38>Nov 22 11:25:09 sshd[1913]: Accepted publickey for root from 10.0.0.9 port 50012 \
            ssh2: ED25519 SHA256:x\0",
        "sshd[1913] Accepted publickey for root from 10.0.0.9 port 50012 ssh2: ED25519 SHA256:x",
    ),
    (
        b"<78>Nov 22 11:25:01 CRON[2201]: (root) CMD (test -x /usr/sbin/anacron || run-parts \
            --report /etc/cron.hourly)",
        "CRON[2201] (root) CMD (test -x /usr/sbin/anacron || run-parts --report /etc/cron.hourly)",
    ),
    (
        b"<22>Nov 22 11:25:01 postfix/smtpd[88]: connect from a[1.2.3.4]",
        "postfix/smtpd[88] \
            connect from a[1.2.3.4]",
    ),
    (b"<30>Nov 22 11:25:01 (systemd)[1]: x", "(systemd)[1] x"),
    (
        b"<4>Nov 22 11:25:01 kernel: [   12.5] oom",
        "kernel [   12.5] oom",
    ),
    // A time as RFC 3339 has it, as rsyslog forwards; no time at all; no text.
    (
        b"<13>2026-11-22T11:25:09.1+01:00 box app[3]: hi",
        "app[3] hi",
    ),
    (b"<13>app[3]: hi", "app[3] hi"),
    (b"<13>app[3] hi", "app[3] hi"),
    (b"<13>app[3]:hi", "app[3] hi"),
    (b"<13>app:", "app"),
    // The examples of RFC 3164, section 5.4, and of RFC 5424, section 6.5.
    (
        b"<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8",
        "su 'su root' failed for lonvick on /dev/pts/8",
    ),
    (b"Use the BFG!", "- Use the BFG!"),
    (b"<13>Use the BFG!", "- Use the BFG!"),
    (
        b"<0>1990 Oct 22 10:52:01 TZ-6 scapegoat.dmz.example.org 10.1.2.3 sched[0]: That's All \
            Folks!",
        "- 1990 Oct 22 10:52:01 TZ-6 scapegoat.dmz.example.org 10.1.2.3 sched[0]: That's All \
            Folks!",
    ),
    (
        b"<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \xef\xbb\xbf'su \
            root' failed",
        "su ID47 'su root' failed",
    ),
    (
        b"<165>1 2003-10-11T22:14:15.003Z h evntslog - ID47 [exampleSDID@32473 iut=\"3\" \
            eventID=\"1011\"][examplePriority@32473 class=\"high\"]",
        "evntslog ID47 [exampleSDID@32473 iut=\"3\" eventID=\"1011\"] [examplePriority@32473 \
            class=\"high\"]",
    ),
    // No words are taken for a host or a program, and none are lost.
    (
        b"<13>Nov 22 11:25:09 words without a program",
        "- words without a program",
    ),
    (b"<13>http://x/ is down", "- http://x/ is down"),
    (
        b"<13>std::bad_alloc: no memory",
        "- std::bad_alloc: no memory",
    ),
    (b"<13>1 apple a day", "- 1 apple a day"),
    (
        b"<13>1 2026-11-22T11:25:09Z h app 1 - [open it",
        "- 1 2026-11-22T11:25:09Z h app 1 - \
            [open it",
    ),
    // Malformed priorities: user.notice, and the whole datagram is the text.
    (b"<192>Nov 22 11:25:09 a: b", "- <192>Nov 22 11:25:09 a: b"),
    (b"<013>a: b", "- <013>a: b"),
    (b"<13a: b", "- <13a: b"),
    (b"<>", "- <>"),
    (b"", "-"),
    // Nothing moves a cursor or breaks a line.
    (
        b"<13>a: one\ntwo\tthree\x1b[31m\0four\n\n",
        "a one\\ntwo\\tthree\\x1b[31m\\x00four",
    ),
    (
        b"<13>a: caf\xc3\xa9 \xff\xc2\x85",
        "a caf\u{e9} \\xff\\u{85}",
    ),
];

#[test]
fn every_datagram_becomes_its_line() {
    for (datagram, line) in STORY {
        let mut found = String::new();
        line::write(&mut found, &parse::parse(datagram), None);
        assert_eq!(
            found,
            format!("{line}\n"),
            "{}",
            String::from_utf8_lossy(datagram)
        );
    }
}

#[test]
fn a_severity_is_an_error_from_3_down() {
    for (pri, is_error) in [("<11>", true), ("<3>", true), ("<12>", false), ("x", false)] {
        let datagram = format!("{pri}a: b");
        let message = parse::parse(datagram.as_bytes());
        assert_eq!(message.priority.is_error(), is_error, "{pri}");
    }
}
