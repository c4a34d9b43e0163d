//! The page, taken apart: blocks of code, sections, tables, words in backticks.

use std::path::PathBuf;
use std::sync::OnceLock;

/// The page.
pub(crate) const README: &str = include_str!("../../README.md");

/// A block of code.
#[derive(Debug)]
pub(crate) struct Block {
    /// The word behind the fence.
    pub(crate) kind: String,
    /// Its first fence's line, from 1.
    pub(crate) line: usize,
    /// What stands between the fences.
    pub(crate) text: String,
}

/// The repository.
pub(crate) fn top() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

/// All blocks, in order.
pub(crate) fn blocks() -> &'static [Block] {
    static ALL: OnceLock<Vec<Block>> = OnceLock::new();
    ALL.get_or_init(read)
}

fn read() -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut is_inside = false;
    for (line, text) in (1..).zip(README.lines()) {
        match (text.strip_prefix("```"), is_inside) {
            (Some(kind), false) => found.push(Block {
                kind: kind.to_owned(),
                line,
                text: String::new(),
            }),
            (None, true) => {
                let block = found.last_mut().unwrap();
                block.text += text;
                block.text.push('\n');
            }
            (Some(_), true) | (None, false) => {}
        }
        is_inside ^= text.starts_with("```");
    }
    assert!(!is_inside, "a block has no end");
    found
}

/// The blocks of a kind.
pub(crate) fn of(kind: &str) -> impl Iterator<Item = &'static Block> {
    let kind = kind.to_owned();
    blocks().iter().filter(move |block| block.kind == kind)
}

/// What stands under this heading, up to the next.
pub(crate) fn section(heading: &str) -> &'static str {
    let (_, rest) = README.split_once(heading).expect(heading);
    rest.split("\n## ").next().unwrap()
}

/// What stands in backticks, outside of blocks.
pub(crate) fn spans(text: &str) -> impl Iterator<Item = &str> {
    text.split("```")
        .step_by(2)
        .flat_map(|prose| prose.split('`').skip(1).step_by(2))
}

/// The list of commands: of each line its verbs, and the options that it names.
pub(crate) fn listed() -> Vec<(Vec<String>, Vec<String>)> {
    let rows = section("## Commands").lines();
    rows.filter(|line| line.starts_with("- `"))
        .map(|line| {
            let mut verbs = Vec::new();
            let mut options = Vec::new();
            for span in spans(line) {
                let span = span.trim_start_matches("pidone ");
                for (at, word) in span.split(' ').enumerate() {
                    let word = word.trim_matches(['[', ']', '…']);
                    if word.starts_with('-') && word != "--" {
                        options.push(word.to_owned());
                    } else if at == 0 && word.starts_with(char::is_lowercase) {
                        verbs.push(word.to_owned());
                    }
                }
            }
            (verbs, options)
        })
        .collect()
}

/// The first column of the table of figures, which `tests/bench.sh --readme` writes.
pub(crate) fn figures() -> Vec<&'static str> {
    let rows = section("## Figures").lines();
    rows.filter_map(|line| line.strip_prefix('|')?.split('|').next())
        .filter(|label| !["what", "---"].contains(label))
        .collect()
}
