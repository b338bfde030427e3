//! Sign-in with a browser on this machine (RFC 6749 §4.1, with PKCE, as RFC 8252 describes).

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_channel::mpsc;
use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender};
use futures_util::StreamExt;
use futures_util::future::{Either, ready, select};
use url::Url;

mod listener;
pub(crate) mod manual_response;
mod page;
pub(crate) mod pkce;
pub(crate) mod pushed_request;
pub(crate) mod redirect_uri;
pub(crate) mod response;

use crate::clock::clock::within;
use crate::error::error::{Error, ErrorKind};
use crate::oauth::authorization_code::listener::{BrowserRequest, Listener, Sender};
use crate::oauth::authorization_code::manual_response::ManualResponse;
use crate::oauth::authorization_code::page::Page;
use crate::oauth::authorization_code::pkce::{METHOD, code_challenge, random_text};
use crate::oauth::authorization_code::pushed_request::PushedRequests;
use crate::oauth::authorization_code::redirect_uri::RedirectUri;
use crate::oauth::authorization_code::response::{ExpectedResponse, SignInFailure};
use crate::oauth::client::{Client, GrantRequest};
use crate::oauth::exchange_outcome::ExchangeOutcome;
use crate::oauth::form::Form;
use crate::oauth::grants::options::{GrantOptions, grant_setters, sign_in_setters};
use crate::oauth::metadata::Metadata;
use crate::oauth::token_response::TokenMember;
use crate::token::secret::Secret;
use crate::token::token::Token;

/// Signs a person in with a browser on this machine.
///
/// This is the authorization code grant with PKCE, as RFC 8252 describes it for native programs.
///
/// The server redirects the browser to a port of this machine, which is open only during the sign-in. The authorization
/// code is useless without the code verifier, which never leaves the program (RFC 7636). It is accepted only with the
/// `state` that was sent, and only from the server that was asked (RFC 9207). Afterwards,
/// [`RefreshToken`](crate::oauth::RefreshToken) renews the token without a person.
///
/// ```no_run
/// use keyfob::oauth::{AuthorizationCode, Client};
///
/// # async fn example() -> Result<(), keyfob::Error> {
/// let client = Client::builder("desktop").issuer("https://login.example.com").build()?;
/// let request = AuthorizationCode::new(client).scopes(["reports:read", "offline_access"]).start().await?;
/// println!("Open {}", request.url());
/// let token = request.wait().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct AuthorizationCode {
    options: GrantOptions,
    redirect_uri: RedirectUri,
    pushed_requests: PushedRequests,
    timeout: Duration,
}

impl AuthorizationCode {
    /// The default for [`timeout`](Self::timeout).
    pub const TIMEOUT: Duration = Duration::from_secs(5 * 60);

    /// Prepares a sign-in at the server of this client.
    pub fn new(client: Client) -> Self {
        Self {
            options: GrantOptions::new(client),
            redirect_uri: RedirectUri::default(),
            pushed_requests: PushedRequests::default(),
            timeout: Self::TIMEOUT,
        }
    }

    grant_setters!(
        options,
        "Adds another parameter to the URL of the authorization request, such as `login_hint`. It must not be secret.

With the OpenID scope `offline_access`, `prompt` is `consent` unless you set it: otherwise the server must not return a
refresh token (OpenID Connect Core §11)."
    );
    sign_in_setters!(options);

    /// Sets the redirect URI that is registered for the client.
    ///
    /// Default: `http://127.0.0.1/callback`. It must be plain `http` to loopback. Without a port, any free port is used,
    /// which servers must allow (RFC 8252 §7.3).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`] if it is anything else.
    pub fn redirect_uri(mut self, uri: impl AsRef<str>) -> Result<Self, Error> {
        self.redirect_uri = RedirectUri::parse(uri.as_ref())?;
        Ok(self)
    }

