//! The exchange of a refresh token, which must not be lost or repeated blindly: note, exchange, save (T9).

use std::process;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::clock::backoff::Backoff;
use crate::error::error::Error;
use crate::error::printable::printable;
use crate::observe::store as events;
use crate::source::persisted::decision::fingerprint_of;
use crate::source::persisted::renewal::{Interruption, Renewal};
use crate::source::persisted::stored_source::wall_time;
use crate::store::entry::{Entry, PendingExchange};
use crate::store::error::{StoreError, StoreErrorKind};
use crate::token::new_refresh_token::NewRefreshToken;
use crate::token::token::Token;

impl Renewal<'_> {
    /// Stores a note, exchanges the refresh token, and stores the new token.
    pub(super) async fn exchange(
        mut self,
        entry: Option<Entry>,
        attempt: u32,
    ) -> Result<Token, Interruption> {
        let mut entry = entry.unwrap_or_else(|| self.first_entry());
        let fingerprint = fingerprint_of(entry.token());
        let before = entry.clone();
        let now = wall_time(self.request);
        let started = match &entry.pending {
            // The issuer's grace counts from the first exchange.
            Some(first) if attempt > 1 && first.fingerprint == fingerprint => first.started,
            _ => now,
        };
        entry.saved = now;
        entry.pending = Some(PendingExchange {
            fingerprint: fingerprint.clone(),
            started,
            process: this_process(),
            attempts: attempt,
        });
        if let Err(fault) = self.lease.save(&entry).await {
            if fault.kind() == StoreErrorKind::Conflict {
                return Err(Interruption::Again);
            }
            // At once, because to withdraw the note may take minutes.
            self.caller.answer(Err(fault.clone().into()));
            self.withdraw_note(&before).await;
            return Err(fault.into());
        }
        self.stored.had_entry.store(true, Ordering::Relaxed);
        // From here on the refresh token may be used up, so the note stays until the outcome is stored.
        let asked = wall_time(self.request);
        match self.fetch(Some(&entry)).await {
            Ok(token) => {
                let old = entry.token().and_then(Token::refresh_secret);
                let new = self.new_entry(token.or_refresh_token(old), asked);
                self.save_new_token(new, fingerprint).await
            }
            Err(error) => {
                entry.pending = before.pending;
                self.settle_failure(entry, &error).await;
                Err(error.into())
            }
        }
    }

    /// Stores what a failed exchange leaves. The entry has the note of the exchange before this one, if there is one.
    ///
    /// If the refresh token may be used up, the note of this exchange stays. Otherwise this exchange changed nothing: what was
    /// unknown before it is still unknown.
    async fn settle_failure(&mut self, mut entry: Entry, error: &Error) {
        let newest = NewRefreshToken::in_error(error).cloned();
        if newest.is_none() && error.may_have_used_up() {
            return;
        }
        if let Some(newest) = newest {
            entry.pending = None;
            entry.token = Some(match entry.token.take() {
                Some(token) => token.replace_refresh_token(newest),
                None => Token::expired_with_refresh_token(newest),
            });
            let report = |_: &mut Self, fault: &StoreError| events::save_failed(fault.error());
            if let Err(fault) = self.save_persistently(&entry, report).await {
                events::refresh_token_lost(fault.error());
            }
        }
        self.share_failure(entry, error).await;
    }

    /// An entry for the first exchange, with the token that is in memory, if there is one.
    fn first_entry(&self) -> Entry {
        let now = wall_time(self.request);
        match self.request.previous() {
            Some(previous) => Entry::new(previous.clone(), now),
            None => Entry::empty(now),
        }
    }

    /// Withdraws a note that may have been stored although saving it failed: nothing was exchanged after it.
    ///
    /// Where leases do not expire, a failed save has stored nothing, so that there is nothing to withdraw.
    async fn withdraw_note(&mut self, before: &Entry) {
        if self.stored.store.leases_expire() {
            // If it fails to the end, the note stays, and the refresh token is tried once more within the grace.
            let _ = self.save_persistently(before, |_, _| {}).await;
        }
    }

    /// Stores the result of an exchange. Until that is done, it is not used and nothing else is exchanged.
    async fn save_new_token(
        mut self,
        new: Entry,
        fingerprint: Option<String>,
    ) -> Result<Token, Interruption> {
        let saved = self.save_persistently(&new, |renewal, fault| {
            events::save_failed(fault.error());
            renewal.caller.answer(Err(fault.clone().into()));
        });
        let saved = saved.await;
        let token = new.token.expect("the entry was made of a token");
        match saved {
            Ok(()) => Ok(token),
            Err(fault) if fault.kind() == StoreErrorKind::Conflict => {
                let token = Box::new(token);
                Err(Interruption::Conflict { token, fingerprint })
            }
            Err(fault) => {
                events::refresh_token_lost(fault.error());
                Err(fault.into())
            }
        }
    }

    /// Saves again after each failure, until [`SAVE_TIMEOUT`] has passed or another process has saved.
    async fn save_persistently(
        &mut self,
        entry: &Entry,
        failed: impl Fn(&mut Self, &StoreError),
    ) -> Result<(), StoreError> {
        let clock = self.request.clock();
        let deadline = clock.elapsed().saturating_add(SAVE_TIMEOUT);
        let mut attempt = 0;
        loop {
            attempt += 1;
            let fault = match self.lease.save(entry).await {
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

/// The name of this process in a note, for people: its number and its machine.
fn this_process() -> String {
    let id = process::id();
    #[cfg(unix)]
    if let Ok(machine) = rustix::system::uname().nodename().to_str() {
        return format!("process {id} on {}", printable(machine));
    }
    format!("process {id}")
}

/// How long saving a new refresh token is tried before the token counts as lost.
const SAVE_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// The pauses between these tries. Each ends before another process that waits for this result repeats the exchange.
const SAVE_BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(50),
    cap: Duration::from_millis(500),
};
