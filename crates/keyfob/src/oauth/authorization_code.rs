//! Signing in with a browser on this machine (RFC 6749 §4.1, with PKCE, by RFC 8252).

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_channel::mpsc;
use futures_channel::mpsc::UnboundedReceiver;
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use url::Url;
use zeroize::Zeroizing;

mod listener;
mod page;
mod pkce;
pub(crate) mod redirect_uri;
mod response;

use crate::error::error::{Error, ErrorKind};
use crate::oauth::authorization_code::listener::{Listener, Visit};
use crate::oauth::authorization_code::page::Page;
use crate::oauth::authorization_code::pkce::{METHOD, challenge, random_text};
use crate::oauth::authorization_code::redirect_uri::RedirectUri;
use crate::oauth::authorization_code::response::{Brought, Expected};
use crate::oauth::client::Client;
use crate::oauth::form::Form;
use crate::oauth::grants::options::{GrantOptions, scope_setters};
use crate::oauth::metadata::Metadata;
use crate::token::secret::Secret;
use crate::token::token::Token;

/// A sign-in with a browser on this machine: an authorization code, with PKCE (RFC 7636, RFC 8252).
///
/// The browser comes back to a port of this machine that only listens as long as the sign-in lasts. The code that it brings
/// is worth nothing to anybody else, and is taken only with the `state` that was sent, and from the server that was asked
/// (RFC 9207). [`RefreshToken`](crate::oauth::RefreshToken) goes on from the token without a person.
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
    client: Client,
    options: GrantOptions,
    redirect_uri: RedirectUri,
    time_limit: Duration,
}

impl AuthorizationCode {
    /// How long a person may take, unless set.
    pub const TIME_LIMIT: Duration = Duration::from_secs(5 * 60);

    /// A sign-in at the server of this client.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            options: GrantOptions::default(),
            redirect_uri: RedirectUri::default(),
            time_limit: Self::TIME_LIMIT,
        }
    }

    scope_setters!(options);

    /// Puts one more parameter into the URL, such as `login_hint`; it is no place for a secret.
    ///
    /// With the scope `offline_access` of OpenID, `prompt` is `consent` unless set: without it a server has to
    /// give no refresh token (OpenID Connect Core §11).
    pub fn parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let value = Zeroizing::new(value.into());
        self.options.parameters.push((name.into(), value));
        self
    }

    /// Sets where the browser comes back to, as it is registered; `http://127.0.0.1/callback` unless set.
    ///
    /// It is plain http to this machine. Without a port, any that is free is used, which servers have to allow (RFC 8252 §7.3).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`] if it is anything else.
    pub fn redirect_uri(mut self, uri: impl AsRef<str>) -> Result<Self, Error> {
        self.redirect_uri = RedirectUri::parse(uri.as_ref())?;
        Ok(self)
    }

    /// Sets how long the person may take; [`TIME_LIMIT`](Self::TIME_LIMIT) unless set.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Begins to listen, and makes the URL for the browser. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`] if the server names no authorization endpoint and none was given, takes no proof by S256, or if
    /// the port cannot be had; else as a [`TokenSource`](crate::TokenSource) of this client.
    pub async fn start(&self) -> Result<AuthorizationRequest, Error> {
        let metadata = self.client.metadata().await?;
        if let Some(methods) = &metadata.code_challenge_methods
            && !methods.iter().any(|method| method == METHOD)
        {
            return Err(Error::input(
                "the server takes no proof by S256 (RFC 7636), and nothing weaker is used",
            ));
        }
        let listener = Listener::bind(&self.redirect_uri, Arc::clone(self.client.clock())).await?;
        let (state, verifier) = (random_text()?, random_text()?);
        let url = self.url(&metadata, listener.uri(), &state, &challenge(&verifier))?;
        Ok(AuthorizationRequest {
            expected: Expected {
                state,
                issuer: metadata.issuer.clone(),
                names_itself: metadata.sends_iss,
            },
            sign_in: self.clone(),
            metadata,
            listener,
            url,
            verifier,
        })
    }

    /// The authorization request (RFC 6749 §4.1.1, RFC 7636 §4.3).
    fn url(
        &self,
        metadata: &Metadata,
        redirect_uri: &str,
        state: &Secret,
        challenge: &str,
    ) -> Result<Url, Error> {
        let endpoint = metadata.authorization.as_ref().ok_or_else(|| {
            Error::input("the server names no authorization endpoint; give its URL to the client")
        })?;
        let form = Form::new()
            .with("response_type", "code")
            .with("client_id", self.client.id())
            .with("redirect_uri", redirect_uri)
            .with("state", state.expose())
            .with("code_challenge", challenge)
            .with("code_challenge_method", METHOD);
        let prompt = self.needs_consent().then_some("consent");
        let form = self.options.fill(form.with_optional("prompt", prompt))?;
        let mut url = endpoint.url().clone();
        let query = match url.query() {
            Some(own) if !own.is_empty() => format!("{own}&{}", form.as_str()),
            _ => form.as_str().to_owned(),
        };
        url.set_query(Some(&query));
        Ok(url)
    }

    fn needs_consent(&self) -> bool {
        let is_set = |(name, _): &(String, _)| name == "prompt";
        let has = |scope: &str| self.options.scopes.iter().any(|asked| asked == scope);
        has("openid") && has("offline_access") && !self.options.parameters.iter().any(is_set)
    }
}

