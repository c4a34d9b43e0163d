//! The clocks. Everybody else gets time as an argument.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::values::Moment;

/// Now on the monotonic clock. It stands still while the machine is suspended, as timeouts should.
pub fn now() -> Moment {
    Moment::at(read(ClockId::CLOCK_MONOTONIC))
}

/// Now on the wall clock, since 1970 UTC. It may jump; it is only ever shown.
pub fn wall() -> Duration {
    read(ClockId::CLOCK_REALTIME)
}

/// A time of the wall clock where we are (TZ, or /etc/localtime): year, month, day, hour, minute,
/// second.
pub fn local(since_1970: Duration) -> [i32; 6] {
    let seconds = since_1970.as_secs().try_into().unwrap_or_default();
    // SAFETY: a struct of numbers and a pointer that is not read here; all may be zero.
    let mut parts: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both are alive; for a time that it cannot tell it leaves the zeros.
    unsafe { libc::localtime_r(&raw const seconds, &raw mut parts) };
    [
        parts.tm_year + 1900,
        parts.tm_mon + 1,
        parts.tm_mday,
        parts.tm_hour,
        parts.tm_min,
        parts.tm_sec,
    ]
}

fn read(clock: ClockId) -> Duration {
    // Reading a clock that exists cannot fail (clock_gettime(2));
    // zero keeps PID 1 alive if it did.
    clock_gettime(clock).map_or(Duration::ZERO, Duration::from)
}
