//! How a lease in a database is kept while an exchange takes long.

use std::time::Duration;

use crate::clock::clock::Clock;
use crate::store::error::StoreError;

/// Extends a lease until it has expired. If the server does not reply, the lease may still be valid, so this goes on.
///
/// An extension that takes long delays no other: the next one begins as early as if it had taken no time, or at once.
pub(super) async fn keep<F>(
    clock: &dyn Clock,
    lease_duration: Duration,
    extend: impl Fn() -> F + Send,
) where
    F: Future<Output = Result<bool, StoreError>> + Send,
{
    let period = lease_duration / (EXTENSIONS + 1);
    let mut begun = clock.elapsed();
    loop {
        let next = begun.saturating_add(period);
        clock.sleep(next.saturating_sub(clock.elapsed())).await;
        begun = clock.elapsed();
        if let Ok(false) = extend().await {
            return;
        }
    }
}

/// How long one extension may take, so that there is time left for another over a new connection.
pub(in crate::store) fn timeout(lease_duration: Duration, response_timeout: Duration) -> Duration {
    response_timeout.min(lease_duration / EXTENSIONS)
}

/// How often a lease is extended within its duration.
const EXTENSIONS: u32 = 3;

#[cfg(test)]
mod tests {
    use std::future::ready;

    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;

    use super::*;
    use crate::clock::clock::CoarseTime;
    use crate::error::error::Error;
    use crate::runtime::block_on::block_on;
    use crate::runtime::lock::{Mutex, lock};

    /// A clock on which each wait is over at once.
    struct FastClock(Mutex<Duration>);

    impl FastClock {
        fn advance(&self, time: Duration) {
            *lock(&self.0) += time;
        }
    }

    impl Clock for FastClock {
        fn coarse_time(&self) -> CoarseTime {
            unreachable!("it is not read")
        }

        fn elapsed(&self) -> Duration {
            *lock(&self.0)
        }

        fn sleep(&self, pause: Duration) -> BoxFuture<'static, ()> {
            self.advance(pause);
            ready(()).boxed()
        }
    }

    #[test]
    fn t9_an_extension_without_a_reply_is_followed_by_another_within_the_lease() {
        let second = Duration::from_secs(1);
        let lease = second * 12;
        let clock = FastClock(Mutex::new(Duration::ZERO));
        let begun = Mutex::new(Vec::new());
        let extend = || {
            let mut begun = lock(&begun);
            begun.push(clock.elapsed().as_secs());
            let lost = Error::unavailable("no reply");
            // The connection broke at the second one.
            let (takes, reply) = match begun.len() {
                1 => (second, Ok(true)),
                2 => (second * 5, Err(StoreError::unavailable(lost))),
                number => (second, Ok(number < 5)),
            };
            clock.advance(takes);
            ready(reply)
        };
        block_on(keep(&clock, lease, extend));
        assert_eq!(*lock(&begun), [3, 6, 11, 14, 17]);
    }

    #[test]
    fn an_extension_leaves_time_for_another() {
        let second = Duration::from_secs(1);
        assert_eq!(timeout(second * 12, second * 3), second * 3);
        assert_eq!(timeout(second * 12, second * 20), second * 4);
    }
}
