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

fn read(clock: ClockId) -> Duration {
    // Reading a clock that exists cannot fail (clock_gettime(2));
    // zero keeps PID 1 alive if it did.
    clock_gettime(clock).map_or(Duration::ZERO, Duration::from)
}
