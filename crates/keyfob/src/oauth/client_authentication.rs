//! How a client says who it is (RFC 6749 §2.3).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::ready;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use huskarl_core::client_auth;
use huskarl_core::client_auth::{
    AuthenticationContext, AuthenticationParams, ClientSecret, JwtBearer, NoAuth,
};
use huskarl_core::platform::MaybeSendBoxFuture;
use huskarl_core::secrets::{ProvidedSecret, SecretString};
use zeroize::Zeroizing;

use crate::error::error::Error;
use crate::oauth::signing_key::{Signer, SigningKey};

/// How a client says who it is at an authorization server (RFC 6749 §2.3).
///
/// ```
/// use keyfob::oauth::{Algorithm, ClientAuthentication, SigningKey};
///
/// let by_secret = ClientAuthentication::secret_basic("s3cr3t");
/// let by_key = ClientAuthentication::private_key_jwt(SigningKey::generate(Algorithm::Es256)?);
/// assert!(!format!("{by_secret:?}").contains("s3cr3t"));
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone)]
pub struct ClientAuthentication(Method);

#[derive(Clone)]
enum Method {
    Public,
    Basic(SecretString),
    UnencodedBasic(SecretString),
    Post(SecretString),
    PrivateKey(Assertion),
}

/// The JWT by which a client is known (RFC 7523 §2.2).
#[derive(Clone)]
struct Assertion {
    key: SigningKey,
    audience: Option<Audience>,
    lifetime: Duration,
}

/// Whom a client's signed JWT is for (`aud` of RFC 7523 §3).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Audience {
    /// The server's issuer, as newer drafts want it.
    Issuer,
    /// The URL of the token endpoint, as most servers expect it.
    TokenEndpoint,
    /// Something else that the server has documented.
    Other(String),
}

impl ClientAuthentication {
    /// How long a signed JWT is good for, unless set.
    pub const ASSERTION_LIFETIME: Duration = Duration::from_secs(60);

    /// A public client: it names itself, and proves nothing.
    #[must_use]
    pub fn none() -> Self {
        Self(Method::Public)
    }

    /// A secret in `Authorization: Basic`, form-encoded first as RFC 6749 §2.3.1 asks.
    #[must_use]
    pub fn secret_basic(secret: impl Into<String>) -> Self {
        Self(Method::Basic(secret_string(secret)))
    }

    /// A secret in `Authorization: Basic` as it is, for servers that do not decode it.
    ///
    /// It differs from [`secret_basic`](Self::secret_basic) only where the client's name or secret has characters that a
    /// form encodes.
    #[must_use]
    pub fn secret_basic_unencoded(secret: impl Into<String>) -> Self {
        Self(Method::UnencodedBasic(secret_string(secret)))
    }

    /// A secret in the form, for servers that know no other way.
    #[must_use]
    pub fn secret_post(secret: impl Into<String>) -> Self {
        Self(Method::Post(secret_string(secret)))
    }

    /// A JWT that the client's private key signs (RFC 7523 §2.2), anew for every request.
    #[must_use]
    pub fn private_key_jwt(key: SigningKey) -> Self {
        Self(Method::PrivateKey(Assertion {
            key,
            audience: None,
            lifetime: Self::ASSERTION_LIFETIME,
        }))
    }

    /// Says whom a signed JWT is for: unless set, the token endpoint.
    #[must_use]
    pub fn audience(mut self, audience: Audience) -> Self {
        if let Method::PrivateKey(assertion) = &mut self.0 {
            assertion.audience = Some(audience);
        }
        self
    }

    /// Says how long a signed JWT is good for; [`ASSERTION_LIFETIME`](Self::ASSERTION_LIFETIME) unless set.
    #[must_use]
    pub fn assertion_lifetime(mut self, lifetime: Duration) -> Self {
        if let Method::PrivateKey(assertion) = &mut self.0 {
            assertion.lifetime = lifetime;
        }
        self
    }

    pub(crate) fn to_method(&self) -> Arc<dyn client_auth::ClientAuthentication> {
        match &self.0 {
            Method::Public => Arc::new(NoAuth),
            Method::Basic(secret) => Arc::new(
                ClientSecret::builder()
                    .client_secret(ProvidedSecret::new(secret.clone()))
                    .prefer_basic_auth(true)
                    .build(),
            ),
            Method::UnencodedBasic(secret) => Arc::new(UnencodedBasic(secret.clone())),
            Method::Post(secret) => {
                Arc::new(ClientSecret::new(ProvidedSecret::new(secret.clone())))
            }
            Method::PrivateKey(assertion) => Arc::new(assertion.to_method()),
        }
    }

    /// What it is called in a server's metadata (RFC 7591 §2).
    pub(crate) fn name(&self) -> &'static str {
        match &self.0 {
            Method::Public => "none",
            Method::Basic(_) | Method::UnencodedBasic(_) => "client_secret_basic",
            Method::Post(_) => "client_secret_post",
            Method::PrivateKey(_) => "private_key_jwt",
        }
    }
}

impl Assertion {
    fn to_method(&self) -> JwtBearer {
        let audience = match &self.audience {
            Some(Audience::Issuer) => client_auth::Audience::Issuer,
            None | Some(Audience::TokenEndpoint) => client_auth::Audience::TokenEndpoint,
            Some(Audience::Other(other)) => client_auth::Audience::Custom(other.as_str().into()),
        };
        JwtBearer::builder()
            .signer(Signer(self.key.clone()))
            .audience(audience)
            .expires_after(self.lifetime)
            // A type other than `JWT` is too new for servers in the field.
            .explicit_typ(false)
            .build()
    }
}

/// `Authorization: Basic` (RFC 7617) of the name and the secret as they are.
struct UnencodedBasic(SecretString);

impl client_auth::ClientAuthentication for UnencodedBasic {
    fn authentication_context<'a>(
        &'a self,
        context: AuthenticationContext<'a>,
    ) -> MaybeSendBoxFuture<'a, Result<AuthenticationParams<'a>, huskarl_core::Error>> {
        let both = Zeroizing::new(format!("{}:{}", context.client_id, self.0.expose_secret()));
        let line = Zeroizing::new(format!("Basic {}", STANDARD.encode(both.as_bytes())));
        let mut value = HeaderValue::from_str(&line).expect("base64 is visible ASCII");
        value.set_sensitive(true);
        let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
        let parameters = AuthenticationParams::builder().headers(headers).build();
        Box::pin(ready(Ok(parameters)))
    }
}

impl fmt::Debug for ClientAuthentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientAuthentication")
            .field(&self.name())
            .finish()
    }
}

fn secret_string(secret: impl Into<String>) -> SecretString {
    SecretString::new(&*Zeroizing::new(secret.into()))
}

/// The error of an authentication that could not be made: it would fail again, and says nothing of its inside.
pub(crate) fn authentication_failed(_: huskarl_core::Error) -> Error {
    Error::input(
        "the client's authentication could not be made; is an audience wanted that is not known here?",
    )
}
