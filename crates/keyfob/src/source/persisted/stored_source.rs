//! A source and its entry in the store: what can be done without the lease.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use crate::error::error::{Error, ErrorKind};
use crate::observe::store as events;
use crate::source::persisted::caller::Stop;
use crate::source::persisted::decision::{Question, fingerprint_of};
use crate::source::persisted::last_failure::LastFailure;
use crate::source::persisted::outage::{OnStoreOutage, Outage};
use crate::source::source::{Reason, TokenRequest, TokenSource};
use crate::store::availability::{Probe, Step};
use crate::store::entry::Entry;
use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::key::StoreKey;
use crate::store::store::{StoredEntry, TokenStore};
use crate::token::token::Token;

/// A source, the entry that its tokens are stored in, and what this process remembers of both.
#[derive(Clone)]
pub(super) struct StoredSource {
    pub(super) source: Arc<dyn TokenSource>,
    pub(super) store: Arc<dyn TokenStore>,
    pub(super) key: StoreKey,
    pub(super) issuer_grace: Duration,
    /// What a person does to sign in again.
    pub(super) advice: Arc<str>,
    /// Whether the sign-in has ended if there was an entry and now there is none.
    pub(super) ends_with_entry: bool,
    pub(super) on_outage: OnStoreOutage,
    pub(super) outage: Arc<Outage>,
    pub(super) last_failure: Arc<LastFailure>,
    /// There was an entry. If there is none now, the store has lost it, or a person has removed it.
    pub(super) had_entry: Arc<AtomicBool>,
}

impl StoredSource {
    pub(super) fn question<'a>(&'a self, request: &'a TokenRequest) -> Question<'a> {
        Question {
            reason: request.reason(),
            previous: request.previous(),
            default_lifetime: request.default_lifetime(),
            now: wall_time(request),
            consumes_refresh_token: self.source.consumes_refresh_token(),
            issuer_grace: self.issuer_grace,
            advice: &self.advice,
        }
    }

    /// Whether to ask the store for this step, or to go on with the fault of others who asked.
    ///
    /// A caller that has no token and can get none without the store always asks: the store may be back before its timeout.
    pub(super) fn admit(
        &self,
        step: Step,
        request: &TokenRequest,
    ) -> Result<Option<Probe>, StoreError> {
        let pause = match request.reason() {
            // The token in use may still be valid, so that nobody waits.
            Reason::Due => PROBE_PAUSE,
            _ if self.needs_store() => return Ok(None),
            _ => STORE_RECHECK,
        };
        let now = request.clock().elapsed();
        self.outage.availability.admit(step, now, pause)
    }

    /// Whether the source is never asked without the store. T9: "Without the lock, no exchange."
    fn needs_store(&self) -> bool {
        self.on_outage == OnStoreOutage::Fail || self.source.consumes_refresh_token()
    }

    /// Notes whether the store did this step, for all who use it.
    pub(super) fn note<T>(
        &self,
        step: Step,
        request: &TokenRequest,
        result: Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.outage.note(step, request.clock().elapsed(), result)
    }

    /// The stored token, if it serves this request, or the failure that must not be repeated. Reading it needs no lease.
    pub(super) async fn lookup(&self, request: &TokenRequest) -> Result<Option<Token>, Stop> {
        let loaded = self.store.load(&self.key).await;
        let stored = match self.note(Step::Load, request, loaded) {
            // Whether such an entry may be replaced is decided under the lease.
            Err(fault)
                if matches!(
                    fault.kind(),
                    StoreErrorKind::Damaged | StoreErrorKind::Outdated
                ) =>
            {
                return Ok(None);
            }
            loaded => loaded?,
        };
        let entry = stored.map(|stored| rebased(stored, request));
        let question = self.question(request);
        let token = entry.as_ref().and_then(|entry| question.adoptable(entry));
        if let Some(token) = token {
            self.had_entry.store(true, Ordering::Relaxed);
            self.outage.forget_token();
            self.last_failure.forget();
            events::adopted(request.reason().name());
            return Ok(Some(token.clone()));
        }
        if request.reason() != Reason::Forced
            && let Some(failure) = entry
                .as_ref()
                .and_then(|entry| question.shared_failure(entry))
        {
            return Err(self.refused(failure, request, entry.as_ref()).into());
        }
        match self.own_failure(request, entry.as_ref()) {
            Some(failure) => Err(failure.into()),
            None => Ok(None),
        }
    }

