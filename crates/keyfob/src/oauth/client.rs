//! A registered client, and the requests that it sends to its authorization server.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use huskarl_core::client_auth;
use huskarl_core::client_auth::AuthenticationContext;

use crate::clock::clock::Clock;
use crate::error::error::{Error, ErrorKind};
use crate::exchange::outcome::DEFAULT_TIMEOUT;
use crate::exchange::proof::DPOP;
use crate::oauth::client_authentication::{
    ClientAuthentication, authentication_failed, check_audience,
};
use crate::oauth::discovery::Discovery;
use crate::oauth::dpop::DpopProver;
use crate::oauth::endpoint::Endpoint;
use crate::oauth::error_response::{refused_client, require_success, requires_nonce};
use crate::oauth::exchange_outcome::ExchangeOutcome;
use crate::oauth::form::Form;
use crate::oauth::http_client::{HttpClient, NoResponse, ServerResponse};
use crate::oauth::inner_tokens::InnerSources;
use crate::oauth::metadata::Metadata;
use crate::oauth::token_response::{ExpectedToken, ExpectedType, TokenMember};
use crate::source::source::TokenRequest;
use crate::token::token::Token;

/// A client that is registered at an authorization server (RFC 6749 §2).
///
/// Every grant is made from a client. Name the server by its issuer, whose metadata is fetched when it is first needed, or
/// by the URL of its token endpoint. Clones share the metadata.
///
/// ```
/// use keyfob::oauth::{Client, ClientAuthentication, ClientCredentials};
///
/// let client = Client::builder("reports")
///     .issuer("https://login.example.com")
///     .authentication(ClientAuthentication::secret_basic("s3cr3t"))
///     .build()?;
/// let source = ClientCredentials::new(client).scopes(["reports:read"]);
/// let session = keyfob::Session::new("https://api.example.com/v1/", source)?;
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone)]
pub struct Client(pub(super) Arc<SharedClient>);

/// The state that clones of a client share.
pub(super) struct SharedClient {
    /// `None` for a server that identifies the client by its assertion alone.
    pub(super) id: Option<String>,
    pub(super) authentication: ClientAuthentication,
    /// The same authentication, in the form that the protocol library needs.
    pub(super) method: Arc<dyn client_auth::ClientAuthentication>,
    pub(super) discovery: Discovery,
    pub(super) http: HttpClient,
    pub(super) prover: Option<DpopProver>,
    /// The scheme of the tokens, whatever `token_type` the server writes.
    pub(super) token_type: Option<String>,
    pub(super) clock: Arc<dyn Clock>,
}

/// What matters of a grant's token request apart from its form.
#[derive(Default)]
pub(crate) struct GrantRequest<'a> {
    /// The scopes that are requested.
    pub(crate) scopes: &'a [String],
    /// Which member of the response is the token.
    pub(crate) member: TokenMember,
    /// The audiences of a signed assertion in the form, which must not reach another server.
    pub(crate) audiences: &'a [String],
}

impl Client {
    /// The default timeout of a request to the server.
    pub const TIMEOUT: Duration = DEFAULT_TIMEOUT;

    /// How long the metadata of a server are used if the server sets no lifetime (`Cache-Control`, `Expires`).
    pub const METADATA_LIFETIME: Duration = Discovery::LIFETIME;