    /// Sets whether the parameters are pushed to the server first (RFC 9126). Default: [`PushedRequests::WhenOffered`].
    pub fn pushed_requests(mut self, pushed_requests: PushedRequests) -> Self {
        self.pushed_requests = pushed_requests;
        self
    }

    /// Limits how long the person may take. Default: [`TIMEOUT`](Self::TIMEOUT).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Starts to listen for the browser, and creates the authorization request.
    ///
    /// Needs a Tokio runtime.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`] if no authorization endpoint is known, the server does not support PKCE with S256, the port is in
    /// use, or the server and [`pushed_requests`](Self::pushed_requests) contradict each other; otherwise as a
    /// [`TokenSource`](crate::TokenSource) of this client.
    pub async fn start(&self) -> Result<AuthorizationRequest, Error> {
        let metadata = self.options.client.metadata().await?;
        // Before a request is pushed for nothing.
        metadata.authorization.require()?;
        // A server that lists no methods may support PKCE all the same. Otherwise it ignores it (RFC 6749 §3.1).
        if let Some(methods) = &metadata.code_challenge_methods
            && !methods.iter().any(|method| method == METHOD)
        {
            return Err(Error::input(
                "the server does not support PKCE with S256 (RFC 7636), and no weaker method is used",
            ));
        }
        // The port is opened first, because the URL contains its number.
        let listener =
            Listener::bind(&self.redirect_uri, Arc::clone(self.options.client.clock())).await?;
        let (state, verifier) = (random_text()?, random_text()?);
        let challenge = code_challenge(&verifier);
        let form = self.form(listener.uri(), &state, &challenge)?;
        let (url, opens_until) = self.url(&metadata, &form).await?;
        let (sender, requests) = mpsc::unbounded();
        let sign_in = PendingSignIn {
            expected: ExpectedResponse {
                state,
                issuer: metadata.issuer.clone(),
                has_iss: metadata.sends_iss,
            },
            settings: self.clone(),
            metadata,
            listener,
            url,
            opens_until,
            verifier,
        };
        Ok(AuthorizationRequest {
            sign_in,
            sender,
            requests,
        })
    }

    /// The parameters of the authorization request (RFC 6749 §4.1.1, RFC 7636 §4.3).
    fn form(&self, redirect_uri: &str, state: &Secret, challenge: &str) -> Result<Form, Error> {
        let form = Form::new()
            .with("response_type", "code")
            .with("client_id", self.client_id()?)
            .with("redirect_uri", redirect_uri)
            .with("state", state.expose())
            .with("code_challenge", challenge)
            .with("code_challenge_method", METHOD);
        let form = match self.needs_consent() {
            true => form.with("prompt", "consent"),
            false => form,
        };
        // RFC 9449 §10: the code is bound to the key as well, so that a thief of the code gets no token for another key.
        let form = match &self.options.client.0.prover {
            Some(prover) => form.with("dpop_jkt", &prover.thumbprint()),
            None => form,
        };
        self.options.add_to(form)
    }

    /// The URL of the authorization request, and until when the server accepts it if it sets a limit.
    async fn url(
        &self,
        metadata: &Metadata,
        form: &Form,
    ) -> Result<(Url, Option<Duration>), Error> {
        let client = &self.options.client;
        // Before the request is sent, so that the URL is never shown for longer than the server accepts it.
        let requested = client.clock().elapsed();
        let Some(pushed) = self.pushed_requests.push(client, metadata, form).await? else {
            return Ok((authorization_url(metadata, form)?, None));
        };
        // RFC 9126 §4: all other parameters are in the pushed request.
        let form = Form::new()
            .with("client_id", self.client_id()?)
            .with("request_uri", &pushed.request_uri);
        let lifetime = pushed.lifetime;
        let until = lifetime.map(|lifetime| requested.saturating_add(lifetime));
        Ok((authorization_url(metadata, &form)?, until))
    }

    fn client_id(&self) -> Result<&str, Error> {
        self.options.client.id().ok_or_else(|| {
            Error::input("a sign-in needs the identifier of the client; set `client_id`")
        })
    }

