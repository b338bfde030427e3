//! What all clones of a cache share, and what is decided under its lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::cache::builder::{Settings, TokenCacheBuilder};
use crate::cache::current::{Copies, CurrentToken};
use crate::cache::lease::{ClockReading, Lease, Snapshot};
use crate::cache::locked_state::LockedState;
use crate::cache::per_thread::PerThread;
use crate::cache::renewal::{Renewal, RenewalTask, ScheduledToken};
use crate::cache::status::Status;
use crate::error::error::{Error, ErrorKind};
use crate::exchange::challenge::Challenges;
use crate::observe::events;
use crate::runtime::lock::{Mutex, interleave, lock};
use crate::runtime::runtime::Runtime;
use crate::runtime::task_queue::{Limits, TaskQueue};
use crate::source::reentrancy;
use crate::source::source::{Reason, TokenSource};
use crate::token::freshness::{Freshness, time_since};
use crate::token::token::Token;

/// The fields that each read uses come first, after the reference count: so a read loads one or two cache lines of it.
#[repr(C)]
pub(super) struct SharedState {
    pub(super) current: CurrentToken,
    /// The period of its pool in which the cache was last used.
    pub(super) used: AtomicU32,
    pub(super) locked: Mutex<LockedState>,
    /// How many callers waited for a renewal although there was a token before.
    pub(super) delayed: AtomicU64,
    pub(super) settings: Arc<Settings>,
    pub(super) source: Arc<dyn TokenSource>,
    pub(super) runtime: Arc<dyn Runtime>,
    /// The queue for the renewals of all caches of its pool. While its renewal runs, such a cache outlives its last handle.
    pub(super) queue: Option<TaskQueue>,
}

/// What a caller finds that asks for a token.
pub(super) enum Lookup {
    Ready(Lease),
    Wait(Renewal),
    Failed(Error),
}

/// What a caller gets, and the renewal to start when the lock is free.
type Decision = (Lookup, Option<RenewalTask>);

impl SharedState {
    pub(super) fn new(builder: TokenCacheBuilder) -> Self {
        Self {
            current: CurrentToken::none(builder.clock, Copies::PerThread),
            used: AtomicU32::new(0),
            locked: Mutex::new(LockedState::default()),
            delayed: AtomicU64::new(0),
            settings: Arc::new(builder.settings),
            source: builder.source,
            runtime: builder.runtime,
            queue: None,
        }
    }

    /// Returns a copy for a forked child. It does not touch the lock, which may stay locked forever in the child.
    pub(super) fn forked(&self) -> Self {
        // Otherwise all children of one parent would draw the same jitter.
        fastrand::seed(fastrand::u64(..) ^ u64::from(std::process::id()).rotate_left(32));
        let (current, generation) = self.current.forked();
        Self {
            current,
            used: AtomicU32::new(0),
            locked: Mutex::new(LockedState::at_generation(generation)),
            delayed: AtomicU64::new(0),
            settings: Arc::clone(&self.settings),
            source: Arc::clone(&self.source),
            runtime: Arc::clone(&self.runtime),
            // The queue of the parent may be locked, too, and its tasks do not run here.
            queue: self
                .queue
                .as_ref()
                .map(|queue| TaskQueue::new(queue.limits())),
        }
    }

    /// Looks for a token, and starts a renewal if one is needed.
    pub(super) fn lookup(self: &Arc<Self>) -> Lookup {
        if let Some(fresh) = self.current.fresh() {
            return Lookup::Ready(Lease(Arc::clone(&fresh)));
        }
        self.under_lock(|state| self.decide(state))
    }

    /// Looks for another token than this one, which was rejected or is due, and starts a renewal if there is none.
    pub(super) fn replace(
        self: &Arc<Self>,
        old: &Lease,
        reason: Reason,
        challenges: &Challenges,
    ) -> Lookup {
        self.under_lock(|state| self.decide_replacement(state, old, reason, challenges))
    }

    /// Starts a renewal whatever failed before, unless a caller has set a token since `tokens_set` was read.
    pub(super) fn renew(self: &Arc<Self>, tokens_set: u64) -> Lookup {
        self.under_lock(|state| {
            if state.tokens_set != tokens_set
                && let Some(lease) = self.current.usable()
            {
                return (Lookup::Ready(lease), None);
            }
            // The caller may have repaired the cause, so a cool-down does not count.
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
        if self.install_unexpired(token) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Expired,
            "the token to set has already expired; give one that is still valid",
        ))
    }

