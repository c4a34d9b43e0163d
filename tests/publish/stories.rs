//! The stories.

use std::fs;
use std::time::{Duration, Instant};

use super::bench::{Bench, backend, has_haproxy, story};

pub(super) const HAPROXY: [&str; 5] = ["haproxy", "-q", "-c", "-f", "{{file}}"];
pub(super) const LONG: Duration = Duration::from_secs(10);

#[test]
fn servers_come_and_go_without_a_reload() {
    if !has_haproxy() {
        return;
    }
    story(async {
        let (one, two) = (backend("s1"), backend("s2"));
        let mut bench = Bench::new("servers", &HAPROXY, LONG);
        bench.members(&[one]);
        assert_eq!(bench.turn().await, "h.cfg: written");
        assert!(bench.publisher.has_rendered());
        bench.start_haproxy();
        assert_eq!(bench.served_by(4), ["s1"]);
        // It looks for haproxy again by itself: there is nothing to be done.
        assert_eq!(bench.turn().await, "h.cfg: nothing new");
        let began = Instant::now();
        bench.members(&[one, two]);
        assert_eq!(bench.turn().await, "h.cfg: 3 commands to haproxy, N ms");
        assert!(began.elapsed() < Duration::from_secs(2));
        assert_eq!(bench.served_by(4), ["s1", "s2"]);
        assert_eq!(bench.turn().await, "h.cfg: written");
        bench.members(&[two]);
        assert_eq!(bench.turn().await, "h.cfg: 1 command to haproxy, N ms");
        assert!(!bench.publisher.is_over(), "the file follows");
        assert_eq!(bench.served_by(4), ["s2"]);
        assert_eq!(bench.turn().await, "h.cfg: written");
        assert!(bench.publisher.is_over());
        assert!(bench.file("h.cfg").unwrap().contains("server s2 "));
        assert!(bench.file("h.cfg.prev").unwrap().contains("server s1 "));
        let status = bench.publisher.status().next().unwrap();
        assert_eq!((status.reloads, status.rejected), (0, 0));
    });
}

#[test]
fn anything_else_is_reloaded_and_seen_to_serve() {
    if !has_haproxy() {
        return;
    }
    story(async {
        let one = backend("s1");
        let mut bench = Bench::new("reload", &HAPROXY, LONG);
        bench.members(&[one]);
        bench.turn().await;
        bench.start_haproxy();
        bench.turn().await;
        let path = bench.dir.join("h.hbs");
        let template = fs::read_to_string(&path).unwrap();
        fs::write(&path, template.replace("roundrobin", "leastconn")).unwrap();
        bench.members(&[one]);
        assert_eq!(
            bench.turn().await,
            "h.cfg: reloaded in N ms (more than the servers has changed)"
        );
        assert_eq!(bench.served_by(4), ["s1"]);
        let status = bench.publisher.status().next().unwrap();
        assert_eq!((status.reloads, status.rejected), (1, 0));
    });
}

#[test]
fn what_is_wrong_changes_nothing_and_the_next_good_one_heals() {
    if !has_haproxy() {
        return;
    }
    story(async {
        let (one, two) = (backend("s1"), backend("s2"));
        let mut bench = Bench::new("wrong", &HAPROXY, LONG);
        bench.members(&[one]);
        bench.turn().await;
        bench.start_haproxy();
        bench.turn().await;
        let good = bench.file("h.cfg").unwrap();
        let path = bench.dir.join("h.hbs");
        let template = fs::read_to_string(&path).unwrap();
        for (from, to, told) in [
            ("{{host}}", "{{hots}}", "error: there is no `hots`"),
            ("{{/each}}", "", "error: this is no Handlebars syntax"),
            ("mode http", "mode htttp", "`haproxy` says no: exit code 1"),
        ] {
            fs::write(&path, template.replace(from, to)).unwrap();
            bench.members(&[one, two]);
            let said = bench.turn().await;
            assert!(said.contains(told), "{said}");
            let why = bench.publisher.status().next().unwrap().why.clone();
            assert!(why.unwrap().contains(told));
            assert_eq!(bench.file("h.cfg").unwrap(), good);
            assert_eq!(bench.served_by(2), ["s1"]);
        }
        assert!(bench.file("h.cfg.rejected").unwrap().contains("htttp"));
        fs::write(&path, template).unwrap();
        bench.members(&[one, two]);
        assert_eq!(bench.turn().await, "h.cfg: 3 commands to haproxy, N ms");
        assert_eq!(bench.served_by(4), ["s1", "s2"]);
        assert_eq!(bench.turn().await, "h.cfg: written");
        assert_eq!(bench.publisher.status().next().unwrap().why, None);
        // Nothing of what was tried is left.
        let mut names: Vec<_> = fs::read_dir(&bench.dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.contains("h.cfg"))
            .collect();
        names.sort();
        assert_eq!(names, ["h.cfg", "h.cfg.prev", "h.cfg.rejected"]);
    });
}

