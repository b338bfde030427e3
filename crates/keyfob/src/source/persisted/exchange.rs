//! The exchange of a refresh token, which must not be lost or repeated blindly: note, exchange, save (T9).

use std::process;
use std::sync::atomic::Ordering;

use crate::error::error::Error;
use crate::error::printable::printable;
use crate::observe::store as events;
use crate::source::persisted::decision::fingerprint_of;
use crate::source::persisted::renewal::{Interruption, Renewal, report_unsaved};
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
        let mut entry = match entry {
            Some(entry) => entry,
            None => self.first_entry()?,
        };
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
        if let Err(fault) = self.save(&entry).await {
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
                let failed = self.with_failure(entry, &error);
                let error = self.stored.failed(error, self.request, Some(&failed));
                self.settle_failure(failed, &error).await;
                Err(error.into())
            }
        }
    }

    /// Stores what a failed exchange leaves. The entry has the note of the exchange before this one, if there is one.
    ///
    /// If the refresh token may be used up, the note of this exchange stays. Otherwise this exchange changed nothing: what was
    /// unknown before it is still unknown. The note must go, or the failure is taken for an unknown one later.
    async fn settle_failure(&mut self, mut entry: Entry, error: &Error) {
        let newest = NewRefreshToken::in_error(error).cloned();
        let has_newest = newest.is_some();
        if !has_newest && error.may_have_used_up() {
            return;
        }
        if let Some(newest) = newest {
            entry.pending = None;
            entry.token = Some(match entry.token.take() {
                Some(token) => token.replace_refresh_token(newest),
                None => Token::expired_with_refresh_token(newest),
            });
        }
        let report = |renewal: &mut Self, fault: &StoreError| {
            if has_newest {
                events::save_failed(fault.error());
            }
            renewal.caller.answer(Err(error.clone().into()));
        };
        if let Err(fault) = self.save_persistently(&entry, report).await
            && has_newest
        {
            events::refresh_token_lost(fault.error());
        }
    }

    /// An entry for the first exchange, with the token that is in memory, if there is one.
    fn first_entry(&self) -> Result<Entry, Error> {
        let stored = self.stored;
        if stored.ends_with_entry && stored.had_entry.load(Ordering::Relaxed) {
            let advice = &stored.advice;
            let removed = Error::refused(format!("the stored sign-in was removed; {advice}"));
            // The next sign-in is looked for.
            return Err(removed.without_call());
        }
        let now = wall_time(self.request);
        Ok(match self.request.previous() {
            Some(previous) => Entry::new(previous.clone(), now),
            None => Entry::empty(now),
        })
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
        let report = |renewal: &mut Self, fault: &StoreError| report_unsaved(renewal.caller, fault);
        let saved = self.save_persistently(&new, report).await;
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