    fn needs_consent(&self) -> bool {
        // OpenID Connect Core §11: `offline_access` is ignored without consent.
        let has_scope = |scope: &str| self.options.scopes.iter().any(|other| other == scope);
        let mut parameters = self.options.parameters.iter();
        let has_prompt = parameters.any(|(name, _)| name == "prompt");
        has_scope("openid") && has_scope("offline_access") && !has_prompt
    }
}

/// The URL of the authorization endpoint with these parameters.
fn authorization_url(metadata: &Metadata, form: &Form) -> Result<Url, Error> {
    let mut url = metadata.authorization.require()?.url.clone();
    // RFC 6749 §3.1: the endpoint may have a query, "which MUST be retained when adding additional query parameters".
    let query = match url.query() {
        Some(query) if !query.is_empty() => format!("{query}&{}", form.as_str()),
        _ => form.as_str().to_owned(),
    };
    url.set_query(Some(&query));
    Ok(url)
}

/// A sign-in that waits for the browser to be redirected.
///
/// `Debug` hides the URL, because it contains the `state`.
///
/// ```no_run
/// # async fn example(sign_in: keyfob::oauth::AuthorizationCode) -> Result<(), keyfob::Error> {
/// let request = sign_in.start().await?;
/// println!("Open {}", request.url());
/// let token = request.wait().await?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct AuthorizationRequest {
    sign_in: PendingSignIn,
    sender: UnboundedSender<BrowserRequest>,
    /// The requests of browsers, and what a person copied from one.
    requests: UnboundedReceiver<BrowserRequest>,
}

struct PendingSignIn {
    settings: AuthorizationCode,
    metadata: Arc<Metadata>,
    listener: Listener,
    url: Url,
    /// When the server forgets the pushed request that the URL refers to, on the client's clock.
    opens_until: Option<Duration>,
    verifier: Secret,
    expected: ExpectedResponse,
}

impl AuthorizationRequest {
    /// The URL to open in a browser on this machine.
    #[must_use]
    pub fn url(&self) -> &str {
        self.sign_in.url.as_str()
    }

    /// How long the URL can still be opened, if the server sets a limit.
    ///
    /// It does so for a [pushed](PushedRequests) request (`expires_in`, RFC 9126 §2.2), which works once. Afterwards, start
    /// the sign-in again.
    #[must_use]
    pub fn expires_in(&self) -> Option<Duration> {
        let now = self.sign_in.settings.options.client.clock().elapsed();
        let until = self.sign_in.opens_until?;
        Some(until.saturating_sub(now))
    }

    /// The URI to which the server redirects the browser.
    #[must_use]
    pub fn redirect_uri(&self) -> &str {
        self.sign_in.listener.uri()
    }

    /// Returns what takes the response from a person, for a browser on another machine.
    pub fn manual_response(&self) -> ManualResponse {
        ManualResponse {
            requests: self.sender.clone(),
            redirect_uri: self.redirect_uri().to_owned(),
        }
    }

    /// Waits until the person has signed in, and returns the token.
    ///
    /// The browser then shows the result. A browser request that does not belong to this sign-in gets an error page, and
    /// the sign-in continues.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Refused`] if the person or the server denies the sign-in or another server responds,
    /// [`ErrorKind::Deadline`] after the [`timeout`](AuthorizationCode::timeout); otherwise as a
    /// [`TokenSource`](crate::TokenSource) of the client.
    pub async fn wait(self) -> Result<Token, Error> {
        let serving = pin!(self.sign_in.listener.serve(&self.sender));
        let finished = pin!(self.sign_in.finish(self.requests));
        match select(finished, serving).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right(((), finished)) => finished.await,
        }
    }
}

