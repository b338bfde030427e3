//! What a user reads when the database cannot be used.

use std::io;
use std::io::ErrorKind;

use tokio_postgres::error::{DbError, SqlState};

use crate::error::error::{Error, causes};
use crate::error::printable::printable;
use crate::store::error::StoreError;
use crate::store::outage::{ServerFault, tls_failure};

/// Why a statement has no result.
pub(super) enum Fault {
    TimedOut,
    Client(tokio_postgres::Error),
    /// The server, or each of several, accepts no writes. One is about to, if another has failed.
    NoPrimary(tokio_postgres::Error),
    /// What each of several servers answered, or did not.
    OfAll(Vec<Fault>),
    /// The table is not there, or is not as this version knows it.
    Table(Error),
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        match refuses_writes(&error) {
            true => Self::NoPrimary(error),
            false => Self::Client(error),
        }
    }
}

impl Fault {
    /// What is wrong if each of the servers has one of these faults.
    pub(super) fn of_all(mut faults: Vec<Self>) -> Self {
        match faults.len() {
            1 => faults.remove(0),
            _ => Self::OfAll(faults),
        }
    }

    /// Whether the connection is of no more use.
    pub(super) fn ends_connection(&self) -> bool {
        match self {
            Self::TimedOut | Self::NoPrimary(_) | Self::OfAll(_) | Self::Table(_) => true,
            Self::Client(error) => match error.code() {
                None => true,
                Some(code) => is_restart(code),
            },
        }
    }

    pub(super) fn into_store_error(self) -> StoreError {
        let error = match self {
            Self::TimedOut => {
                Error::unavailable("the database of the token store did not reply in time")
            }
            Self::Table(error) => error,
            Self::OfAll(faults) => {
                let told = faults.into_iter().min_by_key(Self::rank);
                return told.unwrap_or(Self::TimedOut).into_store_error();
            }
            Self::NoPrimary(error) | Self::Client(error) => {
                let message = match error.code() {
                    Some(code) => refusal(code),
                    None if refuses_writes(&error) => {
                        "none of the servers of the token store accepts writes"
                    }
                    None if is_network_failure(&error) => {
                        "the database of the token store cannot be reached"
                    }
                    None => "no session with the database of the token store can be set up",
                };
                Error::unavailable(message).caused_by(cause(&error))
            }
        };
        StoreError::unavailable(error)
    }

    /// Of several servers, the fault of the lowest rank says most: what a person has to change, then what the servers are.
    fn rank(&self) -> u8 {
        match self {
            Self::TimedOut => 3,
            Self::NoPrimary(_) => 1,
            Self::Client(error) if error.code() == Some(&SqlState::TOO_MANY_CONNECTIONS) => 0,
            fault if fault.may_pass() => 2,
            _ => 0,
        }
    }
}

impl ServerFault for Fault {
    fn timed_out() -> Self {
        Self::TimedOut
    }

    fn may_pass(&self) -> bool {
        let error = match self {
            Self::NoPrimary(_) => return true,
            Self::TimedOut | Self::Table(_) => return false,
            // While one does not answer, another may take its place.
            Self::OfAll(faults) => {
                return faults
                    .iter()
                    .any(|fault| matches!(fault, Self::TimedOut) || fault.may_pass());
            }
            Self::Client(error) => error,
        };
        match error.code() {
            Some(code) => {
                is_restart(code) || is_conflict(code) || *code == SqlState::TOO_MANY_CONNECTIONS
            }
            None => error.is_closed() || io_causes(error).any(is_broken_connection),
        }
    }
}

/// The server ends its connections, or does not accept new ones yet.
fn is_restart(code: &SqlState) -> bool {
    let classes = ["08", "57P"];
    classes.iter().any(|class| code.code().starts_with(class))
}

