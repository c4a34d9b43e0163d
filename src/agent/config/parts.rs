//! The parts of `agent.toml` that stand for themselves: seeds, templates and handlers.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::agent::config::reader::Reader;
use crate::agent::config::{Apply, Handler, PORT, Seed, Template};
use crate::diag::Diagnostic;
use crate::service::table::Table;

/// How long a template waits for more changes unless it says otherwise.
const SETTLE: Duration = Duration::from_millis(20);

/// The longest host name (RFC 1035), in bytes.
const HOST_BYTES_MAX: usize = 253;

/// Reads `NAME`, `NAME:PORT`, `ADDRESS`, `ADDRESS:PORT`, and `dns:` before a name.
pub(super) fn seed(text: &str) -> Result<Seed, String> {
    let (all, rest) = match text.strip_prefix("dns:") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let seed = |host: &str, port| Seed {
        host: host.to_owned(),
        port,
        all,
    };
    if let Ok(address) = rest.parse::<SocketAddr>() {
        return Ok(seed(&address.ip().to_string(), address.port()));
    }
    if let Ok(ip) = rest.parse::<IpAddr>() {
        return Ok(seed(&ip.to_string(), PORT));
    }
    let (host, port) = match rest.rsplit_once(':') {
        None => (rest, Some(PORT)),
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port > 0)),
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let is_name = !host.is_empty() && host.len() <= HOST_BYTES_MAX && host.chars().all(fits);
    match port {
        Some(port) if is_name => Ok(seed(host, port)),
        _ => Err(format!("`{text}` is no seed")),
    }
}

impl Reader<'_> {
    pub(super) fn templates(&mut self, top: &Table<'_>) -> Vec<Template> {
        let mut found = Vec::new();
        for (table, span) in top.tables("template", "template", &mut self.faults) {
            let from = table.get("from").and_then(|item| self.path(&item));
            let to = table.get("to").and_then(|item| self.path(&item));
            for missing in ["from", "to"] {
                if table.get(missing).is_none() {
                    let fault = Diagnostic::error(format!("a template has a `{missing}`"));
                    self.faults.at(span.clone(), fault);
                }
            }
            let settle = table
                .get("settle")
                .and_then(|item| item.span(&mut self.faults));
            let check = table
                .get("check")
                .and_then(|item| item.command(&mut self.faults));
            let apply = self.apply(&table);
            let (Some(from), Some(to)) = (from, to) else {
                continue;
            };
            found.push(Template {
                from,
                to,
                check,
                settle: settle.unwrap_or(SETTLE),
                apply,
                place: self.faults.place(span),
            });
        }
        found
    }

    fn apply(&mut self, template: &Table<'_>) -> Apply {
        let Some((table, _)) = template.table("apply", "template.apply", &mut self.faults) else {
            return Apply::default();
        };
        Apply {
            haproxy: table.get("haproxy").and_then(|item| self.path(&item)),
            backend: table.get("backend").and_then(|item| self.text(&item)),
            reload: table.get("reload").and_then(|item| self.text(&item)),
            command: table
                .get("command")
                .and_then(|item| item.command(&mut self.faults)),
        }
    }

    pub(super) fn handlers(&mut self, top: &Table<'_>) -> Vec<Handler> {
        let mut found = Vec::new();
        for (table, span) in top.tables("handler", "handler", &mut self.faults) {
            let mut on = Vec::new();
            if let Some(item) = table.get("on") {
                let items = item.array("an event", &mut self.faults);
                for item in items.unwrap_or_default() {
                    on.extend(item.text(&mut self.faults).map(str::to_owned));
                }
            }
            let Some(item) = table.get("command") else {
                let fault = Diagnostic::error("a handler has a `command`");
                self.faults.at(span, fault);
                continue;
            };
            let Some(command) = item.command(&mut self.faults) else {
                continue;
            };
            found.push(Handler {
                on,
                command,
                place: self.faults.place(span),
            });
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_names_or_addresses() {
        let read = |text: &str| seed(text).map(|seed| (seed.host, seed.port, seed.all));
        let of = |host: &str, port, all| Ok((host.to_owned(), port, all));
        assert_eq!(read("ha"), of("ha", PORT, false));
        assert_eq!(read("ha:1"), of("ha", 1, false));
        assert_eq!(read("dns:tasks.webapp"), of("tasks.webapp", PORT, true));
        assert_eq!(read("10.0.0.1"), of("10.0.0.1", PORT, false));
        assert_eq!(read("[::1]:7"), of("::1", 7, false));
        assert_eq!(read("::1"), of("::1", PORT, false));
        for bad in ["", "ha:", "ha:0", "ha:x", "a b", "a/b", "dns:", "ha\n"] {
            assert!(seed(bad).is_err(), "{bad:?}");
        }
    }
}
