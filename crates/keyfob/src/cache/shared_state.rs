//! What all clones of a cache share, and what is decided under its lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::cache::builder::{Settings, TokenCacheBuilder};
use crate::cache::current::CurrentToken;
use crate::cache::lease::{ClockReading, Lease, Snapshot};
use crate::cache::locked_state::LockedState;
use crate::cache::renewal::{Fetched, PreparedRenewal, Renewal};
use crate::cache::status::Status;
use crate::error::error::{Error, ErrorKind};
use crate::exchange::challenge::Challenges;
use crate::runtime::lock::{Mutex, interleave, lock};
use crate::runtime::runtime::Runtime;
use crate::source::reentrancy;
use crate::source::source::{Reason, TokenRequest, TokenSource};
use crate::token::freshness::{Acquired, Freshness};
use crate::token::token::Token;

pub(super) struct SharedState {
    pub(super) current: CurrentToken,
    pub(super) locked: Mutex<LockedState>,
    delayed: AtomicU64,
    pub(super) settings: Arc<Settings>,
    pub(super) source: Arc<dyn TokenSource>,
    pub(super) runtime: Arc<dyn Runtime>,
}

/// What a caller finds that asks for a token.
pub(super) enum Lookup {
    Ready(Lease),
    Wait(Renewal),
    Failed(Error),
}

/// What a caller gets, and the renewal to start when the lock is free.
type Decision = (Lookup, Option<PreparedRenewal>);

impl SharedState {
    pub(super) fn new(builder: TokenCacheBuilder) -> Self {
        Self {
            current: CurrentToken::none(builder.clock),
            locked: Mutex::new(LockedState::default()),
            delayed: AtomicU64::new(0),
            settings: Arc::new(builder.settings),
            source: builder.source,
            runtime: builder.runtime,
        }
    }

    /// Returns a copy for a forked child. It does not touch the lock, which may stay locked forever in the child.
    pub(super) fn forked(&self) -> Self {
        // Otherwise all children of one parent would draw the same jitter.
        fastrand::seed(fastrand::u64(..) ^ u64::from(std::process::id()).rotate_left(32));
        let (current, generation) = self.current.forked();
        Self {
            current,
            locked: Mutex::new(LockedState::at_generation(generation)),
            delayed: AtomicU64::new(0),
            settings: Arc::clone(&self.settings),
            source: Arc::clone(&self.source),
            runtime: Arc::clone(&self.runtime),
        }
    }

    /// Looks for a token, and starts a renewal if one is needed.
    pub(super) fn lookup(self: &Arc<Self>) -> Lookup {
        if let Some(fresh) = self.current.fresh() {
            return Lookup::Ready(Lease::new(Arc::clone(&fresh)));
        }
        self.under_lock(|state| self.decide(state))
    }

    /// Looks for another token than the rejected one, and starts a renewal if there is none.
    pub(super) fn replace(self: &Arc<Self>, rejected: &Lease, challenges: &Challenges) -> Lookup {
        self.under_lock(|state| self.decide_replacement(state, rejected, challenges))
    }

    /// Starts a renewal whatever failed before, unless a caller has set a token since `tokens_set` was read.
    pub(super) fn renew(self: &Arc<Self>, tokens_set: u64) -> Lookup {
        self.under_lock(|state| {
            if state.tokens_set != tokens_set
                && let Some(lease) = self.current.usable()
            {
                return (Lookup::Ready(lease), None);
            }
            state.forget_failure();
            self.wait(state, Reason::Forced, &Challenges::default())
        })
    }

    /// How many tokens callers have set.
    pub(super) fn tokens_set(&self) -> u64 {
        lock(&self.locked).tokens_set
    }

    /// Installs a token that a caller has.
    pub(super) fn set_token(&self, token: Token) -> Result<(), Error> {
        match self.install_from_caller(token)? {
            Freshness::Expired => Err(Error::new(
                ErrorKind::Expired,
                "the token to set has already expired; give one that is still valid",
            )),
            _ => Ok(()),
        }
    }

