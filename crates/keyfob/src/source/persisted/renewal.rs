//! One holder's turn: lease, read again, still needed? note, exchange, save, release.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use futures_channel::oneshot;
use futures_util::FutureExt;

use crate::clock::clock;
use crate::error::error::{Error, ErrorKind};
use crate::observe::store as events;
use crate::source::persisted::decision::{Question, Verdict, consumed};
use crate::source::persisted::refusal::Refusal;
use crate::source::persisted::store_outage::{Absence, OnStoreOutage};
use crate::source::reentrancy::poll_inside;
use crate::source::source::{Reason, TokenRequest, TokenSource};
use crate::store::entry::{Entry, Failure};
use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::key::StoreKey;
use crate::store::store::{StoreLease, StoredEntry, TokenStore};
use crate::token::token::Token;

/// What all clones of a persisted source share.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) source: Arc<dyn TokenSource>,
    pub(super) store: Arc<dyn TokenStore>,
    pub(super) key: StoreKey,
    pub(super) grace: Duration,
    pub(super) policy: OnStoreOutage,
    absence: Arc<Absence>,
    refusal: Arc<Refusal>,
    /// There was an entry: if there is none any more, the store has lost it.
    pub(super) had_entry: Arc<AtomicBool>,
}

/// Why a turn brought no token.
pub(super) enum Stop {
    Store(StoreError),
    Source(Error),
}

impl From<StoreError> for Stop {
    fn from(fault: StoreError) -> Self {
        Self::Store(fault)
    }
}

/// Who waits for a turn's outcome.
pub(super) struct Caller(Option<oneshot::Sender<Result<Token, Stop>>>);

impl Caller {
    /// One who takes the turn with him when he goes.
    pub(super) fn patient() -> Self {
        Self(None)
    }

    pub(super) fn waiting(sender: oneshot::Sender<Result<Token, Stop>>) -> Self {
        Self(Some(sender))
    }

    fn is_gone(&self) -> bool {
        self.0.as_ref().is_some_and(oneshot::Sender::is_canceled)
    }

    /// Tells the outcome, unless it was told already.
    pub(super) fn tell(&mut self, outcome: Result<Token, Stop>) {
        if let Some(sender) = self.0.take() {
            // Nobody waits any more if the receiver is gone.
            let _ = sender.send(outcome);
        }
    }
}

/// What a wait for the lease has brought.
enum Wait {
    Lease(Box<dyn StoreLease>),
    Token(Token),
}

/// How a turn under one lease ended.
pub(super) enum End {
    Done(Result<Token, Stop>),
    /// Somebody else had saved before the exchange could begin.
    Again,
    /// Somebody else had saved before this token could be; it is the answer to an exchange of that refresh token.
    Conflict {
        token: Token,
        with: Option<String>,
    },
}

impl Desk {
    pub(super) fn new(
        source: Arc<dyn TokenSource>,
        store: Arc<dyn TokenStore>,
        key: StoreKey,
    ) -> Self {
        Self {
            source,
            store,
            key,
            grace: ISSUER_GRACE,
            policy: OnStoreOutage::default(),
            absence: Arc::default(),
            refusal: Arc::default(),
            had_entry: Arc::default(),
        }
    }

    /// The stored token, if it does for what is asked; no lease is needed to read it.
    pub(super) async fn look(&self, request: &TokenRequest) -> Result<Option<Token>, StoreError> {
        let loaded = self.store.load(&self.key).await;
        let kept = match loaded {
            Err(fault) if fault.kind() == StoreErrorKind::Damaged => return Ok(None),
            loaded => loaded?,
        };
        self.absence.ended();
        let entry = kept.map(|kept| told(kept, request));
        let token = entry.and_then(|entry| self.question(request).adoptable(&entry).cloned());
        if token.is_some() {
            self.had_entry.store(true, Ordering::Relaxed);
            self.absence.forget();
            self.refusal.forget();
            events::adopted(request.reason().name());
        }
        Ok(token)
    }

