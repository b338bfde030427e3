//! The client of a profile at its OAuth 2.0 server, with the secrets that were read for it.

use zeroize::Zeroizing;

use crate::error::error::Error;
use crate::oauth::client::Client;
use crate::oauth::client_authentication::ClientAuthentication;
use crate::oauth::client_builder::ClientBuilder;
use crate::oauth::dpop::DpopProver;
use crate::oauth::signing_key::SigningKey;
use crate::profile::schema::{Authentication, Grant, Kind, Server, SigningIn};
use crate::source::source::TokenRequest;

/// What a client shows or signs with.
#[derive(PartialEq)]
pub(super) struct Secrets {
    shared: Option<Zeroizing<String>>,
    private_key: Option<Zeroizing<String>>,
}

impl Secrets {
    /// Reads those that a grant needs.
    pub(super) async fn read(grant: &Grant, request: &TokenRequest) -> Result<Self, Error> {
        let shared = match grant.client.secret() {
            Some(reference) => Some(reference.read(request).await?),
            None => None,
        };
        let private_key = match grant.key() {
            Some(key) => Some(key.pem.read(request).await?),
            None => None,
        };
        Ok(Self {
            shared,
            private_key,
        })
    }

    /// The private key, ready to sign as the file says.
    pub(super) fn signing_key(&self, grant: &Grant) -> Result<SigningKey, Error> {
        let (Some(text), Some(said)) = (&self.private_key, grant.key()) else {
            return Err(Error::input("the profile has no private key"));
        };
        let mut key = signing_key(text)?;
        if let Some(algorithm) = said.algorithm {
            key = key.algorithm(algorithm)?;
        }
        Ok(match &said.id {
            Some(id) => key.key_id(id),
            None => key,
        })
    }

    fn shared(&self) -> &str {
        let shared = self.shared.as_ref();
        shared.expect("it is read for clients that show it")
    }
}

/// A private key, in PEM or as a JWK.
pub(super) fn signing_key(text: &str) -> Result<SigningKey, Error> {
    match text.starts_with('{') {
        true => SigningKey::from_jwk(text.as_bytes()),
        false => SigningKey::from_pem(text.as_bytes()),
    }
}

/// The client of this grant. Nothing is sent yet.
pub(super) fn client(
    grant: &Grant,
    secrets: &Secrets,
    prover: Option<DpopProver>,
) -> Result<Client, Error> {
    let authentication = match &grant.client.authentication {
        Authentication::None => ClientAuthentication::none(),
        Authentication::SecretBasic(_) => ClientAuthentication::secret_basic(secrets.shared()),
        Authentication::UnencodedBasic(_) => {
            ClientAuthentication::secret_basic_unencoded(secrets.shared())
        }
        Authentication::SecretPost(_) => ClientAuthentication::secret_post(secrets.shared()),
        Authentication::PrivateKey(_) => {
            ClientAuthentication::private_key_jwt(secrets.signing_key(grant)?)
        }
    };
    let client = Client::builder(&grant.client.id).authentication(authentication);
    let client = match prover {
        Some(prover) => client.dpop(prover),
        None => client,
    };
    let client = match &grant.server {
        Server::Issuer(issuer) => client.issuer(issuer),
        Server::Fhir(base) => client.fhir_server(base),
        Server::TokenEndpoint(url) => client.token_endpoint(url),
    };
    match &grant.kind {
        Kind::SignIn(sign_in) => with_endpoints(client, sign_in),
        _ => client,
    }
    .build()
}

/// With what the file says where the server says nothing about itself.
fn with_endpoints(mut client: ClientBuilder, sign_in: &SigningIn) -> ClientBuilder {
    if let Some(url) = &sign_in.authorization_endpoint {
        client = client.authorization_endpoint(url);
    }
    if let Some(url) = &sign_in.device_authorization_endpoint {
        client = client.device_authorization_endpoint(url);
    }
    if let Some(url) = &sign_in.revocation_endpoint {
        client = client.revocation_endpoint(url);
    }
    client
}
