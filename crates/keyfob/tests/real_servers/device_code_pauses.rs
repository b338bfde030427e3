//! A sign-in by device code whose pauses pass at once.

use futures_util::future::{Either, select};
use keyfob::oauth::DeviceAuthorization;
use keyfob::{Error, Token};
use keyfob_testkit::ManualClock;

/// Waits for the token, and lets each pause pass as it begins; between the second and the third question, somebody does this.
///
/// Answers the pauses in seconds, too.
pub(crate) async fn without_pauses(
    authorization: DeviceAuthorization,
    clock: &ManualClock,
    somebody: impl AsyncFnOnce(),
) -> (Result<Token, Error>, Vec<u64>) {
    let mut waiting = Box::pin(authorization.wait());
    let mut pauses = Vec::new();
    let mut somebody = Some(somebody);
    loop {
        match select(waiting, Box::pin(clock.until_sleeping(1))).await {
            Either::Left((outcome, _)) => return (outcome, pauses),
            Either::Right(((), still)) => waiting = still,
        }
        if pauses.len() == 2
            && let Some(somebody) = somebody.take()
        {
            somebody().await;
        }
        let pause = clock.next_wake_in().unwrap();
        pauses.push(pause.as_secs());
        clock.advance(pause);
    }
}
