//! Serf's RPC as values: requests, and members out of answers. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::agent::sources::msgpack::{Value, map};
use crate::members::member::{Announced, Member, Origin, Readiness, SERVICES_MAX, Status};
use crate::members::words::Tags;

/// The tag by which an agent of ours tells of its services, where Serf is the source: Serf knows
/// members only. `NAME:PORT:STATE`, separated by spaces.
pub const SERVICES_TAG: &str = "pidone";

/// The bytes of a request.
pub fn request(command: &str, seq: i64, body: Option<&Value>) -> Vec<u8> {
    let mut out = Vec::new();
    map([("Command", Value::text(command)), ("Seq", Value::Int(seq))]).write(&mut out);
    if let Some(body) = body {
        body.write(&mut out);
    }
    out
}

/// The body that sets our own services' tag.
pub fn services(all: &[Announced]) -> Value {
    let words = all.iter().map(|service| {
        let Announced {
            name,
            port,
            readiness,
        } = service;
        format!("{name}:{port}:{readiness}")
    });
    let words = words.collect::<Vec<_>>().join(" ");
    map([
        ("Tags", map([(SERVICES_TAG, Value::text(&words))])),
        ("DeleteTags", Value::List(Vec::new())),
    ])
}

/// The members of an answer to `members`. One that cannot be understood, such as a name that is no
/// word, is left out: the others are not worse for it.
pub fn members(body: &Value) -> Option<Vec<Member>> {
    let Some(Value::List(all)) = body.get("Members") else {
        return None;
    };
    Some(all.iter().filter_map(member).collect())
}

fn member(value: &Value) -> Option<Member> {
    let status = value.get("Status")?.as_text()?;
    let status = Status::ALL.into_iter().find(|one| one.word() == status)?;
    let mut tags = Tags::default();
    let mut services = Vec::new();
    if let Some(Value::Map(pairs)) = value.get("Tags") {
        for (name, text) in pairs {
            let (Some(name), Some(text)) = (name.as_text(), text.as_text()) else {
                continue;
            };
            if name == SERVICES_TAG {
                services = announced(text);
            } else {
                // A tag that cannot stand in a line is as if it were not there.
                let _ = tags.set(name, text);
            }
        }
    }
    Some(Member {
        name: value.get("Name")?.as_text()?.parse().ok()?,
        address: address(value.get("Addr")?)?,
        port: u16::try_from(value.get("Port")?.as_int()?).ok()?,
        tags,
        services,
        status,
        incarnation: 0,
        origin: Origin::Serf,
    })
}

fn announced(text: &str) -> Vec<Announced> {
    let one = |word: &str| {
        let mut parts = word.splitn(3, ':');
        let (name, port, state) = (parts.next()?, parts.next()?, parts.next()?);
        let mut known = Readiness::ALL.into_iter();
        Some(Announced {
            name: name.parse().ok()?,
            port: port.parse().ok()?,
            readiness: known.find(|readiness| readiness.word() == state)?,
        })
    };
    let words = text.split(' ').take(SERVICES_MAX);
    words.filter_map(one).collect()
}

/// 4 or 16 bytes; Go keeps many addresses of 4 in 16.
fn address(value: &Value) -> Option<IpAddr> {
    let Value::Bytes(bytes) = value else {
        return None;
    };
    if let Ok(four) = <[u8; 4]>::try_from(bytes.as_slice()) {
        return Some(Ipv4Addr::from(four).into());
    }
    let sixteen = <[u8; 16]>::try_from(bytes.as_slice()).ok()?;
    Some(Ipv6Addr::from(sixteen).to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(name: &str, status: &str, tags: &[(&str, &str)]) -> Value {
        let tags = tags.iter();
        let tags = tags.map(|(name, value)| (Value::text(name), Value::text(value)));
        map([
            ("Name", Value::text(name)),
            ("Addr", Value::Bytes(vec![10, 0, 0, 7])),
            ("Port", Value::Int(7946)),
            ("Tags", Value::Map(tags.collect())),
            ("Status", Value::text(status)),
        ])
    }

    #[test]
    fn members_are_read_and_bad_ones_left_out() {
        let evil = [("role", "backend"), ("x", "a\nserver evil 6.6.6.6:1")];
        let told = [
            ("pidone", "web:3000:ready db:1:draining x:y:z"),
            ("role", "r"),
        ];
        let body = map([(
            "Members",
            Value::List(vec![
                answer("s1", "alive", &evil),
                answer("s2", "failed", &told),
                answer("../etc", "alive", &[]),
                answer("s4", "strange", &[]),
                Value::Nil,
            ]),
        )]);
        let found = members(&body).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].name.as_str(), "s1");
        assert_eq!(found[0].tags.get("role"), Some("backend"));
        assert_eq!(found[0].tags.get("x"), None);
        assert_eq!(
            (found[1].status, found[1].services.len()),
            (Status::Failed, 2)
        );
        assert_eq!(found[1].services[1].readiness, Readiness::Draining);
        assert_eq!(members(&Value::Nil), None);
        assert_eq!(
            services(&found[1].services)
                .get("Tags")
                .unwrap()
                .get("pidone"),
            Some(&Value::text("web:3000:ready db:1:draining"))
        );
    }

    #[test]
    fn an_address_has_4_or_16_bytes() {
        let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 7];
        let read = |bytes: &[u8]| address(&Value::Bytes(bytes.to_vec()));
        assert_eq!(read(&mapped), "10.0.0.7".parse().ok());
        assert_eq!(read(&[10, 0, 0, 7]), "10.0.0.7".parse().ok());
        assert_eq!(read(&[1; 5]), None);
    }
}
