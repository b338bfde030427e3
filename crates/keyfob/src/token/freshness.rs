//! The schedule of a token: when it is due for renewal, in its leeway, and expired (T3, T4).

use std::time::{Duration, SystemTime};

use jiff::SignedDuration;

use crate::token::token::Expiry;

/// The longest leeway. It must cover the time in which a request with the token reaches the server.
pub(crate) const LEEWAY: Duration = Duration::from_secs(20);

/// The leeway is at most a tenth of a known lifetime.
const LEEWAY_SHARE: u32 = 10;

/// A token is due when a quarter of its lifetime is left …
const DUE_SHARE: u32 = 4;

/// … or up to a twelfth more, drawn at random for each token, so that many processes do not renew at the same time.
const DUE_JITTER_SHARE: u32 = 12;

/// A token without a known lifetime is due this long before it expires.
const DUE_WITHOUT_LIFETIME: Duration = Duration::from_secs(60);

/// A later expiry, such as the year 9999, means that the token never expires.
const LONGEST_LIFETIME: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// What a token may be used for at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// Send it.
    Fresh,
    /// Send it, and renew it in the background.
    Due,
    /// Wait for the renewal; send it if that fails.
    Leeway,
    /// Never send it.
    Expired,
}

/// The moments at which a token's freshness changes, on [`Clock::elapsed`](crate::clock::Clock::elapsed).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    pub(crate) due: Duration,
    pub(crate) leeway: Duration,
    /// From here on the token is never sent.
    pub(crate) expired: Duration,
    /// The expiry for reports. A hint does not stop the token from being sent, so `expired` is later then.
    pub(crate) stated: Duration,
}

/// When a token was fetched, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acquired {
    /// How long before the token arrived the source was asked. `None` for a token that a caller set: its lifetime is not known.
    ///
    /// The source may have been asked before the moment at which the monotonic clock began, such as the start of the machine.
    pub(crate) age: Option<Duration>,
    /// When the token arrived.
    pub(crate) at: Duration,
    /// The wall clock when the token arrived.
    pub(crate) wall: SystemTime,
}

impl Acquired {
    /// Sets when the source was asked, if that is known. A time in the future, by a clock that is ahead, counts as now.
    pub(crate) fn obtained(mut self, time: Option<SystemTime>) -> Self {
        if let Some(time) = time {
            self.age = Some(self.wall.duration_since(time).unwrap_or_default());
        }
        self
    }

    /// When the lifetime of the token began.
    pub(crate) fn began(self) -> SignedDuration {
        signed(self.at).saturating_sub(signed(self.age.unwrap_or_default()))
    }
}

impl Schedule {
    /// Computes the schedule of a token. `jitter` is a random number from 0 to 1.
    pub(crate) fn new(
        expiry: Expiry,
        recheck: Option<Duration>,
        acquired: Acquired,
        jitter: f64,
    ) -> Self {
        let mut schedule = match expiry_on_clock(expiry, acquired) {
            None => Self {
                due: Duration::MAX,
                leeway: Duration::MAX,
                expired: Duration::MAX,
                stated: Duration::MAX,
            },
            Some(expired) => Self::before(expired, acquired, jitter),
        };
        if let Expiry::Hint(_) = expiry {
            // T5: the hint decides when to ask for another token, and not whether to send this one.
            schedule.expired = Duration::MAX;
        }
        if let Some(recheck) = recheck {
            schedule.due = schedule.due.min(acquired.at.saturating_add(recheck));
        }
        schedule
    }

    /// How long a caller that finds the token in its leeway waits for the renewal. Then it gets the token (T3).
    ///
    /// Half of the time that is left, so that the token can still reach the server in time.
    pub(crate) fn longest_wait(&self, now: Duration) -> Duration {
        self.expired.saturating_sub(now).min(LEEWAY) / 2
    }

