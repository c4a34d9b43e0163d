//! The definitions are read again: what has changed is applied, or every fault is told.

use std::collections::HashMap;

use crate::control::protocol::{Refusal, RefusalKind, Rescanned};
use crate::diag::{self, Diagnostic};
use crate::logs::format::column;
use crate::machine::slot::{Input, Ix, Slot, Want};
use crate::os::{clock, memory};
use crate::service::difference::{Difference, differences};
use crate::supervisor::Supervisor;
use crate::supervisor::history::What;
use crate::supervisor::report::millis;
use crate::values::Name;

/// So much of all faults together goes to a client.
const FAULTS_BYTES_MAX: usize = 1 << 20;

/// So many names of one kind are told in the story.
const NAMES_MAX: usize = 10;

impl Supervisor {
    /// HUP, where there is no CMD that it could be meant for.
    pub(super) fn hang_up(&mut self) {
        match self.rescan(false) {
            Ok(done) => done.warnings.iter().for_each(|it| tracing::warn!("{it}")),
            Err(refusal) => {
                let faults = refusal.faults.iter();
                faults.for_each(|it| tracing::error!("{it}"));
                // With faults this has been told.
                if refusal.faults.is_empty() {
                    tracing::warn!("SIGHUP: {}", refusal.message);
                }
            }
        }
    }

    /// Reads the definitions again and applies the difference; of a dry run, tells it only.
    ///
    /// # Errors
    /// The container is ending, or anything in the definitions is wrong: then nothing is changed.
    pub(super) fn rescan(&mut self, dry_run: bool) -> Result<Rescanned, Refusal> {
        if self.fleet.ending().is_some() {
            return Err(Refusal::new(RefusalKind::No, "the container is stopping"));
        }
        let began = clock::now();
        let mut found = Vec::new();
        let crew = self.sources.read(self.launcher.environment(), &mut found);
        let errors = diag::errors(&found);
        if errors > 0 {
            return Err(refusal(&found, errors));
        }
        let column = column(crew.services.iter().map(|service| &service.name));
        let count = crew.services.len();
        let differences = differences(self.fleet.definitions(), crew.services);
        let mut done = Rescanned {
            mono_ms: millis(began.since_origin()),
            dry_run,
            warnings: shown(&found),
            ..Rescanned::default()
        };
        self.sort(&differences, &mut done);
        let is_there = |difference: &&Difference| !matches!(difference, Difference::Gone(_));
        let differ = differences.iter().filter(is_there).count();
        done.unchanged = count.saturating_sub(differ) as u64;
        if !dry_run && !differences.is_empty() {
            let text = summary(&done);
            tracing::info!("rescan: {text}");
            self.publish_rescan(text);
            self.router.set_services(count, column);
            self.apply(&differences);
        }
        memory::give_back_when_idle();
        let took = clock::now().since(began);
        tracing::debug!("{count} services read again in {} us", took.as_micros());
        Ok(done)
    }

    fn apply(&mut self, differences: &[Difference]) {
        let mut orders = Vec::new();
        self.fleet.rescan(differences, clock::now(), &mut orders);
        self.orders.extend(orders);
        // Whoever follows the logs of all follows those of the new ones too.
        if !self.followed.is_empty() {
            for ix in self.numbers_of_all().collect::<Vec<_>>() {
                self.followed.entry(Some(ix)).or_insert(0);
            }
        }
    }

    /// What each difference means for its service.
    fn sort(&self, differences: &[Difference], done: &mut Rescanned) {
        let enabled = self
            .fleet
            .definitions()
            .map(|service| (&service.name, service.enabled));
        let enabled: HashMap<&Name, bool> = enabled.collect();
        let slots = self.fleet.slots().iter();
        let before: HashMap<&Name, (bool, Want)> = slots
            .map(|slot| {
                let name = &slot.service.name;
                (name, (enabled.get(name) == Some(&true), slot.want))
            })
            .collect();
        for difference in differences {
            let name = match difference {
                Difference::Gone(name) => name,
                Difference::New(service)
                | Difference::Changed(service)
                | Difference::Updated(service) => &service.name,
            };
            let (was_enabled, want) = before.get(name).copied().unwrap_or((false, Want::Off));
            let list = match difference {
                Difference::Gone(_) => &mut done.stopped,
                Difference::New(service) if service.enabled => &mut done.started,
                Difference::New(_) => &mut done.updated,
                Difference::Changed(service) | Difference::Updated(service) => {
                    match (was_enabled, service.enabled, want) {
                        (true, false, Want::Up) => &mut done.stopped,
                        (false, true, Want::Off) => &mut done.started,
                        (_, _, Want::Up) if matches!(difference, Difference::Changed(_)) => {
                            &mut done.restarted
                        }
                        _goes_on => &mut done.updated,
                    }
                }
            };
            list.push(name.to_string());
        }
    }

    /// A service has left for good: everything that is kept for it goes, its output last.
    pub(super) fn vanish(&mut self, ix: Ix) {
        let has_left = |slot: &&Slot| slot.want == Want::Gone && slot.unit.state.is_at_rest();
        let slot = self.fleet.slot(ix).filter(has_left);
        let Some(slot) = slot.filter(|_| self.fleet.ending().is_none()) else {
            return;
        };
        let name = slot.service.name.clone();
        self.publish_deed(ix, What::Gone, None, None);
        self.history.forget(ix, &name);
        self.take(Input::Vanished(ix));
        self.starts.forget(ix);
        self.notices.forget(ix);
        self.helpers.give_up(ix, clock::now());
        if let Some(dial) = self.sides.remove(&ix).and_then(|side| side.dial) {
            dial.abort();
        }
        self.router.retire(ix);
    }
}

/// Nothing is changed, and this is why.
fn refusal(found: &[Diagnostic], errors: usize) -> Refusal {
    let plural = if errors == 1 { "" } else { "s" };
    let message = format!("{errors} error{plural} in the definitions: nothing is changed");
    tracing::warn!("rescan: {message}");
    Refusal {
        faults: shown(found),
        ..Refusal::new(RefusalKind::No, message)
    }
}

/// All of them as `pidone check` shows them, as far as there is room.
fn shown(found: &[Diagnostic]) -> Vec<String> {
    let mut bytes = 0;
    let mut texts: Vec<String> = Vec::new();
    for (at, fault) in found.iter().enumerate() {
        let text = fault.to_string();
        bytes += text.len();
        if bytes > FAULTS_BYTES_MAX {
            let rest = found.len() - at;
            let hint = "`pidone check` shows them all";
            let fault = Diagnostic::error(format!("{rest} more faults")).hint(hint);
            texts.push(fault.to_string());
            break;
        }
        texts.push(text);
    }
    texts
}

/// `started api; restarted web, worker; 97 unchanged`.
fn summary(done: &Rescanned) -> String {
    let parts = [
        ("started", &done.started),
        ("restarted", &done.restarted),
        ("stopped", &done.stopped),
        ("updated", &done.updated),
    ];
    let part = |(word, names): (&str, &Vec<String>)| {
        let first = names.get(..NAMES_MAX.min(names.len()))?.join(", ");
        let more = names.len().saturating_sub(NAMES_MAX);
        let more = (more > 0).then(|| format!(" and {more} more"));
        (!names.is_empty()).then(|| format!("{word} {first}{}", more.unwrap_or_default()))
    };
    let told = parts.into_iter().filter_map(part);
    let rest = format!("{} unchanged", done.unchanged);
    told.chain([rest]).collect::<Vec<_>>().join("; ")
}
