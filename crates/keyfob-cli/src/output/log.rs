//! The library's log on standard error, for `-vv`: renewals, retries, replays.

use std::io::stderr;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry;
use tracing_subscriber::util::SubscriberInitExt;

/// Prints the library's events, one line each. They hold no secret; events of other crates might, and are not printed.
pub(crate) fn show() {
    let lines = layer().with_writer(stderr).with_ansi(false).without_time();
    let ours = Targets::new().with_target("keyfob", LevelFilter::DEBUG);
    // It fails only if a log is already installed.
    let _ = registry().with(lines).with(ours).try_init();
}
