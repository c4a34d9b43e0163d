//! Trees as public images have them, written anew: what their scripts rely on.

use crate::image::image;
use crate::order::in_order;
use crate::support::SOON;

#[test]
fn tools_find_services_by_their_paths() {
    let Some(image) = image() else { return };
    let check = "#!/usr/bin/with-contenv bash\nexec s6-notifyoncheck -d -n 300 -w 100 \
                 -c \"test -e /run/there\" sh -c 'sleep 0.3; touch /run/there; exec sleep 1000'\n";
    let image = image
        .longrun("db", check, &["base"])
        .file("etc/s6-overlay/s6-rc.d/db/notification-fd", "3\n")
        .longrun(
            "app",
            "#!/bin/sh\ntest -e /run/there && echo \"app behind db\"\nexec sleep 1000\n",
            &["db"],
        );
    let cmd = "s6-svstat -o up,ready /run/service/db; s6-svstat -o up,ready /var/run/service/app; \
               s6-svc -wD -d /run/service/app; s6-svstat -o up /run/service/app; \
               s6-svc -wU -u -T2500 /run/service/db; echo $?; \
               pgrep -f '^s6-supervise db' >/dev/null; echo $?; \
               s6-svok /run/service/db; echo $?; exit 3";
    let Some(mut running) = image.start(&["sh", "-c", cmd]) else {
        return;
    };
    let ended = running.0.wait(SOON);
    let (out, err) = (running.0.out.text(), running.0.err.text());
    assert_eq!(ended.code, 3, "{out}\n{err}");
    in_order(
        &out,
        &["app behind db\n", "true true\ntrue false\nfalse\n0\n0\n0\n"],
    );
}

#[test]
fn a_base_with_a_hook_that_makes_services_and_a_look_at_its_directory() {
    let Some(image) = image() else { return };
    let hook = "#!/bin/sh\nd=/etc/s6-overlay/s6-rc.d\nmkdir -p $d/svc-mod/dependencies.d\n\
                echo longrun >$d/svc-mod/type\n\
                printf '#!/command/with-contenv sh\\necho mod with $FROM_HOOK\\n' >$d/svc-mod/run\n\
                echo 'exec sleep 1000' >>$d/svc-mod/run\n\
                touch $d/svc-mod/dependencies.d/init-config $d/user/contents.d/svc-mod\n\
                printf value >/run/s6/container_environment/FROM_HOOK\n";
    // What with-contenv of that family asks before it applies UMASK.
    let app = "#!/bin/sh\ncase \"$(readlink /proc/self/cwd)\" in \
               */servicedirs/svc-app) echo \"app by $(basename $(pwd))\" ;; esac\n\
               exec sleep 1000\n";
    let image = image
        .env("S6_STAGE2_HOOK", "/docker-mods")
        .script("docker-mods", hook)
        .script("etc/config", "#!/bin/sh\necho configured\n")
        .oneshot("init-config", "/etc/config", &["base"])
        .longrun("svc-app", app, &["init-config"]);
    let Some(mut running) = image.start(&[]) else {
        return;
    };
    running.0.out.until("mod with value\n");
    running.0.out.until("app by svc-app\n");
    in_order(&running.0.out.text(), &["configured\n", "mod with value\n"]);
    running.0.signal(libc::SIGTERM);
    assert_eq!(running.0.wait(SOON).code, 0, "{}", running.0.err.text());
}

#[test]
fn two_producers_and_one_consumer() {
    let Some(image) = image() else { return };
    let dir = "etc/s6-overlay/s6-rc.d";
    let producer = |word: &str| format!("#!/bin/sh\necho {word}\nexec sleep 1000\n");
    let consumer = "#!/bin/sh\nwhile read -r line; do echo \"log: $line\"; done\necho drained\n";
    let image = image
        .longrun("one", &producer("one"), &[])
        .file(&format!("{dir}/one/producer-for"), "log\n")
        .longrun("two", &producer("two"), &[])
        .file(&format!("{dir}/two/producer-for"), "log\n")
        .longrun("log", consumer, &[])
        .file(&format!("{dir}/log/consumer-for"), "one\ntwo\n")
        .file(&format!("{dir}/log/pipeline-name"), "line\n");
    let Some(mut running) = image.start(&[]) else {
        return;
    };
    running.0.out.until("log: one\n");
    running.0.out.until("log: two\n");
    // The pipe outlives a producer.
    let killed = running.run(&["s6-svc", "-k", "/run/service/one"]);
    assert_eq!(killed.code, 0, "{}", killed.err);
    crate::support::eventually("it writes again", SOON, || {
        running.0.out.text().matches("log: one\n").count() == 2
    });
    running.0.signal(libc::SIGTERM);
    assert_eq!(running.0.wait(SOON).code, 0, "{}", running.0.err.text());
    assert!(running.0.out.text().contains("drained\n"));
}
