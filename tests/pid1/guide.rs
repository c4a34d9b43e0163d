//! The examples of docs/health.md, run as they stand there.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::notify::HAPROXY;
use crate::support::{Container, SOON, can_contain, container, poll};

/// Where the examples' programs are.
const PATH: &str = "/mnt/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The block of the guide below this name.
fn block(name: &str) -> String {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/health.md");
    let guide = fs::read_to_string(guide).unwrap();
    let (_, rest) = guide.split_once(&format!("\n`{name}`\n\n```")).expect(name);
    let (_, rest) = rest.split_once('\n').unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

fn well(it: &mut Container, name: &str) {
    it.until(name, "ready");
    assert_eq!(it.pidone(&["health"]).code, 0);
}

#[test]
fn an_application_is_asked() {
    if !can_contain() {
        return;
    }
    let app = "#!/usr/bin/perl\nuse IO::Socket::INET;
my $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 3000, Listen => 5) or die;
while (my $c = $s->accept) {
    my $line = <$c>;
    print $c qq{HTTP/1.1 204 Fine\\r\\nConnection: close\\r\\n\\r\\n} if $line =~ m{^GET /healthz };
}
";
    let mut it = container()
        .env("PATH", PATH)
        .service("app", &block("app/service.toml"))
        .script("bin/app", app)
        .start();
    well(&mut it, "app");
    it.stop();
}

#[test]
fn haproxy_tells() {
    if !can_contain() {
        return;
    }
    if !Path::new("/usr/sbin/haproxy").exists() {
        eprintln!("skipped: there is no haproxy here");
        return;
    }
    let toml = block("proxy/service.toml").replace("/etc/haproxy/", "/mnt/");
    let mut it = container()
        .service("proxy", &toml)
        .file("haproxy.cfg", HAPROXY)
        .start();
    well(&mut it, "proxy");
    assert_eq!(it.pidone(&["reload", "proxy"]).code, 0);
    // A signal that comes while it executes itself anew is lost.
    let told = |it: &Container| it.err.text().matches("Loading success.").count();
    assert!(poll(SOON, || told(&it) == 2), "{}", it.err.text());
    let is_back = || it.pidone(&["status", "-o", "note", "proxy"]).out == "-\n";
    assert!(poll(SOON, is_back));
    // Its own loop tells of the old worker's end: from then on it hears signals again.
    let hears = |it: &Container| it.err.text().contains("Former worker");
    assert!(poll(SOON, || hears(&it)), "{}", it.err.text());
    it.stop();
}

#[test]
fn a_worker_in_python_tells() {
    if !can_contain() {
        return;
    }
    let real = Command::new("python3")
        .args(["-c", "import sys; print(sys.executable)"])
        .output();
    let Ok(real) = real else {
        eprintln!("skipped: there is no python3 here");
        return;
    };
    let real = String::from_utf8(real.stdout).unwrap();
    let toml = block("worker/service.toml")
        .replace("/app/worker.py", "/mnt/worker.py")
        .replace("10s", "500ms");
    let recipe = container()
        .env("PATH", PATH)
        .service("worker", &toml)
        .file("bin/.keep", "")
        .file("worker.py", &block("/app/worker.py"));
    let mut it = recipe.start();
    symlink(real.trim(), it.path("bin/python3")).unwrap();
    it.until("worker", "ready");
    let page = || it.pidone(&["status", "worker"]).out;
    assert!(poll(SOON, || page().contains("WATCHDOG=1 every 0.5s, 4 passed")));
    assert!(page().contains("says      waiting for work"), "{}", page());
    it.stop();
}
