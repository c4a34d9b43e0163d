//! The end of a drain: servers that get no new request may still have some. A request that has
//! reached the application's kernel, and not yet the application, is lost when it stops now; so
//! whoever drains hears that it is over when haproxy waits for no answer any more.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::agent::config::Apply;
use crate::agent::haproxy::runtime;

/// So long at most: what takes longer has reached the application, which finishes it.
const WITHIN: Duration = Duration::from_millis(200);
/// Waits at once, each a thread; a drain beyond these is over when haproxy has been told.
const WAITS_MAX: usize = 8;

/// All the waits.
#[derive(Default)]
pub(super) struct Leaving(JoinSet<()>);

impl Leaving {
    /// These servers get no new request from now on.
    pub(super) fn begin(&mut self, apply: &Apply, names: Vec<String>) {
        let (Some(socket), Some(backend)) = (&apply.haproxy, &apply.backend) else {
            return;
        };
        if names.is_empty() || self.0.len() >= WAITS_MAX {
            return;
        }
        let (socket, backend) = (socket.clone(), backend.clone());
        self.0
            .spawn_blocking(move || runtime::await_idle(&socket, &backend, &names, WITHIN));
    }

    /// Until one of the waits is over; for ever where there is none. Cancel-safe.
    pub(super) async fn next(&mut self) {
        if self.0.join_next().await.is_none() {
            std::future::pending::<()>().await;
        }
    }

    /// No server that leaves has a request.
    pub(super) fn is_over(&self) -> bool {
        self.0.is_empty()
    }
}
