//! The headers of the request: keyfob's own, as changed by `--header`.

use clap::Args;
use http::header::{ACCEPT, CONTENT_TYPE, COOKIE, REFERER, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::commands::request::body::RequestBody;
use crate::output::error::CliError;

/// The options for headers.
#[derive(Args, Default)]
pub(super) struct HeaderOptions {
    /// Add a header; `Name;` sends it empty, `Name:` removes one that keyfob adds
    #[arg(short = 'H', long, value_name = "NAME: VALUE")]
    pub(super) header: Vec<String>,
    /// Send this name of the program in place of keyfob's, as the header User-Agent
    #[arg(short = 'A', long, value_name = "TEXT")]
    user_agent: Option<String>,
    /// Send the header Referer
    #[arg(short = 'e', long, value_name = "URL")]
    referer: Option<String>,
    /// Send the header Cookie
    #[arg(short = 'b', long, value_name = "NAME=VALUE")]
    cookie: Option<String>,
}

/// All headers except the credential and those that the HTTP client adds.
pub(super) fn all(body: &RequestBody, options: &HeaderOptions) -> Result<HeaderMap, CliError> {
    let mut headers = own(body)?;
    options.add_to(&mut headers)?;
    let mut given = HeaderMap::new();
    for line in &options.header {
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

fn own(body: &RequestBody) -> Result<HeaderMap, CliError> {
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    let form;
    let (accept, content_type) = match body {
        RequestBody::Json(_) => (JSON, Some(JSON)),
        RequestBody::Data(_) => (ANYTHING, Some(FORM)),
        RequestBody::Form(boundary, _) => {
            form = format!("multipart/form-data; boundary={boundary}");
            (ANYTHING, Some(&*form))
        }
        RequestBody::Upload(_) | RequestBody::None => (ANYTHING, None),
    };
    headers.insert(ACCEPT, HeaderValue::from_static(accept));
    if let Some(content_type) = content_type {
        headers.insert(CONTENT_TYPE, value("--form", content_type)?);
    }
    Ok(headers)
}

impl HeaderOptions {
    /// Adds the headers that have an option of their own.
    fn add_to(&self, headers: &mut HeaderMap) -> Result<(), CliError> {
        for (option, name, text) in [
            ("--user-agent", USER_AGENT, &self.user_agent),
            ("--referer", REFERER, &self.referer),
            ("--cookie", COOKIE, &self.cookie),
        ] {
            let Some(text) = text else {
                continue;
            };
            if name == COOKIE && !text.contains('=') {
                return Err(CliError::usage(
                    "--cookie takes NAME=VALUE and no file; keyfob keeps no cookies",
                ));
            }
            headers.insert(name, value(option, text)?);
        }
        Ok(())
    }
}

/// The value of an option as that of a header. The error does not quote it, because it may be a secret.
fn value(option: &str, text: &str) -> Result<HeaderValue, CliError> {
    HeaderValue::try_from(text).map_err(|_| {
        CliError::usage(format!(
            "{option} has a character that is not allowed in a header"
        ))
    })
}

/// The change that one `--header` makes.
enum Change {
    Add(HeaderName, HeaderValue),
    Remove(HeaderName),
}

impl Change {
    /// Errors do not quote the value, which may be a secret.
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
                "--header has a name with a character that is not allowed; give `Name: value`",
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
                        "--header {name} has a value with a character that is not allowed"
                    ))
                }),
        }
    }
}

/// Parses `name=value`.
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
        let options = HeaderOptions {
            header: lines.iter().map(|&line| line.to_owned()).collect(),
            ..HeaderOptions::default()
        };
        all(&RequestBody::None, &options).unwrap()
    }

    #[test]
    fn a_header_replaces_keyfobs_own_and_can_be_repeated() {
        let headers = with(&["user-agent: me", "X-A: 1", "x-a:2"]);
        assert_eq!(headers[USER_AGENT], "me");
        let values: Vec<_> = headers.get_all("x-a").iter().collect();
        assert_eq!(values, ["1", "2"]);
    }

    #[test]
    fn a_header_can_be_empty_or_removed() {
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
            let Err(error) = Change::read(line) else {
                panic!("{line:?} was accepted");
            };
            assert_eq!(error.exit(), ExitCode::Usage);
            assert!(!error.message().unwrap().contains("s3cret"), "{line:?}");
        }
    }
}
