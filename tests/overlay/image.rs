//! An image, laid over the machine's own root.

use crate::support::{Answer, Container, Recipe, can_contain, container, skip};

/// Runs as PID 1 of the namespaces, puts `/mnt/image` into a copy of the root, and becomes `/init`
/// there.
const BOOT: &str = r#"#!/bin/sh
set -e
mkdir /tmp/up /tmp/work /tmp/root
mount -t overlay overlay -o lowerdir=/,upperdir=/tmp/up,workdir=/tmp/work /tmp/root || {
    echo "no overlay file system"
    exit 99
}
cd /tmp/root
for dir in dev run mnt; do mount --rbind /$dir $dir; done
mount -t proc proc proc
touch usr/bin/pidone
mount --bind /mnt/pidone usr/bin/pidone
# What Debian's packages put there is not in the image.
rm -f usr/bin/s6-* usr/bin/with-contenv init
cp -a /mnt/image/. .
chroot . /usr/bin/pidone s6 install >/dev/null
[ -z "$BEFORE" ] || chroot . /bin/sh -c "$BEFORE"
unset BEFORE
through=$THROUGH
unset THROUGH
exec chroot . $through /init "$@"
"#;

/// An image to be described; `None`, said aloud, where it cannot be had.
pub(crate) fn image() -> Option<Image> {
    can_contain().then(|| Image(container().script("boot", BOOT).file("image/.keep", "")))
}

/// An image to be.
pub(crate) struct Image(Recipe);

impl Image {
    /// A file of the image, with directories as needed.
    pub(crate) fn file(self, path: &str, text: &str) -> Self {
        Self(self.0.file(&format!("image/{path}"), text))
    }

    /// An executable file of the image.
    pub(crate) fn script(self, path: &str, text: &str) -> Self {
        Self(self.0.script(&format!("image/{path}"), text))
    }

    /// A longrun of s6-rc's that needs these, in the bundle `user`.
    pub(crate) fn longrun(self, name: &str, run: &str, needs: &[&str]) -> Self {
        let dir = format!("etc/s6-overlay/s6-rc.d/{name}");
        let image = self
            .file(&format!("{dir}/type"), "longrun\n")
            .script(&format!("{dir}/run"), run);
        image.needing(name, needs)
    }

    /// A oneshot of s6-rc's that needs these, in the bundle `user`.
    pub(crate) fn oneshot(self, name: &str, up: &str, needs: &[&str]) -> Self {
        let dir = format!("etc/s6-overlay/s6-rc.d/{name}");
        let image = self
            .file(&format!("{dir}/type"), "oneshot\n")
            .file(&format!("{dir}/up"), up);
        image.needing(name, needs)
    }

    fn needing(self, name: &str, needs: &[&str]) -> Self {
        let tree = "etc/s6-overlay/s6-rc.d";
        let mut image = self.file(&format!("{tree}/user/contents.d/{name}"), "");
        for need in needs {
            image = image.file(&format!("{tree}/{name}/dependencies.d/{need}"), "");
        }
        image
    }

    /// A variable of the container.
    pub(crate) fn env(self, name: &str, value: &str) -> Self {
        Self(self.0.env(name, value))
    }

    /// Starts it with this CMD; `None`, said aloud, where no such root can be had.
    pub(crate) fn start(self, cmd: &[&str]) -> Option<Running> {
        let mut running = self.0.program(&[&["/mnt/boot"], cmd].concat()).start();
        let shown = running.out.wait(std::time::Duration::ZERO, |_| false);
        let refused = shown.is_err_and(|text| text.contains("no overlay file system"));
        if refused && running.wait(crate::support::SOON).code == 99 {
            skip("no overlay file system can be mounted");
            return None;
        }
        Some(Running(running))
    }
}

/// A container made of it.
pub(crate) struct Running(pub(crate) Container);

impl Running {
    /// Runs a command inside.
    pub(crate) fn run(&self, args: &[&str]) -> Answer {
        self.0.run(&[&["chroot", "/tmp/root"], args].concat())
    }
}
