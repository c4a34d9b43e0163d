//! What the agent tells PID 1 of itself: its note, its page, its events; and HUP.

use std::fs;
use std::time::Instant;

use crate::host::Host;
use crate::node::{Cluster, PIDONE};
use crate::{SOON, ms};

const NOTE: [&str; 3] = ["status", "-o", "note"];
const EVENTS: [&str; 1] = ["events"];

/// A node whose members are files in a folder, and whose template becomes `out.cfg`.
struct Node<'a> {
    cluster: &'a Cluster,
    host: Host,
}

impl<'a> Node<'a> {
    fn start(cluster: &'a Cluster) -> Self {
        fs::create_dir(cluster.file("nodes")).unwrap();
        let service = format!(
            "command = [\"{PIDONE}\", \"agent\", \"--config\", \"{}\"]\n\
             ready = {{ notify = true }}\nreload = {{ signal = \"SIGHUP\", notify = true }}\n",
            cluster.file("agent.toml").display()
        );
        let node = |host| Self { cluster, host };
        configure(cluster, "");
        put(cluster, "out.hbs", "{{#each backends}}{{host}} {{/each}}\n");
        put(cluster, "nodes/s1", "s1 10.0.0.1\n");
        node(Host::start(cluster, &[("agent", &service)]))
    }

    fn put(&self, name: &str, text: &str) {
        put(self.cluster, name, text);
    }

    fn out(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.cluster.file(name)).ok()
    }

    /// Waits for the file's text.
    fn until_out(&self, name: &str, text: &str) {
        let start = Instant::now();
        while self.out(name).as_deref() != Some(text) {
            let said = self.host.said();
            assert!(start.elapsed() < SOON, "{:?}: {said}", self.out(name));
            std::thread::sleep(ms(20));
        }
    }

    /// Waits until that is the whole note.
    fn until_note(&self, note: &str) {
        self.host.until_is(&NOTE, &format!("{note}\n"));
    }

    fn until(&self, words: &[&str], wanted: &str) -> String {
        self.host.until(words, wanted)
    }
}

/// In one step, as those who know do it.
fn put(cluster: &Cluster, name: &str, text: &str) {
    fs::write(cluster.file("new"), text).unwrap();
    fs::rename(cluster.file("new"), cluster.file(name)).unwrap();
}

fn configure(cluster: &Cluster, more: &str) {
    let at = |name: &str| cluster.file(name).display().to_string();
    let text = format!(
        "name = \"n1\"\nsources = [\"file\"]\nsocket = \"{}\"\n\
         file = {{ path = \"{}\", port = 80 }}\n{more}\n\
         [[template]]\nfrom = \"{}\"\nto = \"{}\"\n\
         check = [\"sh\", \"-c\", \"! grep refused {{{{file}}}}\"]\n",
        at("agent.sock"),
        at("nodes"),
        at("out.hbs"),
        at("out.cfg"),
    );
    put(cluster, "agent.toml", &text);
}

