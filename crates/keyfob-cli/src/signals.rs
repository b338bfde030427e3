//! The signals that end the program.

use crate::output::exit_code::ExitCode;

/// Waits for a signal that ends the program.
///
/// A signal that was ignored when the program started, because of `nohup` or as a background job of a script, stays ignored.
#[cfg(unix)]
pub(crate) async fn wait_for_signal() -> ExitCode {
    use tokio::signal::unix::SignalKind;

    tokio::select! {
        () = unix::wait_for(SignalKind::interrupt()) => ExitCode::Interrupted,
        () = unix::wait_for(SignalKind::terminate()) => ExitCode::Terminated,
        () = unix::wait_for(SignalKind::hangup()) => ExitCode::HungUp,
    }
}

/// Waits for Ctrl-C.
#[cfg(not(unix))]
pub(crate) async fn wait_for_signal() -> ExitCode {
    match tokio::signal::ctrl_c().await {
        Ok(()) => ExitCode::Interrupted,
        Err(_) => std::future::pending().await,
    }
}

#[cfg(unix)]
pub(crate) use unix::{end_by_signal, is_ignored};

#[cfg(unix)]
mod unix {
    use std::fs::read_to_string;
    use std::future::pending;

    use tokio::signal::unix::{SignalKind, signal};

    pub(super) async fn wait_for(kind: SignalKind) {
        if !is_ignored(kind.as_raw_value())
            && let Ok(mut signals) = signal(kind)
        {
            signals.recv().await;
            return;
        }
        // Without a handler, the signal keeps the effect that it had at the start.
        pending().await
    }

    /// Ends this program by a signal that ended another one, so that a shell ends its loops after Ctrl-C. A signal that writes a core dump
    /// is left out.
    pub(crate) fn end_by_signal(signal: i32) {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

        if [SIGHUP, SIGINT, SIGTERM].contains(&signal) {
            _ = signal_hook::low_level::emulate_default_handler(signal);
        }
    }

    /// Whether the program was started with this signal ignored; false where there is no `/proc`.
    pub(crate) fn is_ignored(signal: i32) -> bool {
        ignored_signals() & (1_u64 << (signal - 1)) != 0
    }

    /// One bit for each ignored signal.
    fn ignored_signals() -> u64 {
        let status = read_to_string("/proc/self/status").unwrap_or_default();
        let mut lines = status.lines();
        lines
            .find_map(|line| line.strip_prefix("SigIgn:"))
            .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
            .unwrap_or(0)
    }
}
