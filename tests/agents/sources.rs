//! Sources that fail a real agent: name servers that are silent, answer nothing or nonsense; files
//! that write what they should not; and several sources of one list.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use nix::unistd::geteuid;
use pidone::agent::desk::ask_agent;
use pidone::agent::wire::{Reply, Request};

use crate::node::{Agent, Cluster};
use crate::{SOON, ms};

/// How a name server answers.
const SILENCE: u8 = 255;
const FAILURE: u8 = 254;
const NONSENSE: u8 = 253;
/// Everything below it is so many addresses.
const EMPTY: u8 = 0;

/// A name server whose answer can be changed.
struct NameServer {
    answer: &'static AtomicU8,
}

impl NameServer {
    fn start(at: SocketAddr) -> Self {
        let socket = UdpSocket::bind(at).unwrap();
        // Its thread ends with the test.
        let answer: &AtomicU8 = Box::leak(Box::new(AtomicU8::new(SILENCE)));
        std::thread::spawn(move || {
            let mut bytes = [0; 512];
            while let Ok((count, from)) = socket.recv_from(&mut bytes) {
                let reply = reply(&bytes[..count], answer.load(Ordering::Relaxed));
                if !reply.is_empty() {
                    let _ = socket.send_to(&reply, from);
                }
            }
        });
        Self { answer }
    }

    fn answers(&self, how: u8) {
        self.answer.store(how, Ordering::Relaxed);
    }
}

/// The answer to this question (RFC 1035): addresses 10.0.0.1 and up to one of kind A, none of
/// another kind.
fn reply(question: &[u8], how: u8) -> Vec<u8> {
    let name = &question[12..];
    let end = 12 + name.iter().position(|byte| *byte == 0).unwrap() + 5;
    let is_a = question[end - 4..end - 2] == [0, 1];
    let (flags, count) = match how {
        SILENCE => return Vec::new(),
        NONSENSE => return [&question[..2], &[0x81, 0x80, 0, 1, 0, 9, 0xff, 0xff]].concat(),
        FAILURE => (0x8182_u16, 0),
        count => (0x8180, if is_a { count } else { 0 }),
    };
    let mut reply = [
        &question[..2],
        &flags.to_be_bytes(),
        &[0, 1, 0, count, 0, 0, 0, 0],
    ]
    .concat();
    reply.extend(&question[12..end]);
    for number in 1..=count {
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 10, 0, 0, number]);
    }
    reply
}

/// Whether a file system of our own can be had, and if not, why.
pub(crate) fn can_mount() -> bool {
    if geteuid().is_root() {
        return true;
    }
    let _ = writeln!(std::io::stderr(), "skipped: only root can mount");
    let required = std::env::var("PIDONE_REQUIRE_ALL").is_ok_and(|v| v == "1");
    assert!(!required, "skipped where everything is required");
    false
}

/// What it says of itself: why sources are silent, and how many members the floor holds.
fn standing(agent: &Agent) -> (Vec<String>, usize) {
    match ask_agent(&agent.socket, &Request::Status) {
        Ok(Reply::Status { silent, held, .. }) => (silent, held),
        _ => (vec!["the agent is silent".into()], 0),
    }
}

fn until(agent: &Agent, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        let (standing, said) = (standing(agent), agent.said());
        let members = agent.members();
        assert!(start.elapsed() < SOON, "{standing:?} {members:?}\n{said}");
        std::thread::sleep(ms(20));
    }
}

#[test]
fn a_name_server_may_fail_in_every_way_and_heal() {
    if !can_mount() {
        return;
    }
    let cluster = Cluster::new();
    let ip = cluster.at(53).ip();
    let server = NameServer::start(SocketAddr::new(ip, 53));
    let resolv = cluster.file("resolv.conf");
    fs::write(&resolv, format!("nameserver {ip}\n")).unwrap();
    let script = format!(
        "mount --bind {} /etc/resolv.conf && exec \"$@\"",
        resolv.display()
    );
    let before = ["unshare", "--mount", "sh", "-c", &script, "sh"];
    let more = "sources = [\"dns\"]\nmin-members = 1\n\
                dns = { names = [\"tasks.web:3000\"], service = \"web\" }\n";
    let agent = cluster.start_at(cluster.at(1), "n1", more, &before);
    let silent = ["name tasks.web: no name server answers".to_owned()];
    until(&agent, || standing(&agent).0 == silent);
    assert_eq!(agent.members(), []);
    server.answers(2);
    until(&agent, || {
        agent.count("alive") == 2 && standing(&agent).0.is_empty()
    });
    assert_eq!(agent.members()[0].services[0].name, "web");
    for how in [SILENCE, FAILURE, NONSENSE] {
        server.answers(how);
        until(&agent, || standing(&agent).0 == silent);
        assert_eq!(agent.count("alive"), 2, "the last good answer stands");
        server.answers(2);
        until(&agent, || standing(&agent).0.is_empty());
    }
    // Nobody is behind the name: then the floor holds.
    server.answers(EMPTY);
    until(&agent, || standing(&agent).1 == 2);
    assert_eq!(agent.count("alive"), 2);
    server.answers(1);
    until(&agent, || {
        agent.count("alive") == 1 && standing(&agent).1 == 0
    });
}

