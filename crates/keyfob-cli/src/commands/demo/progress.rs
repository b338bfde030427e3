//! Shows the progress of the demo: a bar on a terminal, otherwise a line each second.

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use keyfob::Session;
use tokio::time::{MissedTickBehavior, interval};

use crate::commands::demo::servers::Servers;
use crate::commands::demo::workers::Counters;
use crate::output::print::print_stderr;

/// A progress bar; dropping it clears the terminal.
pub(super) struct Progress {
    bar: ProgressBar,
    start: Instant,
}

impl Progress {
    pub(super) fn new(seconds: u64) -> Self {
        let bar = ProgressBar::new(seconds * 1000);
        let style = ProgressStyle::with_template("{bar:30} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self {
            bar,
            start: Instant::now(),
        }
    }

    /// Shows the progress; never returns.
    pub(super) async fn run(&self, session: &Session, servers: &Servers, counters: &Counters) {
        let is_terminal = stderr().is_terminal();
        let mut ticks = interval(if is_terminal { FRAME } else { LINE });
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            let elapsed = self.start.elapsed();
            let line = line(elapsed, session, servers, counters);
            if is_terminal {
                self.bar
                    .set_position(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
                self.bar.set_message(line);
            } else {
                print_stderr(format!("{line}\n"));
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn line(elapsed: Duration, session: &Session, servers: &Servers, counters: &Counters) -> String {
    let status = session.status();
    format!(
        "{:2} s  {} requests  {} failed  {} renewals  {} delayed  {} retried  {} replayed",
        elapsed.as_secs(),
        counters.requests(),
        counters.failures(),
        status.renewals,
        status.delayed,
        servers.responses_with(503),
        servers.responses_with(401),
    )
}

const FRAME: Duration = Duration::from_millis(100);
const LINE: Duration = Duration::from_secs(1);
