//! `pidone syslog` as a process: real senders, hostile ones, its socket file, its end.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::role::{Folder, Role};
use crate::support::{PIDONE, SOON, eventually, poll, process, skip};

/// A receiver that listens on `log` of this folder.
fn receiver(folder: &Folder, more: &[&str]) -> Role {
    let socket = folder.path("log");
    let role = Role::start(&[&["syslog", "--socket", &socket], more].concat());
    let up = poll(SOON, || {
        UnixDatagram::unbound().unwrap().connect(&socket).is_ok()
    });
    assert!(up, "{}", role.err.text());
    role
}

fn sender(folder: &Folder) -> UnixDatagram {
    let socket = UnixDatagram::unbound().unwrap();
    socket.connect(folder.path("log")).unwrap();
    socket
}

/// A port of loopback that is free. None of those that the kernel gives to whoever connects: while
/// its owner is down for a moment, nobody else takes it.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id() * 50 + NEXT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(10_000 + number % 20_000).unwrap();
        let is_free = UdpSocket::bind(("127.0.0.1", port)).is_ok()
            && TcpListener::bind(("127.0.0.1", port)).is_ok();
        if is_free {
            return port;
        }
    }
}

/// Whether this program is here; says so if not.
pub(crate) fn have(program: &str, package: &str) -> bool {
    let found = Command::new("sh")
        .args(["-c", "command -v \"$0\"", program])
        .env("PATH", crate::support::setup::PATH)
        .output()
        .is_ok_and(|done| done.status.success());
    if !found {
        skip(&format!(
            "`{program}` is missing (Debian's package {package})"
        ));
    }
    found
}

#[test]
fn the_real_logger_is_heard() {
    if !have("logger", "bsdutils") {
        return;
    }
    let folder = Folder::new();
    let port = free_port().to_string();
    let mut role = receiver(&folder, &["--udp", &format!("127.0.0.1:{port}")]);
    let socket = folder.path("log");
    for args in [
        &["-u", &socket, "-t", "app", "--id=77", "over unix"][..],
        &["-u", &socket, "-t", "app", "-p", "daemon.err", "an error"],
        &["-u", &socket, "--rfc5424", "-t", "new", "--id=8", "as 5424"],
        &[
            "-n",
            "127.0.0.1",
            "-P",
            &port,
            "-d",
            "-t",
            "net",
            "--rfc3164",
            "over udp",
        ],
        &[
            "-n",
            "127.0.0.1",
            "-P",
            &port,
            "-d",
            "-t",
            "net5",
            "over udp as 5424",
        ],
    ] {
        let done = Command::new("logger").args(args).status().unwrap();
        assert!(done.success(), "{args:?}");
    }
    role.out.until("over udp as 5424\n");
    assert_eq!(role.stop(), 0);
    assert_eq!(
        role.out.text(),
        "app[77] over unix\nnew[8] as 5424\nnet over udp\nnet5 over udp as 5424\n"
    );
    assert_eq!(role.err.text(), "app an error\n");
}

#[test]
fn the_real_haproxy_is_heard() {
    if !have("haproxy", "haproxy") {
        return;
    }
    let folder = Folder::new();
    let mut role = receiver(&folder, &[]);
    let port = free_port();
    let config = format!(
        "global\n  log {} local0\n  log {} format rfc5424 local1 notice\n\
         defaults\n  mode http\n  log global\n  option httplog\n  timeout connect 1s\n  \
         timeout client 1s\n  timeout server 1s\n\
         frontend web\n  bind 127.0.0.1:{port}\n  http-request return status 200\n",
        folder.path("log"),
        folder.path("log"),
    );
    fs::write(folder.path("cfg"), config).unwrap();
    let mut haproxy = Command::new("haproxy");
    haproxy
        .args(["-db", "-f", &folder.path("cfg")])
        .env("PATH", crate::support::setup::PATH);
    let mut haproxy = Role::of(haproxy);
    let got = poll(SOON, || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok_and(|mut s| {
            std::io::Write::write_all(&mut s, b"GET /seen HTTP/1.0\r\n\r\n").unwrap();
            let mut text = String::new();
            std::io::Read::read_to_string(&mut s, &mut text).is_ok()
        })
    });
    assert!(got, "{}", haproxy.err.text());
    let text = role.out.until("\"GET /seen HTTP/1.0\"");
    let tag = format!("haproxy[{}] ", haproxy.pid());
    assert!(text.lines().all(|line| line.starts_with(&tag)), "{text}");
    haproxy.stop();
    assert_eq!(role.stop(), 0);
}