    /// Installs the token that a cache starts with. If it has expired, the source is asked.
    pub(super) fn set_initial_token(&self, token: Token) {
        if !self.install_unexpired(token) {
            tracing::debug!(target: "keyfob", "the initial token has expired; the source is asked");
        }
    }

    pub(super) fn status(&self) -> Status {
        let state = lock(&self.locked);
        let now = self.current.clock.elapsed();
        let usable = self.current.usable();
        let snapshot = usable.as_ref().map(|lease| &*lease.0);
        let left = |moment: Duration| (moment != Duration::MAX).then(|| moment.saturating_sub(now));
        Status {
            authenticated: self.current.authenticated().is_some(),
            age: snapshot.map(|snapshot| time_since(snapshot.since, now)),
            expires_in: snapshot.and_then(|snapshot| left(snapshot.schedule.stated)),
            next_renewal_in: match snapshot {
                Some(snapshot) => left(state.next_attempt(snapshot)),
                None => state.cool_down_end().and_then(left),
            },
            renewing: state.renewal.is_some(),
            generation: state.generation,
            renewals: state.renewals,
            failures: state.failures,
            delayed: self.delayed.load(Ordering::Relaxed),
            last_error: state.last_error(),
        }
    }

    /// Lets other renewals of the pool start in the places of those whose runtime nothing drives any more (T7).
    ///
    /// Without the lock, because a runtime is code outside this crate.
    pub(super) fn take_back_places(&self) {
        if let Some(queue) = &self.queue {
            queue.take_back(self.current.clock.elapsed());
        }
    }

    /// Decides under the lock, and starts the renewal when the lock is free again: sources, runtimes, callbacks and
    /// loggers are code outside this crate, which may use this cache.
    fn under_lock(self: &Arc<Self>, decide: impl FnOnce(&mut LockedState) -> Decision) -> Lookup {
        let mut state = lock(&self.locked);
        interleave();
        let (lookup, task) = decide(&mut state);
        drop(state);
        if let Some(task) = task {
            self.spawn(task);
        }
        lookup
    }

    /// Checks the token again, because another caller may have renewed it while this one waited for the lock (T1).
    fn decide(self: &Arc<Self>, state: &mut LockedState) -> Decision {
        let now = self.current.read_clocks();
        let failure = state.cooling_down(now.elapsed);
        let Some(Lease(snapshot)) = self.current.usable() else {
            return match failure {
                Some(error) => (Lookup::Failed(error), None),
                None => self.wait(state, Reason::Missing, &Challenges::default()),
            };
        };
        let freshness = snapshot.schedule.at(now.elapsed);
        if freshness == Freshness::Fresh && !snapshot.clock_stepped(now) {
            return (self.serve(&snapshot, snapshot.schedule.due, now), None);
        }
        // T3: a failure costs callers nothing while the token is valid.
        if failure.is_some() {
            let next_check = state.next_attempt(&snapshot);
            return (self.serve(&snapshot, next_check, now), None);
        }
        if freshness == Freshness::Leeway {
            return self.wait(state, Reason::Due, &Challenges::default());
        }
        // The token is due, or the clocks disagree. Readers check again when its leeway begins, or soon if no renewal could begin.
        let (lookup, mut task) = self.wait(state, Reason::Due, &Challenges::default());
        let next_check = match lookup {
            Lookup::Failed(_) => now.elapsed.saturating_add(NOT_BEGUN_PAUSE),
            _ => snapshot.schedule.leeway,
        };
        let served = self.serve(&snapshot, next_check.min(snapshot.schedule.leeway), now);
        if freshness == Freshness::Fresh {
            task = task.map(|task| after(events::clock_stepped, task));
        }
        (served, task)
    }

    fn decide_replacement(
        self: &Arc<Self>,
        state: &mut LockedState,
        old: &Lease,
        reason: Reason,
        challenges: &Challenges,
    ) -> Decision {
        if let Some(current) = self.current.usable()
            && !current.same_as(old)
        {
            return (Lookup::Ready(current), None);
        }
        let now = self.current.clock.elapsed();
        // A running renewal is joined even during a cool-down, because its result may be a new token.
        if state.renewal.is_none()
            && let Some(error) = state.cooling_down(now).or_else(|| {
                let pausing = || state.rejections.pausing(now);
                (reason == Reason::Rejected).then(pausing).flatten()
            })
        {
            return (Lookup::Failed(error), None);
        }
        self.wait(state, reason, challenges)
    }

