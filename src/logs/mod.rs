//! What services write: lines, rings, and the way to the container's output.

pub mod lines;

pub mod ring;

pub mod format;

pub mod story;

mod lane;
mod loggers;
mod outlet;
mod recent;

pub mod router;

mod farewell;
