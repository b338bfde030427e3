//! The time that a platform goes by.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::clock::ManualClock;
use crate::issuer::issuer::Issuer;

/// The wall clock of a platform, which may differ from the client's.
///
/// Clones show the same time.
///
/// ```
/// use std::time::Duration;
///
/// use keyfob_testkit::ManualClock;
/// use keyfob_testkit::platforms::FakeClock;
///
/// let client = ManualClock::default();
/// let platform = FakeClock::from(&client);
/// platform.set_ahead(-600);
/// assert_eq!(platform.now() + Duration::from_secs(600), client.wall());
/// ```
#[derive(Clone)]
pub struct FakeClock {
    wall: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    ahead: Arc<AtomicI64>,
    start: Arc<OnceLock<(Instant, SystemTime)>>,
}

impl FakeClock {
    fn new(wall: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self {
            wall: Arc::new(wall),
            ahead: Arc::default(),
            start: Arc::default(),
        }
    }

    /// Sets how many seconds this clock is ahead of the client's; a negative number sets it behind.
    pub fn set_ahead(&self, seconds: i64) {
        self.ahead.store(seconds, Ordering::Relaxed);
    }

    /// The time that it shows.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        let ahead = self.ahead.load(Ordering::Relaxed);
        let by = Duration::from_secs(ahead.unsigned_abs());
        let wall = (self.wall)();
        if ahead < 0 { wall - by } else { wall + by }
    }

    /// The time that it shows, in seconds since 1970.
    #[must_use]
    pub fn unix_seconds(&self) -> i64 {
        let since = self.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    }

    /// The time this long from now, in the form of RFC 3339 with `Z`, as JSON APIs write it.
    #[must_use]
    pub fn rfc3339_in(&self, time: Duration) -> String {
        let seconds = self.unix_seconds().saturating_add_unsigned(time.as_secs());
        let then = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
        then.to_string()
    }

    /// The time in the form of the header `Date` (RFC 9110 §5.6.7).
    #[must_use]
    pub fn http_date(&self) -> String {
        let now = jiff::Timestamp::from_second(self.unix_seconds()).unwrap_or(jiff::Timestamp::MAX);
        now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    /// An issuer of tokens with this prefix and this lifetime, which expire by this clock.
    #[must_use]
    pub fn issuer(&self, prefix: &str, lifetime: Duration) -> Issuer {
        let clock = self.clone();
        let issuer = Issuer::named(prefix).with_now(move || clock.instant());
        issuer.set_lifetime(lifetime);
        issuer
    }

    /// The time without the difference to the client's clock: a correction of a clock revives no token.
    fn instant(&self) -> Instant {
        let now = (self.wall)();
        let (instant, wall) = *self.start.get_or_init(|| (Instant::now(), now));
        instant + now.duration_since(wall).unwrap_or_default()
    }
}

/// The clock of the system.
impl Default for FakeClock {
    fn default() -> Self {
        Self::new(SystemTime::now)
    }
}

/// A clock that shows the time of the client's.
impl From<&ManualClock> for FakeClock {
    fn from(clock: &ManualClock) -> Self {
        let clock = clock.clone();
        Self::new(move || clock.wall())
    }
}

impl fmt::Debug for FakeClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeClock")
            .field("now", &self.now())
            .field("ahead", &self.ahead)
            .finish_non_exhaustive()
    }
}
