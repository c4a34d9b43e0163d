//! What a person types and sees: one screen a file.

pub mod check;
pub mod init;
