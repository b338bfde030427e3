//! What the output of a helper means in the protocol in which it was asked, before the token in it is read.

use crate::error::error::{Error, ErrorKind};
use crate::source::command::request::HelperRequest;
use crate::source::token_text::parse_as;
use crate::source::token_text::type_use::TypeUse;
use crate::token::token::Token;

/// The token in the output. A helper that says in its own protocol that it has none is told apart from one that prints rubbish.
pub(crate) fn read(
    request: &HelperRequest,
    stdout: &[u8],
    type_use: TypeUse,
) -> Result<Token, Error> {
    let text = String::from_utf8_lossy(stdout);
    let text = text.trim();
    match request {
        HelperRequest::Git { .. } if text.is_empty() => Err(none(
            "it says that there is no credential for this server; sign in with the helper's own tool, or store one with `git credential approve`",
        )),
        HelperRequest::Git { .. } if text.lines().any(says_quit) => Err(none(
            "it says that git has to stop (`quit`); run the helper by hand to see why",
        )),
        HelperRequest::Bazel { .. } if is_empty_object(text) => Err(none(
            "it says that this URL needs no credential; check the URL that the helper is asked about",
        )),
        HelperRequest::Terraform { .. } if is_empty_object(text) => Err(none(
            "it says that there is no token for this host; run `terraform login`",
        )),
        HelperRequest::Pass { .. } => {
            let first = stdout.split(|byte| *byte == b'\n').next();
            parse_as(first.unwrap_or_default(), type_use)
        }
        _ => parse_as(stdout, type_use),
    }
}

fn says_quit(line: &str) -> bool {
    let value = line.strip_prefix("quit=");
    value.is_some_and(|value| ["1", "true", "yes", "on"].contains(&value))
}

fn is_empty_object(text: &str) -> bool {
    let inner = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'));
    inner.is_some_and(|inner| inner.trim().is_empty())
}

fn none(message: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, message)
}
