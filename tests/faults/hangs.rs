//! File systems that never answer: a FUSE mount whose server is this test.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::stage::{Fault, Stage, victim_is_up};
use crate::support::process::{Process, children, send};
use crate::support::{Recipe, SOON, eventually};

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "a start hangs in its `workdir`",
        during: [true; 5],
        recipe: victim,
        strike: |stage| {
            let fuse = mount(stage);
            stage.held.push(Box::new(fuse));
            hang(stage);
        },
        lasts: Duration::from_millis(1500),
        release: elsewhere,
        heals: victim_is_up,
    },
    Fault {
        name: "it hangs there and not even SIGKILL ends it (state D)",
        // The kernel lets nobody see the end of a pid namespace before its last process is gone.
        during: [true, true, true, true, false],
        recipe: victim,
        strike: |stage| {
            let fuse = mount(stage);
            stage.held.push(Box::new(Silence::begin(fuse)));
            hang(stage);
            std::thread::sleep(Duration::from_millis(100));
        },
        lasts: Duration::from_millis(1500),
        release: elsewhere,
        heals: victim_is_up,
    },
    Fault {
        name: "a start is stopped (SIGSTOP) between clone and exec",
        during: [true; 5],
        recipe: |recipe| {
            let stopper = format!("{USER}command = [\"/mnt/stopper\"]\nrestart = \"never\"\n");
            victim(recipe)
                .service("stopper", &stopper)
                .script("stopper", STOPPER)
        },
        strike: |stage| {
            let fuse = mount(stage);
            hang(stage);
            stage.run("touch /mnt/go");
            stage.it.read_sign("hit");
            // It comes back from the kernel, and goes no further.
            drop(fuse);
            eventually("it is stopped", SOON, || started(stage, 'T').is_some());
            stage.noted.extend(started(stage, 'T'));
        },
        lasts: Duration::from_millis(1500),
        release: |stage| {
            elsewhere(stage);
            let _ = send(stage.noted[0], libc::SIGCONT);
        },
        heals: victim_is_up,
    },
];

/// A user whose services can reach one another.
const USER: &str = "user = \"23458\"\n";

/// Stops whoever has its uid and is not its program yet.
const STOPPER: &str = "#!/bin/sh\nuntil [ -e /mnt/go ]; do sleep 0.02; done\n\
    until [ -e /mnt/hit ]; do for one in /proc/[0-9]*; do\n\
    name=; read -r name <$one/comm\n\
    [ \"$name\" = pidone ] && kill -STOP ${one#/proc/} && touch /mnt/hit\n\
    done; done 2>/dev/null\nexec sleep 1000\n";

fn victim(recipe: Recipe) -> Recipe {
    let toml = "user = \"23458\"\nworkdir = \"/mnt/work\"\n\
                command = [\"sh\", \"-c\", \"while :; do sleep 1; done\", \"victim\"]\n";
    let run = "ln -s /media /mnt/work; exec";
    recipe
        .through(&format!("sh -c '{run} \"$@\"' sh"))
        .service("victim", toml)
}

/// A file system over `/media` that has not said a word yet.
fn mount(stage: &Stage) -> File {
    stage.victim();
    let fuse = OpenOptions::new().read(true).write(true).open("/dev/fuse");
    let fuse = fuse.expect("/dev/fuse");
    let mut command = Command::new("nsenter");
    let options = "fd=0,rootmode=40000,user_id=0,group_id=0,allow_other";
    let done = command
        .args(["-m", "-t", &stage.it.pid.to_string(), "--", "mount", "-i"])
        .args(["-t", "fuse", "-o", options, "none", "/media"])
        .stdin(fuse.try_clone().unwrap())
        .status()
        .unwrap();
    assert!(done.success());
    fuse
}

/// The victim's next start is on its way, and stays there.
fn hang(stage: &Stage) {
    stage.kill_victim();
    eventually("the start hangs", SOON, || started(stage, 'D').is_some());
}

/// A process in this state that is on its way to its program.
fn started(stage: &Stage, kind: char) -> Option<i32> {
    let is_it = |pid: &i32| {
        let found = Process::of(*pid);
        found.is_some_and(|p| (p.state, p.name.as_str()) == (kind, "pidone"))
    };
    children(stage.it.pid).into_iter().find(is_it)
}

/// Without its server, the file system gives errors; the next start finds another directory.
fn elsewhere(stage: &mut Stage) {
    let link = stage.it.path("work");
    std::fs::remove_file(&link).unwrap();
    symlink("/tmp", link).unwrap();
}

/// A server that introduces itself, takes every request, and answers none: whoever asked sleeps in
/// the kernel, and no signal wakes it. Until this is dropped.
struct Silence {
    ends: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Silence {
    fn begin(fuse: File) -> Self {
        let ends = Arc::<AtomicBool>::default();
        let end = Arc::clone(&ends);
        let thread = std::thread::spawn(move || serve(fuse, &end));
        Self {
            ends,
            thread: Some(thread),
        }
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        let _ = self.thread.take().unwrap().join();
    }
}

/// See `linux/fuse.h`: a request is a header of 40 bytes (length, opcode, unique, …) and more; an
/// answer one of 16 (length, error, the same unique) and more.
fn serve(mut fuse: File, ends: &AtomicBool) {
    const INIT: u32 = 26;
    let mut request = vec![0; 1 << 17];
    while !ends.load(Ordering::Relaxed) {
        let mut ready = [PollFd::new(fuse.as_fd(), PollFlags::POLLIN)];
        let within = PollTimeout::from(20_u16);
        if poll(&mut ready, within) != Ok(1) {
            continue;
        }
        let Ok(length) = fuse.read(&mut request) else {
            return;
        };
        let opcode = u32::from_ne_bytes(request[4..8].try_into().unwrap());
        if length >= 40 && opcode == INIT {
            let mut answer = vec![0; 80];
            answer[0..4].copy_from_slice(&80_u32.to_ne_bytes());
            answer[8..16].copy_from_slice(&request[8..16]);
            // Its version, 7.31, and how much may be written at once.
            answer[16..20].copy_from_slice(&7_u32.to_ne_bytes());
            answer[20..24].copy_from_slice(&31_u32.to_ne_bytes());
            answer[36..40].copy_from_slice(&4096_u32.to_ne_bytes());
            fuse.write_all(&answer).unwrap();
        }
    }
}
