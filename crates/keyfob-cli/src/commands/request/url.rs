//! The URL of the request.

use keyfob::Origin;
use url::{ParseError, Url};

use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;

/// Resolves a URL as people type it, and adds parameters and data to its query.
///
/// A URL without a scheme is relative to the base, if there is one. Otherwise its scheme is `https`, because it receives a token, or
/// `http` for this machine.
pub(super) fn resolve(
    text: &str,
    query: &[(String, String)],
    data: Option<&str>,
    base: Option<&Url>,
) -> Result<Url, CliError> {
    let mut url = match base {
        Some(base) => base.join(text).map_err(unreadable)?,
        None => absolute(text)?,
    };
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    if let Some(data) = data {
        let query = match url.query() {
            Some(query) if !query.is_empty() => format!("{query}&{data}"),
            _ => data.to_owned(),
        };
        url.set_query(Some(&query));
    }
    Ok(url)
}

/// The name for the file of the response: the last segment of the path.
pub(super) fn file_name(url: &Url) -> Result<&str, CliError> {
    let segments = url.path_segments();
    let last = segments.and_then(|mut segments| segments.next_back());
    last.filter(|name| !name.is_empty())
        .ok_or_else(|| CliError::usage("the URL ends with no file name; name a file with --output"))
}

fn absolute(text: &str) -> Result<Url, CliError> {
    if text.contains("://") {
        return Url::parse(text).map_err(unreadable);
    }
    if METHODS.contains(&text) {
        return Err(CliError::usage(format!(
            "the method {text} is given, but no URL"
        )));
    }
    if text.starts_with(['/', '.', '?', '#']) {
        return Err(CliError::usage(
            "the URL is relative and names no server; give a complete URL, such as https://api.example.com/path, \
             or a --profile with a base_url",
        ));
    }
    let secure = Url::parse(&format!("https://{text}")).map_err(unreadable)?;
    if Origin::from_url(&secure)?.is_loopback() {
        return Url::parse(&format!("http://{text}")).map_err(unreadable);
    }
    Ok(secure)
}

/// The error does not quote the URL, whose query may hold secrets.
fn unreadable(error: ParseError) -> CliError {
    CliError::new(
        ExitCode::Usage,
        format!("the URL cannot be parsed: {error}"),
    )
}

const METHODS: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_without_a_scheme_is_https_except_for_this_machine() {
        for (text, url) in [
            ("api.example.com/x", "https://api.example.com/x"),
            ("localhost:8080/x", "http://localhost:8080/x"),
            ("127.0.0.1", "http://127.0.0.1/"),
            ("http://api.example.com", "http://api.example.com/"),
        ] {
            assert_eq!(resolve(text, &[], None, None).unwrap().as_str(), url);
        }
    }

    #[test]
    fn parameters_are_added_to_the_query() {
        let query = [("b".to_owned(), "x y&".to_owned())];
        let url = resolve("https://h/?a=1", &query, Some("c=%20"), None).unwrap();
        assert_eq!(url.query(), Some("a=1&b=x+y%26&c=%20"));
    }

    #[test]
    fn a_url_without_a_server_is_refused() {
        for text in ["/v1/items", "./items", "../items", "?a=1", "//h/x"] {
            assert_eq!(
                resolve(text, &[], None, None).unwrap_err().exit(),
                ExitCode::Usage,
                "{text}"
            );
        }
    }

    #[test]
    fn a_relative_url_is_resolved_against_the_base() {
        let base = Url::parse("https://api.example.com/v1/").unwrap();
        for (text, url) in [
            ("items?x=1", "https://api.example.com/v1/items?x=1"),
            ("/v2/items", "https://api.example.com/v2/items"),
            ("b.example/x", "https://api.example.com/v1/b.example/x"),
            ("https://b.example/x", "https://b.example/x"),
        ] {
            assert_eq!(resolve(text, &[], None, Some(&base)).unwrap().as_str(), url);
        }
    }

    #[test]
    fn a_method_without_a_url_is_refused() {
        assert_eq!(
            resolve("GET", &[], None, None).unwrap_err().exit(),
            ExitCode::Usage
        );
    }
}
