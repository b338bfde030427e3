//! A caller that waits for a token: what it wants, how long it waits, and what it gets at the end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_channel::oneshot::Canceled;

use crate::cache::lease::{Lease, same_token_again};
use crate::cache::renewal::Renewal;
use crate::cache::shared_state::{Lookup, SharedState};
use crate::clock::clock;
use crate::error::error::Error;
use crate::exchange::challenge::Challenges;
use crate::source::source::Reason;

/// A caller that waits for the renewal that it needs.
pub(super) struct Caller<'a> {
    state: &'a Arc<SharedState>,
    wants: Wanted<'a>,
    /// The renewal that it waited for last, and how many there were.
    last: Option<u64>,
    renewals: usize,
}

/// What a caller waits for.
pub(super) enum Wanted<'a> {
    /// A token that can be sent.
    Usable,
    /// Another token than this one, which was rejected or is due.
    Successor {
        of: &'a Lease,
        reason: Reason,
        challenges: &'a Challenges,
    },
    /// The result of a renewal, or a token that was set since this number was read.
    Renewed { tokens_set: u64 },
}

impl<'a> Caller<'a> {
    pub(super) fn new(state: &'a Arc<SharedState>, wants: Wanted<'a>) -> Self {
        Self {
            state,
            wants,
            last: None,
            renewals: 0,
        }
    }

    /// Waits at most this long.
    pub(super) async fn wait(mut self, max_wait: Option<Duration>) -> Result<Lease, Error> {
        let clock = &*self.state.current.clock;
        let deadline = max_wait.map(|max_wait| clock.elapsed().saturating_add(max_wait));
        loop {
            let renewal = match self.lookup() {
                Lookup::Ready(lease) => return self.accept(lease),
                Lookup::Failed(error) => return self.usable().ok_or(error),
                Lookup::Wait(renewal) => renewal,
            };
            let limit = self.limit(&renewal, deadline);
            let ended = clock::within(clock, limit, renewal.result).await;
            if ended.is_none() {
                self.state.take_back_places();
            }
            let is_over = || deadline.is_some_and(|deadline| clock.elapsed() >= deadline);
            match ended {
                Some(Ok(Ok(lease))) => return self.accept(lease),
                // T3: a failed renewal is an error only if no usable token is left.
                Some(Ok(Err(error))) => return self.usable().ok_or(error),
                Some(Err(Canceled)) if self.renewals >= MAX_RENEWALS => {
                    return self.usable().ok_or_else(stopped);
                }
                Some(Err(Canceled)) => {}
                None if is_over() => return self.after_max_wait(),
                None => {
                    if let Some(lease) = self.usable() {
                        return Ok(lease);
                    }
                }
            }
            // The renewal ended without a result, or its runtime does not run it: the next lookup starts another (T7).
        }
    }

    /// What a caller gets whose time is over: a usable token, except the rejected one, or an error.
    pub(super) fn after_max_wait(&self) -> Result<Lease, Error> {
        self.state.current.after_max_wait(match self.wants {
            Wanted::Successor { of, .. } => Some(of),
            Wanted::Usable | Wanted::Renewed { .. } => None,
        })
    }

    fn lookup(&mut self) -> Lookup {
        let lookup = match self.wants {
            Wanted::Usable => self.state.lookup(),
            Wanted::Successor {
                of,
                reason,
                challenges,
            } => self.state.replace(of, reason, challenges),
            Wanted::Renewed { tokens_set } => self.state.renew(tokens_set),
        };
        if let Lookup::Wait(renewal) = &lookup
            && self.last != Some(renewal.number)
        {
            if self.last.is_none() && matches!(self.wants, Wanted::Usable) && !renewal.is_first {
                // `Relaxed` is enough for a number that only a dashboard reads.
                self.state.delayed.fetch_add(1, Ordering::Relaxed);
            }
            self.last = Some(renewal.number);
            self.renewals += 1;
        }
        lookup
    }

    /// How long this caller waits before it looks again.
    fn limit(&self, renewal: &Renewal, deadline: Option<Duration>) -> Duration {
        let current = &self.state.current;
        let now = current.clock.elapsed();
        let deadline = deadline.map_or(Duration::MAX, |deadline| deadline.saturating_sub(now));
        let valid = self
            .usable()
            .map(|Lease(token)| token.schedule.longest_wait(now));
        renewal
            .next_look(now, self.state.settings.fetch_timeout)
            .min(deadline)
            .min(valid.unwrap_or(Duration::MAX))
    }

    /// The current token, if it is one that this caller can take although its renewal has not ended, or has failed.
    fn usable(&self) -> Option<Lease> {
        match self.wants {
            Wanted::Usable => self.state.current.usable(),
            Wanted::Successor { .. } | Wanted::Renewed { .. } => None,
        }
    }

    fn accept(&self, lease: Lease) -> Result<Lease, Error> {
        match self.wants {
            Wanted::Successor {
                of,
                reason: Reason::Rejected,
                ..
            } if lease.same_as(of) => Err(same_token_again()),
            _ => Ok(lease),
        }
    }
}

fn stopped() -> Error {
    Error::unavailable(
        "the runtime stopped before there was a token; ask again from a runtime that keeps running",
    )
}

/// How many renewals one caller waits for, if each is abandoned because its runtime stops.
const MAX_RENEWALS: usize = 4;
