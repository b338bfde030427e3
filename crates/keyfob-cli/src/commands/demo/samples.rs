//! What happened in each tenth of a second of the demo, and two lines for each second.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::interval;

use crate::commands::demo::sides::{Counts, Side};
use crate::output::print::print_notice;

/// The counts of both sides over time.
pub(super) struct Samples {
    plain: Arc<Side>,
    keyfob: Arc<Side>,
    seconds: u64,
    taken: Mutex<Vec<[Counts; 2]>>,
}

impl Samples {
    pub(super) fn new(plain: &Arc<Side>, keyfob: &Arc<Side>, seconds: u64) -> Self {
        let samples = Self {
            plain: Arc::clone(plain),
            keyfob: Arc::clone(keyfob),
            seconds,
            taken: Mutex::default(),
        };
        samples.take();
        samples
    }

    /// Takes a sample ten times in a second; never returns.
    pub(super) async fn take_repeatedly(&self) {
        let mut ticks = interval(EVERY);
        ticks.tick().await;
        for second in 1.. {
            for _ in 0..IN_A_SECOND {
                ticks.tick().await;
                self.take();
            }
            // The last second also has the requests that were still in progress.
            if second < self.seconds {
                self.print(second);
            }
        }
    }

    /// The counts of each tenth of a second. The last one has all that came after the others.
    pub(super) fn finish(self) -> Vec<[Counts; 2]> {
        let whole = usize::try_from(self.seconds).unwrap_or(usize::MAX) * IN_A_SECOND;
        self.lock().truncate(whole);
        self.take();
        self.print(self.seconds);
        let taken = self.lock();
        taken
            .windows(2)
            .map(|pair| [0, 1].map(|side| since(pair[1][side], pair[0][side])))
            .collect()
    }

    fn take(&self) {
        let counts = [self.plain.counts(), self.keyfob.counts()];
        self.lock().push(counts);
    }

    /// Prints what happened in this second.
    fn print(&self, second: u64) {
        let taken = self.lock();
        let begin = usize::try_from(second - 1).unwrap_or(0) * IN_A_SECOND;
        let begin = begin.min(taken.len().saturating_sub(1));
        let (Some(before), Some(after)) = (taken.get(begin), taken.last()) else {
            return;
        };
        let [plain, keyfob] = [0, 1].map(|side| since(after[side], before[side]));
        print_notice(format!(
            "{second:3} s  plain  {}\n       keyfob {}\n",
            line(plain),
            line(keyfob)
        ));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<[Counts; 2]>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn since(after: Counts, before: Counts) -> Counts {
    Counts {
        requests: after.requests - before.requests,
        failed: after.failed - before.failed,
        delayed: after.delayed - before.delayed,
        issuer_calls: after.issuer_calls - before.issuer_calls,
    }
}

fn line(counts: Counts) -> String {
    format!(
        "{:>9}{:>9}{:>9}{:>14}",
        counts.requests, counts.failed, counts.delayed, counts.issuer_calls
    )
}

/// The heads of the columns of [`line`].
pub(super) const HEADS: &str = "               requests   failed  delayed  issuer calls";

const EVERY: Duration = Duration::from_millis(100);
const IN_A_SECOND: usize = 10;
