//! One alarm on the wall clock, which also rings when that clock is set (timerfd_create(2)): exact,
//! and silent until then. It costs nothing before it is first set.

use std::io;
use std::time::Duration;

use nix::sys::time::{TimeSpec, TimeValLike};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::os::poll::Poller;

/// The alarm.
#[derive(Default)]
pub struct Alarm(Option<Box<Clockwork>>);

struct Clockwork {
    timer: TimerFd,
    poller: Poller,
}

impl Alarm {
    /// It rings at this moment since 1970 UTC, or when the clock is set; `None`: never.
    ///
    /// # Errors
    /// No descriptors left.
    pub fn set(&mut self, at: Option<Duration>) -> io::Result<()> {
        let Some(at) = at else {
            if let Some(work) = &self.0 {
                work.timer.unset()?;
            }
            return Ok(());
        };
        let work = match &mut self.0 {
            Some(work) => work,
            none => none.insert(Box::new(Clockwork::new()?)),
        };
        let at = TimeSpec::nanoseconds(i64::try_from(at.as_nanos()).unwrap_or(i64::MAX));
        let flags =
            TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET;
        Ok(work.timer.set(Expiration::OneShot(at), flags)?)
    }

    /// Waits until it rings. Cancel-safe.
    pub async fn ring(&mut self) {
        let Some(work) = &mut self.0 else {
            return std::future::pending().await;
        };
        work.poller.wait().await;
        // What it says is that it has rung, or that the clock was set: the same to us.
        let _ = work.timer.wait();
    }
}

impl Clockwork {
    fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_REALTIME, flags)?;
        let poller = Poller::new()?;
        poller.add(&timer, 0)?;
        Ok(Self { timer, poller })
    }
}
