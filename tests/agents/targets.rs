//! Files that cannot be written, and readers that cannot be told: nothing that served stops
//! serving, the reason is told, and it heals.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use pidone::agent::desk::ask_agent;
use pidone::agent::wire::{Reply, Request};

use crate::host::Host;
use crate::node::{Agent, Cluster, PIDONE};
use crate::sources::can_mount;
use crate::{SOON, ms};

/// An agent whose only template becomes a file on a small disk of its own.
struct Disk<'a> {
    cluster: &'a Cluster,
    agent: Agent,
    /// The disk, as it is seen from here.
    dir: PathBuf,
}

impl<'a> Disk<'a> {
    fn start(cluster: &'a Cluster) -> Self {
        let at = |name: &str| cluster.file(name);
        fs::create_dir(at("nodes")).unwrap();
        fs::create_dir(at("disk")).unwrap();
        fs::write(at("out.hbs"), "{{#each backends}}{{host}} {{/each}}\n").unwrap();
        let disk = at("disk").display().to_string();
        let script = format!("mount -t tmpfs -o size=64k none {disk} && exec \"$@\"");
        let more = format!(
            "sources = [\"file\"]\nfile = {{ path = \"{}\", port = 80 }}\n\
             [[template]]\nfrom = \"{}\"\nto = \"{disk}/out.cfg\"\n",
            at("nodes").display(),
            at("out.hbs").display(),
        );
        fs::write(at("nodes").join("s1"), "s1 10.0.0.1\n").unwrap();
        let before = ["unshare", "--mount", "sh", "-c", &script, "sh"];
        let agent = cluster.start_at(cluster.at(1), "n1", &more, &before);
        let root = format!("/proc/{}/root{disk}", agent.pid());
        let disk = Self {
            cluster,
            agent,
            dir: root.into(),
        };
        disk.until(|disk| disk.out() == "s1 \n");
        disk
    }

    fn out(&self) -> String {
        fs::read_to_string(self.dir.join("out.cfg")).unwrap_or_default()
    }

    /// Why its template is not in effect.
    fn why(&self) -> String {
        let Ok(Reply::Status { templates, .. }) = ask_agent(&self.agent.socket, &Request::Status)
        else {
            return String::new();
        };
        templates[0]["why"].as_str().unwrap_or_default().to_owned()
    }

    fn member(&self, name: &str) {
        let text = format!("{name} 10.0.0.9\n");
        fs::write(self.cluster.file("nodes").join(name), text).unwrap();
    }

    fn until(&self, is_so: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !is_so(self) {
            let (out, why, said) = (self.out(), self.why(), self.agent.said());
            assert!(start.elapsed() < SOON, "{out:?} {why:?}\n{said}");
            std::thread::sleep(ms(20));
        }
    }

    fn remount(&self, how: &str) {
        let pid = self.agent.pid().to_string();
        let disk = self.cluster.file("disk").display().to_string();
        let words = ["-t", &pid, "-m", "mount", "-o", how, &disk];
        let done = Command::new("nsenter").args(words).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    }
}

#[test]
fn a_disk_may_be_full_or_read_only_for_a_while() {
    if !can_mount() {
        return;
    }
    let cluster = Cluster::new();
    let disk = Disk::start(&cluster);
    // Full to the last octet.
    let ballast = disk.dir.join("ballast");
    let mut size = 1 << 17;
    while size > 0 {
        let old = fs::read(&ballast).unwrap_or_default();
        let _ = fs::write(&ballast, [old, vec![0; size]].concat());
        size /= 2;
    }
    disk.member("s2");
    disk.until(|disk| disk.why().contains("no space left on device"));
    assert_eq!(disk.out(), "s1 \n");
    let left: Vec<_> = fs::read_dir(&disk.dir)
        .unwrap()
        .map(|one| one.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 2, "{left:?}");
    fs::remove_file(&ballast).unwrap();
    // It looks again by itself.
    disk.until(|disk| disk.out() == "s1 s2 \n" && disk.why().is_empty());
    disk.remount("remount,ro");
    disk.member("s3");
    disk.until(|disk| disk.why().contains("read-only file system"));
    assert_eq!(disk.out(), "s1 s2 \n");
    disk.remount("remount,rw");
    disk.until(|disk| disk.out() == "s1 s2 s3 \n" && disk.why().is_empty());
}