impl PendingSignIn {
    async fn finish(
        &self,
        mut requests: UnboundedReceiver<BrowserRequest>,
    ) -> Result<Token, Error> {
        let (request, response) = self.authorization_response(&mut requests).await?;
        let outcome = match response {
            Ok(code) => self.token_for(&code, requests).await,
            Err(failure) => Err(failure),
        };
        // After the token request, so that the browser claims success only if there is a token.
        let page = match &outcome {
            Ok(_) => Page::SignedIn,
            Err(failure) => failure.page,
        };
        request.respond(page).await;
        outcome.map_err(|failure| failure.error)
    }

    /// The first browser request that belongs to this sign-in, and the authorization response in it.
    async fn authorization_response(
        &self,
        requests: &mut UnboundedReceiver<BrowserRequest>,
    ) -> Result<(BrowserRequest, Result<Secret, SignInFailure>), Error> {
        let mut unrelated = Vec::new();
        let first_response = async {
            while let Some(request) = requests.next().await {
                if let Some(response) = self.expected.check(&request.query) {
                    return Some((request, response));
                }
                if !unrelated.contains(&request.sender) {
                    unrelated.push(request.sender);
                }
                drop(request.start_response(Page::Unrelated));
            }
            None
        };
        let clock = self.settings.options.client.clock();
        // This limits the person. The token request that follows has a timeout of its own.
        within(&**clock, self.settings.timeout, first_response)
            .await
            .flatten()
            .ok_or_else(|| timed_out(&unrelated))
    }

    /// Requests the token, and meanwhile responds to browsers that repeat their request.
    async fn token_for(
        &self,
        code: &Secret,
        requests: UnboundedReceiver<BrowserRequest>,
    ) -> Result<Token, SignInFailure> {
        let respond_to_repeated = requests.for_each(|request| {
            drop(request.start_response(Page::AlreadyAnswered));
            ready(())
        });
        let exchange = pin!(self.exchange(code));
        match select(exchange, respond_to_repeated).await {
            Either::Left((outcome, _)) => Ok(outcome?),
            Either::Right(((), exchange)) => Ok(exchange.await?),
        }
    }

    /// Exchanges the code for a token (RFC 6749 §4.1.3, RFC 7636 §4.5).
    async fn exchange(&self, code: &Secret) -> Result<Token, Error> {
        let mut form = Form::token_request("authorization_code")
            .with("code", code.expose())
            .with("redirect_uri", self.listener.uri())
            .with("code_verifier", self.verifier.expose());
        // RFC 8707 §2.2: the token request selects the resources of this token from those that were granted.
        for resource in &self.settings.options.resources {
            form = form.with("resource", resource);
        }
        let client = &self.settings.options.client;
        let requested = client.clock().coarse_time().wall_time();
        let grant = GrantRequest {
            scopes: &self.settings.options.scopes,
            member: self.settings.options.member(TokenMember::Access),
            ..GrantRequest::default()
        };
        match client.exchange(&self.metadata, &form, &grant).await {
            // T4: the lifetime counts from the time of the request.
            ExchangeOutcome::Granted(token) => Ok(token.obtained_at(requested)),
            ExchangeOutcome::Refused(error) | ExchangeOutcome::TryLater(error) => Err(error),
            // The code works once, so sending it again could only revoke what it brought (RFC 6749 §4.1.2).
            ExchangeOutcome::Unknown(error) => Err(Error::unavailable(
                "the response that may have held the token was lost; start the sign-in again",
            )
            .caused_by(error)),
        }
    }
}

/// The error after the time limit. `unrelated` is what sent responses of other sign-ins.
fn timed_out(unrelated: &[Sender]) -> Error {
    let detail = match unrelated {
        [] => "",
        [Sender::Person] => "; what was pasted belongs to another sign-in",
        _ => "; the browser only sent responses that belong to another sign-in",
    };
    Error::new(
        ErrorKind::Deadline,
        format!("the sign-in was not completed in time{detail}; start it again"),
    )
}

impl fmt::Debug for AuthorizationRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationRequest")
            .field("client", &self.sign_in.settings.options.client)
            .field("redirect_uri", &self.redirect_uri())
            .finish_non_exhaustive()
    }
}
