//! What a browser brings back from the authorization endpoint (RFC 6749 §4.1.2, RFC 9207).

use huskarl_core::OAuthErrorCode;
use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::error::error::Error;
use crate::oauth::authorization_code::page::Page;
use crate::oauth::error_response::access_denied;
use crate::token::secret::Secret;

/// What an answer must have to be the answer to this sign-in.
pub(crate) struct Expected {
    pub(crate) state: Secret,
    /// The server that was asked, if its name is known.
    pub(crate) issuer: Option<String>,
    /// Whether that server names itself in each answer.
    pub(crate) names_itself: bool,
}

/// What a visit of the browser is.
pub(crate) enum Brought {
    /// The code, for which there is a token.
    Code(Secret),
    /// The end of the sign-in without one.
    Refusal(Error, Page),
    /// No answer to this sign-in: whoever sends it does not know the `state`, and may not end it either.
    Stray,
}

impl Expected {
    pub(crate) fn judge(&self, query: &str) -> Brought {
        let Some(parameters) = Parameters::read(query) else {
            return Brought::Stray;
        };
        if !parameters.state.is_some_and(|state| self.is_state(state)) {
            return Brought::Stray;
        }
        if let Some(mixed_up) = self.judge_issuer(parameters.iss.as_ref().map(|iss| iss.as_str())) {
            return Brought::Refusal(mixed_up, Page::Failed);
        }
        if let Some(error) = parameters.error {
            return refusal(&error);
        }
        match parameters
            .code
            .map(|mut code| Secret::new_field(std::mem::take(&mut *code)))
        {
            Some(Ok(code)) => Brought::Code(code),
            Some(Err(_)) | None => Brought::Refusal(
                Error::malformed("the server sent the browser back without a code"),
                Page::Failed,
            ),
        }
    }

    fn is_state(&self, mut state: Zeroizing<String>) -> bool {
        Secret::new(std::mem::take(&mut *state)).is_ok_and(|state| state.same_as(&self.state))
    }

    /// RFC 9207 §2.4: an answer of another server's is not for this one, and its code is not sent to it.
    fn judge_issuer(&self, named: Option<&str>) -> Option<Error> {
        match (named, self.issuer.as_deref()) {
            (Some(named), Some(issuer)) if named != issuer => Some(Error::refused(
                "the browser brought the answer of another server than was asked (`iss`); nothing was sent to either",
            )),
            (None, Some(_)) if self.names_itself => Some(Error::refused(
                "the answer does not say which server it is from (`iss`), though the server says that it always does",
            )),
            _ => None,
        }
    }
}

/// The parameters that are used; none may come twice (RFC 6749 §3.1).
#[derive(Default)]
struct Parameters {
    state: Option<Zeroizing<String>>,
    code: Option<Zeroizing<String>>,
    iss: Option<Zeroizing<String>>,
    error: Option<Zeroizing<String>>,
}

impl Parameters {
    fn read(query: &str) -> Option<Self> {
        let mut parameters = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let place = match &*name {
                "state" => &mut parameters.state,
                "code" => &mut parameters.code,
                "iss" => &mut parameters.iss,
                "error" => &mut parameters.error,
                _ => continue,
            };
            if place.replace(Zeroizing::new(value.into_owned())).is_some() {
                return None;
            }
        }
        Some(parameters)
    }
}

/// RFC 6749 §4.1.2.1. Of what the server says beyond a registered code nothing is shown.
fn refusal(error: &str) -> Brought {
    match OAuthErrorCode::from(error) {
        OAuthErrorCode::AccessDenied => Brought::Refusal(access_denied(), Page::Denied),
        code @ (OAuthErrorCode::ServerError | OAuthErrorCode::TemporarilyUnavailable) => {
            let message = format!(
                "the server cannot sign anybody in at present (`{}`)",
                code.as_str()
            );
            Brought::Refusal(Error::unavailable(message), Page::Failed)
        }
        OAuthErrorCode::Other(_) => Brought::Refusal(
            Error::refused(
                "the server refused the sign-in with an error code that is not registered",
            ),
            Page::Failed,
        ),
        code => Brought::Refusal(
            Error::refused(format!(
                "the server refused the sign-in with `{}`",
                code.as_str()
            )),
            Page::Failed,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://login.example.com";

    fn expected(names_itself: bool) -> Expected {
        Expected {
            state: Secret::new("st4te".to_owned()).unwrap(),
            issuer: Some(ISSUER.to_owned()),
            names_itself,
        }
    }

    fn said(brought: Brought) -> String {
        match brought {
            Brought::Code(code) => format!("code {}", code.expose()),
            Brought::Refusal(error, page) => format!("{page:?}: {error}"),
            Brought::Stray => "stray".to_owned(),
        }
    }

    #[test]
    fn a_code_comes_with_the_state_that_was_sent() {
        let judge = |query| said(expected(false).judge(query));
        assert_eq!(judge("code=c0de&state=st4te"), "code c0de");
        assert_eq!(
            judge("code=a%2Fb+c&state=st4te&session_state=x"),
            "code a/b c"
        );
        for stray in [
            "",
            "code=c0de",
            "code=c0de&state=",
            "code=c0de&state=st4t",
            "code=c0de&state=st4te2",
            "code=c0de&state=ST4TE",
            "error=access_denied&state=other",
            "error=access_denied",
            "code=c0de&state=st4te&state=st4te",
            "code=c0de&code=other&state=st4te",
        ] {
            assert_eq!(judge(stray), "stray", "{stray}");
        }
    }

    #[test]
    fn an_answer_of_another_server_is_refused() {
        let of = |names_itself, iss: &str| {
            said(expected(names_itself).judge(&format!("code=c&state=st4te{iss}")))
        };
        for names_itself in [true, false] {
            assert_eq!(
                of(names_itself, "&iss=https%3A%2F%2Flogin.example.com"),
                "code c"
            );
            for other in ["https://evil.example", "https://login.example.com/", ""] {
                let said = of(names_itself, &format!("&iss={other}"));
                assert!(said.contains("another server"), "{said}");
            }
        }
        assert!(of(true, "").contains("does not say which server"));
        assert_eq!(of(false, ""), "code c");
    }

    #[test]
    fn an_error_of_another_server_is_not_believed_either() {
        let query = "error=access_denied&state=st4te&iss=https://evil.example";
        assert!(said(expected(true).judge(query)).contains("another server"));
    }

    #[test]
    fn s3_of_a_refusal_only_a_registered_code_is_shown() {
        let judge = |error: &str| {
            let query = format!("error={error}&error_description=s3cr3t&state=st4te");
            said(expected(false).judge(&query))
        };
        assert!(judge("access_denied").starts_with("Denied: "));
        assert!(judge("temporarily_unavailable").contains("at present"));
        assert!(judge("invalid_scope").contains("`invalid_scope`"));
        assert!(!judge("s3cr3t").contains("s3cr3t"));
        assert!(!judge("access_denied").contains("s3cr3t"));
    }

    #[test]
    fn an_answer_without_a_code_ends_the_sign_in() {
        for query in ["state=st4te", "code=&state=st4te"] {
            assert!(said(expected(false).judge(query)).contains("without a code"));
        }
    }
}
