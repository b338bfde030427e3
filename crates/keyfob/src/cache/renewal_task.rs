//! The background task of a renewal: it fetches a token, runs the callbacks and installs the token.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::FutureExt;

use crate::cache::abort::Work;
use crate::cache::builder::TokenChange;
use crate::cache::lease::Lease;
use crate::cache::locked_state::{COOL_DOWN, LOOKS, LockedState};
use crate::cache::renewal::{Renewal, RenewalTask, ScheduledToken, StepEnd, fetch_unexpired};
use crate::cache::shared_state::SharedState;
use crate::error::error::Error;
use crate::exchange::challenge::Challenges;
use crate::observe::{events, pool};
use crate::runtime::lock::{MutexGuard, lock};
use crate::runtime::runtime::Spawner;
use crate::source::source::{Reason, TokenRequest, TokenSource};
use crate::token::freshness::time_since;
use crate::token::token::Token;

impl SharedState {
    /// Starts a renewal, which waits until its task is spawned. The caller holds the lock.
    pub(super) fn prepare(
        self: &Arc<Self>,
        state: &mut LockedState,
        reason: Reason,
        challenges: &Challenges,
    ) -> (Renewal, RenewalTask) {
        let request = TokenRequest {
            reason,
            previous: self.current.token(),
            challenges: challenges.clone(),
            clock: Arc::clone(&self.current.clock),
            default_lifetime: self.settings.default_lifetime,
            cache: self.identity(),
            ..TokenRequest::new(self.settings.fetch_timeout, Arc::clone(&self.runtime))
        };
        state.started += 1;
        let (sender, receiver) = oneshot::channel();
        let guard = RenewalGuard {
            // Weak, so that a cache that is not used any more aborts its fetch.
            shared: Arc::downgrade(self),
            number: state.started,
            sender: Some(sender),
            step: StepEnd::default(),
        };
        let step = guard.step.clone();
        match self.queue {
            Some(_) => step.wait(),
            None => step.begin(request.clock(), request.timeout()),
        }
        let is_first = request.previous().is_none();
        let task = renew(Arc::clone(&self.source), guard, request, state.tokens_set);
        let (task, abort) = Work::new(task);
        let renewal = Renewal {
            number: state.started,
            is_first,
            result: receiver.shared(),
            abort,
            step: step.clone(),
            overdue_since: None,
        };
        state.renewal = Some(Box::new(renewal.clone()));
        let work = Box::pin(task.map(drop));
        (renewal, RenewalTask { work, step })
    }

    /// Spawns the task of a renewal, in a pool when its turn comes.
    pub(super) fn spawn(&self, task: RenewalTask) {
        let Some(queue) = &self.queue else {
            return self.runtime.spawn(task.work);
        };
        let (spawn, clock) = (self.spawner(), Arc::clone(&self.current.clock));
        let (timeout, asked) = (self.settings.fetch_timeout, clock.elapsed());
        pool::queued();
        queue.run(Box::new(move |place| {
            let RenewalTask { work, step } = task;
            pool::started(clock.elapsed().saturating_sub(asked));
            // The wait for the turn is not part of the fetch timeout.
            step.begin(&*clock, timeout);
            place.lost_if(move |now| step.is_overdue(now));
            spawn(Box::pin(async move {
                work.await;
                drop(place);
            }));
        }));
    }

    /// What spawns a task where this caller wants it, whichever thread starts it.
    fn spawner(&self) -> Spawner {
        let runtime = Arc::clone(&self.runtime);
        let same_anywhere = || -> Spawner { Box::new(move |task| runtime.spawn(task)) };
        self.runtime.spawner().unwrap_or_else(same_anywhere)
    }

