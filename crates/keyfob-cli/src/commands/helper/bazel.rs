//! The protocol of Bazel's credential helpers, which other tools of remote builds speak too.
//!
//! <https://github.com/EngFlow/credential-helper-spec/blob/main/spec.md>

use clap::Args;
use serde_json::{Value, json};

use crate::commands::helper::choose::{HelperOptions, Server};
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::print::print_stdout;
use crate::stdin::read_stdin;

/// Give the headers for a URL to Bazel
///
/// The request is JSON on standard input, such as {"uri":"https://cache.example.com"}. Bazel passes no options, so name the profile in
/// the name of the link if the URL does not decide: bazel-credential-keyfob-work.
#[derive(Args)]
pub(super) struct Bazel {
    #[command(flatten)]
    options: HelperOptions,
    /// What Bazel asks for: get
    operation: String,
}

impl Bazel {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        if self.operation != "get" {
            return Err(CliError::usage(
                "Bazel asks for `get`; this is another operation",
            ));
        }
        let request = read_stdin("the request").await?;
        let uri = uri(&request).ok_or_else(|| {
            CliError::usage("the request on standard input is not the JSON that Bazel writes: an object with the text `uri`")
        })?;
        let chosen = match Server::of_url(&uri) {
            Some(server) => self.options.choose(&server)?,
            None => None,
        };
        let response = match chosen {
            Some(chosen) => chosen.credential().await?.bazel()?,
            // "Any credentials that are returned" may be none: the request is then sent without.
            None => json!({}),
        };
        print_stdout(format!("{response}\n"))?;
        Ok(ExitCode::Done)
    }
}

/// The URI of a request. Unknown members are ignored, as the specification demands.
fn uri(request: &str) -> Option<String> {
    let request: Value = serde_json::from_str(request).ok()?;
    let uri = request.get("uri")?.as_str()?;
    // The schemes of remote execution are those of HTTP/2 with and without TLS.
    let uri = match uri.split_once("://") {
        Some(("grpcs", rest)) => format!("https://{rest}"),
        Some(("grpc", rest)) => format!("http://{rest}"),
        _ => uri.to_owned(),
    };
    Some(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uri_is_read_whatever_else_the_request_has() {
        let request = r#"{"x": [1], "uri": "grpcs://a.example/b", "y": null}"#;
        assert_eq!(uri(request).as_deref(), Some("https://a.example/b"));
        for other in ["", "[]", "{}", r#"{"uri": 1}"#, r#"{"uri": "a""#] {
            assert_eq!(uri(other), None, "{other}");
        }
    }
}