#[test]
fn members_and_renders_are_events_and_how_it_is_is_in_status() {
    let cluster = Cluster::new();
    let node = Node::start(&cluster);
    node.until_note("1 member, 1 ready");
    node.put("nodes/s2", "s2 10.0.0.2\n");
    node.until_note("2 members, 2 ready");
    fs::remove_file(cluster.file("nodes/s1")).unwrap();
    node.until_note("1 member, 1 ready");
    let events = node.until(&EVENTS, "member-leave s1");
    let told: Vec<&str> = events
        .lines()
        .filter_map(|line| line.split_once(" agent   "))
        .map(|(_, what)| what)
        .filter(|what| !what.contains('→') && !what.contains("written"))
        .collect();
    assert_eq!(
        told,
        [
            "member-join s1: service ready",
            "member-join s2: service ready",
            "member-leave s1",
        ],
        "{events}"
    );
    assert!(events.contains("out.cfg: written"), "{events}");
    let page = node.until(&["status", "agent"], "out.cfg: 3 renders");
    let says = page
        .lines()
        .find(|line| line.starts_with("  says"))
        .unwrap();
    assert!(
        says.ends_with(", 0 reloads, 0 API calls, 0 rejected"),
        "{page}"
    );
    let events = node.host.pidone(&["events", "--json"]);
    assert!(events.contains(r#""event":"told","service":"agent","from":null"#));
}

#[test]
fn what_is_wrong_is_in_status_and_the_next_good_change_heals_it() {
    let cluster = Cluster::new();
    let node = Node::start(&cluster);
    node.until_note("1 member, 1 ready");
    node.until_out("out.cfg", "s1 \n");
    // A syntax error, a missing field and a text that the check refuses, by HUP and by a change.
    for (number, (template, why)) in [
        ("{{#each backends}}", "error: this is no Handlebars syntax"),
        ("{{nothing}}", "error: there is no `nothing`"),
        ("refused", "`sh` says no: exit code 1"),
    ]
    .into_iter()
    .enumerate()
    {
        node.put("out.hbs", template);
        if number == 0 {
            node.host.pidone(&["reload", "agent"]);
        } else {
            node.put("nodes/s3", &format!("s3 10.0.1.{number}\n"));
        }
        let count = if number == 0 {
            "1 member, 1"
        } else {
            "2 members, 2"
        };
        node.until_note(&format!("out.cfg is not in effect: {why}; {count} ready"));
        node.until(&EVENTS, &format!("out.cfg: not in effect: {why}"));
        assert_eq!(node.out("out.cfg").unwrap(), "s1 \n");
    }
    assert_eq!(node.out("out.cfg.rejected").unwrap(), "refused");
    node.put("out.hbs", "{{#each backends}}{{host}}, {{/each}}\n");
    node.host.pidone(&["reload", "agent"]);
    // Who reloads it waits until that is done.
    assert_eq!(node.out("out.cfg").unwrap(), "s1, s3, \n");
    node.until_note("2 members, 2 ready");
}

#[test]
fn hup_reads_the_configuration_again_and_a_fault_changes_nothing() {
    let cluster = Cluster::new();
    let node = Node::start(&cluster);
    node.until_note("1 member, 1 ready");
    let pid = node.host.pid("agent");
    configure(&cluster, "nmae = \"n2\"\nprofile = \"fats\"");
    node.host.pidone(&["reload", "agent"]);
    let why = "the configuration is refused: unknown key `nmae` (and 1 more)";
    node.until_note(&format!("{why}; 1 member, 1 ready"));
    assert!(
        node.host.said().contains("agent.toml:5:1"),
        "{}",
        node.host.said()
    );
    // It goes on with the old one.
    node.put("nodes/s2", "s2 10.0.0.2\n");
    node.until_note(&format!("{why}; 2 members, 2 ready"));
    // A good one: another template, a handler, a floor; what cannot change is named.
    let at = |name: &str| cluster.file(name).display().to_string();
    let more = format!(
        "tags = {{ role = \"balancer\" }}\nprofile = \"fast\"\nmin-members = 2\n\
         [[handler]]\ncommand = [\"sh\", \"-c\", \"cat >> {}\"]\n\
         [[template]]\nfrom = \"{}\"\nto = \"{}\"\n",
        at("heard"),
        at("two.hbs"),
        at("two.cfg")
    );
    node.put("two.hbs", "{{self.tags.role}}");
    configure(&cluster, &more);
    node.host.pidone(&["reload", "agent"]);
    assert_eq!(node.out("two.cfg").unwrap(), "balancer");
    node.until_note("2 members, 2 ready");
    let said = node.host.said();
    assert!(
        said.contains("`profile`: another value counts from the next start on"),
        "{said}"
    );
    // The floor holds those who vanish, and the handler hears of who comes.
    node.put("nodes/s3", "s3 10.0.0.3\n");
    node.until(&["members", "--socket", &at("agent.sock")], "s3");
    for name in ["s1", "s2", "s3"] {
        fs::remove_file(cluster.file(&format!("nodes/{name}"))).unwrap();
    }
    node.until(&NOTE, "kept only by min-members");
    assert!(node.out("heard").unwrap().contains("s3\t10.0.0.3"));
    // And a lower one lets them go.
    configure(&cluster, "min-members = 0");
    node.host.pidone(&["reload", "agent"]);
    node.until_note("0 members, 0 ready");
    assert_eq!(node.host.pid("agent"), pid);
}
