//! A supervisord.conf like those of many images, under the real supervisord as PID 1 and, imported,
//! under pidone: the same is to be seen from the programs' side.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::support::{Container, Recipe, SOON, can_contain, container, poll, skip};

const SUPERVISORD: &str = "/usr/bin/supervisord";

const CONF: &str = r#"; A web server, its interpreter, a clock and workers.
[unix_http_server]
file=/run/supervisor.sock

[supervisord]
nodaemon=true
user=root
logfile=/dev/null
logfile_maxbytes=0
pidfile=/run/supervisord.pid
environment=PATH="%(here)s/bin:%(ENV_PATH)s",T_STAGE="prod",T_OVER="old"

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix:///run/supervisor.sock

[program:php-fpm]
command=php-fpm -F -R            ; in the foreground
priority=5
autorestart=true
umask=027
stdout_logfile=/dev/stdout
stdout_logfile_maxbytes=0
stderr_logfile=/dev/stderr
stderr_logfile_maxbytes=0

[program:nginx]
command=nginx -g "daemon off;" -p '%(here)s/a b' -n %(host_node_name)s
priority=10
autorestart=true
stopsignal=QUIT
directory=/usr
environment=T_OVER="new, newer",T_HERE="%(here)s"
stdout_logfile=/dev/fd/1
stdout_logfile_maxbytes=0
redirect_stderr=true

[program:cron]
command=cron -f %(ENV_T_CRON)s "%(ENV_T_CRON)s"
user=www-data
autorestart=unexpected
startsecs=0

[program:worker]
command=worker --queue=%(program_name)s-%(process_num)d
process_name=%(program_name)s_%(process_num)02d
numprocs=2
numprocs_start=1
priority=20
user=www-data
directory=/srv
startsecs=0
autorestart=true
stopsignal=INT
stopasgroup=true
stopwaitsecs=5

[program:done]
command=ends 0
startsecs=0

[program:fails]
command=ends 3
startsecs=0

[program:once]
command=once
startsecs=0
autorestart=false

[program:later]
command=later
autostart=false

[group:web]
programs=nginx,php-fpm
priority=10
"#;

/// What each program does: it tells of itself, and of the signals that it gets.
const PROBE: &str = r#"#!/bin/sh
name=${0##*/}
case "$*" in *--queue=*) name=$name-${*##*-};; ends*) name=ends$1;; esac
[ "$name" = ends ] && name=ends$1
for signal in TERM INT QUIT; do
    trap "echo $signal \$(date +%s%N) >>/mnt/$name.signal; exit 0" $signal
done
{
    id
    pwd
    umask
    for word in "$0" "$@"; do echo "<$word>"; done
    env | grep -vE '^((SUPERVISOR|PIDONE)_|(HOME|USER|LOGNAME|LC_CTYPE|PWD|OLDPWD|SHLVL|_)=)' | sort
} >"/mnt/$name.told"
echo "$name says hello"
echo $$ >>"/mnt/$name.pids"
[ "$(wc -l <"/mnt/$name.pids")" -gt 1 ] || case $name in ends*) exit "$1";; esac
while :; do
    sleep 1000 &
    wait
done
"#;

/// What is seen of a container's programs, by their names.
type Seen = BTreeMap<String, String>;

fn recipe() -> Recipe {
    let programs = [
        "php-fpm", "nginx", "cron", "worker", "ends", "once", "later",
    ];
    let with = |recipe: Recipe, name: &&str| recipe.script(&format!("bin/{name}"), PROBE);
    let recipe = container()
        .file("supervisord.conf", CONF)
        .env("T_CRON", "two words")
        .env("HOSTNAME", "box");
    programs.iter().fold(recipe, with)
}

