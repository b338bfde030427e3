//! That it goes on, shown on a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Turns on a terminal, and is nowhere else; what was drawn is gone when it is dropped.
pub(super) struct Waiting(ProgressBar);

impl Waiting {
    pub(super) fn new(what: &'static str) -> Self {
        let bar = ProgressBar::new_spinner();
        let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.set_message(what);
        bar.enable_steady_tick(FRAME);
        Self(bar)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

const FRAME: Duration = Duration::from_millis(120);
