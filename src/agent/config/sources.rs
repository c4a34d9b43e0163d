//! Where the sources other than gossip are found: `[serf]`, `[dns]`, `[file]` and `[static]`.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::agent::config::Config;
use crate::agent::config::reader::Reader;
use crate::agent::sources::{dns, file, listed};
use crate::diag::Diagnostic;
use crate::members::member::Origin;
use crate::members::words::ServiceName;
use crate::service::table::{Item, Table};

/// The port of Serf's RPC.
const RPC_PORT: u16 = 7373;

/// Where the other sources are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Places {
    /// The RPC of a Serf agent.
    pub serf: SocketAddr,
    /// The file with its `rpc_auth`.
    pub serf_auth: Option<PathBuf>,
    /// Names.
    pub dns: dns::Settings,
    /// A directory, or a file.
    pub file: Option<file::Settings>,
    /// Lines `HOST IP[:PORT]`.
    pub listed: Vec<String>,
    /// What the service is called that a source knows only the port of.
    pub services: BTreeMap<Origin, ServiceName>,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            serf: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), RPC_PORT),
            serf_auth: None,
            dns: dns::Settings::default(),
            file: None,
            listed: Vec::new(),
            services: BTreeMap::new(),
        }
    }
}

impl Reader<'_> {
    pub(super) fn places(&mut self, top: &Table<'_>) -> Places {
        let mut places = Places::default();
        if let Some((table, _)) = top.table("serf", "serf", &mut self.faults) {
            let rpc = table.get("rpc");
            places.serf = rpc
                .and_then(|item| self.exact(&item))
                .unwrap_or(places.serf);
            places.serf_auth = table.get("auth-file").and_then(|item| self.path(&item));
        }
        if let Some((table, _)) = top.table("dns", "dns", &mut self.faults) {
            let names = table.get("names");
            let names = names.map(|item| self.each(&item, "a name", dns::name));
            places.dns.names = names.unwrap_or_default();
            self.service(&table, Origin::Dns, &mut places);
        }
        if let Some((table, span)) = top.table("file", "file", &mut self.faults) {
            let path = table.get("path").and_then(|item| self.path(&item));
            let port = table
                .get("port")
                .and_then(|item| item.whole(1..=65_535, &mut self.faults));
            if table.get("path").is_none() {
                let fault = Diagnostic::error("`[file]` has a `path`");
                self.faults.at(span, fault);
            }
            places.file = path.map(|path| file::Settings {
                path,
                port: port.and_then(|port| port.try_into().ok()).unwrap_or(0),
            });
            self.service(&table, Origin::File, &mut places);
        }
        if let Some((table, _)) = top.table("static", "static", &mut self.faults) {
            let is_member = |line: &str| {
                let line = line.to_owned();
                listed::report(std::slice::from_ref(&line))
                    .answer
                    .map(|_| line)
            };
            let members = table.get("members");
            let members = members.map(|item| self.each(&item, "a member", is_member));
            places.listed = members.unwrap_or_default();
            self.service(&table, Origin::Static, &mut places);
        }
        places
    }

    fn service(&mut self, table: &Table<'_>, origin: Origin, places: &mut Places) {
        let name = table.get("service").and_then(|item| self.parsed(&item));
        places.services.extend(name.map(|name| (origin, name)));
    }

    /// A source that is asked for, and cannot be found.
    pub(super) fn placed(&mut self, sources: &Item<'_>, config: &Config) {
        let places = &config.places;
        for origin in &config.sources {
            let missing = match origin {
                Origin::Dns if places.dns.names.is_empty() => "`dns`: `[dns]` names no name",
                Origin::File if places.file.is_none() => "`file`: there is no `[file]`",
                Origin::Static if places.listed.is_empty() => "`static`: `[static]` has no member",
                Origin::Gossip | Origin::Serf | Origin::Dns | Origin::File | Origin::Static => {
                    continue;
                }
            };
            let fault = Diagnostic::error(format!("cannot ask the source {missing}"));
            sources.bad::<()>(&mut self.faults, fault);
        }
    }

    /// A list whose items are parsed once their variables are filled in.
    fn each<T>(
        &mut self,
        item: &Item<'_>,
        what: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        let mut found = Vec::new();
        for item in item.array(what, &mut self.faults).unwrap_or_default() {
            let Some(text) = self.text(&item) else {
                continue;
            };
            match parse(&text) {
                Ok(one) => found.push(one),
                Err(why) => {
                    item.bad::<()>(&mut self.faults, Diagnostic::error(why));
                }
            }
        }
        found
    }

    /// An address with its port.
    fn exact(&mut self, item: &Item<'_>) -> Option<SocketAddr> {
        let text = self.text(item)?;
        let parsed = text.parse().map_err(|_| {
            Diagnostic::error(format!("`{text}` is no address with a port"))
                .hint("write `127.0.0.1:7373`")
        });
        parsed.map_or_else(|fault| item.bad(&mut self.faults, fault), Some)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::agent::config::read;
    use crate::service::environment::Environment;

    fn parsed(text: &str) -> (Places, Vec<String>) {
        let (config, faults) = read(text, Path::new("agent.toml"), &Environment::default());
        let told = faults.iter().map(|fault| fault.message.clone()).collect();
        (config.places, told)
    }

    #[test]
    fn every_source_has_its_place() {
        let (places, faults) = parsed(
            "sources = [\"serf\", \"dns\", \"file\", \"static\"]\n\
             serf = { rpc = \"127.0.0.1:7000\", auth-file = \"/run/secrets/serf\" }\n\
             dns = { names = [\"tasks.web:3000\", \"_http._tcp.web\"] }\n\
             file = { path = \"/nodes\", port = 3000 }\n\
             static = { members = [\"s1 10.0.0.1:80\"], service = \"web\" }\n",
        );
        assert_eq!(faults, [""; 0]);
        assert_eq!(places.services.len(), 1);
        assert_eq!(places.services[&Origin::Static].as_str(), "web");
        assert_eq!(places.serf, "127.0.0.1:7000".parse().unwrap());
        assert_eq!(places.dns.names.len(), 2);
        assert_eq!(places.file.unwrap().port, 3000);
        assert_eq!(places.listed, ["s1 10.0.0.1:80"]);
        assert_eq!(parsed("sources = [\"serf\"]").1, [""; 0]);
    }

    #[test]
    fn a_source_without_one_is_a_fault() {
        let (_, faults) = parsed(
            "sources = [\"dns\", \"file\", \"static\"]\nserf = { rpc = \"x\" }\n\
             dns = { names = [\"web\"] }\nstatic = { members = [\"s1\"] }\n",
        );
        assert_eq!(
            faults,
            [
                "cannot ask the source `dns`: `[dns]` names no name",
                "cannot ask the source `file`: there is no `[file]`",
                "cannot ask the source `static`: `[static]` has no member",
                "`x` is no address with a port",
                "`web` is neither NAME:PORT nor a service like _http._tcp.NAME",
                "`s1` is not `HOST IP`",
            ]
        );
    }
}
