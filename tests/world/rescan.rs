//! The definitions of a fake world are read again.

use std::collections::{BTreeMap, BTreeSet};

use pidone::machine::fleet::Fleet;
use pidone::machine::slot::{Ix, Order, Slot, Want};
use pidone::machine::unit::Action;
use pidone::service::definition::{Kind, Probe, Service};
use pidone::service::difference::{Depth, Difference, depth, differences};
use pidone::values::{Moment, Name};

use super::life::Life;
use super::{Happening, World};

/// Who stands on whom, by the definitions that are in force.
#[derive(Debug, Default)]
pub(crate) struct Links {
    pub(crate) needs: BTreeMap<Ix, Vec<Ix>>,
    pub(crate) after: BTreeMap<Ix, Vec<Ix>>,
    /// What these links were made of.
    known: Vec<(Ix, usize, bool, bool)>,
}

impl Links {
    pub(crate) fn of(fleet: &Fleet) -> Self {
        let slots = fleet.slots();
        let find = |slot: &Slot, list: &[Name]| -> Vec<Ix> {
            // Nobody who stays stands on one who leaves, but for those whose process is of an
            // older definition.
            let is_old = slot.want == Want::Gone || slot.is_changing();
            list.iter()
                .filter_map(|name| {
                    let is_it = |other: &&Slot| {
                        other.service.name == *name && (is_old || other.want != Want::Gone)
                    };
                    slots.iter().find(is_it)
                })
                .map(|other| other.ix)
                .collect()
        };
        let of = |slot: &Slot| (slot.ix, find(slot, &slot.service.needs));
        let direct: BTreeMap<Ix, Vec<Ix>> = slots.iter().map(of).collect();
        let needs = |slot: &Slot| {
            let mut all = Vec::new();
            let mut todo = direct[&slot.ix].clone();
            while let Some(need) = todo.pop() {
                if !all.contains(&need) {
                    all.push(need);
                    if fleet.slot(need).unwrap().service.kind == Kind::Oneshot {
                        todo.extend(&direct[&need]);
                    }
                }
            }
            (slot.ix, all)
        };
        Self {
            needs: slots.iter().map(needs).collect(),
            after: slots
                .iter()
                .map(|slot| (slot.ix, find(slot, &slot.service.after)))
                .collect(),
            known: Self::known(fleet),
        }
    }

    fn known(fleet: &Fleet) -> Vec<(Ix, usize, bool, bool)> {
        let what = |slot: &Slot| {
            let definition = std::rc::Rc::as_ptr(&slot.service) as usize;
            let is_gone = slot.want == Want::Gone;
            (slot.ix, definition, is_gone, slot.is_changing())
        };
        fleet.slots().iter().map(what).collect()
    }

    /// Made anew if something else is in force now.
    pub(crate) fn follow(&mut self, fleet: &Fleet) {
        if self.known != Self::known(fleet) {
            *self = Self::of(fleet);
        }
    }

    /// Who stands on this one.
    pub(crate) fn above(&self, below: Ix) -> BTreeSet<Ix> {
        let both = self.needs.iter().chain(&self.after);
        both.filter(|(_, list)| list.contains(&below))
            .map(|(ix, _)| *ix)
            .collect()
    }
}

impl World {
    pub(crate) fn slot(&self, ix: Ix) -> &Slot {
        self.fleet.slot(ix).unwrap()
    }

    /// The definitions are read again, at a moment to come.
    pub(crate) fn plan_rescan(&mut self, at: Moment, services: Vec<(Service, Vec<Life>)>) {
        self.schedule(at, Happening::Rescans(services));
    }

    pub(crate) fn numbers(&self) -> Vec<Ix> {
        self.fleet.slots().iter().map(|slot| slot.ix).collect()
    }

    pub(crate) fn tells_by_itself(&self, ix: Ix) -> bool {
        let service = &self.slot(ix).service;
        let probe = service.ready.as_ref().map(|ready| &ready.probe);
        matches!(probe, Some(Probe::Fd(_) | Probe::Notify))
    }

