//! The members as a template sees them: `members`, `backends` (also called `addresses`), `self`
//! and `env`.

use std::net::SocketAddr;

use serde_json::{Map, Value, json};

use crate::members::member::{Member, Readiness, Status};
use crate::members::roster::Roster;
use crate::members::words::Tags;
use crate::template::data::Data;
use crate::values::lists;

/// What the node that renders says of itself.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Own {
    /// Its name.
    pub name: String,
    /// Its tags.
    pub tags: Tags,
    /// Its environment.
    pub env: Vec<(String, String)>,
}

/// The data for a rendering. `members` are all that are known; `backends` one for each service that
/// is ready to get work, by member and service.
pub fn data(roster: &Roster, own: &Own) -> Data {
    let members: Vec<Value> = roster.members().map(member).collect();
    let backends: Vec<Value> = roster.members().flat_map(backends).collect();
    let env = own.env.iter();
    let env: Map<String, Value> =
        lists::filled(env.map(|(name, value)| (name.clone(), value.as_str().into())));
    Data::new(json!({
        "members": members,
        "addresses": backends.clone(),
        "backends": backends,
        "self": { "name": own.name, "tags": tags(&own.tags) },
        "env": env,
    }))
}

fn member(member: &Member) -> Value {
    let services = member.services.iter().map(|service| {
        json!({
            "name": service.name.as_str(),
            "port": service.port,
            "state": service.readiness.word(),
        })
    });
    json!({
        "name": member.name.as_str(),
        "host": member.name.as_str(),
        "ip": member.address.to_string(),
        "port": member.port,
        "status": member.status.word(),
        "ready": member.is_ready(),
        "tags": tags(&member.tags),
        "services": services.collect::<Vec<_>>(),
        "source": member.origin.word(),
    })
}

/// A source that knows of no services knows of members only: each is ready by being there, on the
/// port of its tag `port`, if it has one.
fn backends(member: &Member) -> Vec<Value> {
    if member.status != Status::Alive {
        return Vec::new();
    }
    let backend = |service: &str, port: u16| {
        json!({
            "host": member.name.as_str(),
            "name": member.name.as_str(),
            "ip": member.address.to_string(),
            "port": port,
            "address": SocketAddr::new(member.address, port).to_string(),
            "service": service,
            "tags": tags(&member.tags),
        })
    };
    if member.services.is_empty() {
        let port = member.tags.get("port").and_then(|port| port.parse().ok());
        return vec![backend("", port.unwrap_or(0))];
    }
    let ready = member.services.iter();
    let ready = ready.filter(|service| service.readiness == Readiness::Ready);
    ready
        .map(|service| backend(service.name.as_str(), service.port))
        .collect()
}

fn tags(tags: &Tags) -> Value {
    let pairs = tags.iter();
    Value::Object(lists::filled(
        pairs.map(|(name, value)| (name.to_owned(), value.into())),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::members::member::{Announced, Origin};
    use crate::template::engine::Template;

    fn member(name: &str, ip: &str, status: Status, services: &[(&str, Readiness)]) -> Member {
        let services = services.iter().map(|(service, readiness)| Announced {
            name: service.parse().unwrap(),
            port: 3000,
            readiness: *readiness,
        });
        Member {
            name: name.parse().unwrap(),
            address: ip.parse().unwrap(),
            port: 7946,
            tags: Tags::default(),
            services: services.collect(),
            status,
            incarnation: 0,
            origin: Origin::Gossip,
        }
    }

    #[test]
    fn only_what_is_ready_gets_work() {
        let mut roster = Roster::new(&[Origin::Gossip], 0);
        let ready = [("web", Readiness::Ready)];
        roster.take(
            Origin::Gossip,
            vec![
                member("s1", "10.0.0.1", Status::Alive, &ready),
                member(
                    "s2",
                    "10.0.0.2",
                    Status::Alive,
                    &[("web", Readiness::Draining)],
                ),
                member("s3", "10.0.0.3", Status::Failed, &ready),
                member(
                    "s4",
                    "10.0.0.4",
                    Status::Alive,
                    &[("web", Readiness::Unready)],
                ),
                member("s5", "fd00::5", Status::Alive, &[]),
                member("s6", "10.0.0.6", Status::Leaving, &ready),
            ],
        );
        let own = Own {
            name: "ha".into(),
            tags: Tags::default(),
            env: vec![("MODE".into(), "http\nbind :1".into())],
        };
        let source = "{{#each backends}}{{host}} {{ip}} {{port}} {{service}};{{/each}}\n\
                      {{#each members}}{{name}} {{status}} {{ready}};{{/each}}\n\
                      {{self.name}} {{env.MODE}}\n";
        let template = Template::parse("t".as_ref(), source.to_owned()).unwrap();
        assert_eq!(
            template.render(&data(&roster, &own)).unwrap(),
            "s1 10.0.0.1 3000 web;s5 fd00::5 0 ;\n\
             s1 alive true;s2 alive false;s3 failed false;s4 alive false;s5 alive true;\
             s6 leaving false;\n\
             ha http\u{fffd}bind :1\n"
        );
    }
}
