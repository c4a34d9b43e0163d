//! The measurements: each takes one round of its peers and adds to the figures.

pub(crate) mod alone;
pub(crate) mod calls;
pub(crate) mod footprint;
pub(crate) mod idle;
pub(crate) mod life;
pub(crate) mod limits;
pub(crate) mod output;
pub(crate) mod reap;
pub(crate) mod restart;
pub(crate) mod scale;
pub(crate) mod unruly;

use crate::figures::Figures;
use crate::house::{House, Running};
use crate::peers::{Fleet, Peer};

/// How much is done in a round.
pub(crate) struct Plan {
    pub(crate) peers: Vec<Peer>,
    pub(crate) quick: bool,
}

impl Plan {
    /// One of two values: of the whole form, and of the quick one.
    pub(crate) fn pick<T>(&self, whole: T, quick: T) -> T {
        if self.quick { quick } else { whole }
    }

    /// Those that run and restart many services.
    pub(crate) fn supervising(&self) -> impl Iterator<Item = Peer> + '_ {
        self.peers.iter().copied().filter(|peer| peer.supervises())
    }
}

/// A measurement, by the name that `--only` takes.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// What comes out the same every time is not measured in more rounds than this.
    pub(crate) rounds_max: usize,
    pub(crate) measure: fn(&House, &Plan, &mut Figures),
}

const MANY: usize = usize::MAX;

/// All, in the order of the tables.
pub(crate) const ROWS: [Row; 14] = [
    row("life", MANY, life::measure),
    row("restart", MANY, restart::measure),
    row("idle", MANY, idle::measure),
    row("reap", MANY, reap::measure),
    row("output", MANY, output::measure),
    row("writers", MANY, output::writers),
    row("stubborn", 3, unruly::stubborn),
    row("loop", 3, unruly::crash_loop),
    row("footprint", 1, footprint::measure),
    row("calls", 3, calls::measure),
    row("probes", 3, alone::probes),
    row("lines", MANY, alone::lines),
    row("scale", MANY, scale::measure),
    row("limits", 3, limits::measure),
];

const fn row(
    name: &'static str,
    rounds_max: usize,
    measure: fn(&House, &Plan, &mut Figures),
) -> Row {
    Row {
        name,
        rounds_max,
        measure,
    }
}

/// Starts this peer with these services; `None` if it cannot run them.
pub(crate) fn start(house: &House, peer: Peer, fleet: &Fleet) -> Option<Running> {
    let command = peer.set_up(house, &house.fresh_dir(), fleet)?;
    Some(house.up(&command))
}

/// pidone keeps its promises here too; a peer that does not is told of in its cell.
pub(crate) fn hold(peer: Peer, running: &Running, kept: bool, promise: &str) {
    assert!(
        kept || peer != Peer::Pidone,
        "pidone: {promise}: not so; it said:\n{}",
        running.errors()
    );
}