    /// The definitions are these now. The lives are those of the services that are new.
    pub(crate) fn rescan(&mut self, services: Vec<(Service, Vec<Life>)>) {
        let (wanted, lives): (Vec<Service>, Vec<Vec<Life>>) = services.into_iter().unzip();
        self.rescans += 1;
        let is_refused = self.fleet.ending().is_some();
        let found = differences(self.fleet.definitions(), wanted.clone());
        self.tell(|_| format!("> rescan: {}", words(&found)));
        let untouched = self.untouched(&found);
        let mut orders = Vec::new();
        self.fleet.rescan(&found, self.now, &mut orders);
        // A definition may stand where one stood that is gone, and would be taken for it.
        self.books.links = Links::of(&self.fleet);
        for slot in self.fleet.slots() {
            if slot.ix >= self.lives.len() {
                let is_it = |service: &Service| service.name == slot.service.name;
                let at = wanted.iter().position(is_it).unwrap();
                self.lives.push(lives[at].clone());
                self.starts.push(0);
            }
        }
        let is_harm = |order: &Order| match order {
            Order::Act(ix, action) => {
                // What starts, or was to, may have waited for what is another one now.
                let is_harmless = matches!(
                    action,
                    Action::Spawn | Action::Probe | Action::Plan { .. } | Action::Skip
                );
                untouched.contains(ix) && !is_harmless
            }
            _other => false,
        };
        let is_harmed = self.fleet.ending().is_none() && orders.iter().any(is_harm);
        self.check(!is_harmed, "whom a rescan does not concern is left alone");
        if is_refused {
            self.check(orders.is_empty(), "an end is not disturbed by a rescan");
        } else {
            self.wanted = wanted;
            let defined: Vec<&Service> = self.fleet.definitions().collect();
            let is_so = defined.len() == self.wanted.len()
                && defined.iter().all(|service| self.wanted.contains(service));
            self.check(is_so, "what is defined is what was read");
        }
        self.order(orders);
    }

    /// Who is up, and stays so.
    fn untouched(&self, found: &[Difference]) -> BTreeSet<Ix> {
        let touched: BTreeSet<&Name> = found.iter().map(name).collect();
        let is_left_alone = |slot: &&Slot| {
            slot.want == Want::Up && !touched.contains(&slot.service.name) && !slot.is_changing()
        };
        let slots = self.fleet.slots().iter();
        slots.filter(is_left_alone).map(|slot| slot.ix).collect()
    }

    /// What starts is of the last definition that was read.
    pub(super) fn rules_of_definition(&mut self, ix: Ix) {
        let service = &*self.slot(ix).service;
        let mut same = self
            .wanted
            .iter()
            .filter(|other| other.name == service.name);
        let holds = same.any(|other| depth(other, service) != Some(Depth::Process));
        self.check(holds, "what starts is of the last definition");
    }

    /// Only who was sent away vanishes, and nothing of it is left.
    pub(super) fn rules_of_vanishing(&mut self, ix: Ix) {
        let is_gone = self.slot(ix).want == Want::Gone;
        let is_alone = !self.processes.values().any(|process| process.ix == ix);
        self.check(is_gone && is_alone, "only who is gone vanishes");
        self.books.forget(ix);
    }

    /// Nobody whose process is to be replaced too stands on it itself.
    pub(super) fn may_change(&self, ix: Ix) -> bool {
        let name = &self.slot(ix).service.name;
        let stands = |slot: &Slot| {
            let service = &slot.service;
            service.needs.contains(name) || service.after.contains(name)
        };
        let mut slots = self.fleet.slots().iter();
        !slots.any(|other| other.is_changing() && stands(other))
    }
}

fn name(difference: &Difference) -> &Name {
    match difference {
        Difference::New(service) | Difference::Changed(service) | Difference::Updated(service) => {
            &service.name
        }
        Difference::Gone(name) => name,
    }
}

fn words(differences: &[Difference]) -> String {
    let word = |difference: &Difference| {
        let what = match difference {
            Difference::New(_) => "new",
            Difference::Changed(_) => "changed",
            Difference::Updated(_) => "updated",
            Difference::Gone(_) => "gone",
        };
        format!("{} {what}", name(difference))
    };
    if differences.is_empty() {
        return "nothing".into();
    }
    differences.iter().map(word).collect::<Vec<_>>().join(", ")
}