/// Another statement was faster, or its cancellation came too late and hit this one.
fn is_conflict(code: &SqlState) -> bool {
    // Transaction rollback.
    code.code().starts_with("40")
        || *code == SqlState::LOCK_NOT_AVAILABLE
        || *code == SqlState::QUERY_CANCELED
}

/// A standby refuses writes. With several servers, the client asks before the first statement, and then its error has no code.
fn refuses_writes(error: &tokio_postgres::Error) -> bool {
    match error.code() {
        Some(code) => *code == SqlState::READ_ONLY_SQL_TRANSACTION,
        None => io_causes(error).any(|cause| cause.kind() == ErrorKind::PermissionDenied),
    }
}

/// Whether it is the network that failed, and not what the server and this program tell each other.
fn is_network_failure(error: &tokio_postgres::Error) -> bool {
    let is_of_network = |cause: &io::Error| {
        !matches!(
            cause.kind(),
            ErrorKind::InvalidData | ErrorKind::InvalidInput
        )
    };
    error.is_closed() || io_causes(error).any(is_of_network)
}

fn io_causes(error: &tokio_postgres::Error) -> impl Iterator<Item = &io::Error> {
    causes(error).filter_map(|cause| cause.downcast_ref())
}

/// Of the addresses of a name, the client tells what is wrong with the last one. That may be one without a route.
fn is_broken_connection(cause: &io::Error) -> bool {
    matches!(
        cause.kind(),
        ErrorKind::AddrNotAvailable
            | ErrorKind::BrokenPipe
            | ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::TimedOut
            | ErrorKind::UnexpectedEof
    )
}

/// What a refusal of the server means for a user.
fn refusal(code: &SqlState) -> &'static str {
    match code {
        &SqlState::DISK_FULL => "the database of the token store has no space left",
        &SqlState::TOO_MANY_CONNECTIONS => "the database of the token store has no connection left",
        &SqlState::READ_ONLY_SQL_TRANSACTION => {
            "the database of the token store is read-only, as a standby is; give the URL of the primary"
        }
        &SqlState::INSUFFICIENT_PRIVILEGE => {
            "the database of the token store does not let this user read and write the table; `keyfob store sql` prints \
             the right to grant"
        }
        &SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            "the database of the token store refused the user or the password"
        }
        &SqlState::UNDEFINED_DATABASE => {
            "the server of the token store does not have the database of the URL"
        }
        &SqlState::UNDEFINED_TABLE | &SqlState::UNDEFINED_COLUMN => {
            "the table of the token store is gone or was changed; `keyfob store sql` prints how to create it"
        }
        &SqlState::PROTOCOL_VIOLATION => {
            "the database of the token store, or the pool of connections before it, refused the connection"
        }
        code if is_restart(code) => "the database of the token store is starting or stopping",
        _ => "the database of the token store refused the statement",
    }
}

/// The reason in one line. The server chooses the text of a refusal, and its details may quote the values of a row.
fn cause(error: &tokio_postgres::Error) -> String {
    if let Some(refusal) = error.as_db_error() {
        return printable(short(refusal));
    }
    if let Some(failure) = tls_failure(error) {
        return failure;
    }
    let mut texts: Vec<String> = Vec::new();
    // Some causes have the text of the next one in theirs.
    for text in causes(error).map(ToString::to_string) {
        if !texts.last().is_some_and(|last| last.ends_with(&text)) {
            texts.push(text);
        }
    }
    printable(texts.join(": "))
}

fn short(refusal: &DbError) -> String {
    format!("{} ({})", refusal.message(), refusal.code().code())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_an_address_that_has_no_route_may_be_reached_soon() {
        for kind in [
            ErrorKind::AddrNotAvailable,
            ErrorKind::ConnectionRefused,
            ErrorKind::HostUnreachable,
            ErrorKind::NetworkUnreachable,
        ] {
            assert!(is_broken_connection(&kind.into()), "{kind}");
        }
        assert!(!is_broken_connection(&ErrorKind::InvalidData.into()));
    }
}