    /// Serves the token, and lets readers use it without the lock until the next check.
    pub(super) fn serve(
        &self,
        snapshot: &Snapshot,
        next_check: Duration,
        now: ClockReading,
    ) -> Lookup {
        let snapshot = snapshot.checked_next(next_check, now);
        Lookup::Ready(self.current.publish(snapshot))
    }

    /// Waits for the running renewal, or for a new one if none runs, or its runtime does not run it any more (T7).
    fn wait(
        self: &Arc<Self>,
        state: &mut LockedState,
        reason: Reason,
        challenges: &Challenges,
    ) -> Decision {
        if reentrancy::is_inside(self.identity()) {
            let error = Error::unavailable(
                "the token hook uses the session whose token it is getting and would wait for itself; \
                 give the hook or callback a client of its own",
            );
            return (Lookup::Failed(error), None);
        }
        // T1: under the lock, so two callers never find that no renewal runs.
        let now = self.current.clock.elapsed();
        let running = state.renewal.as_mut();
        let abandoned = match running.map(|renewal| (renewal.is_abandoned(now), renewal)) {
            Some((false, renewal)) => return (Lookup::Wait(Renewal::clone(renewal)), None),
            abandoned => abandoned.map(|(_, renewal)| renewal.abort.clone()),
        };
        if let Some(queue) = &self.queue
            && queue.is_full()
        {
            return (Lookup::Failed(queue_is_full(queue.limits())), None);
        }
        let (renewal, mut task) = self.prepare(state, reason, challenges);
        if let Some(abandoned) = abandoned {
            let work = abandoned.take();
            task = after(
                move || {
                    drop(work);
                    events::renewal_abandoned();
                },
                task,
            );
        }
        (Lookup::Wait(renewal), Some(task))
    }

    /// Installs a token that a caller has. Returns `false` if it has expired.
    fn install_unexpired(&self, token: Token) -> bool {
        let clock = &*self.current.clock;
        let token = ScheduledToken::new(token, None, clock, self.settings.default_lifetime);
        if token.schedule.at(clock.elapsed()) == Freshness::Expired {
            return false;
        }
        let mut state = lock(&self.locked);
        // Counted even for the same token: a running renewal may use a credential that has changed since.
        state.tokens_set += 1;
        if !self.current.is(&token.token) {
            // Callbacks may have been given this generation for the token of the running renewal.
            state.skip_announced_generation();
        }
        self.install(&mut state, token);
        true
    }

    /// Makes a token the current one. The same token again keeps its generation.
    pub(super) fn install(&self, state: &mut LockedState, new: ScheduledToken) -> Lease {
        if !self.current.is(&new.token) {
            state.generation += 1;
            state.rejections.same_again = false;
        }
        state.forget_failure();
        // Read at publication, because callbacks may have taken long since the token arrived.
        let now = self.current.read_clocks();
        // The header values are made once here, so that a read only clones them.
        let (token, headers) = match self.current.copies {
            Copies::PerThread => {
                let headers = new.token.headers();
                (new.token, headers)
            }
            Copies::One => new.token.into_shared_headers(),
        };
        self.current.publish(Snapshot {
            headers: headers.into(),
            token,
            generation: state.generation,
            schedule: new.schedule,
            since: new.since,
            clocks: now,
            next_check: now.predict(new.schedule.due),
            copies: PerThread::none(),
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
            renewal.abort.abort();
        }
    }
}

/// The same task, which first does what must not be done under the lock: a subscriber of the log or a source may use this cache.
fn after(first: impl FnOnce() + Send + 'static, task: RenewalTask) -> RenewalTask {
    let RenewalTask { work, step } = task;
    let work = Box::pin(async move {
        first();
        work.await;
    });
    RenewalTask { work, step }
}

fn queue_is_full(limits: Limits) -> Error {
    Error::unavailable(format!(
        "{} fetches of the pool run and {} wait, as many as it allows; try again later, or raise its limits",
        limits.running, limits.waiting
    ))
}

/// When a renewal is tried again that could not begin, such as with a full queue.
const NOT_BEGUN_PAUSE: Duration = Duration::from_secs(1);
