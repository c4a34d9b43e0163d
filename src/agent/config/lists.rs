//! The lists of `agent.toml`: tags, services, seeds and sources.

use std::collections::BTreeSet;

use toml::de::DeValue;

use crate::agent::config::Seed;
use crate::agent::config::parts::seed;
use crate::agent::config::reader::Reader;
use crate::diag::Diagnostic;
use crate::members::member::{Announced, Origin, Readiness, SERVICES_MAX};
use crate::members::words::Tags;
use crate::service::table::{Item, Table};

/// More seeds are of no use: one that answers is enough.
const SEEDS_MAX: usize = 64;

impl Reader<'_> {
    pub(super) fn tags(&mut self, item: &Item<'_>) -> Tags {
        let mut tags = Tags::default();
        let DeValue::Table(table) = item.value else {
            let hint = "write `tags = { role = \"backend\" }`".to_owned();
            item.wrong_but::<()>(&mut self.faults, Some(hint));
            return tags;
        };
        for (key, value) in table {
            let item = Item::new(format!("`tags.{}`", key.get_ref()), "a string", value);
            let Some(text) = item.quoted(&mut self.faults) else {
                continue;
            };
            let set = match self.environment.expand_text(text) {
                Ok(text) => tags.set(key.get_ref(), &text),
                Err(why) => Err(format!("cannot expand {}: {why}", item.subject)),
            };
            if let Err(why) = set {
                item.bad::<()>(&mut self.faults, Diagnostic::error(why));
            }
        }
        tags
    }

    pub(super) fn announce(&mut self, top: &Table<'_>) -> Vec<Announced> {
        let mut found: Vec<Announced> = Vec::new();
        for (table, span) in top.tables("announce", "announce", &mut self.faults) {
            let service = table.get("service");
            let name = service.as_ref().and_then(|item| self.parsed(item));
            let port = table
                .get("port")
                .and_then(|item| item.whole(1..=65_535, &mut self.faults))
                .and_then(|port| u16::try_from(port).ok());
            if service.is_none() || table.get("port").is_none() {
                let fault = Diagnostic::error("what is announced has a `service` and a `port`")
                    .hint("write `announce = [{ service = \"web\", port = 3000 }]`");
                self.faults.at(span.clone(), fault);
            }
            let (Some(name), Some(port)) = (name, port) else {
                continue;
            };
            if found.iter().any(|other| other.name == name) {
                let fault = Diagnostic::error(format!("{name:?} is announced twice"));
                self.faults.at(span, fault);
            } else if found.len() == SERVICES_MAX {
                let fault = format!("a member announces at most {SERVICES_MAX} services");
                self.faults.at(span, Diagnostic::error(fault));
            } else {
                found.push(Announced {
                    name,
                    port,
                    readiness: Readiness::Unready,
                });
            }
        }
        found
    }

    pub(super) fn seeds(&mut self, item: &Item<'_>) -> Vec<Seed> {
        let mut found = Vec::new();
        let items = item.array("a name or an address", &mut self.faults);
        for item in items.unwrap_or_default() {
            let Some(text) = self.text(&item) else {
                continue;
            };
            match seed(&text) {
                Ok(_) if found.len() == SEEDS_MAX => {
                    let fault = format!("there are more than {SEEDS_MAX} seeds");
                    item.bad::<()>(&mut self.faults, Diagnostic::error(fault));
                    break;
                }
                Ok(seed) => found.push(seed),
                Err(why) => {
                    let fault = Diagnostic::error(why)
                        .hint("a seed is NAME, NAME:PORT, ADDRESS or dns:NAME");
                    item.bad::<()>(&mut self.faults, fault);
                }
            }
        }
        found
    }

    pub(super) fn sources(&mut self, item: &Item<'_>) -> Option<Vec<Origin>> {
        let items = item.array("a source", &mut self.faults)?;
        let words = items
            .iter()
            .filter_map(|item| item.word(&Origin::WORDS, &mut self.faults));
        let mut found: Vec<Origin> = Vec::new();
        let mut seen = BTreeSet::new();
        for origin in words.collect::<Vec<_>>() {
            if seen.insert(origin) {
                found.push(origin);
            }
        }
        if found.is_empty() && items.is_empty() {
            let fault = Diagnostic::error("`sources` is empty: nobody would tell of members");
            return item.bad(&mut self.faults, fault);
        }
        // One that is not known has been told of.
        (!found.is_empty()).then_some(found)
    }
}
