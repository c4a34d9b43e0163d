//! `down`: what undoes a oneshot that has finished.

use nix::libc;

use crate::support::{SOON, can_contain, container, read};

const SLEEPER: &str = "command = [\"sleep\", \"1000\"]\n";

#[test]
fn what_was_done_is_undone_in_reverse() {
    if !can_contain() {
        return;
    }
    let oneshot = |name: &str, needs: &str| {
        format!(
            "command = \"echo {name} up >>/mnt/order\"\ntype = \"oneshot\"\nneeds = [{needs}]\n\
             env = {{ WHO = \"me\" }}\ndown = \"echo {name} down by $WHO >>/mnt/order; exit 3\"\n"
        )
    };
    let web = "command = \"trap 'echo web gone >>/mnt/order; exit 0' TERM; \
               while :; do sleep 0.05; done\"\nneeds = [\"two\"]\n";
    let mut it = container()
        .service("one", &oneshot("one", ""))
        .service("two", &oneshot("two", "\"one\""))
        .service("web", web)
        .service("stays", SLEEPER)
        .file("order", "")
        .start();
    it.until("web", "ready");
    let order = it.path("order");
    assert_eq!(read(&order), "one up\ntwo up\n");
    // Undone, what needs it first, and done again.
    assert_eq!(it.pidone(&["stop", "one"]).code, 0, "{}", it.err.text());
    let undone = "web gone\ntwo down by me\none down by me\n";
    assert_eq!(read(&order), format!("one up\ntwo up\n{undone}"));
    assert_eq!(it.service("one")["state"], "down");
    assert_eq!(it.pidone(&["start", "web"]).code, 0, "{}", it.err.text());
    it.until("web", "ready");
    it.signal(libc::SIGTERM);
    assert_eq!(it.wait(SOON).code, 0, "{}", it.err.text());
    assert_eq!(read(&order), format!("one up\ntwo up\n{undone}").repeat(2));
    let told = it.err.text();
    assert_eq!(
        told.matches("* its down failed: exit code 3").count(),
        4,
        "{told}"
    );
    assert_eq!(told.matches("one * undone in").count(), 2, "{told}");
}
