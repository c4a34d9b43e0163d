//! Members out of files' texts: lines `HOST IP`, as the lab's `/nodes` has them, and JSON. Pure.

use std::net::{IpAddr, SocketAddr};

use serde_json::Value;

use crate::agent::sources::simple;
use crate::members::member::{Member, Origin};

/// Reads lines `HOST IP` or `HOST IP:PORT`; empty lines and those that begin with `#` say nothing.
/// `port` is that of an address without one; 0: it is not known.
///
/// # Errors
/// The first line that cannot be understood.
pub fn lines(text: &str, port: u16, origin: Origin) -> Result<Vec<Member>, String> {
    let is_said = |line: &&str| !line.is_empty() && !line.starts_with('#');
    let lines = text.lines().map(str::trim).filter(is_said);
    lines.map(|line| one(line, port, origin)).collect()
}

/// One `HOST IP[:PORT]`.
///
/// # Errors
/// What is wrong with it.
pub fn one(line: &str, port: u16, origin: Origin) -> Result<Member, String> {
    let mut words = line.split_whitespace();
    let (Some(host), Some(at), None) = (words.next(), words.next(), words.next()) else {
        return Err(format!("`{line}` is not `HOST IP`"));
    };
    simple(origin, host, address(at, port)?)
}

fn address(text: &str, port: u16) -> Result<SocketAddr, String> {
    let bare = |text: &str| text.parse::<IpAddr>().ok();
    let bare = bare(text).map(|ip| SocketAddr::new(ip, port));
    bare.or_else(|| text.parse().ok())
        .ok_or_else(|| format!("`{text}` is not an address"))
}

/// Reads a JSON list of `{"name", "ip", "port", "service", "tags"}`, or an object with that list as
/// `members`. `host` is as good as `name`, `address` as `ip`; the other three may be absent.
///
/// # Errors
/// What is wrong, with the item it is wrong in.
pub fn json(text: &str, port: u16, origin: Origin) -> Result<Vec<Member>, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let list = value.get("members").unwrap_or(&value).as_array();
    let list = list.ok_or("it is no list of members")?;
    let read = |(number, item): (usize, &Value)| {
        item_of(item, port, origin).map_err(|why| format!("member {}: {why}", number + 1))
    };
    list.iter().enumerate().map(read).collect()
}

fn item_of(item: &Value, port: u16, origin: Origin) -> Result<Member, String> {
    let either = |a: &str, b: &str| {
        let value = item.get(a).or_else(|| item.get(b)).and_then(Value::as_str);
        value.ok_or_else(|| format!("it has no `{a}`"))
    };
    let port = match item.get("port") {
        None | Some(Value::Null) => port,
        Some(port) => {
            let number = port.as_u64().and_then(|port| u16::try_from(port).ok());
            number.ok_or_else(|| format!("{port} is no port"))?
        }
    };
    let at = address(either("ip", "address")?, port)?;
    let mut member = simple(origin, either("name", "host")?, at)?;
    if let (Some(Value::String(name)), Some(service)) =
        (item.get("service"), member.services.first_mut())
    {
        service.name = name.parse()?;
    }
    if let Some(Value::Object(tags)) = item.get("tags") {
        for (name, value) in tags {
            match value {
                Value::String(text) => member.tags.set(name, text)?,
                other => member.tags.set(name, &other.to_string())?,
            }
        }
    }
    Ok(member)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(found: Result<Vec<Member>, String>) -> String {
        match found {
            Err(why) => why,
            Ok(members) => {
                let one = |m: &Member| {
                    let port = m.services.first().map_or(0, |service| service.port);
                    let tags: Vec<String> =
                        m.tags.iter().map(|(n, v)| format!("{n}={v}")).collect();
                    format!("{} {} {port} {}", m.name, m.address, tags.join(","))
                };
                members.iter().map(one).collect::<Vec<_>>().join("; ")
            }
        }
    }

    #[test]
    fn the_labs_lines_are_read() {
        let read = |text: &str| shown(lines(text, 3000, Origin::File));
        assert_eq!(
            read("s1 172.18.0.3\n\n# a comment\n s2\t[fd00::2]:80 \ns3 fd00::3"),
            "s1 172.18.0.3 3000 ; s2 fd00::2 80 ; s3 fd00::3 3000 "
        );
        assert_eq!(read(""), "");
        assert_eq!(read("s1"), "`s1` is not `HOST IP`");
        assert_eq!(read("s1 10.0.0.1 x"), "`s1 10.0.0.1 x` is not `HOST IP`");
        assert_eq!(read("s1 10.0.0"), "`10.0.0` is not an address");
        assert_eq!(
            read("../s1 10.0.0.1"),
            "a member's name cannot start with '.'"
        );
    }

    #[test]
    fn json_is_a_list_of_members() {
        let read = |text: &str| shown(json(text, 0, Origin::File));
        let list = r#"[{"name": "s1", "ip": "10.0.0.1", "port": 80, "tags": {"w": 5, "z": "a"}},
            {"host": "s2", "address": "10.0.0.2:81"}]"#;
        let both = "s1 10.0.0.1 80 w=5,z=a; s2 10.0.0.2 81 ";
        assert_eq!(read(list), both);
        assert_eq!(read(&format!("{{\"members\": {list}}}")), both);
        for (text, told) in [
            ("[{}]", "member 1: it has no `ip`"),
            ("{}", "it is no list of members"),
            (
                r#"[{"name": "a/b", "ip": "1.2.3.4"}]"#,
                "member 1: a member's name cannot contain '/'",
            ),
            (
                r#"[{"name": "a", "ip": "1.2.3.4", "port": 70000}]"#,
                "member 1: 70000 is no port",
            ),
            (
                r#"[{"name": "a", "ip": "1.2.3.4", "tags": {"x": "a\nserver b 6.6.6.6:1"}}]"#,
                "member 1: the value of tag `x` cannot contain '\\n'",
            ),
        ] {
            assert_eq!(read(text), told);
        }
    }
}
