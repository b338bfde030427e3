//! The client of a profile at its OAuth 2.0 server, made from the profile's secrets.

use std::sync::Arc;

use futures_util::future::OptionFuture;
use zeroize::Zeroizing;

use crate::clock::clock::Clock;
use crate::clock::system::SystemClock;
use crate::error::error::Error;
use crate::oauth::client::Client;
use crate::oauth::client_authentication::ClientAuthentication;
use crate::oauth::client_builder::ClientBuilder;
use crate::oauth::signing_key::SigningKey;
use crate::origin::origin::Origin;
use crate::profile::dpop_key::parse_key;
use crate::profile::http_source::LinkSources;
use crate::profile::metadata_files::MetadataFiles;
use crate::profile::schema::Definition;
use crate::profile::schema::client::{Authentication, KeySettings};
use crate::profile::schema::grant::{Grant, GrantKind, Server};
use crate::profile::schema::place::TokenPlace;
use crate::profile::schema::store::StoreSettings;
use crate::profile::secret_ref::direct_request;
use crate::profile::set_each::SetEach;
use crate::source::source::{TokenRequest, TokenSource};

/// The secrets with which a client authenticates or signs.
///
/// They are compared, to find out whether one has changed.
#[derive(PartialEq)]
pub(super) struct Secrets {
    client_secret: Option<Zeroizing<String>>,
    private_key: Option<Zeroizing<String>>,
    passphrase: Option<Zeroizing<String>>,
    /// Further parameters of the token request, with their names.
    pub(super) parameters: Vec<(String, Zeroizing<String>)>,
}

impl Secrets {
    /// Reads the secrets that a grant needs.
    pub(super) async fn read(grant: &Grant, request: &TokenRequest) -> Result<Self, Error> {
        // An assertion is read for each exchange, by its own source.
        let client_secret = match &grant.client.authentication {
            Authentication::Assertion(_) => None,
            _ => grant.client.secret().map(|secret| secret.read(request)),
        };
        let key = grant.signing_key();
        let private_key = key.map(|key| key.pem.read(request));
        let passphrase = key.and_then(|key| key.passphrase.as_ref());
        let passphrase = passphrase.map(|secret| secret.read(request));
        let mut parameters = Vec::new();
        for (name, secret) in &grant.secret_parameters {
            parameters.push((name.clone(), secret.read(request).await?));
        }
        Ok(Self {
            parameters,
            client_secret: OptionFuture::from(client_secret).await.transpose()?,
            private_key: OptionFuture::from(private_key).await.transpose()?,
            passphrase: OptionFuture::from(passphrase).await.transpose()?,
        })
    }

    /// The private key.
    pub(super) fn signing_key(&self, grant: &Grant) -> Result<SigningKey, Error> {
        let (Some(text), Some(settings)) = (&self.private_key, grant.signing_key()) else {
            return Err(Error::input("the profile has no private key"));
        };
        signing_key(settings, text, self.passphrase.as_ref())
    }

    /// The client of this grant. Nothing is sent yet.
    pub(super) async fn client(
        &self,
        grant: &Grant,
        store: &StoreSettings,
        links: &LinkSources,
        clock: Arc<dyn Clock>,
    ) -> Result<Client, Error> {
        let files = MetadataFiles::of(store);
        let builder = match &grant.client.id {
            Some(id) => Client::builder(id),
            None => Client::builder_without_id(),
        };
        let mut client = builder
            .authentication(self.authentication(grant, links)?)
            .shared_clock(clock)
            .set_each(&grant.ca_file, ClientBuilder::ca_file)
            .set_each(plain_http(grant), ClientBuilder::allow_plain_http)
            .set_each(
                &grant.certificate().await?,
                ClientBuilder::client_certificate,
            )
            .set_each(grant.prover().await?, ClientBuilder::dpop)
            .set_each(&grant.token_type, ClientBuilder::token_type)
            .set_each(files, MetadataFiles::used_by);
        client = match &grant.server {
            Server::Issuer(issuer) => client.issuer(issuer),
            Server::Fhir(base) => client.fhir_server(base),
            Server::TokenEndpoint(url) => client.token_endpoint(url),
        };
        if let GrantKind::SignIn(sign_in) = &grant.kind {
            client = client
                .set_each(
                    &sign_in.authorization_endpoint,
                    ClientBuilder::authorization_endpoint,
                )
                .set_each(
                    &sign_in.device_authorization_endpoint,
                    ClientBuilder::device_authorization_endpoint,
                )
                .set_each(
                    &sign_in.revocation_endpoint,
                    ClientBuilder::revocation_endpoint,
                )
                .set_each(
                    &sign_in.pushed_authorization_request_endpoint,
                    ClientBuilder::pushed_authorization_request_endpoint,
                );
        }
        client.build()
    }

