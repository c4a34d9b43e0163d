//! `s6-log`: lines from stdin to where a script says: rotated folders, stdout, stderr, a file.

mod folder;
mod rotation;
mod run;
mod script;

pub(super) use run::log;
