//! A sign-in with a device code whose pauses end at once.

use futures_util::future::{Either, select};
use keyfob::oauth::DeviceAuthorization;
use keyfob::{Error, Token};
use keyfob_testkit::ManualClock;

/// Waits for the token, and ends each pause at once. Between the second and the third poll, it runs `action`.
///
/// Also returns the pauses, in seconds.
pub(crate) async fn without_pauses(
    authorization: DeviceAuthorization,
    clock: &ManualClock,
    action: impl AsyncFnOnce(),
) -> (Result<Token, Error>, Vec<u64>) {
    let mut waiting = Box::pin(authorization.wait());
    let mut pauses = Vec::new();
    let mut action = Some(action);
    loop {
        match select(waiting, Box::pin(clock.until_sleeping(1))).await {
            Either::Left((outcome, _)) => return (outcome, pauses),
            Either::Right(((), still)) => waiting = still,
        }
        if pauses.len() == 2
            && let Some(action) = action.take()
        {
            action().await;
        }
        let pause = clock.next_wake_in().unwrap();
        pauses.push(pause.as_secs());
        clock.advance(pause);
    }
}
