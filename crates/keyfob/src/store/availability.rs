//! What all who use a store know about its outages.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::observe::event_limit::EventLimit;
use crate::observe::store as events;
use crate::runtime::lock::{Mutex, lock};
use crate::store::error::StoreError;

/// What all who use a store know about its outages. Clones share it.
///
/// A store of your own keeps one, and [returns](crate::store::TokenStore::availability) a clone of it. Then an outage is found
/// out once for all keys, and not once for each of them.
///
/// [`TokenStore`](crate::store::TokenStore) has an example.
#[derive(Clone, Debug, Default)]
pub struct Availability(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    outage: Option<Outage>,
    warnings: EventLimit,
    /// Alive while there is an entry that cannot be read.
    unreadable: Weak<Unreadable>,
}

#[derive(Debug)]
struct Outage {
    /// The first step that fails. Those before it work.
    step: Step,
    fault: StoreError,
    /// When the store failed last. `None` if it failed only once: that may be the fault of one entry.
    confirmed: Option<Duration>,
    is_probed: bool,
    is_logged: bool,
}

/// What a store is asked for in a renewal, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Load,
    Lease,
    Save,
}

impl Availability {
    /// Lets a caller ask the store that could go on without it, or returns the fault of those who asked.
    ///
    /// During an outage, one caller at a time asks, and not sooner than this pause after the last failure.
    pub(crate) fn admit(
        &self,
        step: Step,
        now: Duration,
        pause: Duration,
    ) -> Result<Option<Probe>, StoreError> {
        let mut state = lock(&self.0);
        let outage = state.outage.as_mut();
        let Some(outage) = outage.filter(|outage| outage.step <= step) else {
            return Ok(None);
        };
        // A time that is ahead is that of another clock.
        let age = outage.confirmed.and_then(|at| now.checked_sub(at));
        if outage.is_probed || age.is_some_and(|age| age < pause) {
            return Err(outage.fault.clone());
        }
        outage.is_probed = true;
        Ok(Some(Probe(self.clone())))
    }

    /// Notes that the store could not be used.
    pub(crate) fn failed(&self, step: Step, now: Duration, fault: &StoreError) {
        let mut state = lock(&self.0);
        let State {
            outage, warnings, ..
        } = &mut *state;
        let outage = match outage {
            Some(outage) => {
                outage.step = outage.step.min(step);
                outage.fault = fault.clone();
                outage.confirmed = Some(now);
                outage
            }
            None => outage.insert(Outage {
                step,
                fault: fault.clone(),
                confirmed: None,
                is_probed: false,
                is_logged: false,
            }),
        };
        // The limit is for a store that fails for some of its keys, whose outage begins and ends all the time.
        let is_news = !outage.is_logged && warnings.admit(now).is_some();
        outage.is_logged |= is_news;
        drop(state);
        events::unavailable(fault.error(), is_news);
    }

    /// Notes that the store did this step, and so all before it.
    pub(crate) fn succeeded(&self, step: Step) {
        let mut state = lock(&self.0);
        let ended = state.outage.take_if(|outage| outage.step <= step);
        drop(state);
        if ended.is_some_and(|outage| outage.is_logged) {
            events::available_again();
        }
    }

    /// Notes that an entry cannot be read, for as long as the returned value lives.
    pub(crate) fn unreadable(&self, fault: &StoreError) -> Arc<Unreadable> {
        let mut state = lock(&self.0);
        if let Some(others) = state.unreadable.upgrade() {
            drop(state);
            events::unavailable(fault.error(), false);
            return others;
        }
        let first = Arc::new(Unreadable);
        state.unreadable = Arc::downgrade(&first);
        drop(state);
        events::unreadable(fault.error());
        first
    }
}

/// That a store has entries which this process cannot read. All sources with such an entry share it.
#[derive(Debug)]
pub(crate) struct Unreadable;

/// The caller that asks the store during an outage, until this is dropped.
#[derive(Debug)]
pub(crate) struct Probe(Availability);

impl Drop for Probe {
    fn drop(&mut self) {
        if let Some(outage) = &mut lock(&self.0.0).outage {
            outage.is_probed = false;
        }
    }
}
