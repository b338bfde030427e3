//! Why a command failed, as an exit code and a line for a person.

use std::error::Error as StdError;
use std::fmt::Display;
use std::io;

use keyfob::ErrorKind;
use keyfob::error::{FailedStep, printable};

use crate::output::exit_code::ExitCode;

/// An exit code, and the message that explains it.
#[derive(Debug)]
pub(crate) struct CliError {
    exit: ExitCode,
    message: Option<String>,
}

impl CliError {
    pub(crate) fn new(exit: ExitCode, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: Some(message.into()),
        }
    }

    /// An error without a message.
    pub(crate) fn silent(exit: ExitCode) -> Self {
        Self {
            exit,
            message: None,
        }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Usage, message)
    }

    /// What failed, with all its causes.
    pub(crate) fn failed(what: impl Into<String>, cause: &(dyn StdError + 'static)) -> Self {
        Self::caused(ExitCode::Failed, what, cause)
    }

    /// A failure to write the output.
    pub(crate) fn unwritable(what: impl Display, cause: &io::Error) -> Self {
        Self::caused(
            ExitCode::Unwritable,
            format!("{what} cannot be written"),
            cause,
        )
    }

    /// A failure to read what is sent.
    pub(crate) fn unreadable(what: impl Display, cause: &io::Error) -> Self {
        Self::caused(
            ExitCode::Unreadable,
            format!("{what} cannot be read"),
            cause,
        )
    }

    fn caused(exit: ExitCode, what: impl Into<String>, cause: &(dyn StdError + 'static)) -> Self {
        Self::new(exit, with_causes(what.into(), Some(cause)))
    }

    /// A failure to write to standard output. A reader that has closed the pipe, such as `head`, is not a failure.
    pub(crate) fn stdout(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::silent(ExitCode::Done),
            _ => Self::unwritable("standard output", error),
        }
    }

    pub(crate) fn exit(&self) -> ExitCode {
        self.exit
    }

    pub(crate) fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }
}

impl From<keyfob::Error> for CliError {
    fn from(error: keyfob::Error) -> Self {
        let exit = match error.kind() {
            ErrorKind::Input => ExitCode::Usage,
            ErrorKind::Origin => ExitCode::Origin,
            ErrorKind::Redirect => ExitCode::Redirects,
            kind if kind.is_authentication() => ExitCode::NoToken,
            _ if is_timeout(&error) => ExitCode::TimedOut,
            _ => of_step(error.failed_step()),
        };
        // The library's message names a method.
        if exit == ExitCode::Redirects {
            return CliError::new(
                exit,
                "the server redirects again and again; check the URL, or allow more with --max-redirects",
            );
        }
        Self::new(exit, with_causes(error.to_string(), error.source()))
    }
}

/// The code for a request that failed at this step.
fn of_step(step: Option<FailedStep>) -> ExitCode {
    match step {
        Some(FailedStep::Resolve) => ExitCode::Unresolved,
        Some(FailedStep::ResolveProxy) => ExitCode::UnresolvedProxy,
        Some(FailedStep::Connect) => ExitCode::Unconnected,
        Some(FailedStep::Handshake) => ExitCode::Handshake,
        Some(FailedStep::Certificate) => ExitCode::Certificate,
        Some(FailedStep::NoResponse) => ExitCode::NoResponse,
        Some(FailedStep::Tunnel | FailedStep::Receive) => ExitCode::Broken,
        _ => ExitCode::Failed,
    }
}

/// True if the error or one of its causes is a timeout.
pub(crate) fn is_timeout(error: &(dyn StdError + 'static)) -> bool {
    causes(Some(error)).any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|cause| cause.kind() == io::ErrorKind::TimedOut)
            || cause
                .downcast_ref::<reqwest::Error>()
                .is_some_and(reqwest::Error::is_timeout)
    })
}

/// A message and its causes on one line, each text once.
///
/// Of the errors of the HTTP client only the last one says more than that a step failed.
pub(crate) fn with_causes(message: String, cause: Option<&(dyn StdError + 'static)>) -> String {
    let is_client = |cause: &&(dyn StdError + 'static)| cause.is::<reqwest::Error>();
    let own = causes(cause).take_while(|cause| !is_client(cause));
    let client = causes(cause).find(is_client);
    let last = client.and_then(|client| causes(Some(client)).last());
    own.chain(last).map(words).fold(message, |mut line, text| {
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        line
    })
}

/// The text of an error, without the number that an error of the system has.
fn words(error: &(dyn StdError + 'static)) -> String {
    let text = printable(error);
    // Of the resolver, which has no number.
    let text = text.trim_start_matches("failed to lookup address information: ");
    let text = match text.split_once(" (os error ") {
        Some((words, _)) => words,
        None => text,
    };
    let mut rest = text.chars();
    match rest.next() {
        Some(first) if error.is::<io::Error>() => {
            format!("{}{}", first.to_lowercase(), rest.as_str())
        }
        _ => text.to_owned(),
    }
}

fn causes<'a>(
    first: Option<&'a (dyn StdError + 'static)>,
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(first, |&error| error.source())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_cause_is_printed_once() {
        let inner = keyfob::Error::unavailable("the vault is\nsealed");
        let middle = keyfob::Error::unavailable("the vault is sealed").caused_by(inner);
        let outer = keyfob::Error::refused("no token").caused_by(middle);
        let error = CliError::from(outer);
        assert_eq!(error.message(), Some("no token: the vault is sealed"));
        assert_eq!(error.exit(), ExitCode::NoToken);
    }

    #[test]
    fn a_timeout_is_found_among_the_causes() {
        let error =
            keyfob::Error::unavailable("x").caused_by(io::Error::from(io::ErrorKind::TimedOut));
        assert!(is_timeout(&error));
    }
}
