//! One renewal: take the lease, read again, decide, ask the source, save, release.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;

use crate::clock::backoff::Backoff;
use crate::clock::clock;
use crate::error::error::{Error, ErrorKind, own_texts};
use crate::exchange::retry_after::LONGEST_ISSUER_PAUSE;
use crate::observe::store as events;
use crate::source::persisted::caller::{Caller, Stop};
use crate::source::persisted::decision::{Verdict, fingerprint_of};
use crate::source::persisted::stored_source::{StoredSource, rebased, wall_time};
use crate::source::reentrancy::poll_inside;
use crate::source::source::TokenRequest;
use crate::store::availability::Step;
use crate::store::entry::{Entry, Failure};
use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::store::{StoreLease, StoredEntry};
use crate::token::token::Token;

/// A renewal under one lease.
pub(super) struct Renewal<'a> {
    pub(super) stored: &'a StoredSource,
    pub(super) request: &'a TokenRequest,
    pub(super) lease: &'a mut dyn StoreLease,
    pub(super) caller: &'a mut Caller,
}

/// Why a renewal under one lease has no token for the caller.
pub(super) enum Interruption {
    Stop(Stop),
    /// Another process saved before the exchange could begin: start again with another lease.
    Again,
    /// Another process saved while this refresh token was exchanged for this token.
    Conflict {
        token: Box<Token>,
        fingerprint: Option<String>,
    },
}

impl<E: Into<Stop>> From<E> for Interruption {
    fn from(error: E) -> Self {
        Self::Stop(error.into())
    }
}

/// Waits for the lease, and fetches a token if one is still needed then.
pub(super) async fn renew(
    stored: &StoredSource,
    request: &TokenRequest,
    caller: &mut Caller,
) -> Result<Token, Stop> {
    for _ in 0..LEASES_PER_CALLER {
        let mut lease = match wait_for_lease(stored, request, caller).await? {
            LeaseOrToken::Lease(lease) => lease,
            LeaseOrToken::Token(token) => return Ok(token),
        };
        let renewal = Renewal {
            stored,
            request,
            lease: &mut *lease,
            caller,
        };
        // A panic of the source must not skip the release of the lease (T7).
        let end = AssertUnwindSafe(renewal.run()).catch_unwind().await;
        lease.release().await;
        return match end {
            Ok(Ok(token)) => Ok(token),
            Ok(Err(Interruption::Stop(stop))) => Err(stop),
            Ok(Err(Interruption::Again)) => continue,
            Ok(Err(Interruption::Conflict { token, fingerprint })) => {
                settle_conflict(stored, request, caller, (*token, fingerprint)).await
            }
            Err(_) => Err(Error::unavailable("the token source panicked").into()),
        };
    }
    let message =
        "the lease of the token store expired several times before the renewal could begin";
    Err(Error::unavailable(message).into())
}

enum LeaseOrToken {
    Lease(Box<dyn StoreLease>),
    Token(Token),
}

/// Waits for the lease, or for the token that another process stores.
///
/// The wait is cut into pieces, so that a new token is seen without waiting for the lease.
async fn wait_for_lease(
    stored: &StoredSource,
    request: &TokenRequest,
    caller: &Caller,
) -> Result<LeaseOrToken, Stop> {
    let clock = request.clock();
    let deadline = clock.elapsed().saturating_add(request.timeout());
    loop {
        let left = deadline.saturating_sub(clock.elapsed());
        let lease = stored.store.lease(&stored.key, LEASE_WAIT.min(left)).await;
        match stored.note(Step::Lease, request, lease) {
            Ok(lease) => return Ok(LeaseOrToken::Lease(lease)),
            Err(fault)
                if fault.kind() == StoreErrorKind::Busy
                    && left > LEASE_WAIT
                    && !caller.has_given_up() => {}
            Err(fault) => return Err(fault.into()),
        }
        if let Some(token) = stored.lookup(request).await? {
            return Ok(LeaseOrToken::Token(token));
        }
    }
}

