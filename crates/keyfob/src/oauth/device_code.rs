//! Sign-in with a code that a person types into a browser on any device (RFC 8628).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use huskarl_core::OAuthErrorCode;
use url::Url;

mod poll_interval;

use crate::error::error::{Error, ErrorKind};
use crate::error::printable::printable;
use crate::oauth::client::{Client, GrantRequest};
use crate::oauth::device_code::poll_interval::PollInterval;
use crate::oauth::endpoint::Endpoint;
use crate::oauth::error_code::error_code;
use crate::oauth::error_response::access_denied;
use crate::oauth::exchange_outcome::ExchangeOutcome;
use crate::oauth::form::Form;
use crate::oauth::grants::options::{GrantOptions, grant_setters, sign_in_setters};
use crate::oauth::http_client::ServerResponse;
use crate::oauth::metadata::Metadata;
use crate::oauth::token_response::TokenMember;
use crate::oauth::token_response::{read_seconds, require_member, take_text};
use crate::origin::origin::web_page;
use crate::token::secret::Secret;
use crate::token::token::Token;

/// Signs a person in with a code that they type into any browser (RFC 8628).
///
/// It is meant for machines without a browser, for example over SSH. If the server also returns a refresh token,
/// [`RefreshToken`](crate::oauth::RefreshToken) renews the token without a person.
///
/// ```no_run
/// use keyfob::oauth::{Client, DeviceCode};
///
/// # async fn example() -> Result<(), keyfob::Error> {
/// let client = Client::builder("desktop").issuer("https://login.example.com").build()?;
/// let authorization = DeviceCode::new(client).scopes(["reports:read", "offline_access"]).start().await?;
/// println!("Open {} and type {}", authorization.verification_uri(), authorization.user_code());
/// let token = authorization.wait().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct DeviceCode {
    options: GrantOptions,
}

impl DeviceCode {
    /// The pause between two polls, unless the server sets another (RFC 8628 §3.2).
    pub const INTERVAL: Duration = Duration::from_secs(5);

    /// Prepares a sign-in at the server of this client.
    pub fn new(client: Client) -> Self {
        Self {
            options: GrantOptions::new(client),
        }
    }

    grant_setters!(options);
    sign_in_setters!(options);

    /// Requests a device code and a user code from the server. Needs a Tokio runtime.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`] if no device authorization endpoint is known; otherwise as a
    /// [`TokenSource`](crate::TokenSource) of this client.
    pub async fn start(&self) -> Result<DeviceAuthorization, Error> {
        let metadata = self.options.client.metadata().await?;
        let endpoint = metadata.device_authorization.require()?;
        let form = self.options.add_to(Form::new())?;
        // Before the request is sent, so that the codes are never shown for longer than the server accepts them.
        let requested = self.options.client.clock().elapsed();
        let response = self.options.client.post(endpoint, &metadata, &form).await?;
        let response = DeviceResponse::read(endpoint, &response)?;
        Ok(DeviceAuthorization {
            client: self.options.client.clone(),
            metadata,
            requested,
            response,
            scopes: self.options.scopes.clone(),
            member: self.options.member(TokenMember::Access),
        })
    }
}

/// A user code that waits for a person (RFC 8628 §3.2).
///
/// `Debug` hides the codes: with an unused code, another person could complete the sign-in.
///
/// ```no_run
/// # async fn example(sign_in: keyfob::oauth::DeviceCode) -> Result<(), keyfob::Error> {
/// let authorization = sign_in.start().await?;
/// println!("Open {} and type {}", authorization.verification_uri(), authorization.user_code());
/// let token = authorization.wait().await?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct DeviceAuthorization {
    client: Client,
    metadata: Arc<Metadata>,
    /// When the codes were requested, on the client's clock.
    requested: Duration,
    response: DeviceResponse,
    scopes: Vec<String>,
    member: TokenMember,
}

/// The device authorization response (RFC 8628 §3.2).
pub(crate) struct DeviceResponse {
    device_code: Secret,
    user_code: String,
    verification_uri: Url,
    verification_uri_complete: Option<Url>,
    lifetime: Duration,
    interval: Duration,
}