fn lines(it: &Container, file: &str) -> Vec<String> {
    let text = fs::read_to_string(it.path(file)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

const RUNNING: [&str; 6] = ["php-fpm", "nginx", "cron", "worker-1", "worker-2", "once"];

/// Its whole story: who starts, who comes again, how each is stopped.
fn story(it: &mut Container) -> Seen {
    let mut seen = Seen::new();
    let starts = |it: &Container, name: &str| lines(it, &format!("{name}.pids")).len();
    let up = || {
        let all = RUNNING.iter().all(|name| starts(it, name) == 1);
        all && starts(it, "ends3") == 2 && starts(it, "ends0") == 1
    };
    assert!(poll(SOON, up), "{}{}", it.out.text(), it.err.text());
    for name in RUNNING.iter().chain(&["ends0", "ends3"]) {
        let told = lines(it, &format!("{name}.told")).join("\n");
        seen.insert(format!("{name} is"), told);
        let hello = format!("{name} says hello");
        assert!(!is_on_stdout(name) || poll(SOON, || it.out.text().contains(&hello)));
    }
    // supervisord takes a death within the first second for a failed start.
    let is_old = || {
        let age = fs::metadata(it.path("nginx.pids")).and_then(|kind| kind.modified());
        age.is_ok_and(|at| {
            at.elapsed()
                .is_ok_and(|age| age > Duration::from_millis(1500))
        })
    };
    assert!(poll(SOON, is_old));
    for name in RUNNING {
        let pid = lines(it, &format!("{name}.pids")).pop().unwrap();
        assert_eq!(it.run(&["kill", "-KILL", &pid]).code, 0, "{name}");
    }
    let back = || {
        RUNNING
            .iter()
            .all(|name| *name == "once" || starts(it, name) == 2)
    };
    assert!(poll(SOON, back), "{}{}", it.out.text(), it.err.text());
    for name in RUNNING.iter().chain(&["ends0", "ends3", "later"]) {
        seen.insert(format!("{name} started"), starts(it, name).to_string());
    }
    it.signal(libc::SIGTERM);
    let ended = it.wait(SOON);
    seen.insert("exit code".into(), ended.code.to_string());
    let mut stops = BTreeMap::new();
    for name in RUNNING {
        let told = lines(it, &format!("{name}.signal")).join(" ");
        let (signal, at) = told.split_once(' ').unwrap_or_default();
        seen.insert(format!("{name} is stopped by"), signal.to_owned());
        stops.insert(name, at.to_owned());
    }
    // Who has no priority starts last, and is stopped first. Within a group supervisord does not
    // wait for one before it stops the next.
    let in_order = stops["cron"] < stops["worker-1"] && stops["worker-2"] < stops["nginx"];
    seen.insert("stopped in order".into(), in_order.to_string());
    seen
}

/// The others have their output in files that supervisord makes up.
fn is_on_stdout(name: &str) -> bool {
    matches!(name, "php-fpm" | "nginx")
}

#[test]
fn it_runs_as_under_supervisord() {
    if !can_contain() {
        return;
    }
    if !Path::new(SUPERVISORD).exists() {
        skip("there is no supervisord here");
        return;
    }
    let program = [SUPERVISORD, "-n", "-c", "/mnt/supervisord.conf"];
    let theirs = story(&mut recipe().program(&program).start());
    let import = "/mnt/pidone import /mnt/supervisord.conf --to /mnt/made >/mnt/import; \
                  echo $? >/mnt/code; /mnt/pidone check /mnt/made >/mnt/check && \
                  exec /mnt/pidone init --services /mnt/made";
    let mut it = recipe().program(&["sh", "-c", import]).start();
    let ours = story(&mut it);
    assert_eq!(ours, theirs);
    assert_eq!(lines(&it, "code"), ["0"], "{:?}", lines(&it, "import"));
    // Its stops in a row may take longer than ten seconds, as they might have.
    let checked = lines(&it, "check");
    assert_eq!(checked.last().unwrap(), "9 services checked: 1 warning");
}

/// A small tree for s6-overlay: scripts before services, a oneshot, a service with a logger.
const TREE: [(&str, &str); 12] = [
    ("etc/cont-init.d/10-a", "#!/bin/sh\necho a >>/mnt/order\n"),
    (
        "etc/cont-init.d/20-b",
        "#!/bin/sh\necho b >>/mnt/order\nexit 1\n",
    ),
    ("etc/s6-overlay/s6-rc.d/user/contents.d/web", ""),
    ("etc/s6-overlay/s6-rc.d/prepare/type", "oneshot\n"),
    (
        "etc/s6-overlay/s6-rc.d/prepare/up",
        "/etc/s6-overlay/s6-rc.d/prepare/script\n",
    ),
    (
        "etc/s6-overlay/s6-rc.d/prepare/script",
        "#!/bin/sh\necho prepare >>/mnt/order\n",
    ),
    ("etc/s6-overlay/s6-rc.d/prepare/dependencies", "base\n"),
    ("etc/s6-overlay/s6-rc.d/web/type", "longrun\n"),
    ("etc/s6-overlay/s6-rc.d/web/dependencies.d/prepare", ""),
    ("etc/s6-overlay/s6-rc.d/web/notification-fd", "3\n"),
    ("etc/s6-overlay/s6-rc.d/web/run", WEB),
    (
        "etc/services.d/old/run",
        "#!/bin/sh\necho old >>/mnt/order\nexec sleep 1000\n",
    ),
];

const WEB: &str =
    "#!/bin/sh\necho web >>/mnt/order\necho from web\npwd\necho >&3\nexec sleep 1000\n";

#[test]
fn a_tree_for_s6_overlay_runs_natively() {
    if !can_contain() {
        return;
    }
    let logger = [
        ("web/producer-for", "web-log\n"),
        ("web-log/type", "longrun\n"),
        ("web-log/consumer-for", "web\n"),
        ("web-log/run", "#!/bin/sh\nexec cat >/mnt/web.log\n"),
    ];
    let logger = logger.map(|(path, text)| (format!("etc/s6-overlay/s6-rc.d/{path}"), text));
    let tree = TREE.map(|(path, text)| (path.to_owned(), text));
    let all = tree.into_iter().chain(logger);
    let recipe = all.fold(container(), |recipe, (path, text)| {
        recipe.file(&format!("root/{path}"), text)
    });
    let import = "/mnt/pidone import /mnt/root --to /mnt/made >/mnt/import; echo $? >/mnt/code; \
                  exec /mnt/pidone init --services /mnt/made";
    let mut it = recipe.program(&["sh", "-c", import]).start();
    it.until("web", "ready");
    it.until("old", "ready");
    assert_eq!(lines(&it, "code"), ["0"], "{:?}", lines(&it, "import"));
    assert!(poll(SOON, || lines(&it, "order").len() == 5));
    assert_eq!(lines(&it, "order"), ["a", "b", "prepare", "web", "old"]);
    assert!(poll(SOON, || lines(&it, "web.log")
        == ["from web", "/mnt/made/web"]));
    // A second time nothing is changed; what was edited is nobody else's.
    let again = ["/mnt/pidone", "import", "/mnt/root", "--to", "/mnt/made"];
    let told = it.run(&again);
    assert_eq!(told.code, 0, "{}", told.err);
    assert!(
        told.out.ends_with("5 services: 5 unchanged\n"),
        "{}",
        told.out
    );
    it.run(&["sh", "-c", "echo '# mine' >>/mnt/made/web/run"]);
    let told = it.run(&again);
    assert_eq!(told.code, 2);
    let why = "`/mnt/made/web` is not as an import has written it";
    assert!(told.err.contains(why), "{}", told.err);
    it.stop();
}
