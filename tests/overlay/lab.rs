//! The teaching lab's own way: bash around haproxy, Serf and Node in `services.d`, and a Serf
//! handler that calls `s6-svc -h`.

use std::path::Path;
use std::time::Duration;

use crate::image::{Running, image};
use crate::support::{SOON, eventually, skip};

const HAPROXY: &str = r#"#!/usr/bin/with-contenv bash
old=$(cat /run/ha.pid 2>/dev/null)
haproxy -f /etc/ha.cfg ${old:+-sf $old} &
pid=$!
echo $pid >/run/ha.pid
trap 'kill -USR1 $pid; wait $pid; exit 0' TERM
echo "haproxy for $WHO in place of [$old]"
wait $pid
"#;

const SERF: &str = r#"#!/usr/bin/with-contenv bash
serf agent -node=lab -bind=127.0.0.1 -event-handler=user:reload=/handler.sh >/dev/null &
pid=$!
trap 'kill -INT $pid; wait $pid; echo "serf ended with $?"; exit 0' TERM
wait $pid
"#;

const NODE: &str = r"#!/usr/bin/with-contenv bash
node /app.js &
pid=$!
trap 'kill -TERM $pid; wait $pid; exit 0' TERM
wait $pid
";

const CONFIG: &str = "defaults\n mode http\n timeout connect 1s\n timeout client 5s\n \
                      timeout server 5s\nfrontend f\n bind 127.0.0.1:8000\n default_backend b\n\
                      backend b\n server one 127.0.0.1:3000\n";

const APP: &str = "const server = require('http').createServer((_, r) => r.end('hello'));\n\
                   server.listen(3000, '127.0.0.1');\n\
                   process.on('SIGTERM', () => process.exit(0));\n";

/// One request through haproxy, or many, one after the other.
fn get(running: &Running, times: u32) -> String {
    let one = "exec 3<>/dev/tcp/127.0.0.1/8000 && \
               printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 && tail -n 1 <&3; echo; sleep 0.05";
    let many = format!("for i in $(seq {times}); do {one}; done 2>&1");
    running.run(&["bash", "-c", &many]).out
}

#[test]
fn bash_around_haproxy_serf_and_node() {
    for program in ["/usr/sbin/haproxy", "/usr/bin/serf", "/usr/bin/node"] {
        if !Path::new(program).exists() {
            return skip(&format!("there is no {program}"));
        }
    }
    let Some(image) = image() else { return };
    let image = image
        .env("WHO", "the lab")
        .script("etc/services.d/ha/run", HAPROXY)
        .script("etc/services.d/serf/run", SERF)
        .script("etc/services.d/node/run", NODE)
        .script(
            "handler.sh",
            "#!/bin/sh\ns6-svc -h /var/run/s6/services/ha\n",
        )
        .file("etc/ha.cfg", CONFIG)
        .file("app.js", APP);
    let Some(mut running) = image.start(&[]) else {
        return;
    };
    eventually("haproxy answers", SOON, || get(&running, 1) == "hello\n");
    let first = running.run(&["cat", "/run/ha.pid"]).out;
    eventually("Serf takes an event", SOON, || {
        running.run(&["serf", "event", "reload"]).code == 0
    });
    // From the end of one script to the start of the next the old haproxy answers.
    assert_eq!(get(&running, 40), "hello\n".repeat(40));
    let told = format!("haproxy for the lab in place of [{}]\n", first.trim());
    running.0.out.until(&told);
    eventually("the old haproxy has left", SOON, || {
        let old = running.run(&["ls", "-d", &format!("/proc/{}", first.trim())]);
        old.code != 0
    });
    assert_eq!(get(&running, 1), "hello\n");
    running.0.signal(libc::SIGTERM);
    let ended = running.0.wait(SOON);
    let (out, err) = (running.0.out.text(), running.0.err.text());
    assert_eq!(ended.code, 0, "{out}\n{err}");
    assert!(out.contains("serf ended with 0\n"), "{out}\n{err}");
    // Serf itself takes some 2 s to leave; nothing is slept beyond that.
    assert!(ended.after < Duration::from_secs(8), "{:?}", ended.after);
}
