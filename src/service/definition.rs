//! A service as its directory defines it: what runs, in what surroundings, and by which policy.

use std::path::PathBuf;
use std::time::Duration;

use crate::service::executable::{Executable, Finish};
use crate::service::limits::{Limit, Resource};
use crate::service::pace::Pace;
use crate::service::permit::Permit;
use crate::service::schedule::Schedule;
use crate::service::undo::Down;
use crate::values::{Exit, Name, Signal};

/// Everything that is known about a service before it runs. Read once, never changed. What most
/// services have none of is in a box: there may be thousands of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Service {
    /// Its name: the directory's.
    pub name: Name,
    /// The service directory; empty for CMD.
    pub dir: PathBuf,
    /// What defined it, by its name there: `service.toml`, `run`, or `CMD`.
    pub file_name: &'static str,
    /// Runs for ever, or once.
    pub kind: Kind,
    /// What is executed.
    pub program: Program,
    /// s6's `finish`, run after every death.
    pub finish: Option<Box<Finish>>,
    /// What undoes a oneshot that has finished, when it is stopped.
    pub down: Option<Box<Down>>,
    /// Started when these are ready; stopped before them.
    pub needs: Vec<Name>,
    /// Started once these are ready or have failed; stopped before them. Absent ones are ignored.
    pub after: Vec<Name>,
    /// When it ends, the container ends with its exit code.
    pub main: bool,
    /// Whether the boot starts it.
    pub enabled: bool,
    /// The surroundings of its process.
    pub context: Context,
    /// How readiness is told; without it, a service is ready once exec'd.
    pub ready: Option<Box<Ready>>,
    /// How it is watched once it is ready.
    pub health: Option<Box<Health>>,
    /// What follows a death.
    pub restart: Restart,
    /// How it is asked to end.
    pub stop: Stop,
    /// How it is asked to read its configuration again.
    pub reload: Option<Reload>,
    /// When a oneshot runs by itself.
    pub schedule: Option<Box<Schedule>>,
    /// A oneshot that has not ended by then is asked to, and has failed; `None` waits for ever.
    pub timeout: Option<Duration>,
    /// Where its output goes.
    pub output: Output,
    /// What it may ask of pidone; with any of it, it is handed a descriptor for that.
    pub control: Box<[Permit]>,
}

/// Whether a service is meant to go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// It runs until it is stopped.
    Longrun,
    /// It runs once, and is finished when it exits 0.
    Oneshot,
}

/// What is executed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Program {
    /// Exec form: the program is looked up in the PATH of the service's own environment.
    Command(Vec<String>),
    /// The `run` file, called as s6 calls it: `run NAME`, in `workdir`, or else in the service
    /// directory.
    Run(Box<Executable>),
}

/// The surroundings of a process. Texts with `${…}` are expanded at each start.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Context {
    /// A name or `uid[:gid]`.
    pub user: Option<String>,
    /// Where it starts.
    pub workdir: Option<String>,
    /// umask(2).
    pub umask: Option<u32>,
    /// Variables beside (and above) the container's own, in the file's order.
    pub env: Vec<(String, String)>,
    /// Files of variables, read at each start; a later one wins.
    pub env_files: Vec<String>,
    /// Which of the container's variables it gets: names, and beginnings with a `*` after them.
    pub env_pass: Option<Vec<String>>,
    /// Variables whose value is in the file that `NAME_FILE` names, read at each start.
    pub secrets: Vec<String>,
    /// setrlimit(2), soft and hard alike.
    pub limits: Vec<(Resource, Limit)>,
    /// setpriority(2), −20 to 19.
    pub nice: Option<i32>,
    /// `/proc/self/oom_score_adj`, −1000 to 1000 (proc_pid_oom_score_adj(5)).
    pub oom_score_adj: Option<i32>,
    /// PR_SET_NO_NEW_PRIVS of prctl(2).
    pub no_new_privileges: bool,
    /// Capability numbers kept when dropping to `user` (capabilities(7)); `None` leaves them alone.
    pub capabilities: Option<Vec<u8>>,
}

impl Context {
    /// Whether its process gets the container's variables as they are.
    pub fn leaves_variables(&self) -> bool {
        let says_nothing =
            self.env.is_empty() && self.env_files.is_empty() && self.secrets.is_empty();
        says_nothing && self.env_pass.is_none() && self.user.is_none()
    }
}

/// How readiness is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ready {
    /// The one probe.
    pub probe: Probe,
    /// From one attempt's end to the next attempt.
    pub interval: Duration,
    /// Not ready by then is a failed start; `None` waits for ever (s6).
    pub within: Option<Duration>,
}

/// One way to ask a service whether it is well.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Probe {
    /// A TCP connection to `IP:PORT` (or `localhost:PORT`) is accepted. Expanded at each start.
    Tcp(String),
    /// `GET` of `http://IP:PORT/PATH` is answered with 200–399. Expanded at each start.
    Http(String),
    /// A connection to the unix socket at this path is accepted. Expanded at each start.
    Unix(String),
    /// Something is at this path. Expanded at each start.
    File(String),
    /// A command exits 0; it runs as the service does.
    Exec(Vec<String>),
    /// The service writes a newline to this descriptor (s6's notification-fd).
    Fd(i32),
    /// The service tells it by sd_notify(3): `READY=1`, and for its health `WATCHDOG=1` in time.
    Notify,
}

impl Probe {
    /// Whether the service is asked, or tells by itself.
    pub fn is_asked(&self) -> bool {
        match self {
            Self::Tcp(_) | Self::Http(_) | Self::Unix(_) | Self::File(_) | Self::Exec(_) => true,
            Self::Fd(_) | Self::Notify => false,
        }
    }
}