    /// The identifier of the client at the server (`client_id`), if it has one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.0.id.as_deref()
    }

    /// The metadata of the server, fetched if there is none yet or it is too old.
    pub(crate) async fn metadata(&self) -> Result<Arc<Metadata>, Error> {
        let shared = &*self.0;
        let (http, clock) = (&shared.http, &*shared.clock);
        let metadata = shared.discovery.metadata(http, clock).await;
        // No credential was sent yet.
        metadata.map_err(Error::outcome_known)
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// Sends a token request, and returns the token or the error.
    ///
    /// Metadata that came from a cache may name an endpoint that has moved. They are fetched again then.
    pub(crate) async fn request_token(
        &self,
        form: Form,
        grant: &GrantRequest<'_>,
    ) -> Result<Token, Error> {
        let metadata = self.metadata().await?;
        let outcome = self.exchange(&metadata, &form, grant).await;
        let error = match &outcome {
            ExchangeOutcome::Granted(_) => return outcome.into_result(),
            ExchangeOutcome::TryLater(error) => error,
            // Not sent again; but the next exchange begins with metadata that are up to date.
            ExchangeOutcome::Refused(_) | ExchangeOutcome::Unknown(_) => {
                self.0.discovery.doubt(&*self.0.clock).await;
                return outcome.into_result();
            }
        };
        match self.moved_endpoint(&metadata, error).await {
            Some(newer) => self.exchange(&newer, &form, grant).await.into_result(),
            None => outcome.into_result(),
        }
    }

    /// Adds to a refusal that it ends when the source of the client assertion has another one.
    pub(crate) fn mark_refusal(&self, error: Error) -> Error {
        let source = self.0.authentication.assertion_source();
        let is_of_assertion = source.is_some_and(InnerSources::are_refused);
        match is_of_assertion && error.kind() == ErrorKind::Refused {
            true => error.asked_again_later(),
            false => error,
        }
    }

    /// Newer metadata with another token endpoint, if the old ones may be the reason for this error.
    async fn moved_endpoint(&self, old: &Arc<Metadata>, error: &Error) -> Option<Arc<Metadata>> {
        // A pause that the server asks for shows that the endpoint is right.
        if error.kind() == ErrorKind::Input || error.pause().is_some() {
            return None;
        }
        let shared = &*self.0;
        let newer = shared
            .discovery
            .fetch_again(old, &shared.http, &*shared.clock);
        newer.await.filter(|newer| newer.token.url != old.token.url)
    }

    /// Sends a token request, and decides what became of it.
    pub(crate) async fn exchange(
        &self,
        metadata: &Metadata,
        form: &Form,
        grant: &GrantRequest<'_>,
    ) -> ExchangeOutcome {
        // Here, because the metadata may be newer than those for which the assertion was signed. What the application gave
        // belongs together.
        if metadata.is_discovered {
            for audience in grant.audiences {
                if let Err(error) = check_audience(audience, &metadata.token, metadata) {
                    return ExchangeOutcome::TryLater(error);
                }
            }
        }
        let response = self.send_token_request(metadata, form).await;
        self.outcome_of(metadata, response, grant)
    }

    /// Decides what became of a token request.
    pub(crate) fn outcome_of(
        &self,
        metadata: &Metadata,
        response: Result<ServerResponse, NoResponse>,
        grant: &GrantRequest<'_>,
    ) -> ExchangeOutcome {
        let expected = ExpectedToken {
            token_type: match (&self.0.prover, &self.0.token_type) {
                (Some(_), _) => ExpectedType::Dpop,
                (None, Some(scheme)) => ExpectedType::Any(scheme),
                (None, None) => ExpectedType::Bearer,
            },
            member: grant.member,
            scopes: grant.scopes,
        };
        ExchangeOutcome::of(&metadata.token, response, &expected)
    }

    /// Sends a token request and returns the response, whatever its status.
    pub(crate) async fn send_token_request(
        &self,
        metadata: &Metadata,
        form: &Form,
    ) -> Result<ServerResponse, NoResponse> {
        self.send_bound(&metadata.token, metadata, form).await
    }

    /// Sends a form to an endpoint that binds what it issues to the prover's key, if there is one (RFC 9449 §5, §10.1).
    pub(crate) async fn send_bound(
        &self,
        endpoint: &Endpoint,
        metadata: &Metadata,
        form: &Form,
    ) -> Result<ServerResponse, NoResponse> {
        let Some(prover) = &self.0.prover else {
            return self.send(endpoint, metadata, no_headers, form).await;
        };
        let send = || self.send_with_proof(prover, endpoint, metadata, form);
        let response = send().await?;
        if requires_nonce(&response) {
            // The server did not process the request: it only supplied the nonce that the proof has to contain (RFC 9449 §8).
            // Once is enough, because a server that rejects the new nonce too will not accept the next one.
            return send().await;
        }
        Ok(response)
    }

    /// Sends a form with a proof, so that what the endpoint issues is bound to the prover's key.
    async fn send_with_proof(
        &self,
        prover: &DpopProver,
        endpoint: &Endpoint,
        metadata: &Metadata,
        form: &Form,
    ) -> Result<ServerResponse, NoResponse> {
        let url = endpoint.url.as_str();
        let headers = || {
            let now = self.0.clock.coarse_time().wall_time();
            let proof = prover.prove_issuer_request(url, now)?;
            Ok(HeaderMap::from_iter([(DPOP, proof)]))
        };
        let response = self.send(endpoint, metadata, headers, form).await?;
        prover.record_issuer_nonce(url, response.status, &response.headers);
        Ok(response)
    }

    /// Sends an authenticated form and fails unless the response is a success.
    pub(crate) async fn post(
        &self,
        endpoint: &Endpoint,
        metadata: &Metadata,
        form: &Form,
    ) -> Result<ServerResponse, Error> {
        let response = self.send(endpoint, metadata, no_headers, form).await;
        self.require_success(endpoint, response).await
    }

    /// Fails unless the response is a success. The metadata may be the reason, so the next request begins with new ones.
    pub(crate) async fn require_success(
        &self,
        endpoint: &Endpoint,
        response: Result<ServerResponse, NoResponse>,
    ) -> Result<ServerResponse, Error> {
        let response = response.map_err(Error::from);
        let outcome = response.and_then(|response| require_success(endpoint, response));
        if outcome.is_err() {
            self.0.discovery.doubt(&*self.0.clock).await;
        }
        outcome
    }

    /// Sends a form with the client's authentication and returns the response, whatever its status.
    ///
    /// If the server refuses a client assertion of another source, the form is sent once more with a newer one.
    pub(crate) async fn send(
        &self,
        endpoint: &Endpoint,
        metadata: &Metadata,
        headers: impl Fn() -> Result<HeaderMap, Error>,
        form: &Form,
    ) -> Result<ServerResponse, NoResponse> {
        // A client assertion has an audience: the issuer or the token endpoint, wherever the form goes.
        self.0.authentication.check_target(endpoint, metadata)?;
        let Some(source) = self.0.authentication.assertion_source() else {
            return self.send_form(endpoint, metadata, headers()?, form).await;
        };
        let request = TokenRequest::of_present_fetch(&self.0.clock);
        let mut tokens = source.tokens(&request).await?;
        loop {
            let form = form.with_client_assertion(tokens.text(0));
            let sent = self.send_form(endpoint, metadata, headers()?, &form);
            let response = sent.await?;
            let Some(error) = refused_client(endpoint, &response) else {
                return Ok(tokens.end(Ok(response))?);
            };
            if !tokens.replaced_after(&error).await {
                // Only remembered here: callers read the response.
                let _ = tokens.end::<()>(Err(error));
                return Ok(response);
            }
        }
    }

    /// Sends a form with the client's identifier and secret, or the assertion that it signs.
    async fn send_form(
        &self,
        endpoint: &Endpoint,
        metadata: &Metadata,
        headers: HeaderMap,
        form: &Form,
    ) -> Result<ServerResponse, NoResponse> {
        let Some(id) = self.id() else {
            return self.0.http.post(endpoint, headers, form.to_text()).await;
        };
        let now = self.0.clock.coarse_time().wall_time();
        let signed = self.0.authentication.sign_assertion(id, metadata, now)?;
        let signed = signed.map(|jwt| form.with_client_assertion(&jwt));
        let form = signed.as_ref().unwrap_or(form);
        let target = endpoint.to_endpoint_url()?;
        let token_endpoint = metadata.token.to_endpoint_url()?;
        let context = AuthenticationContext::builder()
            .client_id(id)
            .target_endpoint(&target)
            .maybe_issuer(metadata.issuer.as_deref())
            .token_endpoint(&token_endpoint)
            .build();
        let authentication = self.0.method.authentication_context(context).await;
        let (mut all, form) = form.authenticated(authentication.map_err(authentication_failed)?)?;
        all.extend(headers);
        self.0.http.post(endpoint, all, form).await
    }
}

/// The headers of a request without a proof of possession.
pub(crate) fn no_headers() -> Result<HeaderMap, Error> {
    Ok(HeaderMap::new())
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("id", &self.0.id)
            .field("authentication", &self.0.authentication)
            .field("server", &self.0.discovery.server)
            .finish_non_exhaustive()
    }
}