    /// What is left when a renewal has failed: the stored token, for as long as it lasts (T3).
    pub(super) async fn last_resort(
        &self,
        request: &TokenRequest,
        failure: Error,
    ) -> Result<Token, Error> {
        let Ok(Some(kept)) = self.store.load(&self.key).await else {
            return Err(failure);
        };
        let entry = told(kept, request);
        let token = self.question(request).last_resort(&entry).cloned();
        let token = token.ok_or_else(|| failure.clone())?;
        events::stored_token_kept(&failure);
        Ok(token)
    }

    /// Waits for the lease, and gets a token if one is still needed.
    pub(super) async fn take_turn(
        &self,
        request: &TokenRequest,
        caller: &mut Caller,
    ) -> Result<Token, Stop> {
        for _ in 0..TURNS {
            let mut lease = match self.wait_for_lease(request, caller).await? {
                Wait::Lease(lease) => lease,
                Wait::Token(token) => return Ok(token),
            };
            let end = AssertUnwindSafe(self.hold(&mut *lease, request, caller))
                .catch_unwind()
                .await;
            lease.release().await;
            return match end {
                Ok(End::Done(outcome)) => outcome,
                Ok(End::Conflict { token, with }) => self.look_again(request, token, with).await,
                Ok(End::Again) => continue,
                Err(_) => Err(Stop::Source(Error::unavailable(
                    "the token source panicked",
                ))),
            };
        }
        Err(Stop::Source(Error::unavailable(
            "the lease of the token store was lost again and again",
        )))
    }

    /// Waits for the lease, or for the token that its holder gets: whoever waits need not line up for that.
    async fn wait_for_lease(&self, request: &TokenRequest, caller: &Caller) -> Result<Wait, Stop> {
        let clock = request.clock();
        let end = clock.elapsed().saturating_add(request.timeout());
        loop {
            let left = end.saturating_sub(clock.elapsed());
            match self.store.lease(&self.key, LEASE_LOOK.min(left)).await {
                Ok(lease) => return Ok(Wait::Lease(lease)),
                Err(fault) if fault.kind() != StoreErrorKind::Busy => return Err(fault.into()),
                Err(fault) if left <= LEASE_LOOK || caller.is_gone() => return Err(fault.into()),
                Err(_) => {}
            }
            if let Some(token) = self.look(request).await? {
                return Ok(Wait::Token(token));
            }
        }
    }

    /// What remains to be done while the store cannot be used.
    pub(super) async fn without_store(
        &self,
        request: &TokenRequest,
        fault: StoreError,
    ) -> Result<Token, Error> {
        if fault.kind() != StoreErrorKind::Unavailable {
            return Err(fault.into());
        }
        self.absence.began(fault.error());
        if self.policy == OnStoreOutage::Fail || self.source.consumes_refresh_token() {
            return Err(fault.into());
        }
        let question = self.question(request);
        let local = self.absence.token();
        if let Some(local) = local.filter(|token| question.is_worth_sharing(token)) {
            return Ok(local);
        }
        let asked = wall(request);
        let token = self.source.fetch(request).await?;
        events::fetched_without_store();
        let entry = Entry::new(token.obtained_at(asked), asked);
        Ok(self.keep_locally(entry))
    }

    /// Looks for the store again soon, beside the requests.
    fn keep_locally(&self, entry: Entry) -> Token {
        let token = entry.token.expect("it was made of a token");
        let token = token.recheck_after(RECHECK);
        self.absence.remember(token.clone());
        token
    }