/// How a service that is ready is watched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Health {
    /// The one probe; never `Fd`.
    pub probe: Probe,
    /// From one check's end to the next check; the longest silence, where it tells by itself.
    pub interval: Duration,
    /// An answer must come within this time.
    pub timeout: Duration,
    /// So many failures in a row are too many.
    pub retries: u32,
    /// Failures do not count for so long after it became ready, until the first success.
    pub start_period: Duration,
    /// What too many failures lead to.
    pub then: Then,
}

/// What too many failures lead to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Then {
    /// It is stopped, and its restart policy decides.
    Restart,
    /// Nothing: it is unready until it is well again.
    Nothing,
}

/// What follows a death.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Restart {
    /// After which deaths a restart follows.
    pub when: When,
    /// It is also restarted when one of these has been.
    pub with: Vec<Name>,
    /// Before the first restart; the next waits `RETRY_FIRST`, then twice as long each time.
    pub delay: Duration,
    /// How long the waits are.
    pub pace: Pace,
    /// The longest wait.
    pub max_delay: Duration,
    /// A wait is made longer or shorter by up to this many thousandths of itself.
    pub jitter_permille: u32,
    /// Up this long: the waits start over.
    pub reset_after: Duration,
    /// More restarts than this, and it has failed.
    pub limit: Option<RestartLimit>,
    /// What a reached limit does.
    pub on_limit: OnLimit,
}

/// After which deaths a restart follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// After every one.
    Always,
    /// Unless it exited 0.
    OnFailure,
    /// After none.
    Never,
}

/// At most `times` restarts in any window of this length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RestartLimit {
    /// 1–1000.
    pub times: u32,
    /// The window's length.
    pub within: Duration,
}

/// What a reached limit does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnLimit {
    /// The service has failed; the container goes on.
    Stop,
    /// The container ends, with that service's last code (1 if it was 0).
    Exit,
}

/// How a service is asked to end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stop {
    /// What is run before it is asked.
    pub before: Option<Box<Before>>,
    /// What asks it.
    pub by: StopBy,
    /// To the whole process group, not only the main process.
    pub group: bool,
    /// Then SIGKILL to the group; `None` is s6's 0, never (the container's own deadline stands).
    pub timeout: Option<Duration>,
}

/// A command that is run before a service is asked to end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Before {
    /// The command, run as the service runs.
    pub command: Vec<String>,
    /// It is killed after this, and the service is asked.
    pub timeout: Duration,
}

/// What asks a service to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StopBy {
    /// A signal, then SIGCONT.
    Signal(Signal),
    /// The end of its input: a logger reads what is left, then ends by itself.
    EndOfInput,
}

/// How a service is asked to read its configuration again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reload {
    /// A signal to its main process.
    Signal(Signal),
    /// The same; that it is done it tells by `READY=1` after `RELOADING=1` (sd_notify(3)).
    Told(Signal),
    /// A command, run as the service runs.
    Command(Vec<String>),
}

/// Where a service's output goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// To the container's output, in this format; `None` is `PIDONE_LOG_FORMAT`.
    Container(Option<Format>),
    /// stdout to the input of this logger (s6's `log/`); stderr to the container's output.
    Logger(Name),
    /// stdout and stderr to the input of this logger.
    Both(Name),
}

/// How output is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// `NAME | line`, and `NAME ! line` for stderr.
    Prefix,
    /// As it is.
    Raw,
    /// One JSON object a line.
    Json,
    /// Read and kept for `pidone logs`, not written.
    None,
    /// PID 1's own descriptors are handed over: no copy, no ring.
    Inherit,
}

/// The wait before the second restart in a row (DESIGN: `0s`, then 250 ms, doubling).
pub const RETRY_FIRST: Duration = Duration::from_millis(250);

/// The code by which s6's `finish` says "do not restart me".
pub const FINISH_PERMANENT: Exit = Exit::Code(125);

impl Default for Restart {
    fn default() -> Self {
        Self {
            when: When::Always,
            with: Vec::new(),
            delay: Duration::ZERO,
            pace: Pace::Growing,
            max_delay: Duration::from_secs(30),
            jitter_permille: 100,
            reset_after: Duration::from_secs(10),
            limit: None,
            on_limit: OnLimit::Stop,
        }
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self {
            before: None,
            by: StopBy::Signal(Signal::TERM),
            group: false,
            timeout: Some(Duration::from_secs(5)),
        }
    }
}

impl Service {
    /// A service of this name that runs this command, everything else by default.
    pub fn new(name: Name, command: Vec<String>) -> Self {
        Self {
            name,
            dir: PathBuf::new(),
            file_name: "",
            kind: Kind::Longrun,
            program: Program::Command(command),
            finish: None,
            down: None,
            needs: Vec::new(),
            after: Vec::new(),
            main: false,
            enabled: true,
            context: Context::default(),
            ready: None,
            health: None,
            restart: Restart::default(),
            stop: Stop::default(),
            reload: None,
            schedule: None,
            timeout: None,
            output: Output::Container(None),
            control: Box::default(),
        }
    }

    /// How long a start may take, from its process to readiness, or to the end of a oneshot.
    pub fn start_within(&self) -> Option<Duration> {
        let ready = self.ready.as_ref();
        ready.map_or(self.timeout, |ready| ready.within)
    }

    /// The logger that its stdout goes to.
    pub fn logger(&self) -> Option<&Name> {
        match &self.output {
            Output::Logger(name) | Output::Both(name) => Some(name),
            Output::Container(_) => None,
        }
    }

    /// What defined it, for screens: `…/service.toml`, `…/run`, or `CMD`.
    pub fn file(&self) -> PathBuf {
        self.dir.join(self.file_name)
    }
}
