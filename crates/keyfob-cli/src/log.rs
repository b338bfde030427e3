//! What the library does meanwhile, on standard error: renewals, retries, replays.

use std::io::stderr;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry;
use tracing_subscriber::util::SubscriberInitExt;

/// Shows what the library tells, one line each. It tells no secret; what other libraries tell is not shown.
pub(crate) fn show() {
    let lines = layer().with_writer(stderr).with_ansi(false).without_time();
    let ours = Targets::new().with_target("keyfob", LevelFilter::DEBUG);
    // An error would mean that the log is shown already.
    let _ = registry().with(lines).with(ours).try_init();
}