/// A sign-in that waits for the browser to come back.
///
/// `Debug` does not show the URL, which has the `state` in it.
#[must_use]
pub struct AuthorizationRequest {
    sign_in: AuthorizationCode,
    metadata: Arc<Metadata>,
    listener: Listener,
    url: Url,
    verifier: Secret,
    expected: Expected,
}

impl AuthorizationRequest {
    /// The URL for the browser of the person, on this machine.
    #[must_use]
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Where the browser comes back to.
    #[must_use]
    pub fn redirect_uri(&self) -> &str {
        self.listener.uri()
    }

    /// Waits until the person has signed in, and gets the token; then shows a page that says what happened.
    ///
    /// Visits that are no answer to this sign-in are told so, and waited through.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Refused`] if the person or the server says no or another server answers, [`ErrorKind::Deadline`] if nobody
    /// comes back in time; else as a [`TokenSource`](crate::TokenSource) of the client.
    pub async fn wait(self) -> Result<Token, Error> {
        let (sender, visits) = mpsc::unbounded();
        let serving = pin!(self.listener.serve(&sender));
        let settled = pin!(self.settle(visits));
        match select(settled, serving).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right((never, _)) => match never {},
        }
    }

    async fn settle(&self, mut visits: UnboundedReceiver<Visit>) -> Result<Token, Error> {
        let (visit, brought) = self.first_answer(&mut visits).await?;
        let code = match brought {
            Ok(code) => code,
            Err((error, page)) => {
                visit.answer(page).await;
                return Err(error);
            }
        };
        let mut exchange = pin!(self.exchange(&code));
        let outcome = loop {
            match select(exchange, visits.next()).await {
                Either::Left((outcome, _)) => break outcome,
                Either::Right((late, running)) => {
                    drop(late.map(|visit| visit.begin_answer(Page::Late)));
                    exchange = running;
                }
            }
        };
        let page = match &outcome {
            Ok(_) => Page::SignedIn,
            Err(_) => Page::Failed,
        };
        visit.answer(page).await;
        outcome
    }

    /// The visit that answers this sign-in, with what it brought.
    async fn first_answer(
        &self,
        visits: &mut UnboundedReceiver<Visit>,
    ) -> Result<(Visit, Result<Secret, (Error, Page)>), Error> {
        let mut limit = self.sign_in.client.clock().sleep(self.sign_in.time_limit);
        let mut strays = 0_u32;
        loop {
            let visit = match select(visits.next(), limit).await {
                Either::Left((Some(visit), running)) => {
                    limit = running;
                    visit
                }
                Either::Left((None, _)) | Either::Right(_) => return Err(too_late(strays)),
            };
            match self.expected.judge(&visit.query) {
                Brought::Code(code) => return Ok((visit, Ok(code))),
                Brought::Refusal(error, page) => return Ok((visit, Err((error, page)))),
                Brought::Stray => {
                    strays += 1;
                    drop(visit.begin_answer(Page::Stray));
                }
            }
        }
    }

    /// The token for the code (RFC 6749 §4.1.3, RFC 7636 §4.5).
    async fn exchange(&self, code: &Secret) -> Result<Token, Error> {
        let resources = &self.sign_in.options.resources;
        let form = Form::token_request("authorization_code")
            .with("code", code.expose())
            .with("redirect_uri", self.listener.uri())
            .with("code_verifier", self.verifier.expose());
        // RFC 8707 §2.2: they say again for which of the granted ones this token is.
        let form = resources
            .iter()
            .fold(form, |form, resource| form.with("resource", resource));
        let client = &self.sign_in.client;
        let asked = client.clock().coarse_time().wall_time();
        let response = client.send_token_request(&self.metadata, form).await?;
        let token = client.read_token_response(&self.metadata, response)?;
        // T4: the lifetime counts from the moment that it was asked for.
        Ok(token.obtained_at(asked))
    }
}

fn too_late(strays: u32) -> Error {
    let beside = match strays {
        0 => "",
        _ => "; the browser brought answers that belong to another sign-in",
    };
    Error::new(
        ErrorKind::Deadline,
        format!("nobody signed in before the time was over{beside}; start the sign-in again"),
    )
}

impl fmt::Debug for AuthorizationRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationRequest")
            .field("client", &self.sign_in.client)
            .field("redirect_uri", &self.redirect_uri())
            .finish_non_exhaustive()
    }
}
