//! The headers of the request: keyfob's own, changed by the caller's.

use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::commands::request::body::Content;
use crate::output::error::CliError;

/// All headers but the credential and those that HTTP itself needs.
pub(super) fn all(content: &Content, lines: &[String]) -> Result<HeaderMap, CliError> {
    let mut headers = own(content);
    let mut given = HeaderMap::new();
    for line in lines {
        match Change::read(line)? {
            Change::Add(name, value) => {
                given.append(name, value);
            }
            Change::Remove(name) => {
                headers.remove(name);
            }
        }
    }
    for name in given.keys() {
        headers.remove(name);
    }
    headers.extend(given);
    Ok(headers)
}

fn own(content: &Content) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    let (accept, content_type) = match content {
        Content::Json(_) => (JSON, Some(JSON)),
        Content::Data(_) => (ANYTHING, Some(FORM)),
        Content::Upload(_) | Content::None => (ANYTHING, None),
    };
    headers.insert(ACCEPT, HeaderValue::from_static(accept));
    if let Some(content_type) = content_type {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    headers
}

/// What one `--header` says.
enum Change {
    Add(HeaderName, HeaderValue),
    Remove(HeaderName),
}

impl Change {
    /// Does not quote the value, which may be a secret.
    fn read(line: &str) -> Result<Self, CliError> {
        let (name, value) = match line.split_once(':') {
            Some((name, value)) => (name, Some(value.trim())),
            None => match line.strip_suffix(';') {
                Some(name) => (name, Some(";")),
                None => (line, None),
            },
        };
        let Ok(name) = HeaderName::try_from(name.trim()) else {
            return Err(CliError::usage(
                "--header has a name that no header may have; give `Name: value`",
            ));
        };
        match value {
            None => Err(CliError::usage(format!(
                "--header {name} has no value; give `{name}: value`, or `{name};` to send it empty"
            ))),
            Some("") => Ok(Self::Remove(name)),
            Some(";") if !line.contains(':') => Ok(Self::Add(name, HeaderValue::from_static(""))),
            Some(value) => HeaderValue::try_from(value)
                .map(|value| Self::Add(name.clone(), value))
                .map_err(|_| {
                    CliError::usage(format!(
                        "--header {name} has a value with a character that no header may have"
                    ))
                }),
        }
    }
}

/// Reads `name=value`.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| "give NAME=VALUE".to_owned())
}

const AGENT: &str = concat!("keyfob/", env!("CARGO_PKG_VERSION"));
const ANYTHING: &str = "*/*";
const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

#[cfg(test)]
mod tests {
    use super::*;

    use crate::output::exit_code::ExitCode;

    fn with(lines: &[&str]) -> HeaderMap {
        let lines: Vec<_> = lines.iter().map(|&line| line.to_owned()).collect();
        all(&Content::None, &lines).unwrap()
    }

    #[test]
    fn a_header_replaces_keyfobs_own_and_may_come_twice() {
        let headers = with(&["user-agent: me", "X-A: 1", "x-a:2"]);
        assert_eq!(headers[USER_AGENT], "me");
        let values: Vec<_> = headers.get_all("x-a").iter().collect();
        assert_eq!(values, ["1", "2"]);
    }

    #[test]
    fn a_header_can_be_empty_or_left_out() {
        let headers = with(&["User-Agent:", "X-Empty;"]);
        assert!(!headers.contains_key(USER_AGENT));
        assert_eq!(headers["x-empty"], "");
    }

    #[test]
    fn a_bad_header_is_refused_without_its_value() {
        for line in [
            "x y: s3cret",
            "no-value-s3cret\u{e9}",
            "x-a: s3cret\u{7f}",
            "x-a: a\nb: s3cret",
        ] {
            let Err(fault) = Change::read(line) else {
                panic!("{line:?} was taken");
            };
            assert_eq!(fault.exit(), ExitCode::Usage);
            assert!(!fault.message().unwrap().contains("s3cret"), "{line:?}");
        }
    }
}
