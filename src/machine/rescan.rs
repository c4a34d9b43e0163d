//! What a new reading of the definitions makes of the fleet: new services, services that leave, and
//! definitions that take the place of others.

use std::collections::HashMap;
use std::rc::Rc;

use crate::machine::fleet::Fleet;
use crate::machine::links::relink;
use crate::machine::slot::{Ix, Order, Slot, Want};
use crate::machine::unit::{Event, Retry, State};
use crate::service::definition::{Kind, Probe, Service};
use crate::service::difference::{Depth, Difference, depth};
use crate::values::{Moment, Name};

impl Fleet {
    /// What the last reading has defined, whether it is in force already or not.
    pub fn definitions(&self) -> impl Iterator<Item = &Service> {
        let stays = self.slots.iter().filter(|slot| slot.want != Want::Gone);
        stays.map(|slot| slot.next.as_deref().unwrap_or(&slot.service))
    }

    /// Applies the differences between [`Self::definitions`] and a new reading. Whoever is not
    /// among them is not disturbed. Once the end has begun, nothing is changed any more.
    pub fn rescan(&mut self, differences: &[Difference], now: Moment, orders: &mut Vec<Order>) {
        if self.ending.is_some() || differences.is_empty() {
            return;
        }
        let numbers: HashMap<Name, Ix> = self
            .slots
            .iter()
            .map(|slot| (slot.service.name.clone(), slot.ix))
            .collect();
        for difference in differences {
            match difference {
                Difference::New(service)
                | Difference::Changed(service)
                | Difference::Updated(service) => match numbers.get(&service.name) {
                    Some(ix) => self.redefine(*ix, service, now, orders),
                    None => self.add(service, now),
                },
                Difference::Gone(name) => {
                    if let Some(ix) = numbers.get(name) {
                        self.dismiss(*ix);
                    }
                }
            }
        }
        self.is_stale = true;
        self.look.extend(self.slots.numbers());
        self.settle(now, orders);
    }

    fn add(&mut self, service: &Rc<Service>, now: Moment) {
        let want = wish_of(service);
        let slot = Slot::new(Rc::clone(service), now);
        self.slots.push(Slot { want, ..slot });
    }

    /// Its directory is gone: it is to stop, and to vanish then.
    fn dismiss(&mut self, ix: Ix) {
        if let Some(slot) = self.slots.get_mut(ix) {
            slot.want = Want::Gone;
            slot.next = None;
            self.leaving.insert(ix);
        }
    }

    /// It is defined anew. What a person has stopped stays down.
    fn redefine(&mut self, ix: Ix, service: &Rc<Service>, now: Moment, orders: &mut Vec<Order>) {
        let Some(slot) = self.slots.get_mut(ix) else {
            return;
        };
        let was_enabled = slot.next.as_ref().unwrap_or(&slot.service).enabled;
        slot.want = match (slot.want, was_enabled, service.enabled) {
            (Want::Gone, _, _) | (Want::Off, false, true) | (_, true, false) => wish_of(service),
            (want @ (Want::Up | Want::Off | Want::Down), _, _) => want,
        };
        self.leaving.remove(&ix);
        let depth = depth(&slot.service, service);
        slot.next = None;
        let is_wanted = slot.want == Want::Up;
        if depth == Some(Depth::Process) && is_wanted && slot.unit.state.is_alive() {
            slot.next = Some(Rc::clone(service));
        } else if let Some(depth) = depth {
            self.put_in_force(ix, service, orders);
            self.try_again(ix, depth, now, orders);
        }
    }

    /// From now on this is its definition.
    fn put_in_force(&mut self, ix: Ix, service: &Rc<Service>, orders: &mut Vec<Order>) {
        let Some(slot) = self.slots.get_mut(ix) else {
            return;
        };
        let old = std::mem::replace(&mut slot.service, Rc::clone(service));
        // A definition that stays does not stand on who leaves, which an older one may have done.
        self.is_stale |= !self.leaving.is_empty();
        let links = |s: &Service| {
            (
                s.needs.clone(),
                s.after.clone(),
                s.restart.with.clone(),
                s.kind,
            )
        };
        self.is_stale |= links(&old) != links(service) || old.output != service.output;
        if old.output != service.output || notifies(&old) != notifies(service) {
            orders.push(Order::Rewired(ix));
        }
    }

