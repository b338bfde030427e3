//! The library's log on standard error.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterExt, LevelFilter, Targets, filter_fn};
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry;
use tracing_subscriber::util::SubscriberInitExt;

use crate::output::retries::Retries;

/// Prints the library's events up to this level, one line each. They hold no secret; events of other crates might, and are not
/// printed. `goes_on` is true for a command that does not end with the first failure, and prints no retries for a person.
pub(crate) fn show(level: LevelFilter, goes_on: bool) {
    let lines = layer().with_writer(stderr).with_ansi(false).without_time();
    let ours = Targets::new().with_target("keyfob", level);
    // The command's own message has the error of a renewal without which there is no token. No other error has a kind.
    let news = filter_fn(move |event| {
        goes_on
            || level > LevelFilter::WARN
            || *event.level() != LevelFilter::ERROR
            || event.fields().field("kind").is_none()
    })
    // Without it, each event of another crate is looked at, twice in a request of `keyfob proxy`.
    .with_max_level_hint(level);
    let announces = level == LevelFilter::WARN && !goes_on && stderr().is_terminal();
    let retries = announces.then(|| {
        let debug = Targets::new().with_target("keyfob", LevelFilter::DEBUG);
        Retries.with_filter(debug)
    });
    let lines = lines.with_filter(ours.and(news));
    // It fails only if a log is already installed.
    let _ = registry().with(lines).with(retries).try_init();
}
