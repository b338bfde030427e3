//! What a signal means for a proxy: it ends, or reads its configuration again.

use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;

/// What a signal asks for.
pub(super) enum Event {
    #[cfg_attr(not(unix), expect(dead_code, reason = "asked for by SIGHUP"))]
    Reload,
    /// To end. The code is for an end that is forced.
    End(ExitCode),
}

#[cfg(unix)]
pub(super) use unix::Signals;

#[cfg(unix)]
mod unix {
    use std::fs::File;

    use tokio::signal::unix::{Signal, SignalKind};

    use super::{CliError, Event, ExitCode};
    use crate::signals::{handled, received};

    /// The signals of a proxy. One that was ignored when the program started stays ignored.
    pub(in crate::commands::proxy) struct Signals {
        interrupt: Option<Signal>,
        terminate: Option<Signal>,
        hang_up: Option<Signal>,
        /// Whether there is a terminal that can hang up.
        has_terminal: bool,
    }

    impl Signals {
        pub(in crate::commands::proxy) fn new() -> Result<Self, CliError> {
            let handle = |kind| {
                handled(kind).map_err(|error| CliError::failed("signals cannot be handled", &error))
            };
            Ok(Self {
                interrupt: handle(SignalKind::interrupt())?,
                terminate: handle(SignalKind::terminate())?,
                hang_up: handle(SignalKind::hangup())?,
                // It is the controlling terminal of this process; a service has none.
                has_terminal: File::open("/dev/tty").is_ok(),
            })
        }

        pub(in crate::commands::proxy) async fn next(&mut self) -> Event {
            tokio::select! {
                () = received(&mut self.interrupt) => Event::End(ExitCode::Interrupted),
                () = received(&mut self.terminate) => Event::End(ExitCode::Terminated),
                () = received(&mut self.hang_up) => match self.has_terminal {
                    true => Event::End(ExitCode::HungUp),
                    false => Event::Reload,
                },
            }
        }

        /// The next signal that asks to end. One that asks for a reload is left for [`next`](Self::next).
        pub(in crate::commands::proxy) async fn end(&mut self) -> ExitCode {
            let has_terminal = self.has_terminal;
            tokio::select! {
                () = received(&mut self.interrupt) => ExitCode::Interrupted,
                () = received(&mut self.terminate) => ExitCode::Terminated,
                () = received(&mut self.hang_up), if has_terminal => ExitCode::HungUp,
            }
        }
    }
}

/// Ctrl-C is the only signal.
#[cfg(not(unix))]
pub(super) struct Signals;

#[cfg(not(unix))]
impl Signals {
    pub(super) fn new() -> Result<Self, CliError> {
        Ok(Self)
    }

    pub(super) async fn next(&mut self) -> Event {
        Event::End(self.end().await)
    }

    pub(super) async fn end(&mut self) -> ExitCode {
        crate::signals::Signals::handled().next().await
    }
}
