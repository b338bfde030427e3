//! What the caller got, as data.

use std::error::Error as StdError;
use std::io;

use http::{HeaderMap, StatusCode};
use keyfob::ErrorKind;
use keyfob_conformance::outcome::{CallerGot, ErrorName};

/// A response without its body.
pub(super) fn head(status: StatusCode, headers: &HeaderMap) -> CallerGot {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    CallerGot {
        status: Some(status.as_u16()),
        headers: headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), text(value)))
            .collect(),
        ..CallerGot::default()
    }
}

/// The same response with its body, or with the error that reading it brought.
pub(super) fn with_body<B: AsRef<[u8]>, E: Into<Box<dyn StdError>>>(
    head: CallerGot,
    body: Result<B, E>,
) -> CallerGot {
    match body {
        Ok(body) => CallerGot {
            body: Some(String::from_utf8_lossy(body.as_ref()).into_owned()),
            ..head
        },
        Err(error) => {
            let error = error.into();
            let failed = failure(error.as_ref());
            CallerGot {
                error: failed.error,
                text: failed.text,
                ..head
            }
        }
    }
}

/// An error in place of a response.
pub(super) fn failure(error: &(dyn StdError + 'static)) -> CallerGot {
    let texts: Vec<_> = causes(error).map(ToString::to_string).collect();
    CallerGot {
        error: Some(name(error)),
        text: Some(texts.join(": ")),
        ..CallerGot::default()
    }
}

fn name(error: &(dyn StdError + 'static)) -> ErrorName {
    if let Some(error) = keyfob::Error::find(error) {
        return match error.kind() {
            ErrorKind::Input => ErrorName::Input,
            ErrorKind::Origin => ErrorName::Origin,
            ErrorKind::Redirect => ErrorName::Redirect,
            _ if error.is_authentication() => ErrorName::NoToken,
            _ if error.is_timeout() => ErrorName::Timeout,
            _ => ErrorName::Transport,
        };
    }
    let client = || causes(error).filter_map(|cause| cause.downcast_ref::<reqwest::Error>());
    if client().any(reqwest::Error::is_redirect) {
        ErrorName::Redirect
    } else if client().any(reqwest::Error::is_timeout) || causes(error).any(timed_out) {
        ErrorName::Timeout
    } else if client().any(reqwest::Error::is_builder) {
        ErrorName::Input
    } else {
        ErrorName::Transport
    }
}

fn timed_out(error: &(dyn StdError + 'static)) -> bool {
    if error.is::<tokio::time::error::Elapsed>() {
        return true;
    }
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}

fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}
