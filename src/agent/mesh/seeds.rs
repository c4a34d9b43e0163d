//! The search for the first members: each seed is looked up anew at each try, for ever. A name
//! that hangs holds up itself only.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use crate::agent::config::Seed;

/// More addresses of one name are not asked at once.
const ADDRESSES_MAX: usize = 64;

/// The first pause; then twice as long, up to the pace: all may start at the same moment.
const SOON: Duration = Duration::from_millis(100);

/// Looks for a seed until nobody listens any more; `pace` says how long to wait between two tries.
pub(super) async fn seek(
    seed: Seed,
    chance: f64,
    pace: watch::Receiver<Duration>,
    found: mpsc::Sender<Vec<SocketAddr>>,
) {
    let mut pause = SOON;
    loop {
        // A name that is not known yet will be: a container that has not started has none.
        if let Ok(addresses) = lookup_host((seed.host.as_str(), seed.port)).await {
            let most = if seed.all { ADDRESSES_MAX } else { 8 };
            let addresses: Vec<SocketAddr> = addresses.take(most).collect();
            if found.send(addresses).await.is_err() {
                return;
            }
        }
        // Each node has another rhythm, so that a hundred do not ask at once.
        pause = (pause * 2).min(*pace.borrow());
        sleep(pause.mul_f64(chance)).await;
    }
}