    fn authentication(
        &self,
        grant: &Grant,
        links: &LinkSources,
    ) -> Result<ClientAuthentication, Error> {
        let secret = || {
            let secret = self.client_secret.as_ref();
            secret
                .expect("it is read for each client that authenticates with it")
                .as_str()
        };
        Ok(match &grant.client.authentication {
            Authentication::None => ClientAuthentication::none(),
            Authentication::SecretBasic(_) => ClientAuthentication::secret_basic(secret()),
            Authentication::SecretBasicUnencoded(_) => {
                ClientAuthentication::secret_basic_unencoded(secret())
            }
            Authentication::SecretPost(_) => ClientAuthentication::secret_post(secret()),
            Authentication::TlsClient => ClientAuthentication::tls_client_auth(),
            Authentication::SelfSignedTlsClient => {
                ClientAuthentication::self_signed_tls_client_auth()
            }
            Authentication::Assertion(place) => {
                ClientAuthentication::assertion_from(at(place, links))
            }
            Authentication::PrivateKey(_) => {
                ClientAuthentication::private_key_jwt(self.signing_key(grant)?).set_each(
                    grant.client.assertion_audience.clone(),
                    ClientAuthentication::audience,
                )
            }
        })
    }
}

/// The key of this text, with the algorithm and the key id from the file. The errors say where the key is.
pub(super) fn signing_key(
    settings: &KeySettings,
    text: &str,
    passphrase: Option<&Zeroizing<String>>,
) -> Result<SigningKey, Error> {
    let passphrase = passphrase.map(|text| text.as_str());
    let read = || {
        let mut key = parse_key(text, passphrase, settings.id.as_deref())?;
        if let Some(algorithm) = settings.algorithm {
            key = key.algorithm(algorithm)?;
        }
        if settings.has_certificate {
            key = key.certificate_pem(text.as_bytes())?;
        }
        Ok(key.set_each(&settings.id, SigningKey::key_id))
    };
    read().map_err(|error: Error| error.of(format_args!("the private key in {}", settings.pem)))
}

/// The origin at which the server may be reached over plain http, as text.
pub(super) fn plain_http(grant: &Grant) -> Option<String> {
    grant.plain_http.as_ref().map(Origin::to_string)
}

/// The client of this grant outside of a renewal, with secrets that are read now.
pub(super) async fn client_now(
    definition: &Definition,
    links: &LinkSources,
) -> Result<Client, Error> {
    let grant = definition.token.grant();
    let grant = grant.expect("only profiles with a grant have a client");
    let secrets = Secrets::read(grant, &direct_request()).await?;
    secrets
        .client(grant, &definition.store, links, Arc::new(SystemClock))
        .await
}

/// The source of a token at this place.
pub(super) fn at(place: &TokenPlace, links: &LinkSources) -> Arc<dyn TokenSource> {
    match place {
        TokenPlace::Secret(secret) => secret.token_source(),
        TokenPlace::Link(key) => Arc::clone(links.get(key).expect("each link has a source")),
    }
}
