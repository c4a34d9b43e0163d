//! What the command line of `tests/bench.sh` says.

use std::path::PathBuf;

use crate::peers::{ALL, Peer};
use crate::rows::ROWS;

/// As many rounds as it takes for a median that one bad moment does not move.
const ROUNDS: usize = 7;

/// Who is fast enough for the quick form.
const QUICK: [Peer; 4] = [Peer::Floor, Peer::Pidone, Peer::S6, Peer::Tini];

pub(crate) struct Options {
    pub(crate) rounds: usize,
    only: Vec<String>,
    pub(crate) peers: Vec<Peer>,
    pub(crate) quick: bool,
    pub(crate) json: Option<PathBuf>,
    pub(crate) from: Option<PathBuf>,
    pub(crate) write: bool,
    pub(crate) readme: bool,
}

impl Options {
    /// Reads the words after the program's name.
    pub(crate) fn read(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            rounds: 0,
            only: Vec::new(),
            peers: Vec::new(),
            quick: false,
            json: None,
            from: None,
            write: false,
            readme: false,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match &*word {
                "--rounds" => {
                    options.rounds = value()?.parse().map_err(|_| "--rounds takes a number")?;
                }
                "--only" => options.only = rows(&value()?)?,
                "--peers" => options.peers = peers(&value()?)?,
                "--json" => options.json = Some(value()?.into()),
                "--from" => options.from = Some(value()?.into()),
                "--quick" => options.quick = true,
                "--write" => options.write = true,
                "--readme" => options.readme = true,
                // cargo adds it.
                "--bench" => {}
                _ => return Err(format!("unknown argument `{word}`")),
            }
        }
        if options.rounds == 0 {
            options.rounds = if options.quick { 1 } else { ROUNDS };
        }
        if options.peers.is_empty() {
            let all = if options.quick { &QUICK[..] } else { &ALL };
            options.peers = all.to_vec();
        }
        Ok(options)
    }

    /// Whether this row is to be measured.
    pub(crate) fn has(&self, row: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == row)
    }
}

fn rows(list: &str) -> Result<Vec<String>, String> {
    let all: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
    list.split(',')
        .map(|name| {
            let known = all.contains(&name).then(|| name.to_owned());
            known.ok_or_else(|| format!("no row `{name}`; there are: {}", all.join(" ")))
        })
        .collect()
}

fn peers(list: &str) -> Result<Vec<Peer>, String> {
    let all: Vec<&str> = ALL.iter().map(|peer| peer.command()).collect();
    list.split(',')
        .map(|name| {
            let found = ALL
                .iter()
                .find(|peer| [peer.name(), peer.command()].contains(&name));
            found
                .copied()
                .ok_or_else(|| format!("no peer `{name}`; there are: {}", all.join(" ")))
        })
        .collect()
}
