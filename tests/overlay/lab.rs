//! The teaching lab's own way: bash around haproxy, Serf and Node in `services.d`, and a Serf
//! handler that calls `s6-svc -h`.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::image::{Image, Running, image};
use crate::support::process::{Process, descendants};
use crate::support::{SOON, eventually, poll, skip};

const HAPROXY: &str = r#"#!/usr/bin/with-contenv bash
old=$(cat /run/ha.pid 2>/dev/null)
haproxy -f /etc/ha.cfg ${old:+-sf $old} &
pid=$!
echo $pid >/run/ha.pid
trap 'kill -USR1 $pid; wait $pid; date +%s%N >/mnt/ended-ha; exit 0' TERM
echo "haproxy for $WHO in place of [$old]"
wait $pid
"#;

const SERF: &str = r#"#!/usr/bin/with-contenv bash
serf agent -node=lab -bind=127.0.0.1 -event-handler=user:reload=/handler.sh >/dev/null &
pid=$!
trap 'kill -INT $pid; wait $pid; echo "serf ended with $?"
      date +%s%N >/mnt/ended-serf; exit 0' TERM
wait $pid
"#;

const NODE: &str = r"#!/usr/bin/with-contenv bash
node /app.js &
pid=$!
trap 'kill -TERM $pid; wait $pid; date +%s%N >/mnt/ended-node; exit 0' TERM
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

/// The lab's image; `None`, said aloud, where its programs are not there.
fn lab() -> Option<Image> {
    for program in ["/usr/sbin/haproxy", "/usr/bin/serf", "/usr/bin/node"] {
        if !Path::new(program).exists() {
            skip(&format!("there is no {program}"));
            return None;
        }
    }
    let image = image()?
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
    Some(image)
}

/// The longest that a zombie may be there, and that the end may take after the slowest service's.
const LATE: Duration = Duration::from_millis(100);

/// Looks for zombies as long as the container lives; gives the longest time that one was seen, less
/// the longest time between two looks, which is the machine's.
fn watch(root: i32) -> Duration {
    let mut seen: BTreeMap<i32, Instant> = BTreeMap::new();
    let (mut longest, mut gap) = (Duration::ZERO, Duration::ZERO);
    let mut last = Instant::now();
    while Process::of(root).is_some_and(|it| it.state != 'Z') {
        let now = Instant::now();
        gap = gap.max(now - last);
        last = now;
        let all = descendants(root).into_iter();
        let zombies: Vec<i32> = all.filter(|it| it.state == 'Z').map(|it| it.pid).collect();
        seen.retain(|pid, _| zombies.contains(pid));
        for pid in zombies {
            longest = longest.max(now - *seen.entry(pid).or_insert(now));
        }
        poll(Duration::from_millis(10), || false);
    }
    longest.saturating_sub(gap)
}

/// When the last script has ended, by its own clock.
fn last_end(running: &Running) -> Duration {
    let ends = ["ha", "serf", "node"].map(|name| {
        let text = running.0.read(&format!("ended-{name}"));
        Duration::from_nanos(text.trim().parse().unwrap())
    });
    ends.into_iter().max().unwrap()
}

/// How long the machine takes, right now, for the end of an image that has nothing to wait for.
fn end_of_nothing() -> Option<Duration> {
    let run = "#!/bin/sh\necho up\nexec sleep 1000\n";
    let mut running = image()?.script("etc/services.d/app/run", run).start(&[])?;
    running.0.out.until("up\n");
    running.0.signal(libc::SIGTERM);
    Some(running.0.wait(SOON).after)
}

fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

#[test]
fn bash_around_haproxy_serf_and_node() {
    let Some(image) = lab() else { return };
    let Some(mut running) = image.start(&[]) else {
        return;
    };
    let root = running.0.pid;
    let watcher = thread::spawn(move || watch(root));
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
    let Some(before) = end_of_nothing() else {
        return;
    };
    let asked = wall();
    running.0.signal(libc::SIGTERM);
    let ended = running.0.wait(SOON);
    let (out, err) = (running.0.out.text(), running.0.err.text());
    assert_eq!(ended.code, 0, "{out}\n{err}");
    assert!(out.contains("serf ended with 0\n"), "{out}\n{err}");
    // Serf itself takes some 2 s to leave; nothing is slept beyond that.
    let own = last_end(&running).checked_sub(asked).unwrap();
    let more = ended.after.saturating_sub(own);
    // Three services have ended here, and one there.
    let nothing = before.max(end_of_nothing().unwrap());
    let margin = nothing * 3;
    // No grace is slept, or this margin would hide it.
    assert!(nothing < Duration::from_secs(1), "{nothing:?}");
    let story = format!("{own:?} and {more:?} more, {margin:?} allowed for\n{err}");
    assert!(more <= LATE + margin, "{story}");
    let zombie = watcher.join().unwrap();
    assert!(zombie <= LATE, "a zombie was there for {zombie:?}\n{err}");
    println!("{story}longest zombie: {zombie:?}");
}

/// An engine that starts a container again leaves what was in `/run`: FIFOs that nobody serves,
/// locks, states, and the numbers of processes that are gone.
#[test]
fn it_comes_up_with_its_old_var_run() {
    let Some(image) = lab() else { return };
    let twice = "#!/bin/bash\n\"$@\" &\n\
                 until s6-svstat -o up /var/run/s6/services/node 2>/dev/null | grep -q true && \
                 [ -s /run/ha.pid ]; do sleep 0.05; done\n\
                 kill -9 -1; wait\necho again\nls /run/s6/legacy-services/*/supervise/control\n\
                 exec \"$@\"\n";
    let image = image
        .script("twice", twice)
        .script("etc/cont-init.d/x", "#!/bin/sh\necho init >>/mnt/inits\n")
        .env("THROUGH", "/twice");
    let Some(mut running) = image.start(&[]) else {
        return;
    };
    running
        .0
        .out
        .until("again\n/run/s6/legacy-services/ha/supervise/control\n");
    eventually("haproxy answers again", SOON, || {
        get(&running, 1) == "hello\n"
    });
    for name in ["ha", "serf", "node"] {
        let dir = format!("/var/run/s6/services/{name}");
        let up = running.run(&["s6-svstat", "-o", "up", &dir]);
        assert_eq!(
            (up.code, up.out.as_str()),
            (0, "true\n"),
            "{name}: {}",
            up.err
        );
        assert_eq!(running.run(&["s6-svok", &dir]).code, 0, "{name}");
    }
    assert_eq!(running.0.read("inits"), "init\ninit\n");
    running.0.signal(libc::SIGTERM);
    assert_eq!(running.0.wait(SOON).code, 0, "{}", running.0.err.text());
}
