//! The top of `agent.toml`, and how its texts, paths and addresses are read.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::agent::config::{Config, PORT, Profile};
use crate::diag::Diagnostic;
use crate::members::member::Origin;
use crate::members::words::Tags;
use crate::service::environment::Environment;
use crate::service::faults::Faults;
use crate::service::table::{Item, Table};

/// What is needed to read a field.
pub(super) struct Reader<'a> {
    pub(super) environment: &'a Environment,
    pub(super) faults: Faults<'a>,
}

impl Reader<'_> {
    pub(super) fn config(&mut self, top: &Table<'_>) -> Config {
        let base = Config::default();
        let bind = top.get("bind").and_then(|item| self.address(&item));
        let (mut flag, mut span) = (None, None);
        if let Some(item) = top.get("insecure") {
            flag = item.flag(&mut self.faults);
        }
        if let Some(item) = top.get("first-sync") {
            span = item.span(&mut self.faults);
        }
        let config = Config {
            name: top.get("name").and_then(|item| self.parsed(&item)),
            tags: top
                .get("tags")
                .map_or_else(Tags::default, |item| self.tags(&item)),
            announce: self.announce(top),
            seeds: top
                .get("seeds")
                .map_or_else(Vec::new, |item| self.seeds(&item)),
            bind: bind.unwrap_or(base.bind),
            advertise: top.get("advertise").and_then(|item| self.address(&item)),
            key_file: top.get("key-file").and_then(|item| self.path(&item)),
            insecure: flag.unwrap_or(false),
            profile: top
                .get("profile")
                .and_then(|item| item.word(&PROFILES, &mut self.faults))
                .unwrap_or(base.profile),
            sources: top
                .get("sources")
                .and_then(|item| self.sources(&item))
                .unwrap_or(base.sources),
            min_members: top
                .get("min-members")
                .and_then(|item| item.whole(0..=10_000, &mut self.faults))
                .and_then(|count| usize::try_from(count).ok())
                .unwrap_or(0),
            first_sync: span.unwrap_or(base.first_sync),
            watch: top
                .get("watch")
                .and_then(|item| item.flag(&mut self.faults)),
            state_dir: top.get("state-dir").and_then(|item| self.path(&item)),
            socket: top
                .get("socket")
                .and_then(|item| self.path(&item))
                .unwrap_or(base.socket),
            places: self.places(top),
            templates: self.templates(top),
            handlers: self.handlers(top),
        };
        self.whole(top, &config);
        config
    }

    /// What is only wrong of all together.
    fn whole(&mut self, top: &Table<'_>, config: &Config) {
        let open = !config.bind.ip().is_loopback();
        let gossips = config.sources.contains(&Origin::Gossip);
        // The key may also come from the environment, where this is read for a check only.
        let keyed = config.key_file.is_some() || self.environment.get("PIDONE_KEY").is_some();
        if let Some(item) = top
            .get("bind")
            .filter(|_| open && gossips && !keyed && !config.insecure)
        {
            let fault = Diagnostic::error(format!(
                "`bind` is {}, and there is no key: anybody could join",
                config.bind
            ));
            item.bad::<()>(
                &mut self.faults,
                fault.hint("give it a `key-file`, or say `insecure = true`"),
            );
        }
        if let Some(item) = top.get("sources") {
            self.placed(&item, config);
        }
        if let Some(item) = top.get("advertise") {
            let useless = config.advertise.is_some_and(|at| at.ip().is_unspecified());
            if useless {
                let fault = Diagnostic::error("`advertise` is an address that nobody can reach");
                item.bad::<()>(&mut self.faults, fault);
            }
        }
    }

    /// A text with its variables filled in.
    pub(super) fn text(&mut self, item: &Item<'_>) -> Option<String> {
        let text = item.quoted(&mut self.faults)?;
        let fault = match self.environment.expand_text(text) {
            Ok(filled) if filled.trim().is_empty() => {
                Diagnostic::error(format!("{} is empty", item.subject))
            }
            Ok(filled) => return Some(filled),
            Err(why) => Diagnostic::error(format!("cannot expand {}: {why}", item.subject)),
        };
        item.bad(&mut self.faults, fault)
    }

    pub(super) fn path(&mut self, item: &Item<'_>) -> Option<PathBuf> {
        self.text(item).map(PathBuf::from)
    }

    /// A text that is parsed once its variables are filled in.
    pub(super) fn parsed<T: std::str::FromStr<Err = String>>(
        &mut self,
        item: &Item<'_>,
    ) -> Option<T> {
        let text = self.text(item)?;
        let parsed = text.parse().map_err(Diagnostic::error);
        parsed.map_or_else(|fault| item.bad(&mut self.faults, fault), Some)
    }

    /// An address with a port, or without: then it is ours.
    fn address(&mut self, item: &Item<'_>) -> Option<SocketAddr> {
        let text = self.text(item)?;
        let bare = |text: &str| text.parse().ok().map(|ip| SocketAddr::new(ip, PORT));
        let parsed = text.parse().ok().or_else(|| bare(&text));
        parsed.or_else(|| {
            let fault = Diagnostic::error(format!("`{text}` is not an address"))
                .hint("write `0.0.0.0:7946`, or an address of this host");
            item.bad(&mut self.faults, fault)
        })
    }
}

/// The profiles by their words.
const PROFILES: [(&str, Profile); 2] = [("default", Profile::Default), ("fast", Profile::Fast)];