/// Decides between a new token and what another process saved while the lease was lost.
///
/// If the other process got a token for another refresh token, that one is used. Otherwise this new token holds the only
/// refresh token that is still valid, so this is tried until [`SAVE_TIMEOUT`] has passed.
async fn settle_conflict(
    stored: &StoredSource,
    request: &TokenRequest,
    caller: &mut Caller,
    (token, fingerprint): (Token, Option<String>),
) -> Result<Token, Stop> {
    events::save_conflict();
    let clock = request.clock();
    let deadline = clock.elapsed().saturating_add(SAVE_TIMEOUT);
    let mut attempt = 0;
    loop {
        attempt += 1;
        let fault =
            match settle_under_lease(stored, request, caller, &token, fingerprint.as_deref()).await
            {
                Ok(token) => return Ok(token),
                Err(fault) => fault,
            };
        if clock.elapsed() >= deadline {
            events::refresh_token_lost(fault.error());
            return Err(fault.into());
        }
        report_unsaved(caller, &fault);
        let pause = SAVE_BACKOFF.half_jitter(attempt, fastrand::f64());
        clock.sleep(pause).await;
    }
}

async fn settle_under_lease(
    stored: &StoredSource,
    request: &TokenRequest,
    caller: &mut Caller,
    token: &Token,
    fingerprint: Option<&str>,
) -> Result<Token, StoreError> {
    let lease = stored.store.lease(&stored.key, request.timeout()).await;
    let mut lease = stored.note(Step::Lease, request, lease)?;
    let mut renewal = Renewal {
        stored,
        request,
        lease: &mut *lease,
        caller,
    };
    let settled = renewal.adopt_or_save(token, fingerprint).await;
    lease.release().await;
    settled
}

/// Reports that a new token could not be saved yet, to the log and to the caller, who must not wait for that.
pub(super) fn report_unsaved(caller: &mut Caller, fault: &StoreError) {
    events::save_failed(fault.error());
    caller.answer(Err(fault.clone().into()));
}

