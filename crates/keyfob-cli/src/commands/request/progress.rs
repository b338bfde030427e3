//! The progress of an upload or a download.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::print::shows_notices;

/// A bar on standard error, if that is a terminal and the transfer takes a while. Dropping its last clone clears it.
#[derive(Clone)]
pub(super) struct Progress {
    bar: ProgressBar,
    begun: Instant,
    /// Whether it is to be drawn, once the transfer takes a while.
    is_wanted: bool,
}

impl Progress {
    pub(super) fn new(is_wanted: bool) -> Self {
        Self {
            bar: ProgressBar::hidden(),
            begun: Instant::now(),
            is_wanted: is_wanted && shows_notices(),
        }
    }

    /// Begins a transfer of so many bytes, some of which may be there.
    pub(super) fn begin(&self, done: u64, whole: Option<u64>) {
        if let Some(whole) = whole {
            self.bar.set_length(whole);
        }
        self.bar.set_style(style(whole));
        self.bar.set_position(done);
    }

    pub(super) fn advance(&mut self, bytes: usize) {
        self.bar.inc(bytes as u64);
        if self.is_wanted && self.begun.elapsed() > DELAY {
            self.is_wanted = false;
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }

    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

fn style(whole: Option<u64>) -> ProgressStyle {
    let template = match whole {
        Some(_) => "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        None => "{spinner} {bytes} {bytes_per_sec} {elapsed}",
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// A bar that appears for less would only flicker, and disturb the reader of a pipe at the same terminal.
const DELAY: Duration = Duration::from_secs(1);