    /// What was at rest, or waited to be restarted, is tried with its new definition.
    fn try_again(&mut self, ix: Ix, depth: Depth, now: Moment, orders: &mut Vec<Order>) {
        let Some(slot) = self.slots.get_mut(ix).filter(|s| s.want == Want::Up) else {
            return;
        };
        let is_planned = slot.service.schedule.is_some();
        let is_tried = match slot.unit.state {
            State::Finished | State::Failed(_) if is_planned => {
                return self.apply(ix, Event::Plan, now, orders);
            }
            // From down it is planned anew, or started if it has no schedule any more.
            State::Scheduled { .. } => {
                return self.apply(ix, Event::Stop { by: None }, now, orders);
            }
            State::Failed(_) => true,
            State::Finished | State::Backoff { .. } => depth == Depth::Process,
            State::Down
            | State::Waiting
            | State::Spawning
            | State::Starting(_)
            | State::Ready { .. }
            | State::Unready { .. }
            | State::BeforeStop { .. }
            | State::Stopping { .. }
            | State::SpawningFinish { .. }
            | State::Finishing { .. }
            | State::Undoable => false,
        };
        if depth == Depth::Process {
            slot.unit.retry = Retry::default();
        }
        if is_tried {
            self.apply(ix, Event::Start, now, orders);
        }
    }

    /// Its process is gone: the definition that was waiting for that is put in force.
    pub(super) fn renew(&mut self, ix: Ix, now: Moment, orders: &mut Vec<Order>) {
        let next = self.slots.get_mut(ix).and_then(|slot| slot.next.take());
        if let Some(service) = next {
            self.put_in_force(ix, &service, orders);
            self.try_again(ix, Depth::Process, now, orders);
        }
    }

    /// Whoever is to go down needs no new definition first: what waits for its end is put in force.
    pub(super) fn renew_now(&mut self, ix: Ix, orders: &mut Vec<Order>) {
        let next = self.slots.get_mut(ix).and_then(|slot| slot.next.take());
        if let Some(service) = next {
            self.put_in_force(ix, &service, orders);
        }
    }

    /// The links, if a definition has changed them.
    pub(super) fn relink(&mut self) {
        if std::mem::take(&mut self.is_stale) {
            relink(self.slots.as_mut_slice());
        }
    }

    /// Who has left for good may be forgotten; each is named once.
    pub(super) fn see_off(&mut self, orders: &mut Vec<Order>) {
        if self.ending.is_some() {
            self.leaving.clear();
        }
        let slots = &self.slots;
        let is_here = |ix: &Ix| slots.get(*ix).is_some_and(|s| !s.unit.state.is_at_rest());
        self.leaving.retain(|ix| {
            let stays = is_here(ix);
            if !stays {
                orders.push(Order::Vanish(*ix));
            }
            stays
        });
    }

    /// The answer to [`Order::Vanish`].
    pub(super) fn vanished(&mut self, ix: Ix) {
        let has_left = |slot: &Slot| slot.want == Want::Gone && slot.unit.state.is_at_rest();
        let is_over = self.ending.is_some();
        let Some(slot) = self.slots.get(ix).filter(|s| has_left(s) && !is_over) else {
            return;
        };
        // Others stood on what it needed, through it.
        if slot.service.kind == Kind::Oneshot {
            self.is_stale = true;
            self.look.extend(self.slots.numbers());
        }
        // Whoever waited for somebody above it waits no longer.
        self.look_below(ix);
        self.slots.remove(ix);
    }
}

/// Whether the boot would start it.
fn wish_of(service: &Service) -> Want {
    if service.enabled { Want::Up } else { Want::Off }
}

/// Whether it tells by a socket of its own how it is.
fn notifies(service: &Service) -> bool {
    let ready = service.ready.as_ref().map(|ready| &ready.probe);
    let health = service.health.as_ref().map(|health| &health.probe);
    ready == Some(&Probe::Notify) || health == Some(&Probe::Notify)
}
