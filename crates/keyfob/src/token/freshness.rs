//! How early a token is renewed, and when it may no longer be sent.

use std::time::{Duration, SystemTime};

use crate::error::error::Error;
use crate::token::token::Expiry;

/// The longest time before its expiry in which a caller waits for the renewal instead of sending the token.
pub(crate) const LEEWAY: Duration = Duration::from_secs(20);

/// The leeway is never more than this part of a known lifetime.
const LEEWAY_SHARE: u32 = 10;

/// A token falls due when this part of its lifetime is left …
const DUE_SHARE: u32 = 4;

/// … or up to so much more, drawn anew for each token, so that many processes do not renew at once.
const DUE_JITTER_SHARE: u32 = 12;

/// A token whose lifetime is not known falls due so long before it expires.
const DUE_WITHOUT_LIFETIME: Duration = Duration::from_secs(60);

/// An expiry farther ahead than this is taken for a mistake, such as milliseconds given as seconds.
const FARTHEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// What a token may be used for at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// Send it.
    Fresh,
    /// Send it, and renew it beside.
    Due,
    /// Wait for the renewal; send it if that fails.
    Leeway,
    /// Never send it.
    Expired,
}

/// The moments at which a token's freshness changes, on the clock that counts sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    pub(crate) due: Duration,
    pub(crate) leeway: Duration,
    pub(crate) expired: Duration,
}

/// When a token was got, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acquired {
    /// When its source was asked; `None` for a token that was handed in, whose lifetime is therefore not known.
    pub(crate) asked: Option<Duration>,
    /// When it was there.
    pub(crate) at: Duration,
    /// The wall clock at the same moment.
    pub(crate) wall: SystemTime,
}

impl Acquired {
    /// The same, if it is known when the source was asked; by a clock that runs ahead, that was just now.
    pub(crate) fn obtained(mut self, time: Option<SystemTime>) -> Self {
        if let Some(time) = time {
            let ago = self.wall.duration_since(time).unwrap_or_default();
            self.asked = Some(self.at.saturating_sub(ago));
        }
        self
    }
}

impl Schedule {
    /// Lays out a token's life. `jitter` is drawn from 0 to 1.
    pub(crate) fn new(
        expiry: Expiry,
        recheck: Option<Duration>,
        acquired: Acquired,
        jitter: f64,
    ) -> Result<Self, Error> {
        let mut windows = match end(expiry, acquired)? {
            None => Self {
                due: Duration::MAX,
                leeway: Duration::MAX,
                expired: Duration::MAX,
            },
            Some(expired) => Self::before(expired, acquired, jitter),
        };
        if let Some(recheck) = recheck {
            windows.due = windows.due.min(acquired.at.saturating_add(recheck));
        }
        Ok(windows)
    }

    fn before(expired: Duration, acquired: Acquired, jitter: f64) -> Self {
        let (early, late) = match acquired.asked {
            Some(asked) => {
                let lifetime = expired.saturating_sub(asked);
                let early = lifetime / DUE_SHARE + (lifetime / DUE_JITTER_SHARE).mul_f64(jitter);
                (early, LEEWAY.min(lifetime / LEEWAY_SHARE))
            }
            None => (DUE_WITHOUT_LIFETIME, LEEWAY),
        };
        Self {
            due: expired.saturating_sub(early),
            leeway: expired.saturating_sub(late),
            expired,
        }
    }

