//! The signals that end the program.

use crate::output::exit_code::ExitCode;

/// Waits for a signal that ends the program.
///
/// A signal that was ignored when the program started, because of `nohup` or as a background job of a script, stays ignored.
#[cfg(unix)]
pub(crate) async fn wait_for_signal() -> ExitCode {
    use tokio::signal::unix::SignalKind;

    let ignored = unix::ignored_signals();
    tokio::select! {
        () = unix::wait_for(SignalKind::interrupt(), ignored) => ExitCode::Interrupted,
        () = unix::wait_for(SignalKind::terminate(), ignored) => ExitCode::Terminated,
        () = unix::wait_for(SignalKind::hangup(), ignored) => ExitCode::HungUp,
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
mod unix {
    use std::fs::read_to_string;
    use std::future::pending;

    use tokio::signal::unix::{SignalKind, signal};

    pub(super) async fn wait_for(kind: SignalKind, ignored: u64) {
        let bit = 1_u64 << (kind.as_raw_value() - 1);
        if ignored & bit == 0
            && let Ok(mut signals) = signal(kind)
        {
            signals.recv().await;
            return;
        }
        // Without a handler, the signal keeps the effect that it had at the start.
        pending().await
    }

    /// One bit for each ignored signal; none where there is no `/proc`.
    pub(super) fn ignored_signals() -> u64 {
        let status = read_to_string("/proc/self/status").unwrap_or_default();
        let mut lines = status.lines();
        lines
            .find_map(|line| line.strip_prefix("SigIgn:"))
            .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
            .unwrap_or(0)
    }
}
