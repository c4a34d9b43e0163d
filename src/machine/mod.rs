//! One service's life and the fleet of them: pure transitions. Knows no tokio, nix, file, socket or
//! clock.

pub mod unit;

mod state;

mod retry;

pub mod step;

mod start;

mod health;

mod stop;

mod undo;

mod planned;

pub mod shutdown;

pub mod slot;

mod slots;

mod changes;

mod links;

mod with;

mod once;

mod wish;

mod ending;

mod rescan;

pub mod fleet;