#[test]
fn bad_datagrams_are_lines_too() {
    let folder = Folder::new();
    let mut role = receiver(&folder, &[]);
    let sender = sender(&folder);
    sender.send(b"<999>who knows").unwrap();
    sender.send(b"a\0b\0\n").unwrap();
    sender.send(b"").unwrap();
    let mut large = b"<13>big: ".to_vec();
    large.resize(64 << 10, b'x');
    sender.send(&large).unwrap();
    sender.send(&[0xff; 100]).unwrap();
    sender.send(b"<13>end: .").unwrap();
    role.out.until("end .\n");
    assert_eq!(role.stop(), 0);
    let text = role.out.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(&lines[..3], ["- <999>who knows", "- a\\x00b", "-"]);
    let big = format!(
        "big {} [cut: 65536 octets were sent]",
        "x".repeat((8 << 10) - 9)
    );
    assert_eq!(lines[3], big);
    assert_eq!(lines[4], format!("- {}", "\\xff".repeat(100)));
    assert_eq!(lines.len(), 6);
    assert_eq!(role.err.text(), "");
}

#[test]
fn the_socket_file_is_ours_alone() {
    let folder = Folder::new();
    let path = folder.path("log");
    // A stale one is replaced.
    drop(UnixDatagram::bind(&path).unwrap());
    assert!(Path::new(&path).exists());
    let mut role = receiver(&folder, &["--mode", "0620"]);
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o620);
    // One on which somebody listens is not.
    let mut second = Role::start(&["syslog", "--socket", &path]);
    assert_eq!(second.wait(), 1);
    assert_eq!(
        second.err.text(),
        format!(
            "error: cannot listen on {path}: somebody else listens there\n\
             hint: is another syslog daemon running here?\n"
        )
    );
    assert!(Path::new(&path).exists());
    assert_eq!(role.stop(), 0);
    assert!(!Path::new(&path).exists(), "it is removed at the end");
    // What is no socket stays.
    fs::write(&path, "mine").unwrap();
    let mut third = Role::start(&["syslog", "--socket", &path]);
    assert_eq!(third.wait(), 1);
    assert!(
        third
            .err
            .text()
            .contains("something that is no socket is there")
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    // A successor's file is not removed either.
    fs::remove_file(&path).unwrap();
    let mut role = receiver(&folder, &[]);
    // Who reads has also looked at the file that it has made.
    sender(&folder).send(b"<13>u: here").unwrap();
    role.out.until("u here\n");
    let successor = UnixDatagram::bind(folder.path("next")).unwrap();
    fs::rename(folder.path("next"), &path).unwrap();
    assert_eq!(role.stop(), 0);
    assert!(Path::new(&path).exists());
    drop(successor);
}

#[test]
fn bad_usage_is_told() {
    for (args, told) in [
        (
            &["--udp", "0.0.0.0:514"][..],
            "error: `0.0.0.0:514` is not loopback\nhint: --udp 127.0.0.1:514: anybody",
        ),
        (
            &["--udp", "localhost:514"],
            "error: `localhost:514` is not an address with a port\nhint: --udp 127.0.0.1:514",
        ),
        (&["--mode", "rw"], "`rw` is not a mode such as 0666 or 660"),
        (
            &["--ready-fd", "77"],
            "error: cannot use `--ready-fd`: bad file number",
        ),
        (&["--ready-fd", "1"], "error: cannot use `--ready-fd`"),
    ] {
        let mut role = Role::start(&[&["syslog"], args].concat());
        assert_eq!(role.wait(), 2, "{args:?}");
        let text = role.err.text();
        assert!(text.contains(told), "{args:?}: {text}");
    }
    let mut role = Role::start(&["syslog", "--socket", "/no/such/folder/log"]);
    assert_eq!(role.wait(), 1);
    assert!(role.err.text().contains("hint: does its directory exist?"));
}

