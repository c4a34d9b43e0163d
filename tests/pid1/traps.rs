//! Programs that cannot be executed, told by a start in the words of `pidone check`.

use crate::support::{can_contain, container};

/// The beginning of a program for a machine that nobody has (elf(5)).
const FOREIGN: &str = "\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x7f\0";

#[test]
fn each_trap_has_its_own_words() {
    if !can_contain() {
        return;
    }
    let scripts = [
        ("bare", "exec web\n"),
        ("bom", "\u{feff}#!/bin/sh\n"),
        ("crlf", "#!/bin/sh\r\nexec web\r\n"),
        ("foreign", FOREIGN),
        ("slip", "#!/usr/bin/pyhton -u\n"),
        ("words", "#!/bin/\x1b[31msh\n"),
    ];
    let mut recipe = container()
        .service("awake", "command = [\"sleep\", \"1000\"]\n")
        .service("folder", "command = [\"/mnt\"]\nrestart = \"never\"\n")
        .file("flat", "#!/bin/sh\n")
        .service("flat", "command = [\"/mnt/flat\"]\nrestart = \"never\"\n");
    for (name, text) in scripts {
        let toml = format!("command = [\"/mnt/{name}\"]\nrestart = \"never\"\n");
        recipe = recipe.script(name, text).service(name, &toml);
    }
    let mut it = recipe.start();
    it.err.until("pidone * awake ready");
    let told = it.err.text();
    let failed = told.lines().filter(|line| line.contains(" * failed: "));
    let mut failed: Vec<&str> = failed.collect();
    failed.sort_unstable();
    assert_eq!(
        failed,
        [
            "bare * failed: cannot execute `/mnt/bare`: it does not say what runs it (hint: begin \
             it with `#!/bin/sh`)",
            "bom * failed: cannot execute `/mnt/bom`: it begins with a byte order mark (BOM) \
             (hint: save it as UTF-8 without BOM, or `sed -i '1s/^\\xef\\xbb\\xbf//'`)",
            "crlf * failed: cannot execute `/mnt/crlf`: it has Windows line ends (CRLF) (hint: \
             convert it with `sed -i 's/\\r$//'`, and let git keep LF (`*.sh text eol=lf`))",
            "flat * failed: cannot execute `/mnt/flat`: permission denied (hint: it has no run bit \
             (`chmod +x /mnt/flat`), or its file system is mounted noexec)",
            "folder * failed: cannot execute `/mnt`: it is a directory (hint: name the program in \
             it)",
            "foreign * failed: cannot execute `/mnt/foreign`: it is built for another kind of \
             machine (hint: build it for this one (`docker build --platform`))",
            "slip * failed: cannot execute `/mnt/slip`: it needs `/usr/bin/pyhton`, which is not \
             there (hint: install it in the image, or name another interpreter)",
            "words * failed: cannot execute `/mnt/words`: it needs `/bin/\u{fffd}[31msh`, which is \
             not there (hint: install it in the image, or name another interpreter)",
        ]
    );
    it.stop();
}
