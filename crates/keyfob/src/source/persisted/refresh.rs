//! The exchange of a refresh token, which must not be lost or repeated blindly: note, exchange, save.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::error::error::ErrorKind;
use crate::exchange::backoff::Backoff;
use crate::observe::store as events;
use crate::source::persisted::decision::consumed;
use crate::source::persisted::process_name::this_process;
use crate::source::persisted::renewal::{Caller, Desk, End, Stop, told, wall};
use crate::source::source::TokenRequest;
use crate::store::entry::{Entry, PendingExchange};
use crate::store::error::StoreErrorKind;
use crate::store::store::StoreLease;
use crate::token::token::Token;

impl Desk {
    /// Exchanges a refresh token: note, exchange, durable save.
    pub(super) async fn exchange(
        &self,
        lease: &mut dyn StoreLease,
        request: &TokenRequest,
        mut entry: Entry,
        attempts: u32,
        caller: &mut Caller,
    ) -> End {
        let with = consumed(entry.token());
        let before = entry.clone();
        let now = wall(request);
        let began = match &entry.pending {
            // The grace of the issuer counts from the first exchange.
            Some(pending) if attempts > 1 && pending.refresh_token == with => pending.started,
            _ => now,
        };
        entry.saved = now;
        entry.pending = Some(PendingExchange {
            refresh_token: with.clone(),
            started: began,
            process: this_process(),
            attempts,
        });
        match lease.save(&entry).await {
            Ok(()) => {}
            Err(fault) if fault.kind() == StoreErrorKind::Conflict => return End::Again,
            Err(fault) => {
                caller.tell(Err(fault.clone().into()));
                self.take_back(lease, request, &before).await;
                return End::Done(Err(fault.into()));
            }
        }
        self.had_entry.store(true, Ordering::Relaxed);
        let asked = wall(request);
        match self.fetch(request, Some(&entry)).await {
            Ok(token) => {
                let old = entry.token().and_then(Token::refresh_secret);
                let token = token.or_refresh_token(old);
                let obtained = token.obtained().unwrap_or(asked);
                let new = Entry::new(token.obtained_at(obtained), wall(request));
                self.keep(lease, request, new, with, caller).await
            }
            Err(error) => {
                // An answer that cannot be read was one all the same.
                let is_unknown = error.is_outcome_unknown() || error.kind() == ErrorKind::Malformed;
                if !is_unknown {
                    entry.pending = None;
                    self.share_failure(lease, request, entry, &error).await;
                }
                End::Done(Err(Stop::Source(error)))
            }
        }
    }

    /// Takes back a note that may have been stored though its save failed: nothing was exchanged after it.
    ///
    /// Where the save of a living holder either fails or is done, there is nothing to take back.
    async fn take_back(&self, lease: &mut dyn StoreLease, request: &TokenRequest, before: &Entry) {
        if !self.store.leases_expire() {
            return;
        }
        let clock = request.clock();
        let end = clock.elapsed().saturating_add(KEEP_TRYING);
        for attempt in 1.. {
            let saved = lease.save(before).await;
            let is_over = match saved {
                Ok(()) => true,
                Err(fault) => fault.kind() == StoreErrorKind::Conflict || clock.elapsed() >= end,
            };
            if is_over {
                return;
            }
            let pause = KEEP_PAUSE.half_jitter(attempt, fastrand::f64());
            clock.sleep(pause).await;
        }
    }

    /// Stores the answer to an exchange, for as long as it takes: until then nobody may use it, and nobody may exchange.
    async fn keep(
        &self,
        lease: &mut dyn StoreLease,
        request: &TokenRequest,
        new: Entry,
        with: Option<String>,
        caller: &mut Caller,
    ) -> End {
        let clock = request.clock();
        let end = clock.elapsed().saturating_add(KEEP_TRYING);
        let token = new.token.clone().expect("it was made of a token");
        for attempt in 1.. {
            let fault = match lease.save(&new).await {
                Ok(()) => return End::Done(Ok(token)),
                Err(fault) if fault.kind() == StoreErrorKind::Conflict => {
                    return End::Conflict { token, with };
                }
                Err(fault) => fault,
            };
            if clock.elapsed() >= end {
                events::refresh_token_lost(fault.error());
                return End::Done(Err(fault.into()));
            }
            events::save_failed(fault.error());
            caller.tell(Err(fault.into()));
            clock
                .sleep(KEEP_PAUSE.half_jitter(attempt, fastrand::f64()))
                .await;
        }
        unreachable!("there are more attempts than time")
    }

    /// A holder that lost its lease looks what the others did meanwhile.
    ///
    /// If they have got a token, that one counts. If they have got none, this is the only living refresh token.
    pub(super) async fn look_again(
        &self,
        request: &TokenRequest,
        token: Token,
        with: Option<String>,
    ) -> Result<Token, Stop> {
        events::save_conflict();
        let mut lease = self.store.lease(&self.key, request.timeout()).await?;
        let looked = self.reconcile(&mut *lease, request, token, with).await;
        lease.release().await;
        looked
    }

    async fn reconcile(
        &self,
        lease: &mut dyn StoreLease,
        request: &TokenRequest,
        token: Token,
        with: Option<String>,
    ) -> Result<Token, Stop> {
        let stored = lease.load().await?.map(|kept| told(kept, request));
        let moved_on = stored.as_ref().and_then(Entry::token);
        if let Some(stored) = moved_on.filter(|stored| consumed(Some(stored)) != with) {
            return Ok(stored.clone());
        }
        lease
            .save(&Entry::new(token.clone(), wall(request)))
            .await?;
        Ok(token)
    }
}

/// A new refresh token that cannot be stored is tried to be stored for so long …
const KEEP_TRYING: Duration = Duration::from_secs(10 * 60);

/// … with these pauses, of which one ends before its exchange would be repeated.
const KEEP_PAUSE: Backoff = Backoff {
    first: Duration::from_millis(50),
    cap: Duration::from_millis(500),
};