impl DeviceAuthorization {
    /// The code for the person to type.
    #[must_use]
    pub fn user_code(&self) -> &str {
        &self.response.user_code
    }

    /// The URL of the page on which the person types the code.
    #[must_use]
    pub fn verification_uri(&self) -> &str {
        self.response.verification_uri.as_str()
    }

    /// The same URL with the code in it, if the server sends one.
    ///
    /// Use it for a link or a QR code. Show the user code as well, so that the person can compare it (RFC 8628 §3.3.1).
    #[must_use]
    pub fn verification_uri_complete(&self) -> Option<&str> {
        let uri = self.response.verification_uri_complete.as_ref();
        uri.map(Url::as_str)
    }

    /// How long the code remains valid.
    #[must_use]
    pub fn expires_in(&self) -> Duration {
        let age = self.client.clock().elapsed().saturating_sub(self.requested);
        self.response.lifetime.saturating_sub(age)
    }

    /// Waits until the person has agreed, and returns the token.
    ///
    /// The server is polled at its own interval, and less often while polls fail (RFC 8628 §3.5). A temporary failure does
    /// not end the sign-in before the code expires.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Refused`] if the person or the server denies the sign-in, [`ErrorKind::Deadline`] if the code expires
    /// first; otherwise as a [`TokenSource`](crate::TokenSource) of the client.
    pub async fn wait(self) -> Result<Token, Error> {
        let clock = self.client.clock();
        let mut interval = PollInterval::new(self.response.interval);
        // The worst failure since the server last said that the person has not agreed yet.
        let mut failures = Response::SaysNothing;
        loop {
            let left = self.expires_in();
            // Once more before the code expires, and never longer than it is valid, so that the person sees the error at once.
            let end = match left.checked_sub(LAST_POLL) {
                None | Some(Duration::ZERO) => left,
                Some(last_poll) => last_poll,
            };
            clock.sleep(interval.pause().min(end)).await;
            if self.expires_in().is_zero() {
                return Err(code_expired());
            }
            let outcome = self.poll().await;
            match outcome.map_err(|error| after(failures, error))? {
                PollOutcome::Token(token) => return Ok(*token),
                // No response before it held the token.
                PollOutcome::Pending => {
                    failures = Response::SaysNothing;
                    interval.pending();
                }
                PollOutcome::SlowDown => {
                    failures = Response::SaysNothing;
                    interval.slow_down();
                }
                PollOutcome::Failed(response, retry_after) => {
                    failures = failures.max(response);
                    interval.failed(retry_after);
                }
            }
        }
    }

    async fn poll(&self) -> Result<PollOutcome, Error> {
        let device_code = self.response.device_code.expose();
        let form = Form::token_request(GRANT_TYPE).with("device_code", device_code);
        let requested = self.client.clock().coarse_time().wall_time();
        let grant = GrantRequest {
            scopes: &self.scopes,
            member: self.member,
            ..GrantRequest::default()
        };
        let response = self.client.send_token_request(&self.metadata, &form).await;
        // Before the rest, because some servers send `authorization_pending` with status 200.
        let code = response.as_ref().ok().and_then(error_code);
        match code.map(|error| error.code) {
            Some(OAuthErrorCode::AuthorizationPending) => return Ok(PollOutcome::Pending),
            Some(OAuthErrorCode::SlowDown) => return Ok(PollOutcome::SlowDown),
            Some(OAuthErrorCode::ExpiredToken) => return Err(code_expired()),
            Some(OAuthErrorCode::AccessDenied) => return Err(access_denied()),
            _ => {}
        }
        match self.client.outcome_of(&self.metadata, response, &grant) {
            // T4: the lifetime counts from the time of the request.
            ExchangeOutcome::Granted(token) => {
                Ok(PollOutcome::Token(Box::new(token.obtained_at(requested))))
            }
            ExchangeOutcome::Refused(error) => Err(error),
            // An error of the settings, such as an audience of another server, stays the same.
            ExchangeOutcome::TryLater(error) if !error.is_authentication() => Err(error),
            ExchangeOutcome::TryLater(error) => Ok(failed(&error, Response::SaysNothing)),
            ExchangeOutcome::Unknown(error) => Ok(failed(&error, Response::Lost)),
        }
    }
}