impl Renewal<'_> {
    /// Renews, and forgets the last failure if that brings a token.
    async fn run(mut self) -> Result<Token, Interruption> {
        let entry = self.read_entry().await?;
        let last_failure = &self.stored.last_failure;
        let outcome = self.obey_entry(entry).await;
        if outcome.is_ok() {
            last_failure.forget();
        }
        outcome
    }

    /// The stored token, if it was got for another refresh token than this one; otherwise saves the given one.
    async fn adopt_or_save(
        &mut self,
        token: &Token,
        fingerprint: Option<&str>,
    ) -> Result<Token, StoreError> {
        let request = self.request;
        let loaded = self.load().await?;
        let entry = loaded.map(|found| rebased(found, request));
        let other = entry.as_ref().and_then(Entry::token);
        if let Some(other) =
            other.filter(|other| fingerprint_of(Some(other)).as_deref() != fingerprint)
        {
            return Ok(other.clone());
        }
        let entry = Entry::new(token.clone(), wall_time(request));
        let report = |renewal: &mut Self, fault: &StoreError| report_unsaved(renewal.caller, fault);
        self.save_persistently(&entry, report).await?;
        Ok(token.clone())
    }

    /// Does what the entry requires, unless the source has refused that before.
    async fn obey_entry(mut self, entry: Option<Entry>) -> Result<Token, Interruption> {
        let stored = self.stored;
        let question = stored.question(self.request);
        let attempt = match question.decide(entry.as_ref()) {
            Verdict::Adopt(token) => {
                events::adopted(self.request.reason().name());
                return Ok(token);
            }
            Verdict::Refuse(error) => {
                return Err(stored.refused(error, self.request, entry.as_ref()).into());
            }
            Verdict::Fetch { attempt } => attempt,
        };
        if let Some(failure) = stored.own_failure(self.request, entry.as_ref()) {
            return Err(failure.into());
        }
        // The last point at which stopping loses nothing: no request has been sent yet.
        if self.caller.has_given_up() {
            return Err(Error::unavailable("the caller gave up before the renewal began").into());
        }
        let pending = entry.as_ref().and_then(|entry| question.pending(entry));
        if let Some(pending) = pending {
            events::exchange_repeated(pending.process());
        }
        if stored.source.consumes_refresh_token() {
            return self.exchange(entry, attempt).await;
        }
        Ok(self.fetch_and_save(entry).await?)
    }

    /// Reads the entry again, now that no other process writes it.
    ///
    /// Where a lease can expire, another process may still be about to save the result of its exchange. It gets a moment,
    /// before its exchange is repeated.
    async fn read_entry(&mut self) -> Result<Option<Entry>, StoreError> {
        let stored = self.stored;
        let mut waited = Duration::ZERO;
        loop {
            let found = match self.load().await {
                Err(fault) if fault.kind() == StoreErrorKind::Damaged => {
                    self.quarantine(&fault).await?;
                    None
                }
                // An old refresh token may be used up. A source that needs none replaces the entry.
                Err(fault)
                    if fault.kind() == StoreErrorKind::Outdated
                        && !stored.source.consumes_refresh_token() =>
                {
                    None
                }
                loaded => loaded?,
            };
            let entry = found.map(|found| rebased(found, self.request));
            let is_unsettled = match &entry {
                Some(entry) => stored.question(self.request).pending(entry).is_some(),
                None => stored.had_entry.load(Ordering::Relaxed),
            };
            let may_settle = stored.store.leases_expire()
                && stored.source.consumes_refresh_token()
                && waited < SETTLE_TIMEOUT;
            if !(is_unsettled && may_settle) {
                stored
                    .had_entry
                    .fetch_or(entry.is_some(), Ordering::Relaxed);
                return Ok(entry);
            }
            self.request.clock().sleep(SETTLE_PAUSE).await;
            waited += SETTLE_PAUSE;
        }
    }

    /// Moves a damaged entry out of the way, unless it may be all that is left of a sign-in.
    async fn quarantine(&mut self, fault: &StoreError) -> Result<(), StoreError> {
        if self.stored.source.consumes_refresh_token() {
            return Err(fault.with_message(format!(
                "{}; it may have held the only refresh token: {}, or forget the entry",
                fault.error(),
                self.stored.advice
            )));
        }
        let quarantined = self.lease.quarantine().await;
        self.stored.note(Step::Save, self.request, quarantined)?;
        events::quarantined(fault.error());
        Ok(())
    }

    /// Fetches from a source that can be asked again. Its token is used even if it cannot be stored.
    async fn fetch_and_save(&mut self, entry: Option<Entry>) -> Result<Token, Stop> {
        let stored = self.stored;
        let asked = wall_time(self.request);
        let fetched = match stored.local_token(self.request) {
            // Fetched during an outage of the store: the issuer need not be asked again to share it now.
            Some(local) => Ok(local.never_recheck()),
            None => self.fetch(entry.as_ref()).await,
        };
        let token = match fetched {
            Ok(token) => token,
            Err(error) => {
                let failed = stored.failed(error.clone(), self.request, entry.as_ref());
                // The source of another token shares its own pauses.
                if error.pause().is_some() && !error.is_remembered() {
                    let entry = entry.unwrap_or_else(|| Entry::empty(asked));
                    self.share_failure(entry, &error).await;
                }
                return Err(failed.into());
            }
        };
        let new = self.new_entry(token, asked);
        match self.save(&new).await {
            Ok(()) => {
                stored.outage.forget_token();
                stored.had_entry.store(true, Ordering::Relaxed);
            }
            // Another process stored a token, which the next renewal adopts. This one is valid as well.
            Err(fault) if fault.kind() == StoreErrorKind::Conflict => events::save_conflict(),
            Err(_) => return Ok(stored.keep_locally(new)),
        }
        Ok(new.token.expect("the entry was made of a token"))
    }

    /// Asks the source for the token that follows the stored one.
    pub(super) async fn fetch(&self, entry: Option<&Entry>) -> Result<Token, Error> {
        let request = self.request;
        let stored = entry.and_then(Entry::token).cloned();
        let previous = stored.or_else(|| request.previous().cloned());
        let next = TokenRequest {
            previous,
            ..request.clone()
        };
        // This may be a task of its own, on which the cache has not marked the thread.
        let fetch = poll_inside(request.cache, async {
            self.stored.source.fetch(&next).await
        });
        // Callers give up after the fetch timeout. A response that arrives later is still stored, because it may hold the
        // only valid refresh token; so this limit is longer.
        let timeout = request.timeout().saturating_mul(2).max(EXCHANGE_TIMEOUT);
        let fetched = clock::within(request.clock(), timeout, fetch).await;
        fetched.unwrap_or_else(|| {
            Err(Error::unavailable("the token source did not answer in time").outcome_unknown())
        })
    }

    /// The entry with a new token, whose lifetime counts from when the source was asked (T4).
    pub(super) fn new_entry(&self, token: Token, asked: SystemTime) -> Entry {
        let obtained = token.obtained().unwrap_or(asked);
        Entry::new(token.obtained_at(obtained), wall_time(self.request))
    }

    /// Stores a failure, so that other processes do not ask an issuer that asked for a pause.
    async fn share_failure(&mut self, entry: Entry, error: &Error) {
        let entry = self.with_failure(entry, error);
        // If it fails, others find out about the issuer themselves.
        let _ = self.save(&entry).await;
    }

    /// The entry with a failure, if other processes should not ask an issuer that refused or asked for a pause.
    pub(super) fn with_failure(&self, mut entry: Entry, error: &Error) -> Entry {
        let is_refusal = error.kind() == ErrorKind::Refused;
        let pause = match error.pause() {
            _ if error.is_remembered() => Duration::ZERO,
            Some(pause) => pause.min(LONGEST_ISSUER_PAUSE),
            // A refusal that may pass, or one of this process's client or assertion, says nothing to others.
            None if error.is_about_client() || error.is_asked_again_later() => Duration::ZERO,
            None if is_refusal => REFUSAL_SHARED_FOR,
            None => Duration::ZERO,
        };
        let now = wall_time(self.request);
        entry.saved = now;
        entry.failure = (!pause.is_zero()).then(|| Failure {
            at: now,
            pause,
            is_refusal,
            // The text of an error holds no secret (S1), so other processes may read and log it.
            message: own_texts(error).join(": "),
        });
        entry
    }

    async fn load(&mut self) -> Result<Option<StoredEntry>, StoreError> {
        let loaded = self.lease.load().await;
        self.stored.note(Step::Load, self.request, loaded)
    }

    pub(super) async fn save(&mut self, entry: &Entry) -> Result<(), StoreError> {
        let saved = self.lease.save(entry).await;
        self.stored.note(Step::Save, self.request, saved)
    }

    /// Saves again after each failure, until [`SAVE_TIMEOUT`] has passed or another process has saved.
    pub(super) async fn save_persistently(
        &mut self,
        entry: &Entry,
        failed: impl Fn(&mut Self, &StoreError),
    ) -> Result<(), StoreError> {
        let mut entry = entry.clone();
        let clock = self.request.clock();
        let deadline = clock.elapsed().saturating_add(SAVE_TIMEOUT);
        let mut attempt = 0;
        loop {
            attempt += 1;
            // A database measures the age of an entry from its save (T6).
            entry.saved = wall_time(self.request);
            let fault = match self.save(&entry).await {
                Ok(()) => return Ok(()),
                Err(fault) => fault,
            };
            if fault.kind() == StoreErrorKind::Conflict || clock.elapsed() >= deadline {
                return Err(fault);
            }
            failed(self, &fault);
            let pause = SAVE_BACKOFF.half_jitter(attempt, fastrand::f64());
            clock.sleep(pause).await;
        }
    }
}

/// How many leases one caller takes before it gives up, if each expires before its exchange begins.
const LEASES_PER_CALLER: usize = 3;

/// How long to wait for the lease before the store is searched for a new token.
const LEASE_WAIT: Duration = Duration::from_millis(100);

/// How long a process that lost its lease may take to store its result.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(1);

const SETTLE_PAUSE: Duration = Duration::from_millis(50);

/// The shortest limit of one exchange: a token endpoint may be asked for its metadata, for a token, and again with a nonce.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(2 * 60);

/// How long a refusal keeps other processes from asking. Then one asks again, because a configuration may have been fixed.
const REFUSAL_SHARED_FOR: Duration = Duration::from_secs(60);

/// How long saving a new refresh token is tried before the token counts as lost.
pub(super) const SAVE_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// The pauses between these tries. Each ends before another process that waits for this result repeats the exchange.
const SAVE_BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(50),
    cap: Duration::from_millis(500),
};
