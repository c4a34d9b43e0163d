//! A wall clock that jumps. The kernel's own belongs to the whole machine, so pidone is shown
//! another one, by a library before the C library: what it stamps and compares goes by that.
//! (Alarms, which are the kernel's, hear of a clock that is set: `os/alarm.rs` and the fake world.)

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::stage::{Fault, Stage, let_go, victim_is_up};
use crate::support::{SOON, eventually};

/// Adds the seconds in `/mnt/offset` to what PID 1 is told of the wall clock.
const LIBRARY: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t id, struct timespec *t) {
    long done = syscall(SYS_clock_gettime, id, t);
    if (done == 0 && id == CLOCK_REALTIME && getpid() == 1) {
        char text[32] = "";
        int fd = open("/mnt/offset", O_RDONLY | O_CLOEXEC);
        if (fd >= 0 && read(fd, text, sizeof text - 1) > 0) t->tv_sec += atol(text);
        if (fd >= 0) close(fd);
    }
    return (int)done;
}
"#;

/// Ten years ahead, the year 1972 or so, yesterday.
const JUMPS: [&str; 3] = ["315360000", "-1700000000", "-86400"];

pub(crate) const FAULTS: &[Fault] = &[Fault {
    name: "the wall clock jumps, ahead and back",
    during: [true; 5],
    recipe: |recipe| {
        let toml = "command = [\"sh\", \"-c\", \"while :; do sleep 1; done\", \"victim\"]\n";
        recipe
            .service("victim", toml)
            .file("clock.c", LIBRARY)
            .through(
                "sh -c 'cc -shared -fPIC -o /mnt/clock.so /mnt/clock.c && \
                 export LD_PRELOAD=/mnt/clock.so && exec \"$@\"' sh",
            )
    },
    strike: |stage| {
        let jumping = Jumping::begin(stage);
        stage.held.push(Box::new(jumping));
        eventually("PID 1 sees the clock jump", SOON, || {
            stage.kill_victim();
            let told = stage.it.pidone(&["events", "--json"]).out;
            told.contains("\"ts\":\"203") && told.contains("\"ts\":\"197")
        });
    },
    lasts: Duration::from_millis(1500),
    release: let_go,
    heals: victim_is_up,
}];

/// The clock jumps all the time, until this is dropped.
struct Jumping(Arc<AtomicBool>);

impl Jumping {
    fn begin(stage: &Stage) -> Self {
        let ends = Arc::<AtomicBool>::default();
        let (end, path) = (Arc::clone(&ends), stage.it.path("offset"));
        std::thread::spawn(move || {
            for jump in JUMPS.iter().cycle() {
                if end.load(Ordering::Relaxed) {
                    break;
                }
                let new = path.with_extension("new");
                // The box may be gone already.
                let _ = fs::write(&new, jump).and_then(|()| fs::rename(&new, &path));
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        Self(ends)
    }
}

impl Drop for Jumping {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
