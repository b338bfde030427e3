//! Hides secrets in the output of `--verbose`.

use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE};
use http::{HeaderName, HeaderValue};
use keyfob::Token;

/// Replaces secrets with `[secret]`.
#[derive(Default)]
pub(super) struct Mask {
    tokens: Vec<Token>,
}

impl Mask {
    /// Hides this token everywhere, because a server may send it back.
    pub(super) fn add(&mut self, token: &Token) {
        self.tokens.push(token.clone());
    }

    /// The value of a header, without secrets.
    pub(super) fn value(&self, name: &HeaderName, value: &HeaderValue) -> String {
        let text = String::from_utf8_lossy(value.as_bytes());
        if name == AUTHORIZATION || name == PROXY_AUTHORIZATION {
            return match text.split_once(' ') {
                Some((scheme, _)) => format!("{scheme} {SECRET}"),
                None => SECRET.to_owned(),
            };
        }
        if value.is_sensitive() || is_secret(name) {
            return SECRET.to_owned();
        }
        self.text(&text)
    }

    /// Other text, without the tokens.
    pub(super) fn text(&self, text: &str) -> String {
        self.tokens.iter().fold(text.to_owned(), |text, token| {
            text.replace(token.expose(), SECRET)
        })
    }
}

/// True if the header of this name usually holds a secret.
fn is_secret(name: &HeaderName) -> bool {
    name == COOKIE
        || name == SET_COOKIE
        || SECRET_WORDS.iter().any(|word| name.as_str().contains(word))
}

const SECRET: &str = "[secret]";
const SECRET_WORDS: [&str; 6] = [
    "api-key",
    "apikey",
    "password",
    "secret",
    "signature",
    "token",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &'static str, value: &'static str) -> String {
        let mut mask = Mask::default();
        mask.add(&Token::new("t0ken").unwrap());
        mask.value(
            &HeaderName::from_static(name),
            &HeaderValue::from_static(value),
        )
    }

    #[test]
    fn only_the_scheme_of_a_credential_is_shown() {
        assert_eq!(shown("authorization", "Bearer abc"), "Bearer [secret]");
        assert_eq!(shown("authorization", "abc"), "[secret]");
        assert_eq!(shown("proxy-authorization", "Basic eDp5"), "Basic [secret]");
    }

    #[test]
    fn headers_that_usually_hold_a_secret_are_not_shown() {
        for name in ["cookie", "set-cookie", "x-api-key", "x-amz-security-token"] {
            assert_eq!(shown(name, "abc"), "[secret]", "{name}");
        }
        assert_eq!(shown("accept", "text/html"), "text/html");
    }

    #[test]
    fn a_token_that_the_server_sends_back_is_not_shown() {
        assert_eq!(shown("x-echo", "you sent t0ken!"), "you sent [secret]!");
    }
}