    fn question<'a>(&self, request: &'a TokenRequest) -> Question<'a> {
        Question {
            reason: request.reason(),
            previous: request.previous(),
            default_lifetime: request.default_lifetime(),
            now: wall(request),
            consumes_refresh_token: self.source.consumes_refresh_token(),
            grace: self.grace,
        }
    }

    async fn hold(
        &self,
        lease: &mut dyn StoreLease,
        request: &TokenRequest,
        caller: &mut Caller,
    ) -> End {
        let entry = match self.read(lease, request).await {
            Ok(entry) => entry,
            Err(fault) => return End::Done(Err(fault.into())),
        };
        self.absence.ended();
        let refresh_token = consumed(entry.as_ref().and_then(Entry::token));
        let refused = self.refusal.of(refresh_token.as_deref());
        let refused = refused.filter(|_| request.reason() != Reason::Forced);
        match self.obey(lease, request, entry, refused, caller).await {
            End::Done(Err(Stop::Source(error))) => {
                let error = self.refusal.remember(error, refresh_token);
                End::Done(Err(Stop::Source(error)))
            }
            End::Done(Ok(token)) => {
                self.refusal.forget();
                End::Done(Ok(token))
            }
            end => end,
        }
    }

    /// Does what the entry asks for, unless the source has refused that already.
    async fn obey(
        &self,
        lease: &mut dyn StoreLease,
        request: &TokenRequest,
        entry: Option<Entry>,
        refused: Option<Error>,
        caller: &mut Caller,
    ) -> End {
        let question = self.question(request);
        let attempts = match question.decide(entry.as_ref()) {
            Verdict::Adopt(token) => {
                events::adopted(request.reason().name());
                return End::Done(Ok(token));
            }
            Verdict::Refuse(error) => return End::Done(Err(Stop::Source(error))),
            Verdict::Exchange(attempts) => attempts,
        };
        if let Some(error) = refused {
            return End::Done(Err(Stop::Source(error)));
        }
        if let Some(pending) = entry.as_ref().and_then(|entry| question.open_note(entry)) {
            events::exchange_repeated(pending.process());
        }
        if caller.is_gone() {
            return End::Done(Err(Stop::Source(Error::unavailable(
                "nobody waits any more",
            ))));
        }
        if !self.source.consumes_refresh_token() {
            return End::Done(self.ask(lease, request, entry).await);
        }
        let entry = entry.unwrap_or_else(|| first(request));
        self.exchange(lease, request, entry, attempts, caller).await
    }

    /// Reads the entry again, now that nobody else writes it.
    ///
    /// Where a holder may live on without its lease, it gets a moment to put its answer there before its exchange is repeated.
    async fn read(
        &self,
        lease: &mut dyn StoreLease,
        request: &TokenRequest,
    ) -> Result<Option<Entry>, StoreError> {
        let clock = request.clock();
        let mut waited = Duration::ZERO;
        loop {
            let kept = match lease.load().await {
                Err(fault)
                    if fault.kind() == StoreErrorKind::Damaged
                        && !self.source.consumes_refresh_token() =>
                {
                    lease.quarantine().await?;
                    events::quarantined(fault.error());
                    None
                }
                Err(fault) if fault.kind() == StoreErrorKind::Damaged => {
                    return Err(may_hold_refresh_token(&fault));
                }
                loaded => loaded?,
            };
            let entry = kept.map(|kept| told(kept, request));
            let unsettled = match &entry {
                Some(entry) => self.question(request).open_note(entry).is_some(),
                None => self.had_entry.load(Ordering::Relaxed),
            };
            let may_settle = self.store.leases_expire()
                && self.source.consumes_refresh_token()
                && waited < SETTLE;
            if !(unsettled && may_settle) {
                self.had_entry.fetch_or(entry.is_some(), Ordering::Relaxed);
                return Ok(entry);
            }
            clock.sleep(SETTLE_LOOK).await;
            waited += SETTLE_LOOK;
        }
    }

    /// Asks a source that may be asked again; that its token cannot be stored keeps nobody from using it.
    async fn ask(
        &self,
        lease: &mut dyn StoreLease,
        request: &TokenRequest,
        entry: Option<Entry>,
    ) -> Result<Token, Stop> {
        let local = self.absence.token();
        let local = local.filter(|token| self.question(request).is_worth_sharing(token));
        let asked = wall(request);
        let fetched = match local {
            Some(local) => Ok(local.never_recheck()),
            None => self.fetch(request, entry.as_ref()).await,
        };
        match fetched {
            Ok(token) => {
                let obtained = token.obtained().unwrap_or(asked);
                let new = Entry::new(token.obtained_at(obtained), wall(request));
                match lease.save(&new).await {
                    Ok(()) => {
                        self.absence.forget();
                        self.had_entry.store(true, Ordering::Relaxed);
                        Ok(new.token.expect("it was made of a token"))
                    }
                    // Another token is there, which the next renewal adopts; this one is as good.
                    Err(fault) if fault.kind() == StoreErrorKind::Conflict => {
                        events::save_conflict();
                        Ok(new.token.expect("it was made of a token"))
                    }
                    Err(fault) => {
                        self.absence.began(fault.error());
                        Ok(self.keep_locally(new))
                    }
                }
            }
            Err(error) => {
                if error.pause().is_some() {
                    let entry = entry.unwrap_or_else(|| Entry::empty(wall(request)));
                    self.share_failure(lease, request, entry, &error).await;
                }
                Err(Stop::Source(error))
            }
        }
    }

    /// Asks the source for the token that follows the stored one.
    pub(super) async fn fetch(
        &self,
        request: &TokenRequest,
        entry: Option<&Entry>,
    ) -> Result<Token, Error> {
        let stored = entry.and_then(Entry::token).cloned();
        let previous = stored.or_else(|| request.previous().cloned());
        let request = request.clone().previous_token(previous);
        let answer = poll_inside(request.cache(), async { self.source.fetch(&request).await });
        // Callers give up after the fetch timeout. A response that arrives later is still stored, because it may hold the
        // only valid refresh token; so this limit is longer.
        let longest = request.timeout().saturating_mul(2).max(EXCHANGE_TIMEOUT);
        clock::within(request.clock(), longest, answer)
            .await
            .unwrap_or_else(|| {
                Err(Error::unavailable("the token source did not answer in time").outcome_unknown())
            })
    }

    /// Lets those who share the store know how long the issuer wants to be left alone.
    pub(super) async fn share_failure(
        &self,
        lease: &mut dyn StoreLease,
        request: &TokenRequest,
        mut entry: Entry,
        error: &Error,
    ) {
        let is_refusal = error.kind() == ErrorKind::Refused;
        let pause = match is_refusal {
            true => REFUSED_FOR,
            false => error.pause().unwrap_or_default().min(LONGEST_PAUSE),
        };
        let now = wall(request);
        entry.saved = now;
        entry.failure = (!pause.is_zero()).then(|| Failure {
            at: now,
            pause,
            is_refusal,
            message: error.to_string(),
        });
        if let Err(fault) = lease.save(&entry).await {
            self.absence.began(fault.error());
        }
    }
}

