//! The signals that end the program.

use crate::exit::Exit;

/// Waits until the program is told to end.
///
/// A signal that it was started to ignore, by `nohup` or as a job of a script, stays ignored.
pub(crate) async fn interrupted() -> Exit {
    signals::interrupted().await
}

#[cfg(unix)]
mod signals {
    use std::fs::read_to_string;
    use std::future::pending;

    use tokio::signal::unix::{SignalKind, signal};

    use crate::exit::Exit;

    pub(super) async fn interrupted() -> Exit {
        let ignored = ignored();
        tokio::select! {
            () = came(SignalKind::interrupt(), ignored) => Exit::Interrupted,
            () = came(SignalKind::terminate(), ignored) => Exit::Terminated,
            () = came(SignalKind::hangup(), ignored) => Exit::HungUp,
        }
    }

    async fn came(kind: SignalKind, ignored: u64) {
        let bit = 1_u64 << (kind.as_raw_value() - 1);
        if ignored & bit == 0
            && let Ok(mut signals) = signal(kind)
        {
            signals.recv().await;
            return;
        }
        // The signal goes on doing what it does without us.
        pending().await
    }

    /// One bit for each signal that is ignored; none where the system does not tell.
    fn ignored() -> u64 {
        let status = read_to_string("/proc/self/status").unwrap_or_default();
        let mut lines = status.lines();
        lines
            .find_map(|line| line.strip_prefix("SigIgn:"))
            .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
            .unwrap_or(0)
    }
}

#[cfg(not(unix))]
mod signals {
    use std::future::pending;

    use tokio::signal::ctrl_c;

    use crate::exit::Exit;

    pub(super) async fn interrupted() -> Exit {
        match ctrl_c().await {
            Ok(()) => Exit::Interrupted,
            Err(_) => pending().await,
        }
    }
}
