//! What a start needs, and is not to be had: processes, descriptors, a file that can be executed.

use std::fs;
use std::time::Duration;

use crate::stage::{Fault, Stage, let_go, victim_is_up};
use crate::support::{Recipe, SOON, eventually, process};

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "no process can be made (EAGAIN)",
        during: [true; 5],
        recipe: |recipe| victim(recipe).uid(23_457),
        strike: |stage| {
            stage.limit("nproc", Some(0));
            start_in_vain(
                stage,
                "cannot start a process: the limit of processes is reached",
            );
        },
        lasts: Duration::from_millis(1500),
        release: |stage| stage.limit("nproc", None),
        heals: victim_is_up,
    },
    Fault {
        name: "no descriptor is left (EMFILE)",
        // Who asks cannot be let in.
        during: [true, true, true, false, true],
        recipe: victim,
        strike: |stage| {
            // What the boot held open is closed.
            stage.it.err.until("victim ready");
            eventually("there is none", SOON, || {
                // The first number that is free is none any more.
                let dir = format!("/proc/{}/fd", stage.it.pid);
                let is_free =
                    |number: &usize| fs::symlink_metadata(format!("{dir}/{number}")).is_err();
                stage.limit("nofile", (0..4096).find(is_free));
                if let Some(victim) = stage.called("victim") {
                    let _ = process::send(victim, libc::SIGKILL);
                }
                let is_told = |text: &str| text.contains("too many open files");
                let within = Duration::from_millis(300);
                stage.it.err.wait(within, is_told).is_ok()
            });
        },
        lasts: Duration::from_millis(2500),
        release: |stage| stage.limit("nofile", None),
        heals: victim_is_up,
    },
    Fault {
        name: "a program is open for writing (ETXTBSY)",
        during: [true; 5],
        recipe: |recipe| {
            recipe.service(
                "victim",
                "command = [\"/mnt/program\", \"1000\", \"victim\"]\nenabled = false\n",
            )
        },
        strike: |stage| {
            let program = stage.it.path("program");
            fs::copy("/bin/sleep", &program).unwrap();
            let writes = fs::File::options().append(true).open(program).unwrap();
            stage.held.push(Box::new(writes));
            let _ = stage.it.pidone(&["start", "--no-wait", "victim"]);
            stage.it.err.until("text file busy");
        },
        lasts: Duration::from_millis(1500),
        release: let_go,
        heals: |stage| stage.it.service("victim")["restarts"].as_i64() > Some(0),
    },
    Fault {
        name: "the directory of a service is removed",
        during: [true; 5],
        recipe: |recipe| {
            recipe.script(
                "services/victim/run",
                "#!/bin/sh\nexec sh -c 'while :; do sleep 1; done' victim\n",
            )
        },
        strike: |stage| {
            let dir = stage.it.path("services/victim");
            stage.victim();
            fs::rename(&dir, stage.it.path("away")).unwrap();
            start_in_vain(stage, "cannot");
        },
        lasts: Duration::from_millis(1500),
        release: |stage| {
            fs::rename(stage.it.path("away"), stage.it.path("services/victim")).unwrap();
        },
        heals: victim_is_up,
    },
];

fn victim(recipe: Recipe) -> Recipe {
    let toml = "command = [\"sh\", \"-c\", \"while :; do sleep 1; done\", \"victim\"]\n";
    recipe.service("victim", toml)
}

/// The victim has to be started anew, and cannot be.
fn start_in_vain(stage: &mut Stage, why: &str) {
    stage.kill_victim();
    let why = why.to_lowercase();
    let told = stage
        .it
        .err
        .wait(SOON, |text| text.to_lowercase().contains(&why));
    assert!(told.is_ok(), "not `{why}`: {told:?}");
}
