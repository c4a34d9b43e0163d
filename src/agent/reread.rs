//! HUP: the configuration is read again. What can change while others rely on this node does at
//! once; the rest waits for the next start, and is named. With a fault nothing changes.

use std::io::{self, Write};

use crate::agent::config::{Config, Handler, Template};
use crate::agent::serve::{Agent, follow, say_line};
use crate::diag::{Diagnostic, Severity};
use crate::os::clock;

impl Agent {
    /// Reads the configuration again, and the templates in any case.
    pub(super) fn reload(&mut self) {
        // Its end is told by READY=1, which is not to be said before the first rendering.
        if self.is_ready {
            let usec = clock::now().since_origin().as_micros();
            let word = format!("RELOADING=1\nMONOTONIC_USEC={usec}");
            self.bulletin.word(word);
            self.is_reloading = true;
        }
        let adopted = match (self.reread)() {
            Ok(config) => self.adopt(config),
            Err(faults) => Err(told(&faults)),
        };
        match adopted {
            Ok(()) => {
                self.refused = None;
                self.tell("the configuration was read again");
            }
            Err(why) => {
                self.tell(&format!(
                    "the configuration is refused, and the old one stands: {why}"
                ));
                self.refused = Some(why);
            }
        }
        self.publisher.again(clock::now());
        self.bulletin.touch();
    }

    fn adopt(&mut self, fresh: Config) -> Result<(), String> {
        if let Some(mesh) = &mut self.mesh {
            mesh.describe(&fresh.tags, &fresh.announce)?;
            if fresh.watches() {
                mesh.begin_to_watch();
            }
        }
        if names(&fresh) != names(&self.config) {
            self.words = follow(&fresh)?;
        }
        let later = waits(&self.config, &fresh);
        if !later.is_empty() {
            let later = later.join("`, `");
            say_line(&format!(
                "`{later}`: another value counts from the next start on"
            ));
        }
        self.own_is(&fresh);
        self.config.tags = fresh.tags;
        self.config.announce = fresh.announce;
        self.config.min_members = fresh.min_members;
        let events = self.roster.stay_above(fresh.min_members);
        self.announce();
        self.changed(&events, false);
        Ok(())
    }

    /// What templates and handlers are told of this node, and which there are.
    fn own_is(&mut self, fresh: &Config) {
        let mut own = self.publisher.own().clone();
        own.tags.clone_from(&fresh.tags);
        if !same(&self.config.handlers, &fresh.handlers, is_same_handler)
            || self.config.tags != fresh.tags
        {
            self.handlers.replace(&fresh.handlers, own.clone());
        }
        if !same(&self.config.templates, &fresh.templates, is_same_template)
            || self.config.tags != fresh.tags
        {
            self.publisher.replace(&fresh.templates, own);
            self.publisher.offer(&self.roster, &[], clock::now());
        }
        self.config.templates.clone_from(&fresh.templates);
        self.config.handlers.clone_from(&fresh.handlers);
    }
}

/// All faults on stderr; the first error in a line.
fn told(faults: &[Diagnostic]) -> String {
    for fault in faults {
        // Nobody reads it: then nobody misses it.
        let _ = writeln!(io::stderr(), "{fault}");
    }
    let mut errors = faults.iter().filter(|one| one.severity == Severity::Error);
    let first = errors.next().map(|fault| fault.message.clone());
    match (first, errors.count()) {
        (None, _) => "it cannot be read".to_owned(),
        (Some(first), 0) => first,
        (Some(first), more) => format!("{first} (and {more} more)"),
    }
}

fn names(config: &Config) -> Vec<&str> {
    let announced = config.announce.iter();
    announced.map(|one| one.name.as_str()).collect()
}

/// What is another, and waits for the next start.
fn waits(old: &Config, new: &Config) -> Vec<&'static str> {
    let differs = [
        ("name", old.name != new.name),
        ("seeds", old.seeds != new.seeds),
        ("bind", old.bind != new.bind),
        ("advertise", old.advertise != new.advertise),
        ("key-file", old.key_file != new.key_file),
        ("insecure", old.insecure != new.insecure),
        ("profile", old.profile != new.profile),
        ("sources", old.sources != new.sources),
        ("state-dir", old.state_dir != new.state_dir),
        ("socket", old.socket != new.socket),
        ("serf", old.places.serf != new.places.serf),
        (
            "serf.auth-file",
            old.places.serf_auth != new.places.serf_auth,
        ),
        ("dns", old.places.dns != new.places.dns),
        ("file", old.places.file != new.places.file),
        ("static", old.places.listed != new.places.listed),
        ("watch", old.watches() && !new.watches()),
    ];
    let differing = differs.into_iter().filter(|(_, differs)| *differs);
    differing.map(|(name, _)| name).collect()
}

fn same<T>(old: &[T], new: &[T], is_same: fn(&T, &T) -> bool) -> bool {
    old.len() == new.len() && old.iter().zip(new).all(|(old, new)| is_same(old, new))
}

/// Where the file says so does not matter.
fn is_same_template(old: &Template, new: &Template) -> bool {
    let at = |template: &Template, place| Template {
        place,
        ..template.clone()
    };
    *old == at(new, old.place.clone())
}

fn is_same_handler(old: &Handler, new: &Handler) -> bool {
    (&old.on, &old.command) == (&new.on, &new.command)
}
