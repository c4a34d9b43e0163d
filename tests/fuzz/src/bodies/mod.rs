//! What is held of everything that reads the words of others: of any bytes at all, not of examples.
//! Each body takes bytes and panics if a property does not hold of them.

mod definitions;
mod faults;
mod members;
mod output;
mod talk;
mod timing;
mod trees;

/// A target: what it is called, and its body.
pub type Target = (&'static str, fn(&[u8]));

/// Every target, by name.
pub const TARGETS: &[Target] = &[
    ("agent_toml", talk::agent_toml),
    ("control", talk::control),
    ("cron", timing::cron),
    ("dns", members::dns),
    ("envfile", definitions::envfile),
    ("execline", definitions::execline),
    ("gossip", members::gossip),
    ("haproxy", talk::haproxy),
    ("lines", output::lines),
    ("nodes", members::nodes),
    ("notify", output::notify),
    ("s6rc", trees::s6rc),
    ("scandir", trees::scandir),
    ("serf", members::serf),
    ("service_toml", definitions::service_toml),
    ("sessions", members::sessions),
    ("supervisord", definitions::supervisord),
    ("syslog", output::syslog),
    ("template", talk::template),
];

/// Runs the body of this target.
///
/// # Panics
/// A property does not hold of these bytes, or there is no such target.
pub fn run(target: &str, data: &[u8]) {
    let found = TARGETS.iter().find(|(name, _)| *name == target);
    let (_, body) = found.unwrap_or_else(|| panic!("there is no target `{target}`"));
    body(data);
}