/// The result of one poll.
enum PollOutcome {
    Token(Box<Token>),
    Pending,
    SlowDown,
    /// A temporary failure, perhaps with the pause that the server asks for.
    Failed(Response, Option<Duration>),
}

/// The response to a poll that failed, the worse one last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Response {
    /// It says nothing about the sign-in.
    SaysNothing,
    /// It may have held the token, which the server issues once.
    Lost,
}

/// The error of a poll after failures of which this was the worst.
fn after(failures: Response, error: Error) -> Error {
    if failures == Response::SaysNothing || error.kind() != ErrorKind::Refused {
        return error;
    }
    let message = "the response to a poll was lost, and since then the server refuses the code: it may have issued the token \
                   in the lost response; start the sign-in again";
    Error::refused(message).caused_by(error)
}

fn failed(error: &Error, response: Response) -> PollOutcome {
    tracing::debug!(target: "keyfob", %error, "a poll of the sign-in failed; trying again");
    PollOutcome::Failed(response, error.pause())
}

impl DeviceResponse {
    pub(crate) fn read(endpoint: &Endpoint, response: &ServerResponse) -> Result<Self, Error> {
        let mut members = response.object(endpoint)?;
        let user_code = take_text(&mut members, "user_code");
        let user_code = require_member(endpoint, "user_code", user_code)?;
        // The person has to read and type it, so a code that would be shown in another way is of no use.
        let is_typeable = !user_code.is_empty() && printable(&user_code) == user_code;
        if !is_typeable || user_code.len() > MAX_USER_CODE_BYTES {
            return Err(Error::malformed(format!(
                "{endpoint} sent a `user_code` that cannot be shown"
            )));
        }
        let device_code = take_text(&mut members, "device_code");
        let device_code = require_member(endpoint, "device_code", device_code)?;
        // The second is the name in drafts of the RFC. Some servers send only that, or both.
        let uri = members.text("verification_uri");
        let uri = uri.or_else(|| members.text("verification_url"));
        let uri = require_member(endpoint, "verification_uri", uri)?;
        let complete = members.text("verification_uri_complete");
        let lifetime = read_seconds(members.get("expires_in"));
        let lifetime = require_member(endpoint, "expires_in", lifetime)?;
        let interval = read_seconds(members.get("interval")).unwrap_or(DeviceCode::INTERVAL);
        // Some servers send milliseconds, with which no poll would happen while the code is valid.
        let longest = (lifetime / FEWEST_POLLS).max(DeviceCode::INTERVAL);
        Ok(Self {
            device_code: Secret::new_field(device_code)?,
            user_code,
            verification_uri: web_page(uri).ok_or_else(|| {
                Error::malformed(format!(
                    "{endpoint} sent a `verification_uri` that is not an https URL without userinfo"
                ))
            })?,
            // It only saves typing, so one that is not safe to open is left out.
            verification_uri_complete: complete.and_then(web_page),
            lifetime,
            interval: interval.min(longest),
        })
    }
}

fn code_expired() -> Error {
    Error::new(
        ErrorKind::Deadline,
        "the code expired before the sign-in was completed; start it again",
    )
}

impl fmt::Debug for DeviceAuthorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceAuthorization")
            .field("client", &self.client)
            .field("verification_uri", &self.verification_uri())
            .field("expires_in", &self.expires_in())
            .finish_non_exhaustive()
    }
}

/// Longer codes are refused. Servers use 8 to 20 characters.
const MAX_USER_CODE_BYTES: usize = 100;

/// How many polls at least fit into the life of a code, if its life is not very short.
const FEWEST_POLLS: u32 = 10;

/// How long before the code expires it is polled once more.
const LAST_POLL: Duration = Duration::from_secs(2);

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";
