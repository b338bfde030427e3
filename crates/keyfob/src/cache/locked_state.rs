//! What a cache remembers under its lock: the running renewal, the last failure, and rejections.

use std::time::Duration;

use crate::cache::lease::{Snapshot, same_token_again};
use crate::cache::renewal::Renewal;
use crate::clock::backoff::Backoff;
use crate::error::error::{Error, ErrorKind};
use crate::exchange::retry_after::LONGEST_ISSUER_PAUSE;

/// The part of a cache's state that only changes under the lock.
#[derive(Default)]
pub(super) struct LockedState {
    /// Boxed, like the failure, because most caches of a pool have none.
    pub(super) renewal: Option<Box<Renewal>>,
    /// How many renewals have started.
    pub(super) started: u64,
    pub(super) generation: u64,
    /// The generation that callbacks were given for the token of the running renewal.
    announced: Option<u64>,
    /// How many tokens callers have set. A renewal that started before the last of them does not count.
    pub(super) tokens_set: u64,
    failure: Option<Box<Failure>>,
    pub(super) rejections: Rejections,
    pub(super) renewals: u64,
    pub(super) failures: u64,
}

/// The failure of the last renewal. It is forgotten when a token is installed.
struct Failure {
    error: Error,
    /// How many calls have failed.
    in_a_row: u32,
    /// How often the source has remembered its failure since.
    looks: u32,
    /// The end of the cool-down. `None` for a permanent refusal that only a forced renewal ends (T2).
    until: Option<Duration>,
}

/// Renewals after rejections that followed each other closely, and did not help.
#[derive(Default)]
pub(super) struct Rejections {
    in_a_row: u32,
    last: Duration,
    /// The last one fetched the rejected token again, which is therefore still current.
    pub(super) same_again: bool,
}

impl LockedState {
    /// The state of a new cache whose last token had this generation.
    pub(super) fn at_generation(generation: u64) -> Self {
        Self {
            generation,
            ..Self::default()
        }
    }

    /// Returns the last failure during its cool-down.
    pub(super) fn cooling_down(&self, now: Duration) -> Option<Error> {
        let failure = self.failure.as_ref()?;
        let is_over = failure.until.is_some_and(|until| until <= now);
        (!is_over).then(|| failure.error.clone())
    }

    pub(super) fn last_error(&self) -> Option<ErrorKind> {
        self.failure.as_ref().map(|failure| failure.error.kind())
    }

    /// Returns when the source is asked for a successor of this token, or its expiry if the source has refused.
    pub(super) fn next_attempt(&self, snapshot: &Snapshot) -> Duration {
        let until = match &self.failure {
            None => snapshot.schedule.due,
            Some(failure) => failure.until.unwrap_or(Duration::MAX),
        };
        until.min(snapshot.schedule.expired)
    }

    /// Returns when the source is asked again after a failure; `None` without one, or if it has refused.
    pub(super) fn cool_down_end(&self) -> Option<Duration> {
        self.failure.as_ref().and_then(|failure| failure.until)
    }

    /// Whether the source made no call, and callers have been told of such a failure before.
    pub(super) fn is_known(&self, error: &Error) -> bool {
        error.is_without_call() && self.last_error() == Some(error.kind())
    }

    /// Starts the cool-down of a failure, and returns its length.
    ///
    /// A source that remembers the failure is asked again after these pauses, because it may find a new sign-in, and makes no
    /// call before its time.
    pub(super) fn start_cool_down(
        &mut self,
        error: &Error,
        now: Duration,
        looks: &Backoff,
    ) -> Option<Duration> {
        let last = self.failure.as_ref();
        let (in_a_row, looked) = last.map_or((0, 0), |last| (last.in_a_row, last.looks));
        let (in_a_row, looked) = match error.is_remembered() {
            true => (in_a_row, looked + 1),
            false => (in_a_row + 1, 0),
        };
        let jitter = fastrand::f64();
        let pause = match error.kind() {
            // Other refusals may pass.
            ErrorKind::Refused if !error.is_asked_again_later() => None,
            _ if error.is_remembered() => {
                let look = looks.half_jitter(looked, jitter);
                Some(error.pause().map_or(look, |pause| pause.min(look)))
            }
            _ => Some(match error.pause() {
                Some(retry_after) => retry_after.min(LONGEST_ISSUER_PAUSE),
                None => COOL_DOWN.half_jitter(in_a_row, jitter),
            }),
        };
        self.failure = Some(Box::new(Failure {
            error: error.clone(),
            in_a_row,
            looks: looked,
            until: pause.map(|pause| now.saturating_add(pause)),
        }));
        pause
    }

    pub(super) fn forget_failure(&mut self) {
        self.failure = None;
    }

    /// Returns the generation that the next token will have, for the callbacks.
    pub(super) fn announce_generation(&mut self) -> u64 {
        *self.announced.insert(self.generation + 1)
    }

    /// Skips an announced generation, so that no other token gets its number.
    pub(super) fn skip_announced_generation(&mut self) {
        self.generation = self.announced.take().unwrap_or(self.generation);
    }

    /// Removes the renewal with this number, and returns whether it was still there.
    pub(super) fn end_renewal(&mut self, number: u64) -> bool {
        // By number, because the guard of an ended renewal must not remove its successor.
        let is_same = |renewal: &mut Box<Renewal>| renewal.number == number;
        let ended = self.renewal.take_if(is_same).is_some();
        if ended {
            self.announced = None;
        }
        ended
    }
}

impl Rejections {
    /// Returns an error during the pause that follows if tokens are rejected as fast as they are renewed.
    pub(super) fn pausing(&self, now: Duration) -> Option<Error> {
        let pauses = match self.same_again {
            true => self.in_a_row,
            false => self.in_a_row.checked_sub(REJECTIONS_AT_ONCE)? + 1,
        };
        let until = self.last.saturating_add(REJECTION_PAUSE.ceiling(pauses));
        if now >= until {
            return None;
        }
        if self.same_again {
            return Some(same_token_again());
        }
        Some(Error::unavailable(format!(
            "{} renewed tokens in a row were rejected, so their age is not the cause; \
             check what the server requires, such as audience and scope",
            self.in_a_row
        )))
    }

    pub(super) fn end_series(&mut self) {
        self.in_a_row = 0;
    }

    pub(super) fn count(&mut self, now: Duration) {
        if now.saturating_sub(self.last) > REJECTION_MEMORY {
            self.in_a_row = 0;
        }
        self.in_a_row += 1;
        self.last = now;
    }
}

/// The pauses before a failed source is asked again (T2).
pub(super) const COOL_DOWN: Backoff = Backoff {
    first: Duration::from_secs(1),
    cap: Duration::from_secs(60),
};

/// The pauses before a source is asked again that remembers its failure, and reads a store at most.
pub(super) const LOOKS: Backoff = Backoff {
    first: Duration::from_secs(1),
    cap: Duration::from_secs(5),
};

/// This many tokens in a row may be rejected and replaced at once …
const REJECTIONS_AT_ONCE: u32 = 3;

/// … before pauses begin, because a new token does not help then. If the source gives the same token again, pauses begin
/// at once, so that late rejections of one token cause one renewal (T8).
const REJECTION_PAUSE: Backoff = Backoff {
    first: Duration::from_secs(1),
    cap: Duration::from_secs(30),
};

/// After this time without a rejection, the count starts again.
const REJECTION_MEMORY: Duration = Duration::from_secs(60);
