//! Why the program did not do what it was asked, in one line for a person.

use std::error::Error as StdError;
use std::io;

use keyfob::ErrorKind;

use crate::exit::Exit;

/// An exit code, and the line that explains it.
#[derive(Debug)]
pub(crate) struct Fault {
    exit: Exit,
    message: Option<String>,
}

impl Fault {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: Some(message.into()),
        }
    }

    /// One that needs no explanation.
    pub(crate) fn quiet(exit: Exit) -> Self {
        Self {
            exit,
            message: None,
        }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// What failed, and every cause of it.
    pub(crate) fn because(what: impl Into<String>, cause: &(dyn StdError + 'static)) -> Self {
        Self::new(Exit::Failed, with_causes(what.into(), Some(cause)))
    }

    /// A failure to write to standard output; a reader that went away is none.
    pub(crate) fn of_stdout(fault: &io::Error) -> Self {
        match fault.kind() {
            io::ErrorKind::BrokenPipe => Self::quiet(Exit::Done),
            _ => Self::because("standard output cannot be written", fault),
        }
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    pub(crate) fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }
}

impl From<keyfob::Error> for Fault {
    fn from(error: keyfob::Error) -> Self {
        let exit = match error.kind() {
            ErrorKind::Input => Exit::Usage,
            ErrorKind::Origin => Exit::Origin,
            kind if kind.is_authentication() => Exit::NoToken,
            _ if is_timeout(&error) => Exit::TimedOut,
            _ => Exit::Failed,
        };
        Self::new(exit, with_causes(error.to_string(), error.source()))
    }
}

/// Whether time ran out somewhere down the chain.
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

/// A message and all its causes, each said once.
pub(crate) fn with_causes(message: String, cause: Option<&(dyn StdError + 'static)>) -> String {
    causes(cause).fold(message, |mut line, cause| {
        // A layer that only says that the next one failed.
        let is_noise = cause.is::<reqwest::Error>() && cause.source().is_some();
        let said = one_line(&cause.to_string());
        if !is_noise && !line.contains(&said) {
            line.push_str(": ");
            line.push_str(&said);
        }
        line
    })
}

fn causes<'a>(
    first: Option<&'a (dyn StdError + 'static)>,
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(first, |&error| error.source())
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let inner = keyfob::Error::unavailable("the vault is\nsealed");
        let middle = keyfob::Error::unavailable("the vault is sealed").caused_by(inner);
        let outer = keyfob::Error::refused("no token").caused_by(middle);
        let fault = Fault::from(outer);
        assert_eq!(fault.message(), Some("no token: the vault is sealed"));
        assert_eq!(fault.exit(), Exit::NoToken);
    }

    #[test]
    fn a_timeout_is_found_at_the_bottom() {
        let error =
            keyfob::Error::unavailable("x").caused_by(io::Error::from(io::ErrorKind::TimedOut));
        assert!(is_timeout(&error));
    }
}
