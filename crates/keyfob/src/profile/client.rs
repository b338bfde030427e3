//! The client of a profile at its OAuth 2.0 server, made from the profile's secrets.

use futures_util::lock::Mutex;
use zeroize::Zeroizing;

use crate::error::error::Error;
use crate::oauth::client::Client;

use crate::oauth::client_authentication::ClientAuthentication;
use crate::oauth::client_builder::ClientBuilder;
use crate::oauth::dpop::DpopProver;
use crate::oauth::signing_key::SigningKey;
use crate::profile::schema::client::Authentication;
use crate::profile::schema::grant::{Grant, GrantKind, Server};
use crate::profile::schema::sign_in::SignInSettings;
use crate::source::source::TokenRequest;

/// The secrets with which a client authenticates or signs.
#[derive(PartialEq)]
pub(super) struct Secrets {
    client_secret: Option<Zeroizing<String>>,
    private_key: Option<Zeroizing<String>>,
}

impl Secrets {
    /// Reads the secrets that a grant needs.
    pub(super) async fn read(grant: &Grant, request: &TokenRequest) -> Result<Self, Error> {
        let client_secret = match grant.client.secret() {
            Some(secret) => Some(secret.read(request).await?),
            None => None,
        };
        let private_key = match grant.signing_key() {
            Some(key) => Some(key.pem.read(request).await?),
            None => None,
        };
        Ok(Self {
            client_secret,
            private_key,
        })
    }

    /// The private key, with the algorithm and the key id from the file.
    pub(super) fn signing_key(&self, grant: &Grant) -> Result<SigningKey, Error> {
        let (Some(text), Some(settings)) = (&self.private_key, grant.signing_key()) else {
            return Err(Error::input("the profile has no private key"));
        };
        let mut key = parse_key(text)?;
        if let Some(algorithm) = settings.algorithm {
            key = key.algorithm(algorithm)?;
        }
        Ok(match &settings.id {
            Some(id) => key.key_id(id),
            None => key,
        })
    }

    fn client_secret(&self) -> &str {
        let secret = self.client_secret.as_ref();
        secret.expect("it is read for each client that authenticates with it")
    }
}

/// The DPoP prover of a profile (RFC 9449), made when it is first needed.
///
/// The token endpoint and the API see the same prover, because a token is bound to its key.
#[derive(Default)]
pub(super) struct LazyProver(Mutex<Option<DpopProver>>);

impl LazyProver {
    /// The prover; `None` if the grant names no key for it.
    pub(super) async fn get(&self, grant: &Grant) -> Result<Option<DpopProver>, Error> {
        let Some(key) = &grant.dpop_key else {
            return Ok(None);
        };
        let mut prover = self.0.lock().await;
        if let Some(prover) = &*prover {
            return Ok(Some(prover.clone()));
        }
        let new = DpopProver::new(parse_key(&key.read_now().await?)?);
        Ok(Some(prover.insert(new).clone()))
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
        Authentication::SecretBasic(_) => {
            ClientAuthentication::secret_basic(secrets.client_secret())
        }
        Authentication::SecretBasicUnencoded(_) => {
            ClientAuthentication::secret_basic_unencoded(secrets.client_secret())
        }
        Authentication::SecretPost(_) => ClientAuthentication::secret_post(secrets.client_secret()),
        Authentication::PrivateKey(_) => {
            ClientAuthentication::private_key_jwt(secrets.signing_key(grant)?)
        }
    };
    let mut client = Client::builder(&grant.client.id).authentication(authentication);
    if let Some(prover) = prover {
        client = client.dpop(prover);
    }
    client = match &grant.server {
        Server::Issuer(issuer) => client.issuer(issuer),
        Server::Fhir(base) => client.fhir_server(base),
        Server::TokenEndpoint(url) => client.token_endpoint(url),
    };
    if let GrantKind::SignIn(sign_in) = &grant.kind {
        client = with_endpoints(client, sign_in);
    }
    client.build()
}

/// Adds the endpoints that the file names because the server has no metadata.
fn with_endpoints(mut client: ClientBuilder, sign_in: &SignInSettings) -> ClientBuilder {
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

/// A private key, in PEM or as a JWK.
fn parse_key(text: &str) -> Result<SigningKey, Error> {
    match text.starts_with('{') {
        true => SigningKey::from_jwk(text.as_bytes()),
        false => SigningKey::from_pem(text.as_bytes()),
    }
}