    /// Ends a renewal: installs its token, or remembers its failure.
    ///
    /// Returns `None` if a caller set a token during the renewal. That token stays, and waiting callers look again.
    async fn complete(
        &self,
        number: u64,
        tokens_set: u64,
        reason: Reason,
        fetched: Result<ScheduledToken, Error>,
    ) -> Option<Result<Lease, Error>> {
        let fetched = match fetched {
            Ok(fetched) => self.run_callbacks(fetched, reason, tokens_set).await,
            Err(error) => Err(error),
        };
        let mut state = lock(&self.locked);
        if state.tokens_set != tokens_set {
            // The status counts what the source did, even if it came too late.
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
        fetched: ScheduledToken,
        reason: Reason,
        tokens_set: u64,
    ) -> Result<ScheduledToken, Error> {
        // Without the lock, because a callback may use this cache.
        if let Some(change) = self.change(&fetched.token, reason, tokens_set) {
            let (clock, cache) = (&*self.current.clock, self.identity());
            self.settings.run_callbacks(&change, clock, cache).await?;
        }
        Ok(fetched)
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
        fetched: ScheduledToken,
    ) -> Lease {
        let now = self.current.clock.elapsed();
        let (since, expired) = (fetched.since, fetched.schedule.stated);
        let lifetime = (expired != Duration::MAX).then(|| time_since(since, expired));
        state.renewals += 1;
        let generation = state.generation;
        let lease = self.install(&mut state, fetched);
        if reason == Reason::Rejected {
            state.rejections.count(now);
            state.rejections.same_again = state.generation == generation;
        }
        // The log is written without the lock, because a subscriber may use this cache.
        drop(state);
        events::renewed(reason.name(), time_since(since, now), lifetime);
        lease
    }

    fn fail(&self, mut state: MutexGuard<'_, LockedState>, reason: Reason, error: Error) -> Error {
        let is_known = state.is_known(&error);
        state.failures += u64::from(!is_known);
        let now = self.current.read_clocks();
        // Thousands of keys of a pool that look in vain must not hold up the others in its queue.
        let looks = match self.queue {
            Some(_) => &COOL_DOWN,
            None => &LOOKS,
        };
        let pause = state.start_cool_down(&error, now.elapsed, looks);
        let usable = self.current.usable();
        // T3: the token is served without the lock until the source is asked again.
        if let Some(Lease(snapshot)) = &usable {
            self.serve(snapshot, state.next_attempt(snapshot), now);
        }
        drop(state);
        match is_known {
            true => events::failure_remembered(reason.name(), &error, pause),
            false => events::renewal_failed(reason.name(), &error, pause, usable.is_some()),
        }
        error
    }
}

/// Fetches a token. Outside a pool it holds no reference to the cache meanwhile, so that the cache can be dropped.
async fn renew(
    source: Arc<dyn TokenSource>,
    mut guard: RenewalGuard,
    request: TokenRequest,
    tokens_set: u64,
) {
    // A cache that was dropped before its turn came needs no token, and would end the fetch that begins here.
    let Some(shared) = guard.shared.upgrade() else {
        return;
    };
    // An entry of a pool may be evicted. Its renewal keeps it, so that callers that come meanwhile wait for this renewal.
    let _pooled = Some(shared).filter(|shared| shared.queue.is_some());
    // The panic's message is left out, because it may contain the secret.
    let panicked = || Error::unavailable("the token source panicked");
    let fetch = AssertUnwindSafe(fetch_unexpired(&*source, &request, &guard.step));
    let fetched = fetch
        .catch_unwind()
        .await
        .unwrap_or_else(|_| Err(panicked()));
    // The cache was dropped during the fetch.
    let Some(shared) = guard.shared.upgrade() else {
        return;
    };
    // The callbacks have the same timeout as a fetch.
    guard.step.begin(request.clock(), request.timeout());
    let completion = shared.complete(guard.number, tokens_set, request.reason(), fetched);
    let result = AssertUnwindSafe(completion).catch_unwind().await;
    if let Some(result) = result.unwrap_or_else(|_| Some(Err(panicked()))) {
        let sender = guard.sender.take();
        // The renewal is removed before callers wake up, so that they do not wait for it again.
        drop(guard);
        // Sending fails if no caller waits.
        let _ = sender.map(|sender| sender.send(result));
    }
}

/// Removes a renewal from the cache when its task ends or is dropped, before waiting callers wake up.
struct RenewalGuard {
    shared: Weak<SharedState>,
    number: u64,
    sender: Option<oneshot::Sender<Result<Lease, Error>>>,
    step: StepEnd,
}

impl Drop for RenewalGuard {
    /// The fields are dropped after this, so a caller that the dropped sender wakes finds no renewal, and starts another.
    fn drop(&mut self) {
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        let mut state = lock(&shared.locked);
        if state.end_renewal(self.number) {
            // Readers would use the token without the lock until its leeway, and none would start another renewal.
            shared.current.check_now();
        }
    }
}
