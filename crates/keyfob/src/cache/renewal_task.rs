//! The background task of a renewal: it fetches a token, runs the callbacks and installs the token.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::FutureExt;
use futures_util::future::Abortable;

use crate::cache::builder::TokenChange;
use crate::cache::lease::Lease;
use crate::cache::locked_state::LockedState;
use crate::cache::renewal::{Fetched, Fetcher, PreparedRenewal, Renewal};
use crate::cache::shared_state::SharedState;
use crate::error::error::Error;
use crate::observe::events;
use crate::runtime::lock::{MutexGuard, lock};
use crate::source::source::{Reason, TokenRequest};
use crate::token::freshness::Freshness;
use crate::token::token::Token;

impl SharedState {
    /// Runs a renewal in the background. Must be called without the lock.
    pub(super) fn start(self: &Arc<Self>, prepared: PreparedRenewal) {
        let guard = RenewalGuard {
            shared: Arc::downgrade(self),
            number: prepared.number,
            sender: Some(prepared.sender),
        };
        let fetcher = Fetcher {
            source: Arc::clone(&self.source),
            clock: Arc::clone(&self.current.clock),
            settings: Arc::clone(&self.settings),
        };
        let task = renew(fetcher, guard, prepared.request, prepared.tokens_set);
        let task = Abortable::new(task, prepared.registration);
        self.runtime.spawn(Box::pin(task.map(drop)));
        if prepared.is_clock_check {
            events::clock_stepped();
        }
    }

    /// Ends a renewal: installs its token, or remembers its failure.
    ///
    /// Returns `None` if a caller set a token during the renewal. That token stays, and waiting callers look again.
    async fn complete(
        &self,
        number: u64,
        tokens_set: u64,
        reason: Reason,
        fetched: Result<Fetched, Error>,
    ) -> Option<Result<Lease, Error>> {
        let fetched = match fetched {
            Ok(fetched) => {
                let accepted = self.run_callbacks(&fetched.token, reason, tokens_set).await;
                accepted.map(|()| fetched)
            }
            Err(error) => Err(error),
        };
        let mut state = lock(&self.locked);
        if state.tokens_set != tokens_set {
            match &fetched {
                Ok(_) => state.renewals += 1,
                Err(_) => state.failures += 1,
            }
            drop(state);
            events::renewal_overruled(reason.name(), fetched.as_ref().err());
            return None;
        }
        // In one step under the lock: a caller finds either this renewal or its result.
        state.end_renewal(number);
        Some(match fetched {
            Ok(fetched) => Ok(self.succeed(state, reason, fetched)),
            Err(error) => Err(self.fail(state, reason, error)),
        })
    }

    /// Runs the callbacks for a changed token, before anyone can use it.
    async fn run_callbacks(
        &self,
        token: &Token,
        reason: Reason,
        tokens_set: u64,
    ) -> Result<(), Error> {
        let Some(change) = self.change(token, reason, tokens_set) else {
            return Ok(());
        };
        let clock = &*self.current.clock;
        self.settings
            .run_callbacks(&change, clock, self.identity())
            .await
    }

    /// Describes the change for the callbacks. `None` if the token is the current one, or will not be used.
    fn change(&self, token: &Token, reason: Reason, tokens_set: u64) -> Option<TokenChange> {
        let mut state = lock(&self.locked);
        if state.tokens_set != tokens_set || self.current.is(token) {
            return None;
        }
        Some(TokenChange {
            previous: self.current.token(),
            current: token.clone(),
            reason,
            generation: state.announce_generation(),
        })
    }

    fn succeed(
        &self,
        mut state: MutexGuard<'_, LockedState>,
        reason: Reason,
        fetched: Fetched,
    ) -> Lease {
        let now = self.current.clock.elapsed();
        let asked = fetched.acquired.asked.unwrap_or(fetched.acquired.at);
        let expired = fetched.schedule.expired;
        let lifetime = (expired != Duration::MAX).then(|| expired.saturating_sub(asked));
        state.renewals += 1;
        let generation = state.generation;
        let lease = self.install(&mut state, fetched);
        if reason == Reason::Rejected {
            state.rejections.count(now);
            state.rejections.same_again = state.generation == generation;
        }
        // The log is written without the lock, because a subscriber may use this cache.
        drop(state);
        events::renewed(reason.name(), now.saturating_sub(asked), lifetime);
        lease
    }

    fn fail(&self, mut state: MutexGuard<'_, LockedState>, reason: Reason, error: Error) -> Error {
        state.failures += 1;
        let now = self.current.read_clocks();
        let pause = state.start_cool_down(&error, now.elapsed);
        let usable = self
            .current
            .snapshot()
            .filter(|snapshot| snapshot.schedule.at(now.elapsed) != Freshness::Expired);
        // T3: the token is served without the lock until the source is asked again.
        if let Some(snapshot) = &usable {
            let next = state.next_attempt(snapshot);
            self.current.publish(snapshot.checked_next(next, now));
        }
        drop(state);
        events::renewal_failed(reason.name(), &error, pause, usable.is_some());
        error
    }

    /// Removes a renewal whose task ended without a result, so that the next caller starts another.
    fn abandon(&self, number: u64) {
        let mut state = lock(&self.locked);
        if state.end_renewal(number) {
            self.current.check_now();
        }
    }
}

async fn renew(fetcher: Fetcher, guard: RenewalGuard, request: TokenRequest, tokens_set: u64) {
    let panicked = |_| Err(Renewal::panicked());
    let fetch = AssertUnwindSafe(fetcher.fetch_unexpired(&request));
    let fetched = fetch.catch_unwind().await.unwrap_or_else(panicked);
    // The cache was dropped during the fetch.
    let Some(shared) = guard.shared.upgrade() else {
        return;
    };
    let completion = shared.complete(guard.number, tokens_set, request.reason(), fetched);
    let result = AssertUnwindSafe(completion).catch_unwind().await;
    let result = result.unwrap_or_else(|_| Some(Err(Renewal::panicked())));
    if let Some(result) = result {
        guard.send(result);
    }
}

/// Removes a renewal from the cache when its task ends or is dropped, before waiting callers wake up.
struct RenewalGuard {
    shared: Weak<SharedState>,
    number: u64,
    sender: Option<oneshot::Sender<Result<Lease, Error>>>,
}

impl RenewalGuard {
    fn send(mut self, result: Result<Lease, Error>) {
        let sender = self.sender.take();
        drop(self);
        // Sending fails if no caller waits.
        let _ = sender.map(|sender| sender.send(result));
    }
}

impl Drop for RenewalGuard {
    /// The fields are dropped after this, so a caller that the dropped sender wakes finds no renewal, and starts another.
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.abandon(self.number);
        }
    }
}
