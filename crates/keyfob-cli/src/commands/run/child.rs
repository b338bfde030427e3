//! The program that `keyfob run` runs: how it is started, what becomes of signals, and how its end becomes an exit code.

use std::ffi::OsString;
use std::io;
use std::process::Command;

#[cfg(unix)]
use crate::commands::run::signals::Supervisor;
use crate::output::error::{CliError, with_causes};
use crate::output::exit_code::ExitCode;

/// A program that runs.
pub(super) struct Child {
    ended: tokio::sync::oneshot::Receiver<ExitCode>,
}

impl Child {
    /// Starts the program, without a shell. It has the standard streams and the process group of keyfob, and this environment.
    pub(super) fn start(
        words: &[OsString],
        change: impl FnOnce(&mut Command),
    ) -> Result<Self, CliError> {
        let (program, arguments) = words.split_first().expect("the arguments require one");
        let mut command = Command::new(program);
        command.args(arguments);
        change(&mut command);
        // The handlers come first, so that no signal ends keyfob alone.
        #[cfg(unix)]
        let supervisor = Supervisor::new()
            .map_err(|error| CliError::failed("signals cannot be handled", &error))?;
        let child = command.spawn().map_err(|error| not_started(&error))?;
        let (sender, ended) = tokio::sync::oneshot::channel();
        #[cfg(unix)]
        supervisor.watch(&child, sender);
        #[cfg(not(unix))]
        watch(child, sender);
        Ok(Self { ended })
    }

    /// Waits until the program has ended. What it started itself may go on.
    pub(super) async fn ended(&mut self) -> ExitCode {
        // The thread that sends it ends only with the program.
        (&mut self.ended).await.unwrap_or(ExitCode::OfProgram(1))
    }
}

/// As env(1) and nohup(1) do, which POSIX describes. The name is not quoted: a person who forgets the program's name may give a secret.
fn not_started(error: &io::Error) -> CliError {
    let (exit, what) = match error.kind() {
        io::ErrorKind::NotFound => (
            ExitCode::NotFound,
            "the program does not exist; check its name and PATH",
        ),
        _ => (ExitCode::NotExecutable, "the program cannot be executed"),
    };
    CliError::new(exit, with_causes(what.to_owned(), Some(error)))
}

/// Waits for the end of the program on a thread. Ctrl-C reaches it by its console.
#[cfg(not(unix))]
fn watch(mut child: std::process::Child, sender: tokio::sync::oneshot::Sender<ExitCode>) {
    std::thread::spawn(move || {
        let code = child.wait().ok().and_then(|status| status.code());
        let code = code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
        _ = sender.send(ExitCode::OfProgram(code));
    });
    tokio::spawn(async { while tokio::signal::ctrl_c().await.is_ok() {} });
}
