//! The authorization response, which the browser carries to the redirect URI (RFC 6749 §4.1.2, RFC 9207).

use huskarl_core::OAuthErrorCode;
use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::error::error::Error;
use crate::oauth::authorization_code::page::Page;
use crate::oauth::error_code::ErrorCode;
use crate::oauth::error_response::access_denied;
use crate::token::secret::Secret;

/// What an authorization response must contain to belong to this sign-in.
pub(crate) struct ExpectedResponse {
    pub(crate) state: Secret,
    /// The issuer identifier of the server, if it is known.
    pub(crate) issuer: Option<String>,
    /// Whether the server puts its issuer identifier into each response (`iss`).
    pub(crate) has_iss: bool,
}

/// Why the sign-in failed, and the page that the browser shows.
pub(crate) struct SignInFailure {
    pub(crate) error: Error,
    pub(crate) page: Page,
}

impl From<Error> for SignInFailure {
    fn from(error: Error) -> Self {
        let page = Page::Failed;
        Self { error, page }
    }
}

impl ExpectedResponse {
    /// Reads the authorization code from a browser request to the redirect URI.
    ///
    /// `None` for a response of another sign-in. Its sender does not know the `state`, so it must not end this sign-in
    /// either.
    pub(crate) fn check(&self, query: &str) -> Option<Result<Secret, SignInFailure>> {
        let mut parameters = Parameters::parse(query)?;
        let mut state = parameters.state.take()?;
        let state = Secret::new(std::mem::take(&mut *state)).ok()?;
        // RFC 6749 §10.12: the `state` keeps another site from ending this sign-in with its own response.
        let is_ours = state.same_as(&self.state);
        is_ours.then(|| self.read_code(parameters))
    }

    fn read_code(&self, parameters: Parameters) -> Result<Secret, SignInFailure> {
        // RFC 9207 §2.4: check `iss` before anything else, so that no code or error of another server is believed.
        self.check_issuer(parameters.iss.as_ref().map(|iss| iss.as_str()))?;
        if let Some(error) = parameters.error {
            return Err(failure_of(&error, &self.state));
        }
        let code = parameters
            .code
            .and_then(|mut code| Secret::new_field(std::mem::take(&mut *code)).ok());
        let missing =
            || Error::malformed("the server redirected the browser without an authorization code");
        Ok(code.ok_or_else(missing)?)
    }

    fn check_issuer(&self, iss: Option<&str>) -> Result<(), Error> {
        match (iss, self.issuer.as_deref()) {
            (Some(iss), Some(issuer)) if iss != issuer => Err(Error::refused(
                "the browser returned from another server than the sign-in was started at (`iss`); no code was sent to either",
            )),
            (None, Some(_)) if self.has_iss => Err(Error::refused(
                "the authorization response does not name its server (`iss`), although the server's metadata promise it",
            )),
            _ => Ok(()),
        }
    }
}

/// The parameters that are used.
#[derive(Default)]
struct Parameters {
    state: Option<Zeroizing<String>>,
    code: Option<Zeroizing<String>>,
    iss: Option<Zeroizing<String>>,
    error: Option<Zeroizing<String>>,
}

impl Parameters {
    /// `None` if one of them occurs twice: "parameters MUST NOT be included more than once" (RFC 6749 §3.1).
    fn parse(query: &str) -> Option<Self> {
        let mut parameters = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let parameter = match &*name {
                "state" => &mut parameters.state,
                "code" => &mut parameters.code,
                "iss" => &mut parameters.iss,
                "error" => &mut parameters.error,
                _ => continue,
            };
            if parameter
                .replace(Zeroizing::new(value.into_owned()))
                .is_some()
            {
                return None;
            }
        }
        Some(parameters)
    }
}

/// The meaning of an error code (RFC 6749 §4.1.2.1).
fn failure_of(code: &str, state: &Secret) -> SignInFailure {
    let code = ErrorCode::new(code, |text| state.expose().contains(text));
    let error = match &code.code {
        OAuthErrorCode::AccessDenied => {
            let (error, page) = (access_denied(), Page::Denied);
            return SignInFailure { error, page };
        }
        OAuthErrorCode::ServerError | OAuthErrorCode::TemporarilyUnavailable => Error::unavailable(
            format!("the server cannot complete the sign-in at present ({code})"),
        ),
        _ => Error::refused(format!("the server refused the sign-in with {code}")),
    };
    error.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://login.example.com";

    fn expected(has_iss: bool) -> ExpectedResponse {
        ExpectedResponse {
            state: Secret::new("st4te".to_owned()).unwrap(),
            issuer: Some(ISSUER.to_owned()),
            has_iss,
        }
    }

    fn describe(response: Option<Result<Secret, SignInFailure>>) -> String {
        match response {
            Some(Ok(code)) => format!("code {}", code.expose()),
            Some(Err(SignInFailure { error, page })) => format!("{page:?}: {error}"),
            None => "unrelated".to_owned(),
        }
    }

    #[test]
    fn a_code_is_accepted_only_with_the_state_that_was_sent() {
        let check = |query| describe(expected(false).check(query));
        assert_eq!(check("code=c0de&state=st4te"), "code c0de");
        assert_eq!(
            check("code=a%2Fb+c&state=st4te&session_state=x"),
            "code a/b c"
        );
        for query in [
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
            assert_eq!(check(query), "unrelated", "{query}");
        }
    }

    #[test]
    fn a_response_of_another_server_is_refused() {
        let of = |has_iss, iss: &str| {
            describe(expected(has_iss).check(&format!("code=c&state=st4te{iss}")))
        };
        for has_iss in [true, false] {
            assert_eq!(
                of(has_iss, "&iss=https%3A%2F%2Flogin.example.com"),
                "code c"
            );
            for other in ["https://evil.example", "https://login.example.com/", ""] {
                let error = of(has_iss, &format!("&iss={other}"));
                assert!(error.contains("another server"), "{error}");
            }
        }
        assert!(of(true, "").contains("does not name its server"));
        assert_eq!(of(false, ""), "code c");
    }

    #[test]
    fn an_error_of_another_server_is_not_believed() {
        let query = "error=access_denied&state=st4te&iss=https://evil.example";
        assert!(describe(expected(true).check(query)).contains("another server"));
    }

    #[test]
    fn s3_an_error_code_is_shown_unless_it_may_repeat_the_state() {
        let check = |error: &str| {
            let query = format!("error={error}&error_description=s3cr3t&state=st4te");
            describe(expected(false).check(&query))
        };
        assert!(check("access_denied").starts_with("Denied: "));
        assert!(check("temporarily_unavailable").contains("at present"));
        assert!(check("invalid_scope").contains("`invalid_scope`"));
        assert!(check("tenant_disabled").contains("`tenant_disabled`"));
        assert!(!check("st4te").contains("st4te"));
        assert!(!check("two%20%20words").contains("two"));
        assert!(!check("access_denied").contains("s3cr3t"));
    }

    #[test]
    fn a_response_without_a_code_ends_the_sign_in() {
        for query in ["state=st4te", "code=&state=st4te"] {
            assert!(
                describe(expected(false).check(query)).contains("without an authorization code")
            );
        }
    }
}