#[test]
fn several_sources_are_one_list_above_a_floor() {
    let cluster = Cluster::new();
    let nodes = cluster.file("nodes");
    fs::create_dir(&nodes).unwrap();
    let put = |name: &str, text: &str| fs::write(nodes.join(name), text).unwrap();
    put("s1", "s1 10.9.9.9:1\n");
    put("f1", "f1 10.0.1.1:80\nf2 10.0.1.2:80\n");
    let more = format!(
        "sources = [\"static\", \"gossip\", \"file\"]\nmin-members = 5\nwatch = true\n\
         static = {{ members = [\"s1 10.0.0.1:80\"], service = \"web\" }}\n\
         file = {{ path = \"{}\", service = \"api\" }}\n",
        nodes.display()
    );
    let one = cluster.start(1, &more);
    let mut two = cluster.start(2, &format!("seeds = [\"{}\"]", cluster.at(1)));
    one.until("alive", 5, SOON);
    let shown = |agent: &Agent| {
        let one = |m: &pidone::agent::wire::WireMember| {
            let services = m.services.iter().map(|one| one.name.as_str());
            let services: Vec<&str> = services.collect();
            format!("{} {} {}", m.name, m.source, services.join(","))
        };
        agent.members().iter().map(one).collect::<Vec<_>>()
    };
    let all = [
        "f1 file api",
        "f2 file api",
        "n1 gossip ",
        "n2 gossip ",
        "s1 static web",
    ];
    assert_eq!(shown(&one), all);
    assert_eq!(one.members()[4].ip, "10.0.0.1", "the most trusted is right");
    // Files are gone, and a member is killed: below the floor nobody believes that.
    fs::remove_file(nodes.join("f1")).unwrap();
    until(&one, || standing(&one).1 == 2);
    two.signal(nix::sys::signal::Signal::SIGKILL);
    two.wait();
    until(&one, || standing(&one).1 == 3);
    assert_eq!(one.count("alive"), 5);
    // Enough of others: then they are gone.
    put("g", "g1 10.0.2.1:80\ng2 10.0.2.2:80\ng3 10.0.2.3:80\n");
    until(&one, || standing(&one).1 == 0);
    assert_eq!((one.count("alive"), one.count("failed")), (5, 1));
}

#[test]
fn names_and_tags_from_files_cannot_write_anything_else() {
    let cluster = Cluster::new();
    let (list, out) = (cluster.file("nodes.json"), cluster.file("out.cfg"));
    let put = |text: &str| {
        fs::write(cluster.file("new"), text).unwrap();
        fs::rename(cluster.file("new"), &list).unwrap();
    };
    let template =
        "{{#each backends}}server {{host}} {{address}} weight {{tags.weight}}\n{{/each}}";
    fs::write(cluster.file("out.hbs"), template).unwrap();
    let good = r#"[{"name":"s1","ip":"10.0.0.1","port":80,"tags":{"weight":"5"}}]"#;
    put(good);
    let more = format!(
        "sources = [\"file\"]\nfile = {{ path = \"{}\" }}\n\
         [[template]]\nfrom = \"{}\"\nto = \"{}\"\n",
        list.display(),
        cluster.file("out.hbs").display(),
        out.display()
    );
    let agent = cluster.start(1, &more);
    let line = "server s1 10.0.0.1:80 weight 5\n";
    until(&agent, || {
        fs::read_to_string(&out).is_ok_and(|text| text == line)
    });
    for (bad, why) in [
        (
            r#"[{"name":"etc/cron.d/x","ip":"10.0.0.1"}]"#,
            "a member's name cannot contain '/'",
        ),
        (
            r#"[{"name":"s1\nserver evil 6.6.6.6:80","ip":"10.0.0.1"}]"#,
            "cannot contain '\\n'",
        ),
        (
            r#"[{"name":"s1","ip":"10.0.0.1 evil"}]"#,
            "`10.0.0.1 evil` is not an address",
        ),
        (
            r#"[{"name":"s1","ip":"10.0.0.1","port":99999}]"#,
            "99999 is no port",
        ),
        (
            r#"[{"name":"s1","ip":"10.0.0.1","tags":{"weight":"5\n  server evil 6.6.6.6:80"}}]"#,
            "the value of tag `weight` cannot contain '\\n'",
        ),
        (
            r#"[{"name":"s1","ip":"10.0.0.1","port":1,"service":"a b"}]"#,
            "service",
        ),
        (r#"[{"name":"s1""#, "EOF while parsing"),
    ] {
        put(bad);
        until(&agent, || {
            standing(&agent).0.iter().any(|told| told.contains(why))
        });
        assert_eq!(fs::read_to_string(&out).unwrap(), line);
        assert_eq!(agent.count("alive"), 1);
        put(good);
        until(&agent, || standing(&agent).0.is_empty());
    }
}