    /// What the token may be used for now.
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

/// The moment of expiry on the clock that counts sleep, if it is known; the past is told from the future, no more.
fn end(expiry: Expiry, acquired: Acquired) -> Result<Option<Duration>, Error> {
    let (start, left) = match expiry {
        Expiry::Unknown => return Ok(None),
        Expiry::In(lifetime) => (acquired.asked.unwrap_or(acquired.at), lifetime),
        Expiry::At(time) => {
            let left = time.duration_since(acquired.wall).unwrap_or_default();
            (acquired.at, left)
        }
    };
    if left > FARTHEST {
        return Err(Error::malformed(
            "the token's expiry is more than 100 years ahead; give seconds, not milliseconds, \
             and leave the expiry out if the token has none",
        ));
    }
    Ok(Some(start.saturating_add(left)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const WALL: SystemTime = SystemTime::UNIX_EPOCH;
    const START: Duration = Duration::from_secs(1000);

    fn fetched(asked_before: Duration) -> Acquired {
        Acquired {
            asked: Some(START - asked_before),
            at: START,
            wall: WALL + START,
        }
    }

    fn handed_in() -> Acquired {
        Acquired {
            asked: None,
            ..fetched(Duration::ZERO)
        }
    }

    fn windows(expiry: Expiry, acquired: Acquired) -> Schedule {
        Schedule::new(expiry, None, acquired, 0.0).unwrap()
    }

    #[test]
    fn t4_windows_scale_with_the_lifetime() {
        for (lifetime, due, leeway) in [
            (3600, 2700, 3580),
            (300, 225, 280),
            (60, 45, 54),
            (20, 15, 18),
        ] {
            let windows = windows(Expiry::In(SECOND * lifetime), fetched(Duration::ZERO));
            assert_eq!((windows.due - START).as_secs(), due, "due of {lifetime}");
            assert_eq!(
                (windows.leeway - START).as_secs(),
                leeway,
                "leeway of {lifetime}"
            );
            assert_eq!(windows.expired - START, SECOND * lifetime);
        }
    }

    #[test]
    fn t4_lifetime_counts_from_the_moment_the_source_was_asked() {
        let windows = windows(Expiry::In(SECOND * 60), fetched(SECOND * 20));
        assert_eq!(windows.expired, START + SECOND * 40);
    }

    #[test]
    fn t4_a_token_handed_in_with_only_an_expiry_has_the_full_leeway() {
        let windows = windows(Expiry::At(WALL + START + SECOND * 100), handed_in());
        assert_eq!(windows.leeway, START + SECOND * 80);
        assert_eq!(windows.due, START + SECOND * 40);
    }

    #[test]
    fn t4_a_token_that_was_kept_has_the_windows_of_its_whole_lifetime() {
        let kept = handed_in().obtained(Some(WALL + START - SECOND * 60));
        let left = windows(Expiry::At(WALL + START + SECOND * 40), kept);
        assert_eq!(left.leeway, START + SECOND * 30);
        assert_eq!(left.due, START + SECOND * 15);
        let counted = windows(Expiry::In(SECOND * 100), kept);
        assert_eq!(counted, left);
    }

    #[test]
    fn t6_a_token_from_a_clock_that_runs_ahead_counts_as_new() {
        let ahead = handed_in().obtained(Some(WALL + START + SECOND * 300));
        assert_eq!(ahead.asked, Some(START));
    }

    #[test]
    fn t3_the_due_window_is_jittered_and_lies_before_the_leeway() {
        let lifetime = Expiry::In(SECOND * 1200);
        let early = Schedule::new(lifetime, None, fetched(Duration::ZERO), 1.0).unwrap();
        let late = Schedule::new(lifetime, None, fetched(Duration::ZERO), 0.0).unwrap();
        assert_eq!(late.due - early.due, SECOND * 100);
        assert!(late.due < late.leeway);
    }

    #[test]
    fn t5_an_unknown_expiry_never_comes_but_may_be_rechecked() {
        assert_eq!(
            windows(Expiry::Unknown, fetched(Duration::ZERO)).at(Duration::MAX - SECOND),
            Freshness::Fresh
        );
        let rechecked = Schedule::new(Expiry::Unknown, Some(SECOND), handed_in(), 0.5).unwrap();
        assert_eq!(rechecked.at(START + SECOND), Freshness::Due);
    }

    #[test]
    fn the_freshness_changes_at_each_window() {
        let windows = windows(Expiry::In(SECOND * 100), fetched(Duration::ZERO));
        for (at, freshness) in [
            (74, Freshness::Fresh),
            (75, Freshness::Due),
            (89, Freshness::Due),
            (90, Freshness::Leeway),
            (99, Freshness::Leeway),
            (100, Freshness::Expired),
        ] {
            assert_eq!(windows.at(START + SECOND * at), freshness, "after {at} s");
        }
    }

    #[test]
    fn an_expiry_in_the_past_or_at_the_epoch_is_expired_at_once() {
        for time in [WALL, WALL + START - SECOND, WALL + START] {
            for acquired in [fetched(SECOND), handed_in()] {
                assert_eq!(
                    windows(Expiry::At(time), acquired).at(START),
                    Freshness::Expired
                );
            }
        }
    }

    #[test]
    fn an_expiry_centuries_ahead_is_refused_and_named_as_a_mistake_of_units() {
        let error =
            Schedule::new(Expiry::At(WALL + FARTHEST * 3), None, handed_in(), 0.0).unwrap_err();
        assert!(error.to_string().contains("milliseconds"), "{error}");
        assert!(Schedule::new(Expiry::In(Duration::MAX), None, handed_in(), 0.0).is_err());
    }
}
