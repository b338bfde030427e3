//! What a program gets in place of a token, and where in a request it is.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::{AUTHORIZATION, PROXY_AUTHORIZATION};
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use rustls::crypto::aws_lc_rs;
use zeroize::Zeroizing;

use crate::client::proxy::forward::form::Form;
use crate::error::error::Error;
use crate::token::secret::Secret;

/// A random text that a program gets in place of a token. Clones are the same one.
///
/// It works on its route, in this run, through this proxy, and nowhere else.
#[derive(Clone)]
pub struct StandIn(Secret);

impl StandIn {
    /// How a stand-in begins, unless a profile says otherwise.
    pub const PREFIX: &str = "kf_";

    /// Makes one with this beginning, for programs that check the form of a token.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) if the beginning has characters that a header must not contain, and
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if the system gives no random bytes.
    pub fn random(prefix: &str) -> Result<Self, Error> {
        Ok(Self(Secret::new(format!("{prefix}{}", random_text()?))?))
    }

    /// The text, for the program's environment.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    fn is_in(&self, text: &[u8]) -> bool {
        let own = self.expose().as_bytes();
        text.windows(own.len()).any(|part| part == own)
    }

    /// Whether the stand-in is anywhere in the head of a request, also inside Basic credentials.
    pub(super) fn is_in_head(&self, head: &Parts) -> bool {
        self.is_in(head.uri.to_string().as_bytes())
            || head.headers.iter().any(|(name, value)| {
                self.is_in(name.as_str().as_bytes())
                    || self.is_in(value.as_bytes())
                    || basic(value.as_bytes()).is_some_and(|pair| self.is_in(pair.as_bytes()))
            })
    }

    /// Takes the stand-in out of the fields of a request, and says in which form the program meant to send its token.
    ///
    /// `None` if no field has it.
    pub(super) fn take(&self, headers: &mut HeaderMap) -> Option<Form> {
        let mut form = None;
        let with_stand_in: Vec<HeaderName> = headers
            .iter()
            .filter(|(_, value)| {
                self.is_in(value.as_bytes())
                    || basic(value.as_bytes()).is_some_and(|pair| self.is_in(pair.as_bytes()))
            })
            .map(|(name, _)| name.clone())
            .collect();
        for name in with_stand_in {
            // A name is here once for each of its fields. All of them went with the first.
            let Some(value) = headers.remove(&name) else {
                continue;
            };
            let own = match name {
                AUTHORIZATION => self.form_of(value.as_bytes()),
                _ => Form::OfToken,
            };
            form = Some(match form {
                None | Some(Form::OfToken) => own,
                Some(form) => form,
            });
        }
        headers.remove(PROXY_AUTHORIZATION);
        form
    }

    /// The form of an `Authorization` field that has the stand-in.
    fn form_of(&self, value: &[u8]) -> Form {
        if let Some(pair) = basic(value) {
            return match pair.split_once(':') {
                Some((user, password)) if password == self.expose() => Form::Password {
                    user: user.to_owned(),
                },
                Some((user, password)) if user == self.expose() => Form::User {
                    password: password.to_owned(),
                },
                _ => Form::OfToken,
            };
        }
        let value = String::from_utf8_lossy(value);
        match value.split_once(' ') {
            Some((scheme, text)) if text.trim() == self.expose() => Form::scheme(scheme),
            _ => Form::OfToken,
        }
    }
}

/// The user and the password of a field with Basic credentials (RFC 7617).
pub(super) fn basic(value: &[u8]) -> Option<Zeroizing<String>> {
    let (scheme, text) = std::str::from_utf8(value).ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let bytes = STANDARD.decode(text.trim()).ok()?;
    String::from_utf8(bytes).ok().map(Zeroizing::new)
}

/// 192 random bits as text for URLs and headers.
pub(super) fn random_text() -> Result<String, Error> {
    let mut bytes = Zeroizing::new([0; 24]);
    let filled = aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut bytes[..]);
    filled.map_err(|_| Error::unavailable("the system gives no random bytes"))?;
    Ok(URL_SAFE_NO_PAD.encode(*bytes))
}

impl fmt::Debug for StandIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StandIn").field(&"[hidden]").finish()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn taken(stand_in: &StandIn, name: HeaderName, value: String) -> Option<Form> {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::try_from(value).unwrap());
        let form = stand_in.take(&mut headers);
        assert_eq!(headers.is_empty(), form.is_some());
        form
    }

    #[test]
    fn p8_a_stand_in_is_found_in_each_form_and_taken_out() {
        let stand_in = StandIn::random(StandIn::PREFIX).unwrap();
        let text = stand_in.expose();
        let encoded = |pair: String| format!("basic {}", STANDARD.encode(pair));
        let key = HeaderName::from_static("private-token");
        for (name, value, form) in [
            (AUTHORIZATION, format!("Bearer {text}"), Some(Form::OfToken)),
            (
                AUTHORIZATION,
                format!("token {text}"),
                Some(Form::Scheme("token".to_owned())),
            ),
            (
                AUTHORIZATION,
                encoded(format!("git:{text}")),
                Some(Form::Password {
                    user: "git".to_owned(),
                }),
            ),
            (
                AUTHORIZATION,
                encoded(format!("{text}:")),
                Some(Form::User {
                    password: String::new(),
                }),
            ),
            (key.clone(), text.to_owned(), Some(Form::OfToken)),
            (AUTHORIZATION, "Bearer other".to_owned(), None),
            (key, "other".to_owned(), None),
        ] {
            assert_eq!(taken(&stand_in, name, value), form);
        }
    }

    #[test]
    fn s1_no_two_stand_ins_are_the_same_and_debug_hides_them() {
        let [first, second] = [0; 2].map(|_| StandIn::random("ghp_").unwrap());
        assert_ne!(first.expose(), second.expose());
        assert!(first.expose().len() > 30 && first.expose().starts_with("ghp_"));
        assert!(!format!("{first:?}").contains(first.expose()));
        assert!(StandIn::random("a b").is_err());
    }
}
