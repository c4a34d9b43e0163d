//! execline: a script is one command line; its blocks travel in it, a space before each word.

pub(super) mod backtick;
mod block;
pub(super) mod blocks;
pub(super) mod plain;
pub(super) mod plumbing;
pub(super) mod script;
pub(super) mod substitute;
mod value;
