//! What services write: lines, rings, and the way to the container's output.

pub mod router;
pub mod story;
