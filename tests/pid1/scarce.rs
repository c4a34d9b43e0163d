//! As many services as the limit of open files allows, and some more.

use crate::support::{SOON, can_contain, container, eventually};

#[test]
fn services_leave_descriptors_for_whoever_asks() {
    if !can_contain() {
        return;
    }
    let mut recipe = container().through("prlimit --nofile=96:96");
    for number in 0..60 {
        let toml = "command = [\"sleep\", \"1000\"]\n[log]\nformat = \"raw\"\n";
        recipe = recipe.service(&format!("s{number:02}"), toml);
    }
    let mut running = recipe.start();
    eventually("somebody has found no descriptors", SOON, || {
        running.err.text().contains("too many open files")
    });
    let answer = running.pidone(&["status"]);
    assert!(answer.out.contains("60 services: "), "{answer:?}");
    let ready = answer.out.matches(" ready ").count();
    assert!((10..60).contains(&ready), "{ready} are ready: {answer:?}");
    running.signal(libc::SIGTERM);
    let ended = running.wait(SOON);
    assert_eq!(ended.code, 0, "{}", running.err.text());
}
