//! A spinner on the terminal while the program waits for a person.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::output::print::shows_notices;

/// A spinner; nothing is drawn with `--quiet`, or unless standard error is a terminal. Dropping it clears its line.
pub(crate) struct Spinner(ProgressBar);

impl Spinner {
    pub(crate) fn new(message: &'static str) -> Self {
        let bar = match shows_notices() {
            true => ProgressBar::new_spinner(),
            false => ProgressBar::hidden(),
        };
        let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.set_message(message);
        bar.enable_steady_tick(FRAME);
        Self(bar)
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

const FRAME: Duration = Duration::from_millis(120);
