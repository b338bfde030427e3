//! What a cache remembers under its lock, and what follows from it.

use std::time::Duration;

use crate::cache::lease::{Snapshot, same_token};
use crate::cache::renewal::Flight;
use crate::error::error::{Error, ErrorKind};
use crate::exchange::backoff::Backoff;

/// What changes while the token is read without a lock.
#[derive(Default)]
pub(super) struct State {
    pub(super) flight: Option<Flight>,
    pub(super) flights: u64,
    pub(super) generation: u64,
    /// The number that the flight has told the callbacks its token will have.
    announced: Option<u64>,
    /// Tokens that did not come from the source; a flight that started before the last of them lands in vain.
    pub(super) hand_ins: u64,
    failure: Option<Failure>,
    pub(super) rejections: Rejections,
    pub(super) renewals: u64,
    pub(super) failures: u64,
}

/// The last renewal's failure, as long as none has succeeded since.
struct Failure {
    error: Error,
    in_a_row: u32,
    /// `None` for a refusal, which stays until somebody forces a renewal, unless its source sees to that.
    until: Option<Duration>,
}

/// Renewals caused by rejections, in a row.
#[derive(Default)]
pub(super) struct Rejections {
    in_a_row: u32,
    last: Duration,
    /// The last one brought the same token again, which is still in place.
    pub(super) same_again: bool,
}

impl State {
    /// Nothing remembered but how many tokens there have been.
    pub(super) fn at(generation: u64) -> Self {
        Self {
            generation,
            ..Self::default()
        }
    }

    /// The remembered failure, while its cool-down lasts.
    pub(super) fn cooling(&self, now: Duration) -> Option<Error> {
        let failure = self.failure.as_ref()?;
        failure
            .until
            .is_none_or(|until| now < until)
            .then(|| failure.error.clone())
    }

    /// What the last renewal failed of, as long as none has succeeded since.
    pub(super) fn last_error(&self) -> Option<ErrorKind> {
        self.failure.as_ref().map(|failure| failure.error.kind())
    }

    /// When the source is asked again for a token that is there; never, once it has refused.
    pub(super) fn next_attempt(&self, snapshot: &Snapshot) -> Duration {
        let until = match &self.failure {
            None => snapshot.schedule.due,
            Some(failure) => failure.until.unwrap_or(Duration::MAX),
        };
        until.min(snapshot.schedule.expired)
    }

    /// Begins the cool-down of a failure, and says how long it lasts.
    pub(super) fn remember(&mut self, error: &Error, now: Duration) -> Option<Duration> {
        let in_a_row = self.failure.as_ref().map_or(0, |failure| failure.in_a_row) + 1;
        let pause = match error.kind() {
            ErrorKind::Refused if !error.is_remembered_by_source() => None,
            _ => Some(match error.pause() {
                Some(asked_for) => asked_for.min(LONGEST_PAUSE),
                None => COOL_DOWN.half_jitter(in_a_row, fastrand::f64()),
            }),
        };
        self.failure = Some(Failure {
            error: error.clone(),
            in_a_row,
            until: pause.map(|pause| now.saturating_add(pause)),
        });
        pause
    }

    /// Lets the source be asked at once.
    pub(super) fn forget_failure(&mut self) {
        self.failure = None;
    }

    /// The number that the flight's token will have, unless another is handed in before.
    pub(super) fn announce(&mut self) -> u64 {
        *self.announced.insert(self.generation + 1)
    }

    /// Leaves out a number that was told of a token that will not be used.
    pub(super) fn skip_announced(&mut self) {
        self.generation = self.announced.take().unwrap_or(self.generation);
    }

    /// Counts a flight whose outcome nobody uses.
    pub(super) fn land_in_vain(&mut self, brought_token: bool) {
        match brought_token {
            true => self.renewals += 1,
            false => self.failures += 1,
        }
    }

    /// Takes the flight off if it is still this one.
    pub(super) fn end_flight(&mut self, number: u64) -> bool {
        let this = self.flight.take_if(|flight| flight.number() == number);
        if this.is_some() {
            self.announced = None;
        }
        this.is_some()
    }
}

impl Rejections {
    /// Why a further renewal has to wait, if tokens are rejected as fast as they are renewed.
    pub(super) fn refusal(&self, now: Duration) -> Option<Error> {
        let paced = match self.same_again {
            true => self.in_a_row,
            false => self.in_a_row.checked_sub(REJECTIONS_AT_ONCE)? + 1,
        };
        let until = self.last.saturating_add(REJECTION_PAUSE.ceiling(paced));
        (now < until).then(|| {
            if self.same_again {
                return same_token();
            }
            Error::unavailable(format!(
                "{} renewed tokens in a row were rejected; the fault is not the token's age: \
                 check what the server demands, such as audience and scope",
                self.in_a_row
            ))
        })
    }

    pub(super) fn count(&mut self, now: Duration) {
        if now.saturating_sub(self.last) > REJECTION_MEMORY {
            self.in_a_row = 0;
        }
        self.in_a_row += 1;
        self.last = now;
    }
}

/// How long a failed source is left alone (T2).
const COOL_DOWN: Backoff = Backoff {
    first: Duration::from_secs(1),
    cap: Duration::from_secs(60),
};

/// The longest pause that an issuer's `Retry-After` is believed.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

/// So many tokens in a row may be rejected and replaced at once …
const REJECTIONS_AT_ONCE: u32 = 3;

/// … before each further one has to wait, since the fault is then not the token's. A source that gives the same token
/// again is asked at this pace from the first time on: late rejections of one token cause one renewal (T8).
const REJECTION_PAUSE: Backoff = Backoff {
    first: Duration::from_secs(1),
    cap: Duration::from_secs(30),
};

/// A rejection so long after the last one begins a new row.
const REJECTION_MEMORY: Duration = Duration::from_secs(60);
