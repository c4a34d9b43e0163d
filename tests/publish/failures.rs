//! What passes the check and is not taken up all the same, and addresses of IPv6.

use std::fs;
use std::net::{SocketAddr, TcpListener};

use super::bench::{Bench, backend, backend_at, has_haproxy, story};
use super::stories::{HAPROXY, LONG};

/// The next turn in which something came of it.
async fn news(bench: &mut Bench) -> String {
    loop {
        let said = bench.turn().await;
        if said != "h.cfg: nothing new" {
            return said;
        }
    }
}

#[test]
fn a_reload_that_fails_behind_a_good_check_is_taken_back_and_the_next_one_heals() {
    if !has_haproxy() {
        return;
    }
    story(async {
        let (one, two) = (backend("s1"), backend("s2"));
        let mut bench = Bench::new("failed", &HAPROXY, LONG);
        bench.members(&[one]);
        bench.turn().await;
        bench.start_haproxy();
        bench.turn().await;
        let good = bench.file("h.cfg").unwrap();
        // haproxy's check binds nothing: that somebody has the port is known by the new worker.
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let more = format!("frontend web\n    bind {}\n", taken.local_addr().unwrap());
        let path = bench.dir.join("h.hbs");
        let template = fs::read_to_string(&path).unwrap();
        fs::write(&path, template.replace("frontend web\n", &more)).unwrap();
        bench.members(&[one, two]);
        assert_eq!(
            news(&mut bench).await,
            "h.cfg: not in effect: no new worker of haproxy answers after 5s"
        );
        assert_eq!(bench.served_by(4), ["s1"]);
        assert_eq!(bench.file("h.cfg").unwrap(), good);
        assert!(bench.file("h.cfg.rejected").unwrap().contains(&more));
        let status = bench.publisher.status().next().unwrap();
        assert_eq!((status.reloads, status.rejected), (1, 1));
        // The same text is not tried again: each try costs a process.
        bench.members(&[one, two]);
        let told = tokio::time::timeout(std::time::Duration::from_secs(1), bench.told()).await;
        assert!(told.is_err(), "{told:?}");
        fs::write(&path, template.replace("roundrobin", "leastconn")).unwrap();
        bench.members(&[one, two]);
        let said = news(&mut bench).await;
        assert!(said.starts_with("h.cfg: reloaded in N ms"), "{said}");
        assert_eq!(bench.served_by(6), ["s1", "s2"]);
        assert_eq!(bench.publisher.status().next().unwrap().why, None);
        assert!(bench.file("h.cfg").unwrap().contains("leastconn"));
    });
}

#[test]
fn nobody_reloads_and_servers_come_and_go_all_the_same() {
    if !has_haproxy() {
        return;
    }
    story(async {
        let (one, two) = (backend("s1"), backend("s2"));
        let mut bench = Bench::new("nobody", &HAPROXY, LONG);
        bench.members(&[one]);
        bench.turn().await;
        bench.start_haproxy();
        bench.turn().await;
        let (good, path) = (bench.file("h.cfg").unwrap(), bench.dir.join("h.hbs"));
        let template = fs::read_to_string(&path).unwrap();
        // Nobody has this pid.
        let master = fs::read_to_string(bench.dir.join("haproxy.pid")).unwrap();
        fs::write(bench.dir.join("haproxy.pid"), "999999999").unwrap();
        fs::write(&path, template.replace("roundrobin", "leastconn")).unwrap();
        bench.members(&[one]);
        let said = news(&mut bench).await;
        assert!(
            said.starts_with("h.cfg: not in effect: `sh` says no"),
            "{said}"
        );
        assert_eq!(bench.file("h.cfg").unwrap(), good);
        // What takes no reload goes on.
        fs::write(&path, &template).unwrap();
        bench.members(&[one, two]);
        let mut said = bench.turn().await;
        while !said.contains("to haproxy") {
            said = bench.turn().await;
        }
        assert_eq!(bench.served_by(4), ["s1", "s2"]);
        fs::write(bench.dir.join("haproxy.pid"), master).unwrap();
        fs::write(&path, template.replace("roundrobin", "leastconn")).unwrap();
        bench.members(&[one, two]);
        while !bench.file("h.cfg").unwrap().contains("leastconn") {
            bench.turn().await;
        }
        while bench.publisher.status().next().unwrap().why.is_some() {
            bench.turn().await;
        }
        assert_eq!(bench.served_by(4), ["s1", "s2"]);
    });
}

#[test]
fn servers_of_ipv6_come_and_go_without_a_reload() {
    if !has_haproxy() || TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    story(async {
        let six = |name| backend_at(name, SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 0)));
        let (one, two) = (six("s1"), six("s2"));
        let mut bench = Bench::new("ipv6", &HAPROXY, LONG);
        let path = bench.dir.join("h.hbs");
        let template = fs::read_to_string(&path).unwrap();
        fs::write(&path, template.replace("{{ip}}:{{port}}", "{{address}}")).unwrap();
        bench.members(&[one]);
        assert_eq!(bench.turn().await, "h.cfg: written");
        let line = format!("    server s1 [::1]:{}\n", one.1.port());
        assert!(bench.file("h.cfg").unwrap().contains(&line));
        bench.start_haproxy();
        assert_eq!(bench.turn().await, "h.cfg: nothing new");
        bench.members(&[one, two]);
        assert_eq!(news(&mut bench).await, "h.cfg: 3 commands to haproxy, N ms");
        assert_eq!(bench.served_by(4), ["s1", "s2"]);
        assert_eq!(bench.turn().await, "h.cfg: written");
        bench.members(&[two]);
        assert_eq!(news(&mut bench).await, "h.cfg: 1 command to haproxy, N ms");
        assert_eq!(bench.served_by(4), ["s2"]);
    });
}
