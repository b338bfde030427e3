//! A source whose tokens go elsewhere in a request than the source itself says.

use http::HeaderName;

use crate::error::error::Error;
use crate::source::source::{TokenFuture, TokenRequest, TokenSource};
use crate::source::token_text::type_use::TypeUse;
use crate::token::token::{Token, check_scheme};

/// Where in a request a token goes: a header of its own, or a scheme in `Authorization`.
///
/// For APIs with a place of their own for a token that another server issues, such as `x-amz-access-token`, or
/// `Authorization: Zoho-oauthtoken …`:
///
/// ```
/// use http::HeaderName;
/// use keyfob::source::Placement;
/// use keyfob::{EnvToken, TokenCache};
///
/// let header = Placement::header(HeaderName::from_static("x-amz-access-token"));
/// let tokens = TokenCache::new(header.place(EnvToken::new("API_TOKEN")));
///
/// let scheme = Placement::scheme("Zoho-oauthtoken")?;
/// let tokens = TokenCache::new(scheme.place(EnvToken::new("API_TOKEN")));
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement(Place);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Header(HeaderName),
    Scheme(String),
}

impl Placement {
    /// Alone, in the header of this name.
    #[must_use]
    pub fn header(name: HeaderName) -> Self {
        Self(Place::Header(name))
    }

    /// In `Authorization`, under this scheme (RFC 9110 §11.4).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the scheme is not a token of RFC 9110 §5.6.2.
    pub fn scheme(scheme: impl Into<String>) -> Result<Self, Error> {
        let scheme = scheme.into();
        check_scheme(&scheme)?;
        Ok(Self(Place::Scheme(scheme)))
    }

    /// The same token in this place.
    #[must_use]
    pub fn apply(&self, token: Token) -> Token {
        match &self.0 {
            Place::Header(name) => token.header_name(name.clone()),
            Place::Scheme(scheme) => token.with_checked_scheme(scheme.clone()),
        }
    }

    /// A source whose tokens go to this place, whatever its own source says.
    ///
    /// Put it around a source in front of a store, because a store keeps a token as its issuer sends it.
    #[must_use]
    pub fn place(self, source: impl TokenSource) -> impl TokenSource {
        Placed {
            source,
            placement: self,
        }
    }
}

struct Placed<S> {
    source: S,
    placement: Placement,
}

impl<S: TokenSource> TokenSource for Placed<S> {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> TokenFuture<'a> {
        Box::pin(async move {
            let request = TokenRequest {
                type_use: TypeUse::Ignored,
                ..request.clone()
            };
            let token = self.source.fetch(&request).await?;
            Ok(self.placement.apply(token))
        })
    }

    fn consumes_refresh_token(&self) -> bool {
        self.source.consumes_refresh_token()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(placement: Result<Placement, Error>) -> (String, String) {
        let token = placement.unwrap().apply(Token::new("t0ken").unwrap());
        let (name, value) = token.headers().remove(0);
        (name.to_string(), value.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_token_goes_into_its_header_or_under_its_scheme() {
        let header = Placement::header(HeaderName::from_static("x-amz-access-token"));
        let (name, value) = sent(Ok(header));
        assert_eq!((&*name, &*value), ("x-amz-access-token", "t0ken"));
        let (name, value) = sent(Placement::scheme("Zoho-oauthtoken"));
        assert_eq!(
            (&*name, &*value),
            ("authorization", "Zoho-oauthtoken t0ken")
        );
    }

    #[test]
    fn a_scheme_with_a_space_is_refused() {
        assert!(Placement::scheme("Bearer x").is_err());
    }
}
