//! Whose ways the waits between restarts follow.

/// How long the waits between restarts are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    /// They grow with each restart in a row.
    Growing,
    /// As s6-supervise(8) waits, always alike: until 1 s after it became ready; or for 1 s, if it
    /// has told nobody that it is; or for 60 s, if its program could not be executed.
    S6,
}