#[test]
fn it_tells_when_it_is_ready_and_reads_what_is_queued_before_it_ends() {
    let folder = Folder::new();
    let script = "exec 7>\"$1\"; exec \"$2\" syslog --socket \"$3\" --ready-fd 7";
    let mut command = Command::new("bash");
    let (told, log) = (folder.path("told"), folder.path("log"));
    command.args(["-c", script, "-", &told, PIDONE, &log]);
    let mut role = Role::of(command);
    eventually("it tells", SOON, || {
        fs::read_to_string(&told).is_ok_and(|text| text == "\n")
    });
    let sender = sender(&folder);
    role.signal(libc::SIGSTOP);
    let stopped = || process::Process::of(role.pid()).is_some_and(|p| p.state == 'T');
    eventually("it stands still", SOON, stopped);
    let queue = (0..8).take_while(|n| sender.send(format!("<13>q: {n}").as_bytes()).is_ok());
    let queued = queue.count();
    role.signal(libc::SIGTERM);
    role.signal(libc::SIGCONT);
    assert_eq!(role.wait(), 0);
    assert_eq!(role.out.text().lines().count(), queued);
    assert!(!Path::new(&log).exists());
}

#[test]
fn a_flood_loses_nothing_over_unix_and_takes_no_memory() {
    let folder = Folder::new();
    let mut role = receiver(&folder, &[]);
    let text = format!("<13>flood[1]: {}", "x".repeat(500));
    let before = role.resident_kib();
    let sender = sender(&folder);
    // Nobody reads its output: senders are held up, and it does not grow.
    role.out.hold(true);
    sender.set_nonblocking(true).unwrap();
    let mut sent = 0;
    let full = poll(SOON, || {
        while sender.send(text.as_bytes()).is_ok() {
            sent += 1;
        }
        process::Process::of(role.pid()).is_some_and(|p| p.state == 'S') && sent > 100
    });
    assert!(full, "{sent}");
    role.out.hold(false);
    sender.set_nonblocking(false).unwrap();
    for _ in 0..20_000 {
        sender.send(text.as_bytes()).unwrap();
        sent += 1;
    }
    let grown = role.resident_kib().saturating_sub(before);
    assert!(grown < 2048, "{grown} KiB more");
    assert_eq!(role.stop(), 0);
    assert_eq!(role.out.text().lines().count(), sent);
}

#[test]
fn what_the_kernel_drops_is_told() {
    let folder = Folder::new();
    let port = free_port();
    let mut role = receiver(&folder, &["--udp", &format!("127.0.0.1:{port}")]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(("127.0.0.1", port)).unwrap();
    role.signal(libc::SIGSTOP);
    let stopped = || process::Process::of(role.pid()).is_some_and(|p| p.state == 'T');
    eventually("it stands still", SOON, stopped);
    let sent = 5_000_u64;
    for n in 0..sent {
        socket.send(format!("<13>u: {n}").as_bytes()).unwrap();
    }
    role.signal(libc::SIGCONT);
    // Without another message: the last of a flood are told as the first are.
    role.err.until("dropped by the kernel");
    assert_eq!(role.stop(), 0);
    let told: u64 = role
        .err
        .text()
        .lines()
        .filter_map(|line| {
            line.strip_prefix("warning: ")?
                .split(' ')
                .next()?
                .parse::<u64>()
                .ok()
        })
        .sum();
    let came = role.out.text().lines().count() as u64;
    assert_eq!(came + told, sent, "{}", role.err.text());
}

#[test]
fn a_full_pipe_that_does_not_block_is_waited_for() {
    let folder = Folder::new();
    let (read, write) = std::io::pipe().unwrap();
    let fd = write.as_raw_fd();
    // SAFETY: the descriptor is open; the call touches no memory.
    unsafe { libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK) };
    let mut command = Command::new(PIDONE);
    command.args(["syslog", "--socket", &folder.path("log")]);
    let mut child = command.stdin(Stdio::null()).stdout(write).spawn().unwrap();
    drop(command);
    eventually("it listens", SOON, || {
        UnixDatagram::unbound()
            .unwrap()
            .connect(folder.path("log"))
            .is_ok()
    });
    let sender = sender(&folder);
    let reader = std::thread::spawn(move || std::io::read_to_string(read).unwrap());
    for _ in 0..2000 {
        sender.send(&[b'x'; 400]).unwrap();
    }
    process::send(i32::try_from(child.id()).unwrap(), libc::SIGTERM).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(reader.join().unwrap().lines().count(), 2000);
}
