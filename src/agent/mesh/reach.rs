//! Whether a member's services still answer when its agent is gone: an agent may be started anew
//! beside an application that runs on, and a container that was killed takes both along. And
//! whether an agent that says nothing is gone, or only stands still: its kernel accepts all the
//! same.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::agent::mesh::session::Seen;

/// A kernel that is there accepts within this.
const CONNECT: Duration = Duration::from_millis(50);

/// Where everything is being killed, the application may die a moment after the agent.
const AGAIN: Duration = Duration::from_millis(30);

/// A lost agent's kernel is asked this often.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// And so many times: then it has stood still for too long.
const ASK_FOR: u32 = 30;

/// Asks the kernel of an agent that the gossip has lost and that nobody here watches, as long as it
/// answers.
pub(super) async fn hold(agent: SocketAddr, seen: mpsc::Sender<Seen>) {
    for _ in 0..ASK_FOR {
        if !accepts(agent).await {
            break;
        }
        // The loop has ended: then nobody asks.
        let _ = seen.send(Seen::Answers(agent, true)).await;
        sleep(ASK_EVERY).await;
    }
    let _ = seen.send(Seen::Answers(agent, false)).await;
}

/// Asks all of these ports, twice; none at all do not answer.
pub(super) async fn check(agent: SocketAddr, ports: Vec<u16>, seen: mpsc::Sender<Seen>) {
    let mut answers = accept_all(agent, &ports).await;
    if answers {
        sleep(AGAIN).await;
        answers = accept_all(agent, &ports).await;
    }
    // The loop has ended: then nobody asks.
    let _ = seen.send(Seen::Checked(agent, answers)).await;
}

async fn accept_all(agent: SocketAddr, ports: &[u16]) -> bool {
    for port in ports {
        if !accepts(SocketAddr::new(agent.ip(), *port)).await {
            return false;
        }
    }
    !ports.is_empty()
}

async fn accepts(at: SocketAddr) -> bool {
    let accepted = timeout(CONNECT, TcpStream::connect(at)).await;
    matches!(accepted, Ok(Ok(_)))
}