/// The entry in the time of this process's clock.
pub(super) fn told(kept: StoredEntry, request: &TokenRequest) -> Entry {
    kept.entry.rebase(wall(request), kept.age)
}

/// An entry for the first exchange, with the token that is in memory, if there is one.
fn first(request: &TokenRequest) -> Entry {
    let now = wall(request);
    match request.previous() {
        Some(previous) => Entry::new(previous.clone(), now),
        None => Entry::empty(now),
    }
}

/// The entry may be all that is left of a sign-in, so that it is not simply replaced.
fn may_hold_refresh_token(fault: &StoreError) -> StoreError {
    fault.with_message(format!(
        "{}; it may have held the only refresh token: sign in again, or forget the entry",
        fault.error()
    ))
}

pub(super) fn wall(request: &TokenRequest) -> SystemTime {
    request.clock().coarse_time().wall_time()
}

/// So long after its start an exchange without an answer is tried once more, unless set.
pub(super) const ISSUER_GRACE: Duration = Duration::from_secs(30);

/// Who waits for the lease looks so often whether the token is there.
const LEASE_LOOK: Duration = Duration::from_millis(100);

/// So often a caller takes a turn whose lease is lost before it has begun.
const TURNS: usize = 3;

/// How soon the store is looked at again by who had to do without it.
const RECHECK: Duration = Duration::from_secs(10);

/// A holder that lost its lease has so long to store its answer before its exchange is repeated …
const SETTLE: Duration = Duration::from_secs(1);

/// … and is looked for so often.
const SETTLE_LOOK: Duration = Duration::from_millis(50);

/// The shortest limit of one exchange: a token endpoint may be asked for its metadata, for a token, and again with a nonce.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(2 * 60);

/// So long a refusal is shared; then somebody asks again, for a configuration may have been mended.
const REFUSED_FOR: Duration = Duration::from_secs(60);

/// The longest pause that an issuer's `Retry-After` is believed.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);
