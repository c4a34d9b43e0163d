//! The roles as services of a container: the examples of `docker/examples`, as `docker logs` shows
//! them.

use std::fs;
use std::path::Path;

use crate::support::setup::PATH;
use crate::support::{Container, Recipe, SOON, can_contain, container, eventually, read};
use crate::syslog::have;

/// A container with the service directories of an example, where `pidone` is found.
fn example(name: &str, change: impl Fn(String) -> String) -> Recipe {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docker/examples")
        .join(name)
        .join("services.d");
    let mut recipe = container().env("PATH", &format!("/mnt:{PATH}"));
    let mut folders = vec![top.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let inner = path.strip_prefix(&top).unwrap();
            let inner = format!("services/{}", inner.to_str().unwrap());
            let text = change(read(&path));
            recipe = if path.ends_with("run") {
                recipe.script(&inner, &text)
            } else {
                recipe.file(&inner, &text)
            };
        }
    }
    recipe
}

/// Shows what `docker logs` would.
fn show(it: &Container, what: &str) {
    use std::io::Write;
    let (out, err) = (it.out.text(), it.err.text());
    let _ = writeln!(
        std::io::stderr(),
        "--- {what}, stdout\n{out}--- stderr\n{err}"
    );
}

#[test]
fn haproxy_is_heard_in_the_containers_log() {
    if !can_contain() || !have("haproxy", "haproxy") {
        return;
    }
    // The containers of the tests share the host's /dev.
    let mut it = example("syslog", |text| {
        text.replace("/dev/log", "/run/log")
            .replace("/etc/services.d", "/mnt/services")
    })
    .start();
    it.until("haproxy", "ready");
    let get =
        "exec 3<>/dev/tcp/127.0.0.1/8080; printf 'GET /seen HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3";
    let answer = it.run(&["bash", "-c", get]);
    assert!(answer.out.ends_with("hello"), "{answer:?}");
    let text = it.out.until("\"GET /seen HTTP/1.0\"\n");
    let line = text.lines().find(|line| line.contains("/seen")).unwrap();
    assert!(line.starts_with("syslog "), "{line}");
    assert!(line.contains(" | haproxy["), "{line}");
    // An error is on stderr, and marked.
    let script = "printf '<11>Nov 22 11:25:09 app[7]: no disk' | perl -MIO::Socket::UNIX -e \
        'IO::Socket::UNIX->new(Type => SOCK_DGRAM, Peer => \"/run/log\")->send(<STDIN>)'";
    let sent = it.run(&["sh", "-c", script]);
    assert_eq!(sent.code, 0, "{sent:?}");
    it.err.until(" ! app[7] no disk\n");
    show(&it, "pidone syslog");
    it.stop();
    let err = it.err.text();
    assert!(err.contains("done: 2 clean; exit 0"), "{err}");
}

/// The collector is a service of the same container; what it gets is in `/mnt/central`.
fn with_rsyslog(recipe: Recipe) -> Recipe {
    let config = "global(workDirectory=\"/run\")\nmodule(load=\"imtcp\")\n\
        input(type=\"imtcp\" address=\"127.0.0.1\" port=\"514\")\n\
        template(name=\"raw\" type=\"string\" string=\"%rawmsg%\\n\")\n\
        action(type=\"omfile\" file=\"/mnt/central\" template=\"raw\")\n";
    let collector = "command = \"exec rsyslogd -n -f /mnt/rsyslog.conf -i /run/r.pid\"\n\
        log = { format = \"none\" }\n[ready]\ntcp = \"127.0.0.1:514\"\n";
    recipe
        .env("LOGS_TO", "tcp://127.0.0.1:514")
        .file("rsyslog.conf", config)
        .service("logs", collector)
}

#[test]
fn lines_and_events_reach_a_collector_that_dies() {
    if !can_contain() || !have("rsyslogd", "rsyslog") {
        return;
    }
    let mut it = with_rsyslog(example("ship", |text| text))
        .service(
            "all",
            "command = [\"pidone\", \"ship\", \"--to\", \"tcp://127.0.0.1:514\", \"--from\", \
             \"logs\", \"--format\", \"rfc5424\"]\n",
        )
        .start();
    let central = it.path("central");
    let came = |wanted: &str| {
        let wait = || read(&central).contains(wanted);
        eventually(&format!("{wanted} comes\n{}", it.err.text()), SOON, wait);
    };
    came(" web - - - request 3\n");
    came(r#""event":{"ts":""#);
    // Of all services, stderr marked as a warning; pidone's own story is a notice.
    came(" web/log - - - request 3\n");
    came(" events - - - sending to tcp://");
    assert!(read(&central).contains("<12>1 ") && read(&central).contains("<13>1 "));
    it.until("logs", "ready");
    assert_eq!(it.pidone(&["signal", "KILL", "logs"]).code, 0);
    let count = || read(&central).matches(" web - - - request ").count();
    let before = count();
    eventually("lines come again", SOON, || count() > before + 5);
    // Who writes has noticed nothing, and the container's log has every line.
    assert_eq!(it.service("web")["restarts"], 0);
    assert_eq!(it.service("web/log")["restarts"], 0);
    it.out.until(" | request 8\n");
    it.stop();
    show(&it, "pidone ship");
    let err = it.err.text();
    assert!(err.contains(" ! sending to tcp://127.0.0.1:514"), "{err}");
    assert!(err.contains("unconfirmed: "), "{err}");
}

#[test]
fn the_collector_hears_of_the_stop_of_who_is_stopped_before_or_beside_the_shipper() {
    if !can_contain() || !have("rsyslogd", "rsyslog") {
        return;
    }
    let slow = |seconds: &str| {
        let trap = format!("trap 'sleep {seconds}; exit 0' TERM");
        format!("command = \"{trap}; echo up; while :; do sleep 0.05; done\"\n")
    };
    let before = format!("after = [\"events\"]\n{}", slow("0.3"));
    let events =
        "command = \"exec pidone ship --to ${LOGS_TO} --from events\"\nafter = [\"logs\"]\n";
    let recipe = container().env("PATH", &format!("/mnt:{PATH}"));
    let mut it = with_rsyslog(recipe)
        .service("before", &before)
        // Still there when the shipper is told to end.
        .service("beside", &slow("1"))
        .service("events", events)
        .start();
    let central = it.path("central");
    let came = |service: &str, msg: &str| {
        read(&central).lines().any(|line| {
            let found: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
            found["service"] == service && found["msg"] == msg && found["event"]["event"] == "state"
        })
    };
    for name in ["before", "beside"] {
        eventually(name, SOON, || came(name, "starting \u{2192} ready"));
        it.out.until(&format!("{name} | up"));
    }
    it.stop();
    show(&it, "pidone ship --from events");
    let text = read(&central);
    for name in ["before", "beside"] {
        for msg in ["ready \u{2192} stopping", "stopping \u{2192} down"] {
            assert!(came(name, msg), "{name} {msg}: {text}");
        }
    }
    let err = it.err.text();
    assert!(err.contains("; exit 0"), "{err}");
}
