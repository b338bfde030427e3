//! The workers of the demo, which use a client at the same time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::commands::demo::sides::Side;

/// Lets the workers send requests until `end`, and waits for the last response.
pub(super) async fn work(workers: u32, side: &Arc<Side>, end: Instant) {
    let mut tasks = JoinSet::new();
    for _ in 0..workers {
        let side = Arc::clone(side);
        tasks.spawn(async move {
            while Instant::now() < end {
                side.send().await;
                sleep(PAUSE).await;
            }
        });
    }
    tasks.join_all().await;
}

/// The pause of a worker before its next request.
const PAUSE: Duration = Duration::from_millis(20);
