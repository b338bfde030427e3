//! An authorization server that a protected resource named.

use std::fmt;
use std::sync::Arc;

use crate::error::error::{Error, ErrorKind};
use crate::oauth::authorization_code::pkce::METHOD;
use crate::oauth::bounded_client::BoundedClient;
use crate::oauth::endpoint::Endpoint;
use crate::oauth::metadata::{EndpointRules, Metadata, url_fault};
use crate::oauth::metadata_request::FetchedMetadata;
use crate::oauth::protected_resource::{ProtectedResource, shown_url};

/// An authorization server that a [`ProtectedResource`] names, and what it offers to a client that it does not know.
///
/// ```no_run
/// # async fn example(resource: keyfob::oauth::ProtectedResource) -> Result<(), keyfob::Error> {
/// let server = resource.authorization_server(&resource.authorization_servers()[0]).await?;
/// println!("a client can register itself: {}", server.registers_clients());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct AuthorizationServer {
    pub(super) client: Arc<BoundedClient>,
    issuer: String,
    pub(super) metadata: Arc<Metadata>,
}

impl ProtectedResource {
    /// Fetches the metadata of one of the resource's [authorization servers](Self::authorization_servers) (RFC 8414, OpenID).
    ///
    /// They must be those of this issuer (RFC 8414 §3.3), and list PKCE with S256 (RFC 7636): a server that does not list it
    /// may ignore it, and the person would not be protected from a stolen code.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the resource does not name this issuer, or the server cannot be used for a sign-in;
    /// [`ErrorKind::Origin`](crate::ErrorKind::Origin) if an endpoint is in a network that the resource may not name; otherwise as for a
    /// [`TokenSource`](crate::TokenSource) of a client at this issuer.
    pub async fn authorization_server(&self, issuer: &str) -> Result<AuthorizationServer, Error> {
        let named = self.authorization_servers();
        if !named.iter().any(|other| other == issuer) {
            let named: Vec<_> = named.iter().map(|issuer| shown_url(issuer)).collect();
            return Err(Error::input(format!(
                "the resource does not accept tokens of that issuer; it names {}",
                named.join(", ")
            )));
        }
        let endpoint = Endpoint::parse("issuer", issuer).map_err(|error| match error.kind() {
            ErrorKind::Input => Error::input(format!(
                "the resource names an issuer that cannot be used: its URL {}; write a profile with the issuer that it accepts",
                url_fault(issuer)
            )),
            _ => error,
        })?;
        let http = self.client.client_for(&endpoint).await?;
        // A server that was named by another one does not see a certificate.
        let fetched = FetchedMetadata::of_issuer(http, issuer, &EndpointRules::default()).await?;
        let server = AuthorizationServer {
            client: Arc::clone(&self.client),
            issuer: issuer.to_owned(),
            metadata: Arc::new(fetched.metadata),
        };
        server.check(&endpoint).await?;
        Ok(server)
    }
}

impl AuthorizationServer {
    /// The issuer identifier, as the server writes it.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whether a client can register itself (RFC 7591).
    #[must_use]
    pub fn registers_clients(&self) -> bool {
        matches!(self.metadata.registration.get(), Ok(Some(_)))
    }

    /// Whether the client identifier may be the URL of a client id metadata document, so that no registration is needed.
    #[must_use]
    pub fn accepts_client_metadata_url(&self) -> bool {
        self.metadata.accepts_client_metadata_url
    }

    /// Whether the server lists this scope, such as `offline_access` for a refresh token.
    #[must_use]
    pub fn supports_scope(&self, scope: &str) -> bool {
        self.metadata.scopes.iter().any(|other| other == scope)
    }

    /// Checks what a sign-in needs, before anything is registered.
    async fn check(&self, issuer: &Endpoint) -> Result<(), Error> {
        let metadata = &self.metadata;
        let authorization = metadata.authorization.require().map_err(|error| {
            Error::input(format!(
                "{issuer} has no usable page on which a person signs in"
            ))
            .caused_by(error)
        })?;
        let methods = metadata.code_challenge_methods.iter().flatten();
        if !methods.clone().any(|method| method == METHOD) {
            return Err(Error::input(format!(
                "the metadata of {issuer} do not list PKCE with S256 (RFC 7636), so a stolen code could be used; \
                 if the server supports it all the same, write a profile for it"
            )));
        }
        let revocation = metadata.revocation.get().ok().flatten();
        for endpoint in [authorization, &metadata.token]
            .into_iter()
            .chain(revocation)
        {
            self.client.check(endpoint).await?;
        }
        Ok(())
    }
}

impl fmt::Debug for AuthorizationServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationServer")
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}