    /// Installs the token that a cache starts with. If it has expired, the source is asked.
    pub(super) fn set_initial_token(&self, token: Token) -> Result<(), Error> {
        if self.install_from_caller(token)? == Freshness::Expired {
            tracing::debug!(target: "keyfob", "the initial token has expired; the source is asked");
        }
        Ok(())
    }

    /// Counts a caller that waits for a renewal although there was a token before.
    pub(super) fn count_wait(&self, renewal: &Renewal) {
        if !renewal.is_first() {
            self.delayed.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn status(&self) -> Status {
        let state = lock(&self.locked);
        let now = self.current.clock.elapsed();
        let snapshot = self.current.snapshot();
        let snapshot = snapshot.filter(|snapshot| snapshot.schedule.at(now) != Freshness::Expired);
        let snapshot = snapshot.as_ref();
        let left = |moment: Duration| (moment != Duration::MAX).then(|| moment.saturating_sub(now));
        Status {
            authenticated: self.current.authenticated().is_some(),
            age: snapshot.map(|snapshot| now.saturating_sub(snapshot.since)),
            expires_in: snapshot.and_then(|snapshot| left(snapshot.schedule.expired)),
            next_renewal_in: snapshot.and_then(|snapshot| left(state.next_attempt(snapshot))),
            renewing: state.renewal.is_some(),
            generation: state.generation,
            renewals: state.renewals,
            failures: state.failures,
            delayed: self.delayed.load(Ordering::Relaxed),
            last_error: state.last_error(),
        }
    }

    /// Decides under the lock, and starts the renewal when the lock is free again: sources, runtimes, callbacks and
    /// loggers are code outside this crate, which may use this cache.
    fn under_lock(self: &Arc<Self>, decide: impl FnOnce(&mut LockedState) -> Decision) -> Lookup {
        let mut state = lock(&self.locked);
        interleave();
        let (lookup, prepared) = decide(&mut state);
        drop(state);
        if let Some(prepared) = prepared {
            self.start(prepared);
        }
        lookup
    }

    /// Checks the token again, because another caller may have renewed it while this one waited for the lock (T1).
    fn decide(&self, state: &mut LockedState) -> Decision {
        let now = self.current.read_clocks();
        let failure = state.cooling_down(now.elapsed);
        let current = self.current.snapshot();
        let current = current.map(|snapshot| (snapshot.schedule.at(now.elapsed), snapshot));
        match (current, failure) {
            (None | Some((Freshness::Expired, _)), Some(error)) => (Lookup::Failed(error), None),
            (None | Some((Freshness::Expired, _)), None) => {
                self.wait(state, Reason::Missing, &Challenges::default())
            }
            (Some((Freshness::Leeway, _)), None) => {
                self.wait(state, Reason::Due, &Challenges::default())
            }
            (Some((Freshness::Fresh, snapshot)), _) if !snapshot.clock_stepped(now) => {
                (self.serve(&snapshot, snapshot.schedule.due, now), None)
            }
            // T3: a failure costs callers nothing while the token is valid.
            (Some((_, snapshot)), Some(_)) => (
                self.serve(&snapshot, state.next_attempt(&snapshot), now),
                None,
            ),
            // The token is due. Readers check again when its leeway begins.
            (Some((freshness, snapshot)), None) => {
                let served = self.serve(&snapshot, snapshot.schedule.leeway, now);
                let mut prepared = self.prepare_if_idle(state);
                if let Some(prepared) = &mut prepared {
                    prepared.is_clock_check = freshness == Freshness::Fresh;
                }
                (served, prepared)
            }
        }
    }

    fn decide_replacement(
        &self,
        state: &mut LockedState,
        rejected: &Lease,
        challenges: &Challenges,
    ) -> Decision {
        if let Some(current) = self.current.usable()
            && !current.same_as(rejected)
        {
            return (Lookup::Ready(current), None);
        }
        let now = self.current.clock.elapsed();
        // A running renewal is joined even during a cool-down, because its result may be a new token.
        if state.renewal.is_none()
            && let Some(error) = state
                .cooling_down(now)
                .or_else(|| state.rejections.pausing(now))
        {
            return (Lookup::Failed(error), None);
        }
        self.wait(state, Reason::Rejected, challenges)
    }

    /// Serves the token, and lets readers use it without the lock until the next check.
    fn serve(&self, snapshot: &Snapshot, next_check: Duration, now: ClockReading) -> Lookup {
        let snapshot = snapshot.checked_next(next_check, now);
        Lookup::Ready(self.current.publish(snapshot))
    }

    /// Waits for the running renewal, or for a new one.
    fn wait(&self, state: &mut LockedState, reason: Reason, challenges: &Challenges) -> Decision {
        if reentrancy::is_inside(self.identity()) {
            return (Lookup::Failed(Renewal::waits_for_itself()), None);
        }
        if let Some(renewal) = &state.renewal {
            return (Lookup::Wait(renewal.clone()), None);
        }
        let (renewal, prepared) = self.prepare(state, reason, challenges);
        (Lookup::Wait(renewal), Some(prepared))
    }

    fn prepare_if_idle(&self, state: &mut LockedState) -> Option<PreparedRenewal> {
        if state.renewal.is_some() {
            return None;
        }
        let (_, prepared) = self.prepare(state, Reason::Due, &Challenges::default());
        Some(prepared)
    }

    fn prepare(
        &self,
        state: &mut LockedState,
        reason: Reason,
        challenges: &Challenges,
    ) -> (Renewal, PreparedRenewal) {
        let timeout = self.settings.fetch_timeout;
        let runtime = Arc::clone(&self.runtime);
        let request = TokenRequest::new(reason, timeout, runtime, self.identity())
            .timed_by(
                Arc::clone(&self.current.clock),
                self.settings.default_lifetime,
            )
            .previous_token(self.current.token())
            .challenged_by(challenges.clone());
        state.started += 1;
        let (renewal, prepared) = Renewal::new(state.started, state.tokens_set, request);
        state.renewal = Some(renewal.clone());
        (renewal, prepared)
    }

    fn install_from_caller(&self, token: Token) -> Result<Freshness, Error> {
        let acquired = Acquired {
            asked: None,
            at: self.current.clock.elapsed(),
            wall: self.current.clock.coarse_time().wall_time(),
        }
        .obtained(token.obtained());
        let schedule = self.settings.schedule(&token, acquired)?;
        let freshness = schedule.at(acquired.at);
        if freshness == Freshness::Expired {
            return Ok(freshness);
        }
        let mut state = lock(&self.locked);
        state.tokens_set += 1;
        if !self.current.is(&token) {
            // Callbacks may have been given this generation for the token of the running renewal.
            state.skip_announced_generation();
        }
        let token = Fetched {
            token,
            schedule,
            acquired,
        };
        self.install(&mut state, token);
        Ok(freshness)
    }

    /// Makes a token the current one. The same token again keeps its generation.
    pub(super) fn install(&self, state: &mut LockedState, fetched: Fetched) -> Lease {
        if !self.current.is(&fetched.token) {
            state.generation += 1;
            state.rejections.same_again = false;
        }
        state.forget_failure();
        let now = self.current.read_clocks();
        // The header values are made once here, so that a read only clones them.
        self.current.publish(Snapshot {
            headers: fetched.token.headers().into(),
            token: fetched.token,
            generation: state.generation,
            schedule: fetched.schedule,
            since: fetched.acquired.asked.unwrap_or(fetched.acquired.at),
            clocks: now,
            next_check: now.predict(fetched.schedule.due),
        })
    }

    /// Tells this cache from others, to detect a hook that uses its own cache.
    pub(super) fn identity(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

impl Drop for SharedState {
    /// Aborts a fetch whose token could not be used any more.
    fn drop(&mut self) {
        if let Some(renewal) = lock(&self.locked).renewal.take() {
            renewal.abort();
        }
    }
}
