//! A definition that says everything, and what it is read as.

use std::time::Duration;

use pidone::service::definition::{
    Before, Context, Format, Health, Kind, OnLimit, Output, Probe, Program, Ready, Reload, Restart,
    RestartLimit, Service, Stop, StopBy, Then, When,
};
use pidone::service::limits::{Limit, Resource};
use pidone::service::pace::Pace;
use pidone::service::permit::{Of, Permit};
use pidone::values::Signal;

/// Every field of a definition, with values that are not the defaults where that is possible.
pub(crate) const FULL: &str = r#"
command = ["node", "/app/app.js"]   # exec form; a string is the shell form
type = "longrun"
needs = ["db"]
after = ["migrate"]
main = true
enabled = "${WORKER:-true}"

user = "app"
workdir = "/app"
umask = "022"
env = { PORT = "3000", URL = "http://${HOST:-h}:${PORT:-80}" }
env-file = ["app.env", "${DIR:-/etc}/app.env"]
env-pass = ["PATH", "APP_*"]
secrets = ["DB_PASSWORD"]
oom-score-adj = -500
limits = { nofile = 65536, core = 0, memlock = "10MiB", stack = "unlimited" }
nice = -3
no-new-privileges = true
control = ["events", "status:db", "status:db", "restart:*"]
capabilities = ["NET_BIND_SERVICE"]

[ready]
http = "http://127.0.0.1:3000/healthz"
interval = "200ms"
within = "20s"

[health]
unix = "/run/web.sock"
interval = "2s"
timeout = "500ms"
start-period = "9s"
then = "nothing"

[restart]
with = ["db"]
when = "on-failure"
delay = "1s"
max-delay = "20s"
jitter = 0.25
reset-after = "11s"
limit = { times = 10, within = "60s" }
on-limit = "exit"

[stop]
before = ["drain", "web"]
before-timeout = "700ms"
signal = "SIGQUIT"
group = true
timeout = "6s"

[reload]
signal = "SIGHUP"

[log]
format = "json"
"#;

/// What `FULL` is read as.
pub(crate) fn expected() -> Service {
    let ms = Duration::from_millis;
    Service {
        name: "web".parse().unwrap(),
        dir: "services.d/web".into(),
        file_name: "service.toml",
        kind: Kind::Longrun,
        program: Program::Command(vec!["node".into(), "/app/app.js".into()]),
        finish: None,
        down: None,
        needs: vec!["db".parse().unwrap()],
        after: vec!["migrate".parse().unwrap()],
        main: true,
        enabled: true,
        context: Context {
            user: Some("app".into()),
            workdir: Some("/app".into()),
            umask: Some(0o022),
            env: vec![
                ("PORT".into(), "3000".into()),
                ("URL".into(), "http://${HOST:-h}:${PORT:-80}".into()),
            ],
            env_files: vec!["app.env".into(), "${DIR:-/etc}/app.env".into()],
            env_pass: Some(vec!["PATH".into(), "APP_*".into()]),
            secrets: vec!["DB_PASSWORD".into()],
            oom_score_adj: Some(-500),
            limits: vec![
                (Resource::Core, Limit::At(0)),
                (Resource::Memlock, Limit::At(10 << 20)),
                (Resource::Nofile, Limit::At(65536)),
                (Resource::Stack, Limit::Unlimited),
            ],
            nice: Some(-3),
            no_new_privileges: true,
            capabilities: Some(vec![10]),
        },
        ready: Some(Box::new(Ready {
            probe: Probe::Http("http://127.0.0.1:3000/healthz".into()),
            interval: ms(200),
            within: Some(ms(20_000)),
        })),
        health: Some(Box::new(watched())),
        restart: restarted(),
        stop: Stop {
            before: Some(Box::new(Before {
                command: vec!["drain".into(), "web".into()],
                timeout: ms(700),
            })),
            by: StopBy::Signal(Signal::QUIT),
            group: true,
            timeout: Some(ms(6_000)),
        },
        schedule: None,
        timeout: None,
        reload: Some(Reload::Signal(Signal::HUP)),
        output: Output::Container(Some(Format::Json)),
        control: permits(),
    }
}

/// What follows the deaths of the full definition.
fn restarted() -> Restart {
    let ms = Duration::from_millis;
    Restart {
        pace: Pace::Growing,
        when: When::OnFailure,
        with: vec!["db".parse().unwrap()],
        delay: ms(1_000),
        max_delay: ms(20_000),
        jitter_permille: 250,
        reset_after: ms(11_000),
        limit: Some(RestartLimit {
            times: 10,
            within: ms(60_000),
        }),
        on_limit: OnLimit::Exit,
    }
}

/// The health of the full definition.
fn watched() -> Health {
    Health {
        probe: Probe::Unix("/run/web.sock".into()),
        interval: Duration::from_secs(2),
        timeout: Duration::from_millis(500),
        retries: 3,
        start_period: Duration::from_secs(9),
        then: Then::Nothing,
    }
}

/// `control` of the full definition.
fn permits() -> Box<[Permit]> {
    let permit = |verb, of| Permit { verb, of };
    Box::new([
        permit("events", Of::All),
        permit("status", Of::One("db".parse().unwrap())),
        permit("restart", Of::All),
    ])
}