#[test]
fn a_reload_that_pid_1_refuses_is_told_and_asked_for_again() {
    let cluster = Cluster::new();
    let at = |name: &str| cluster.file(name).display().to_string();
    fs::create_dir(at("nodes")).unwrap();
    fs::write(at("out.hbs"), "{{#each backends}}{{host}} {{/each}}\n").unwrap();
    let config = format!(
        "name = \"n1\"\nsources = [\"file\"]\nsocket = \"{}\"\n\
         file = {{ path = \"{}\", port = 80 }}\n\
         [[template]]\nfrom = \"{}\"\nto = \"{}\"\napply = {{ reload = \"web\" }}\n",
        at("agent.sock"),
        at("nodes"),
        at("out.hbs"),
        at("out.cfg"),
    );
    fs::write(at("agent.toml"), config).unwrap();
    let agent = |control: &str| {
        format!(
            "command = [\"{PIDONE}\", \"agent\", \"--config\", \"{}\"]\n\
             ready = {{ notify = true }}\nreload = {{ signal = \"SIGHUP\" }}\n{control}\n",
            at("agent.toml")
        )
    };
    let host = Host::start(&cluster, &[("agent", &agent("control = [\"events\"]"))]);
    let note = ["status", "-o", "name,note"];
    let told = |why: &str| format!("out.cfg is not in effect: cannot reload web: {why}");
    host.until(&note, &told("service `agent` may not `reload` `web`"));
    // The file is good, and stays: who starts will read it.
    assert_eq!(fs::read_to_string(at("out.cfg")).unwrap(), "\n");
    // It may, but there is no such service.
    host.define("agent", &agent("control = [\"reload:*\", \"status\"]"));
    host.pidone(&["rescan"]);
    fs::write(cluster.file("nodes").join("s1"), "s1 10.0.0.1\n").unwrap();
    host.until(&note, &told("there is no service `web`"));
    // Now there is; nothing else has changed.
    let web = format!(
        "command = [\"sh\", \"-c\", \"trap 'date +%N >> {}' HUP; while :; do sleep 0.05; done\"]\n\
         reload = {{ signal = \"SIGHUP\" }}\n",
        at("reloads")
    );
    host.define("web", &web);
    host.pidone(&["rescan"]);
    host.until_is(&note, "agent\t1 member, 1 ready\nweb\t-\n");
    // And it is told of the next change.
    let reloads = || fs::read_to_string(at("reloads")).unwrap_or_default();
    let until = |is_so: &dyn Fn() -> bool| {
        let start = Instant::now();
        while !is_so() {
            assert!(start.elapsed() < SOON, "{}", host.said());
            std::thread::sleep(ms(20));
        }
    };
    until(&|| !reloads().is_empty());
    let before = reloads();
    fs::write(cluster.file("nodes").join("s2"), "s2 10.0.0.2\n").unwrap();
    until(&|| fs::read_to_string(at("out.cfg")).unwrap() == "s1 s2 \n");
    until(&|| reloads() != before);
}

#[test]
fn a_template_that_is_wrong_from_the_start_is_told_and_mended() {
    let cluster = Cluster::new();
    let at = |name: &str| cluster.file(name).display().to_string();
    let config = format!(
        "name = \"n1\"\nsources = [\"static\"]\nsocket = \"{}\"\n\
         static = {{ members = [\"s1 10.0.0.1:80\"] }}\n\
         [[template]]\nfrom = \"{}\"\nto = \"{}\"\n",
        at("agent.sock"),
        at("out.hbs"),
        at("out.cfg"),
    );
    fs::write(at("agent.toml"), config).unwrap();
    let agent = format!(
        "command = [\"{PIDONE}\", \"agent\", \"--config\", \"{}\"]\n\
         reload = {{ signal = \"SIGHUP\" }}\n[ready]\nnotify = true\nwithin = \"60s\"\n",
        at("agent.toml")
    );
    let host = Host::start(&cluster, &[("agent", &agent)]);
    let state = ["status", "-o", "state,note"];
    for (template, why) in [
        (None, "no such file or directory"),
        (Some("{{#each backends}}"), "this is no Handlebars syntax"),
        (Some("{{nothing}}"), "there is no `nothing`"),
    ] {
        if let Some(text) = template {
            fs::write(at("out.hbs"), text).unwrap();
            host.pidone(&["reload", "agent"]);
        }
        let shown = host.until(&state, why);
        assert!(
            shown.starts_with("starting\tout.cfg is not in effect: "),
            "{shown}"
        );
        assert!(!cluster.file("out.cfg").exists());
    }
    fs::write(at("out.hbs"), "{{#each backends}}{{host}}{{/each}}").unwrap();
    host.pidone(&["reload", "agent"]);
    host.until_is(&state, "ready\t1 member, 1 ready\n");
    assert_eq!(fs::read_to_string(at("out.cfg")).unwrap(), "s1");
}