#[test]
fn a_check_holds_up_no_server_and_its_refusal_is_told() {
    if !has_haproxy() {
        return;
    }
    // Each check takes a second; a file with s3 in it is refused.
    let slow = "sleep 1; ! grep 'server s3 ' \"$1\"";
    let check = ["sh", "-c", slow, "check", "{{file}}"];
    story(async {
        let (one, two, three) = (backend("s1"), backend("s2"), backend("s3"));
        let mut bench = Bench::new("slow", &check, LONG);
        bench.members(&[one]);
        assert_eq!(bench.turn().await, "h.cfg: written");
        bench.start_haproxy();
        assert_eq!(bench.turn().await, "h.cfg: nothing new");
        let began = Instant::now();
        bench.members(&[one, two]);
        assert_eq!(bench.turn().await, "h.cfg: 3 commands to haproxy, N ms");
        bench.members(&[two]);
        assert_eq!(bench.turn().await, "h.cfg: 1 command to haproxy, N ms");
        bench.members(&[two, three]);
        assert_eq!(bench.turn().await, "h.cfg: 3 commands to haproxy, N ms");
        // All that within the first check.
        assert!(began.elapsed() < Duration::from_secs(1));
        assert_eq!(bench.served_by(4), ["s2", "s3"]);
        assert!(!bench.file("h.cfg").unwrap().contains("server s2 "));
        assert_eq!(bench.turn().await, "h.cfg: written");
        // The one in between was never checked: the newest follows.
        let said = bench.turn().await;
        assert!(
            said.starts_with("h.cfg: not in effect: `sh` says no"),
            "{said}"
        );
        assert_eq!(bench.served_by(4), ["s2", "s3"]);
        let why = bench.publisher.status().next().unwrap().why.clone();
        assert!(why.unwrap().contains("server s3 "));
        // Back to what the file has: the servers follow, though the file need not.
        bench.members(&[one, two]);
        assert_eq!(bench.turn().await, "h.cfg: 4 commands to haproxy, N ms");
        assert_eq!(bench.served_by(4), ["s1", "s2"]);
        let status = bench.publisher.status().next().unwrap();
        assert_eq!((status.reloads, status.rejected), (0, 1));
        assert_eq!(status.why, None);
    });
}

#[test]
fn a_check_that_hangs_is_killed() {
    story(async {
        let mut bench = Bench::new("hangs", &["sleep", "300"], LONG);
        bench.members(&[backend("s1")]);
        let told = bench.turn().await;
        assert_eq!(
            told,
            "h.cfg: not in effect: `sleep` has not ended in time, and was killed"
        );
        assert_eq!(bench.file("h.cfg"), None);
        assert!(
            !bench.publisher.has_rendered(),
            "nobody could start with it"
        );
    });
}

#[test]
fn where_nobody_answers_an_old_file_is_kept_or_an_empty_list_rendered() {
    story(async {
        let check = ["true"];
        let mut bench = Bench::new("first", &check, Duration::from_millis(50));
        bench.turn().await;
        let empty = bench.file("h.cfg").unwrap();
        assert!(empty.contains("backend nodes") && !empty.contains("    server "));
        let dir = bench.dir.clone();
        let mut again = Bench::new("first", &check, Duration::from_millis(50));
        assert_eq!(dir, again.dir);
        fs::write(dir.join("h.cfg"), "as it was").unwrap();
        let waited = tokio::time::timeout(Duration::from_millis(300), again.publisher.next()).await;
        assert!(waited.is_err() && again.publisher.has_rendered());
        assert_eq!(again.file("h.cfg").unwrap(), "as it was");
    });
}

#[test]
fn who_starts_again_and_is_still_alone_leaves_the_file() {
    story(async {
        let mut bench = Bench::new("alone", &["true"], LONG);
        fs::write(bench.dir.join("h.cfg"), "as it was").unwrap();
        bench.members(&[backend("ha")]);
        let waited = tokio::time::timeout(Duration::from_millis(300), bench.told()).await;
        assert!(waited.is_err() && !bench.publisher.has_rendered());
        assert_eq!(bench.file("h.cfg").unwrap(), "as it was");
        bench.members(&[backend("ha"), backend("s1")]);
        assert_eq!(bench.turn().await, "h.cfg: written");
        assert!(bench.publisher.has_rendered());
    });
}

#[test]
fn a_server_that_comes_goes_and_comes_while_files_are_written_is_there() {
    if !has_haproxy() {
        return;
    }
    let check = ["sh", "-c", "sleep 1"];
    story(async {
        let (one, two) = (backend("s1"), backend("s2"));
        let mut bench = Bench::new("flaps", &check, LONG);
        bench.members(&[one]);
        assert_eq!(bench.turn().await, "h.cfg: written");
        bench.start_haproxy();
        assert_eq!(bench.turn().await, "h.cfg: nothing new");
        bench.members(&[one, two]);
        assert_eq!(bench.turn().await, "h.cfg: 3 commands to haproxy, N ms");
        // The file on the disk says this still, and is about to be replaced.
        bench.members(&[one]);
        assert_eq!(bench.turn().await, "h.cfg: 1 command to haproxy, N ms");
        assert_eq!(bench.turn().await, "h.cfg: written");
        assert_eq!(bench.served_by(4), ["s1"]);
        // Now it says this, and is about to be replaced once more.
        bench.members(&[one, two]);
        let said = bench.turn().await;
        assert!(said.ends_with("to haproxy, N ms"), "{said}");
        assert_eq!(bench.served_by(4), ["s1", "s2"]);
        while !bench.publisher.is_over() {
            bench.turn().await;
        }
        assert!(bench.file("h.cfg").unwrap().contains("server s2 "));
    });
}
