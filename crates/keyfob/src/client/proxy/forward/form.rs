//! The form in which a program sends its token, and a source whose tokens have that form.

use crate::cache::cache::TokenCache;
use crate::error::error::Error;
use crate::runtime::lock::{Mutex, lock};
use crate::source::source::{TokenFuture, TokenRequest, TokenSource};
use crate::token::token::{Token, check_scheme};

/// Where in a request a program puts its token.
///
/// `git` sends it as a password, for example, and the server expects it there. A token whose own profile has a form, such as a
/// header of its own or a proof of possession, keeps that.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Form {
    /// That of the token itself.
    OfToken,
    /// Under another scheme than `Bearer`.
    Scheme(String),
    /// The password of Basic credentials.
    Password { user: String },
    /// The user of Basic credentials.
    User { password: String },
}

impl Form {
    /// Under this scheme, if it is one.
    pub(super) fn scheme(scheme: &str) -> Self {
        let is_usual = scheme.eq_ignore_ascii_case("bearer");
        match !is_usual && check_scheme(scheme).is_ok() {
            true => Self::Scheme(scheme.to_owned()),
            false => Self::OfToken,
        }
    }

    /// A cache of the tokens of another one in this form.
    pub(super) fn tokens(&self, tokens: &TokenCache) -> TokenCache {
        match self {
            Self::OfToken => tokens.clone(),
            _ => TokenCache::new(InForm {
                tokens: tokens.clone(),
                form: self.clone(),
                last: Mutex::new(None),
            }),
        }
    }

    fn of(&self, token: &Token) -> Result<Token, Error> {
        if !token.is_bearer() {
            return Ok(token.clone());
        }
        let text = token.expose();
        let formed = match self {
            Self::OfToken => return Ok(token.clone()),
            Self::Scheme(scheme) => token.clone().scheme(scheme)?,
            Self::Password { user } => Token::basic(user, text)?,
            Self::User { password } => Token::basic(text, password)?,
        };
        let formed = formed.expiry(token.expires());
        Ok(match token.obtained() {
            Some(time) => formed.obtained_at(time),
            None => formed,
        })
    }
}

struct InForm {
    tokens: TokenCache,
    form: Form,
    /// The last token in this form, and the token that it was made of: a rejection of the one is a rejection of the other.
    last: Mutex<Option<(Token, Token)>>,
}

impl InForm {
    /// The request, with the token that the previous one was made of.
    fn translated(&self, request: &TokenRequest) -> TokenRequest {
        let last = lock(&self.last);
        let mut request = request.clone();
        request.previous = match (&request.previous, &*last) {
            (Some(previous), Some((formed, token))) if formed.same_text_as(previous) => {
                Some(token.clone())
            }
            _ => None,
        };
        request
    }
}

impl TokenSource for InForm {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> TokenFuture<'a> {
        Box::pin(async move {
            let request = self.translated(request);
            let token = self.tokens.as_source().fetch(&request).await?;
            let formed = self.form.of(&token)?;
            *lock(&self.last) = Some((formed.clone(), token));
            Ok(formed)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::exchange::challenge::Challenges;
    use crate::source::hook::hook_blocking;

    #[test]
    fn t8_a_token_that_is_rejected_in_one_form_is_renewed_once() {
        let calls = AtomicU32::new(0);
        let tokens = TokenCache::new(hook_blocking(move |_| {
            let number = calls.fetch_add(1, Ordering::Relaxed);
            Token::new(format!("token-{number}"))
        }));
        let form = Form::Password {
            user: "git".to_owned(),
        };
        let formed = form.tokens(&tokens);
        let lease = formed.lease_blocking(None).unwrap();
        let first = Token::basic("git", "token-0").unwrap();
        assert!(lease.token().same_text_as(&first));
        for _ in 0..3 {
            let next = formed.replace_blocking(&lease, &Challenges::default(), None);
            let next = next.unwrap();
            assert!(
                next.token()
                    .same_text_as(&Token::basic("git", "token-1").unwrap())
            );
        }
        assert_eq!(tokens.status().renewals, 2);
    }

    #[test]
    fn a_token_with_a_form_of_its_own_keeps_it() {
        let form = Form::scheme("token");
        let key = Token::new("k3y")
            .unwrap()
            .header_name(http::HeaderName::from_static("x-api-key"));
        assert!(form.of(&key).unwrap().same_as(&key));
        let bearer = Token::new("t0ken").unwrap();
        assert_eq!(form.of(&bearer).unwrap().headers()[0].1, "token t0ken");
        assert_eq!(Form::scheme("BEARER"), Form::OfToken);
    }
}
