//! A block in a call's words.

use crate::tools::s6::call::{Bytes, Call, Command, Environment, Stop, USAGE, number, shown};
use crate::tools::s6::tell;

impl Call {
    /// Takes a block off the front: its words, without the space that marks them; `None` if it has
    /// no end. `EXECLINE_STRICT` says whether a word without the mark is told of, or an error.
    pub(super) fn block(&mut self, name: &str) -> Result<Option<Vec<Bytes>>, Stop> {
        let Some(end) = self.args.iter().position(Vec::is_empty) else {
            return Ok(None);
        };
        let strict: u32 = self
            .env
            .get(b"EXECLINE_STRICT")
            .and_then(number)
            .unwrap_or(0);
        let mut block: Vec<Bytes> = self.args.drain(..=end).take(end).collect();
        for (position, word) in block.iter_mut().enumerate() {
            if word.first() == Some(&b' ') {
                word.remove(0);
            } else if strict > 0 {
                let text = format!(
                    "unquoted argument {} at block 1 position {position}",
                    shown(word)
                );
                if strict > 1 {
                    return Err(Stop::fatal(USAGE, text));
                }
                tell(name.as_bytes(), &format!("warning: {text}"));
            }
        }
        Ok(Some(block))
    }

    /// [`Call::block`], which must be there.
    pub(super) fn needed_block(&mut self, name: &str) -> Result<Vec<Bytes>, Stop> {
        let block = self.block(name)?;
        block.ok_or_else(|| Stop::fatal(USAGE, "unterminated block"))
    }
}

/// A block as what is to run, in this environment.
pub(super) fn command(block: Vec<Bytes>, env: &Environment) -> Command {
    Command::new(block, env.clone())
}
