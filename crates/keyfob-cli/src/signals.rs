//! The signals that end the program.

use crate::output::exit_code::ExitCode;

#[cfg(unix)]
pub(crate) use unix::{Signals, end_by_signal, handled, is_ignored, received};

/// Ctrl-C is the only signal.
#[cfg(not(unix))]
pub(crate) struct Signals {
    is_handled: bool,
}

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn handled() -> Self {
        Self { is_handled: true }
    }

    pub(crate) fn left_alone() -> Self {
        Self { is_handled: false }
    }

    pub(crate) async fn next(&mut self) -> ExitCode {
        match self.is_handled {
            true if tokio::signal::ctrl_c().await.is_ok() => ExitCode::Interrupted,
            _ => std::future::pending().await,
        }
    }
}

#[cfg(unix)]
mod unix {
    use std::fs::read_to_string;
    use std::future::pending;
    use std::io;

    use tokio::signal::unix::{Signal, SignalKind, signal};

    use super::ExitCode;

    /// The signals that end the program.
    ///
    /// A signal that was ignored when the program started, because of `nohup` or as a background job of a script, stays ignored.
    #[derive(Default)]
    pub(crate) struct Signals {
        interrupt: Option<Signal>,
        terminate: Option<Signal>,
        hang_up: Option<Signal>,
    }

    impl Signals {
        /// Handles the signals from here on. Without a handler, a signal keeps the effect that it had at the start.
        pub(crate) fn handled() -> Self {
            let handled = |kind| handled(kind).ok().flatten();
            Self {
                interrupt: handled(SignalKind::interrupt()),
                terminate: handled(SignalKind::terminate()),
                hang_up: handled(SignalKind::hangup()),
            }
        }

        /// None of the signals, which are for the command to handle.
        pub(crate) fn left_alone() -> Self {
            Self::default()
        }

        /// Waits for the next signal.
        pub(crate) async fn next(&mut self) -> ExitCode {
            tokio::select! {
                () = received(&mut self.interrupt) => ExitCode::Interrupted,
                () = received(&mut self.terminate) => ExitCode::Terminated,
                () = received(&mut self.hang_up) => ExitCode::HungUp,
            }
        }
    }

    /// Handles a signal, unless the program was started with it ignored.
    pub(crate) fn handled(kind: SignalKind) -> io::Result<Option<Signal>> {
        match is_ignored(kind.as_raw_value()) {
            true => Ok(None),
            false => signal(kind).map(Some),
        }
    }

    /// Waits for a signal that is handled.
    pub(crate) async fn received(signal: &mut Option<Signal>) {
        match signal {
            Some(signal) => _ = signal.recv().await,
            None => pending().await,
        }
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