    fn before(expired: Duration, acquired: Acquired, jitter: f64) -> Self {
        let (early, late) = match acquired.age {
            Some(_) => {
                let lifetime = time_since(acquired.began(), expired);
                let early = lifetime / DUE_SHARE + (lifetime / DUE_JITTER_SHARE).mul_f64(jitter);
                (early, LEEWAY.min(lifetime / LEEWAY_SHARE))
            }
            None => (DUE_WITHOUT_LIFETIME, LEEWAY),
        };
        Self {
            due: expired.saturating_sub(early),
            leeway: expired.saturating_sub(late),
            expired,
            stated: expired,
        }
    }

    /// Returns what the token may be used for at this moment.
    pub(crate) fn at(&self, now: Duration) -> Freshness {
        if now >= self.expired {
            Freshness::Expired
        } else if now >= self.leeway {
            Freshness::Leeway
        } else if now >= self.due {
            Freshness::Due
        } else {
            Freshness::Fresh
        }
    }
}

/// Converts an expiry to the monotonic clock. A time in the past becomes the moment at which the token arrived.
fn expiry_on_clock(expiry: Expiry, acquired: Acquired) -> Option<Duration> {
    let left = match expiry {
        Expiry::Unknown => return None,
        Expiry::In(lifetime) => lifetime.saturating_sub(acquired.age.unwrap_or_default()),
        Expiry::At(time) | Expiry::Hint(time) => {
            time.duration_since(acquired.wall).unwrap_or_default()
        }
    };
    (left <= LONGEST_LIFETIME).then(|| acquired.at.saturating_add(left))
}

/// The time from the beginning of a lifetime to a moment that is not before it.
pub(crate) fn time_since(began: SignedDuration, moment: Duration) -> Duration {
    let time = signed(moment).saturating_sub(began);
    Duration::try_from(time).unwrap_or_default()
}