    /// The failure of an earlier call of this process, if the source is not to be called now.
    pub(super) fn own_failure(
        &self,
        request: &TokenRequest,
        entry: Option<&Entry>,
    ) -> Option<Error> {
        // A person who forces a renewal may know that the issuer works again.
        if request.reason() == Reason::Forced {
            return None;
        }
        let fingerprint = self.fingerprint(entry);
        let now = request.clock().elapsed();
        self.last_failure.of(fingerprint.as_deref(), now)
    }

    /// The error of a call, which is remembered if the call must not be repeated soon.
    pub(super) fn failed(
        &self,
        error: Error,
        request: &TokenRequest,
        entry: Option<&Entry>,
    ) -> Error {
        let now = request.clock().elapsed();
        self.last_failure
            .remember(error, self.fingerprint(entry), now)
    }

    /// The error that the entry leads to without a call.
    ///
    /// A refusal that another process has stored is remembered longer than it is shared.
    pub(super) fn refused(
        &self,
        error: Error,
        request: &TokenRequest,
        entry: Option<&Entry>,
    ) -> Error {
        let error = match error.kind() {
            ErrorKind::Refused => self.failed(error, request, entry),
            _ => error,
        };
        error.without_call()
    }

    /// The fingerprint of the refresh token that an exchange uses up.
    fn fingerprint(&self, entry: Option<&Entry>) -> Option<String> {
        let token = entry.and_then(Entry::token);
        fingerprint_of(token.filter(|_| self.source.consumes_refresh_token()))
    }

    /// After a failed renewal: the stored token, if it has not expired (T3).
    pub(super) async fn last_resort(
        &self,
        request: &TokenRequest,
        failure: Error,
    ) -> Result<Token, Error> {
        // A store that fails here adds nothing: the caller gets the failure of the renewal.
        let stored = self.store.load(&self.key).await.ok().flatten();
        let entry = stored.map(|stored| rebased(stored, request));
        let token = entry.and_then(|entry| self.question(request).last_resort(&entry).cloned());
        let Some(token) = token else {
            return Err(failure);
        };
        events::stored_token_kept(&failure);
        Ok(token)
    }

    /// While the store is not available: a token that is not shared, if policy and source allow that.
    pub(super) async fn without_store(
        &self,
        request: &TokenRequest,
        fault: StoreError,
    ) -> Result<Token, Error> {
        if fault.kind() != StoreErrorKind::Unavailable {
            return Err(fault.into());
        }
        if self.needs_store() {
            return Err(fault.into());
        }
        if let Some(local) = self.local_token(request) {
            return Ok(local);
        }
        if let Some(failure) = self.own_failure(request, None) {
            return Err(failure);
        }
        let asked = wall_time(request);
        let fetched = self.source.fetch(request).await;
        let token = fetched.map_err(|error| self.failed(error, request, None))?;
        events::fetched_without_store();
        Ok(self.keep_locally(Entry::new(token.obtained_at(asked), asked)))
    }

    /// A token that was fetched without the store and still serves this request.
    pub(super) fn local_token(&self, request: &TokenRequest) -> Option<Token> {
        let token = self.outage.token();
        token.filter(|token| self.question(request).is_worth_sharing(token))
    }

    /// Keeps a token in memory. The cache asks again soon, and then the store may be available.
    pub(super) fn keep_locally(&self, entry: Entry) -> Token {
        let token = entry.token.expect("the entry was made of a token");
        let token = token.recheck_after(STORE_RECHECK);
        self.outage.remember(token.clone());
        token
    }
}

/// The entry with its times on this process's clock.
pub(super) fn rebased(stored: StoredEntry, request: &TokenRequest) -> Entry {
    stored.entry.rebase(wall_time(request), stored.age)
}

pub(super) fn wall_time(request: &TokenRequest) -> SystemTime {
    request.clock().coarse_time().wall_time()
}

/// How soon the store is tried again for a token that was fetched without it, or by a caller who waits for one.
const STORE_RECHECK: Duration = Duration::from_secs(10);

/// How soon the store is tried again in the background, for any key.
const PROBE_PAUSE: Duration = Duration::from_secs(1);
