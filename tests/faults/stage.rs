//! A container with bystanders and, mostly, a victim, in which something goes wrong.

use std::any::Any;
use std::process::Command;
use std::time::Duration;

use crate::oracle::{self, Broken, TERM, is_called};
use crate::support::process::{self, children};
use crate::support::{Container, Recipe, SOON, container, eventually, poll};

/// Long enough for what was wrong to be over, and what has died to be there again.
const AFTER: Duration = Duration::from_secs(2);

/// A look at what should hold again.
const LOOK: Duration = Duration::from_millis(300);

/// One thing that can go wrong.
pub(crate) struct Fault {
    /// In the table.
    pub(crate) name: &'static str,
    /// Which of the promises hold while it lasts.
    pub(crate) during: [bool; 5],
    /// What the container has beside the bystanders.
    pub(crate) recipe: fn(Recipe) -> Recipe,
    /// Begins it, and returns when it has.
    pub(crate) strike: fn(&mut Stage),
    /// So long it lasts.
    pub(crate) lasts: Duration,
    /// Ends it, once what it held was let go.
    pub(crate) release: fn(&mut Stage),
    /// Whether what it has hit is well again; within some seconds.
    pub(crate) heals: fn(&Stage) -> bool,
}

/// The container, and what keeps the fault going.
pub(crate) struct Stage {
    /// The container.
    pub(crate) it: Container,
    /// Files, threads and the like: to let go of them ends the fault.
    pub(crate) held: Vec<Box<dyn Any>>,
    /// What a strike wants to remember.
    pub(crate) noted: Vec<i32>,
}

impl Stage {
    fn new(fault: &Fault) -> Self {
        let recipe = container()
            .service("quiet", "command = [\"sleep\", \"100001\"]\n")
            .service(
                "talker",
                "command = [\"sh\", \"-c\", \"while :; do echo talk; sleep 0.1; done\", \
                 \"bystander\"]\n",
            );
        let it = (fault.recipe)(recipe).start();
        eventually("the bystanders are up", SOON, || oracle::all_stand_by(&it));
        Self {
            it,
            held: Vec::new(),
            noted: Vec::new(),
        }
    }

    /// The main process whose command line holds this.
    pub(crate) fn called(&self, word: &str) -> Option<i32> {
        let all = children(self.it.pid).into_iter();
        all.filter(|pid| is_called(*pid, word)).max()
    }

    /// The main process of the victim, once it is up.
    pub(crate) fn victim(&self) -> i32 {
        let mut victim = None;
        poll(SOON, || {
            victim = self.called("victim");
            victim.is_some()
        });
        victim.unwrap_or_else(|| panic!("there is no victim: {}", self.it.err.text()))
    }

    /// SIGKILL to the victim, so that it has to be started anew.
    pub(crate) fn kill_victim(&self) {
        let _ = process::send(self.victim(), libc::SIGKILL);
    }

    /// A command in the container, which must succeed.
    pub(crate) fn run(&self, script: &str) -> String {
        let answer = self.it.run(&["sh", "-c", script]);
        assert_eq!(answer.code, 0, "{script}: {answer:?}");
        answer.out
    }

    /// A soft limit of PID 1 itself, by its option of `prlimit`; `None` is as high as it goes.
    pub(crate) fn limit(&self, resource: &str, limit: Option<usize>) {
        let pid = self.it.pid.to_string();
        let soft = limit.map_or_else(|| self.highest(resource), |limit| limit.to_string());
        let mut command = self.prlimit();
        let done = command.args(["--pid", &pid, &format!("--{resource}={soft}:")]);
        let done = done.output().unwrap();
        // The container may have ended.
        assert!(done.status.success() || limit.is_none(), "{done:?}");
    }

    /// As PID 1's own user, who may always do this.
    fn prlimit(&self) -> Command {
        let uid = process::field(self.it.pid, "Uid").unwrap_or_default();
        let uid = uid.split_whitespace().next().unwrap_or("0");
        let mut command = Command::new("setpriv");
        command.args(["--reuid", uid, "--regid", uid, "--clear-groups", "prlimit"]);
        command
    }

    fn highest(&self, resource: &str) -> String {
        let pid = self.it.pid.to_string();
        let shown = self
            .prlimit()
            .args(["--pid", &pid, &format!("--{resource}")])
            .args(["--raw", "--noheadings", "--output", "HARD"])
            .output()
            .unwrap();
        String::from_utf8(shown.stdout).unwrap().trim().to_owned()
    }
}

/// Whether the victim is up.
pub(crate) fn victim_is_up(stage: &Stage) -> bool {
    stage.called("victim").is_some()
}

/// Nothing was hit beside the bystanders.
pub(crate) fn nothing(_stage: &Stage) -> bool {
    true
}

/// Letting go is all.
pub(crate) fn let_go(_stage: &mut Stage) {}

fn release(stage: &mut Stage, fault: &Fault) {
    stage.held.clear();
    (fault.release)(stage);
}

fn ended(stage: &mut Stage) -> Option<String> {
    stage.it.signal(libc::SIGTERM);
    let ended = stage.it.try_wait(TERM);
    match ended {
        Some(ended) if ended.after <= TERM => None,
        Some(ended) => Some(format!("it took {:?}", ended.after)),
        None => Some("it goes on".into()),
    }
}

/// What was broken while it lasted (but for the end), and what 2 s after it.
pub(crate) fn survive(fault: &Fault) -> (Broken, Broken) {
    let mut stage = Stage::new(fault);
    (fault.strike)(&mut stage);
    let during = oracle::watch(&stage.it, fault.lasts);
    release(&mut stage, fault);
    std::thread::sleep(AFTER);
    let mut after = oracle::watch(&stage.it, LOOK);
    if !poll(2 * SOON, || (fault.heals)(&stage)) {
        after[2] = Some("what was hit does not come back".into());
    }
    let told = stage.it.err.text();
    after[4] = ended(&mut stage);
    if after.iter().any(Option::is_some) {
        eprintln!("{}:\n{told}", fault.name);
    }
    (during, after)
}

/// Why the end did not come while it lasted, if it did not.
pub(crate) fn end(fault: &Fault) -> Option<String> {
    let mut stage = Stage::new(fault);
    (fault.strike)(&mut stage);
    let broken = ended(&mut stage);
    release(&mut stage, fault);
    broken
}