fn signed(time: Duration) -> SignedDuration {
    SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const WALL: SystemTime = SystemTime::UNIX_EPOCH;
    const START: Duration = Duration::from_secs(1000);

    fn fetched(asked_before: Duration) -> Acquired {
        Acquired {
            age: Some(asked_before),
            at: START,
            wall: WALL + START,
        }
    }

    fn set_by_caller() -> Acquired {
        Acquired {
            age: None,
            ..fetched(Duration::ZERO)
        }
    }

    fn schedule(expiry: Expiry, acquired: Acquired) -> Schedule {
        Schedule::new(expiry, None, acquired, 0.0)
    }

    #[test]
    fn t4_the_schedule_scales_with_the_lifetime() {
        for (lifetime, due, leeway) in [
            (3600, 2700, 3580),
            (300, 225, 280),
            (60, 45, 54),
            (20, 15, 18),
        ] {
            let schedule = schedule(Expiry::In(SECOND * lifetime), fetched(Duration::ZERO));
            assert_eq!((schedule.due - START).as_secs(), due, "due of {lifetime}");
            assert_eq!(
                (schedule.leeway - START).as_secs(),
                leeway,
                "leeway of {lifetime}"
            );
            assert_eq!(schedule.expired - START, SECOND * lifetime);
        }
    }

    #[test]
    fn t4_the_lifetime_counts_from_the_call_of_the_source() {
        let schedule = schedule(Expiry::In(SECOND * 60), fetched(SECOND * 20));
        assert_eq!(schedule.expired, START + SECOND * 40);
    }

    #[test]
    fn t4_a_token_set_with_only_an_expiry_has_the_full_leeway() {
        let schedule = schedule(Expiry::At(WALL + START + SECOND * 100), set_by_caller());
        assert_eq!(schedule.leeway, START + SECOND * 80);
        assert_eq!(schedule.due, START + SECOND * 40);
    }

    #[test]
    fn t4_a_stored_token_has_the_schedule_of_its_whole_lifetime() {
        let stored = set_by_caller().obtained(Some(WALL + START - SECOND * 60));
        let left = schedule(Expiry::At(WALL + START + SECOND * 40), stored);
        assert_eq!(left.leeway, START + SECOND * 30);
        assert_eq!(left.due, START + SECOND * 15);
        let counted = schedule(Expiry::In(SECOND * 100), stored);
        assert_eq!(counted, left);
    }

    #[test]
    fn t6_a_token_from_a_clock_that_is_ahead_counts_as_new() {
        let ahead = set_by_caller().obtained(Some(WALL + START + SECOND * 300));
        assert_eq!(ahead.age, Some(Duration::ZERO));
    }

    #[test]
    fn t4_a_lifetime_may_have_begun_before_the_monotonic_clock() {
        // The machine started 1000 s ago, and the token was written half an hour ago.
        let wall = WALL + START * 2;
        let arrived = Acquired {
            wall,
            ..set_by_caller()
        };
        let stored = arrived.obtained(Some(wall - SECOND * 1800));
        let schedule = schedule(Expiry::In(SECOND * 3600), stored);
        assert_eq!(schedule.expired, START + SECOND * 1800);
        assert_eq!(schedule.due, START + SECOND * 900);
        assert_eq!(time_since(stored.began(), START), SECOND * 1800);
    }

    #[test]
    fn t3_the_due_time_is_jittered_and_before_the_leeway() {
        let lifetime = Expiry::In(SECOND * 1200);
        let early = Schedule::new(lifetime, None, fetched(Duration::ZERO), 1.0);
        let late = Schedule::new(lifetime, None, fetched(Duration::ZERO), 0.0);
        assert_eq!(late.due - early.due, SECOND * 100);
        assert!(late.due < late.leeway);
    }

    #[test]
    fn t5_a_token_of_unknown_expiry_never_expires_but_may_be_due() {
        assert_eq!(
            schedule(Expiry::Unknown, fetched(Duration::ZERO)).at(Duration::MAX - SECOND),
            Freshness::Fresh
        );
        let rechecked = Schedule::new(Expiry::Unknown, Some(SECOND), set_by_caller(), 0.5);
        assert_eq!(rechecked.at(START + SECOND), Freshness::Due);
    }

    #[test]
    fn the_freshness_changes_at_each_moment_of_the_schedule() {
        let schedule = schedule(Expiry::In(SECOND * 100), fetched(Duration::ZERO));
        for (at, freshness) in [
            (74, Freshness::Fresh),
            (75, Freshness::Due),
            (89, Freshness::Due),
            (90, Freshness::Leeway),
            (99, Freshness::Leeway),
            (100, Freshness::Expired),
        ] {
            assert_eq!(schedule.at(START + SECOND * at), freshness, "after {at} s");
        }
    }

    #[test]
    fn a_token_whose_expiry_has_passed_is_expired_at_once() {
        for time in [WALL, WALL + START - SECOND, WALL + START] {
            for acquired in [fetched(SECOND), set_by_caller()] {
                assert_eq!(
                    schedule(Expiry::At(time), acquired).at(START),
                    Freshness::Expired
                );
            }
        }
    }

    #[test]
    fn t5_an_expiry_centuries_ahead_means_never() {
        let year_9999 = WALL + Duration::from_secs(253_402_300_799);
        for never in [Expiry::At(year_9999), Expiry::In(Duration::MAX)] {
            for acquired in [fetched(SECOND), set_by_caller()] {
                assert_eq!(
                    schedule(never, acquired),
                    schedule(Expiry::Unknown, acquired)
                );
            }
        }
    }

    #[test]
    fn t5_a_hint_decides_when_to_ask_and_never_whether_to_send() {
        let end = WALL + START + SECOND * 100;
        let (hint, given) = (Expiry::Hint(end), Expiry::At(end));
        let (hint, given) = (
            schedule(hint, fetched(Duration::ZERO)),
            schedule(given, fetched(Duration::ZERO)),
        );
        assert_eq!((hint.due, hint.leeway), (given.due, given.leeway));
        assert_eq!(hint.stated, given.expired);
        assert_eq!(hint.at(START + SECOND * 1000), Freshness::Leeway);
        assert_eq!(given.at(START + SECOND * 1000), Freshness::Expired);
    }

    #[test]
    fn t3_the_wait_in_the_leeway_ends_before_the_token_does() {
        let schedule = schedule(Expiry::In(SECOND * 300), fetched(Duration::ZERO));
        let wait = |at| schedule.longest_wait(START + SECOND * at);
        assert_eq!(wait(281), SECOND * 19 / 2);
        assert_eq!(wait(299), SECOND / 2);
        assert_eq!(wait(300), Duration::ZERO);
    }
}
