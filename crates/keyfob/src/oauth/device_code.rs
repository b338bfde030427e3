//! Signing in with a code that a person types on another device (RFC 8628).

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use huskarl_core::OAuthErrorCode;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

mod poll_interval;

use crate::error::error::{Error, ErrorKind};
use crate::oauth::client::Client;
use crate::oauth::device_code::poll_interval::Pace;
use crate::oauth::endpoint::{Endpoint, ServerResponse};
use crate::oauth::error_response::{access_denied, error_code};
use crate::oauth::form::Form;
use crate::oauth::grants::options::{GrantOptions, grant_setters};
use crate::oauth::metadata::Metadata;
use crate::oauth::token_response::{missing_member, read_seconds};
use crate::origin::origin::{Origin, parse_url};
use crate::token::secret::Secret;
use crate::token::token::Token;

/// A sign-in with a code that a person types into a browser, on any device (RFC 8628).
///
/// For machines that have no browser, such as one that is reached by SSH. The token that it brings has a refresh token if the
/// server gives one; [`RefreshToken`](crate::oauth::RefreshToken) goes on from there without a person.
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
    client: Client,
    options: GrantOptions,
}

impl DeviceCode {
    /// How long to wait between two questions, unless the server says it (RFC 8628 §3.2).
    pub const INTERVAL: Duration = Duration::from_secs(5);

    /// A sign-in at the server of this client.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            options: GrantOptions::default(),
        }
    }

    grant_setters!(options);

    /// Asks the server for a code. Needs a tokio runtime, as all of `reqwest` does.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`] if the server names no device authorization endpoint and none was given; else as a
    /// [`TokenSource`](crate::TokenSource) of this client.
    pub async fn start(&self) -> Result<DeviceAuthorization, Error> {
        let metadata = self.client.metadata().await?;
        let endpoint = metadata.device_authorization.as_ref().ok_or_else(|| {
            Error::input(
                "the server names no device authorization endpoint; give its URL to the client, or sign in with a browser",
            )
        })?;
        let form = self.options.fill(Form::new())?;
        let asked = self.client.clock().elapsed();
        let response = self.client.post(endpoint, &metadata, form).await?;
        let given = Given::read(endpoint, &response)?;
        Ok(DeviceAuthorization {
            client: self.client.clone(),
            metadata,
            asked,
            given,
        })
    }
}

/// A code that waits for a person (RFC 8628 §3.2).
///
/// Codes are not shown by `Debug`: whoever knows one before it is used could sign in as somebody else.
#[must_use]
pub struct DeviceAuthorization {
    client: Client,
    metadata: Arc<Metadata>,
    /// On the client's clock.
    asked: Duration,
    given: Given,
}

/// What the server gave.
struct Given {
    device_code: Secret,
    user_code: String,
    verification_uri: Url,
    verification_uri_complete: Option<Url>,
    lifetime: Duration,
    interval: Duration,
}

impl DeviceAuthorization {
    /// What the person types.
    #[must_use]
    pub fn user_code(&self) -> &str {
        &self.given.user_code
    }

    /// The page on which it is typed.
    #[must_use]
    pub fn verification_uri(&self) -> &str {
        self.given.verification_uri.as_str()
    }

    /// The same page with the code in it, if the server has one; for a link or a QR code.
    ///
    /// The code is shown all the same, so that the person can compare it (RFC 8628 §3.3.1).
    #[must_use]
    pub fn verification_uri_complete(&self) -> Option<&str> {
        self.given
            .verification_uri_complete
            .as_ref()
            .map(Url::as_str)
    }

    /// How long the code is good from now on.
    #[must_use]
    pub fn expires_in(&self) -> Duration {
        let passed = self.client.clock().elapsed().saturating_sub(self.asked);
        self.given.lifetime.saturating_sub(passed)
    }

    /// Waits until the person has agreed, and gets the token.
    ///
    /// The server is asked as often as it allows, and less often when it does not answer (RFC 8628 §3.5).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Refused`] if the person or the server says no, [`ErrorKind::Deadline`] if nobody did
    /// anything before the code ran out, and else as a [`TokenSource`](crate::TokenSource) of the client. What may pass is
    /// waited for as long as the code is good.
    pub async fn wait(self) -> Result<Token, Error> {
        let clock = self.client.clock();
        let mut pace = Pace::new(self.given.interval);
        loop {
            clock.sleep(pace.pause().min(self.expires_in())).await;
            if self.expires_in().is_zero() {
                return Err(expired());
            }
            match self.ask().await? {
                Heard::Token(token) => return Ok(*token),
                Heard::Pending => pace.heard(),
                Heard::SlowDown => pace.slow_down(),
                Heard::Nothing(least) => pace.heard_nothing(least),
            }
        }
    }

    async fn ask(&self) -> Result<Heard, Error> {
        let form = Form::token_request(GRANT).with("device_code", self.given.device_code.expose());
        let asked = self.client.clock().coarse_time().wall_time();
        let outcome = match self.client.send_token_request(&self.metadata, form).await {
            Ok(response) => self.judge(response, asked),
            Err(error) => Err(error),
        };
        match outcome {
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                tracing::debug!(target: "keyfob", %error, "the sign-in is asked about again");
                Ok(Heard::Nothing(error.pause()))
            }
            outcome => outcome,
        }
    }

    fn judge(&self, response: ServerResponse, asked: SystemTime) -> Result<Heard, Error> {
        match error_code(&response) {
            Some(OAuthErrorCode::AuthorizationPending) => Ok(Heard::Pending),
            Some(OAuthErrorCode::SlowDown) => Ok(Heard::SlowDown),
            Some(OAuthErrorCode::ExpiredToken) => Err(expired()),
            Some(OAuthErrorCode::AccessDenied) => Err(access_denied()),
            _ => {
                let token = self.client.read_token_response(&self.metadata, response)?;
                // T4: the lifetime counts from the moment that it was asked for.
                Ok(Heard::Token(Box::new(token.obtained_at(asked))))
            }
        }
    }
}

/// What came of one question.
enum Heard {
    Token(Box<Token>),
    Pending,
    SlowDown,
    /// Nothing that says how the sign-in stands; the server may have said for how long to leave it alone.
    Nothing(Option<Duration>),
}

impl Given {
    fn read(endpoint: &Endpoint, response: &ServerResponse) -> Result<Self, Error> {
        /// The fields that are used. The rest may be anything.
        #[derive(Deserialize)]
        struct Fields {
            device_code: Option<String>,
            user_code: Option<String>,
            // Servers that are older than the RFC have the other name.
            #[serde(alias = "verification_url")]
            verification_uri: Option<String>,
            verification_uri_complete: Option<String>,
            expires_in: Option<Value>,
            interval: Option<Value>,
        }

        let fields: Fields = response.json(endpoint)?;
        let given =
            |field: Option<String>, name| field.ok_or_else(|| missing_member(endpoint, name));
        let user_code = given(fields.user_code, "user_code")?;
        if user_code.is_empty() || user_code.chars().any(char::is_control) {
            return Err(Error::malformed(format!(
                "{endpoint} gave a `user_code` that cannot be shown"
            )));
        }
        let place = given(fields.verification_uri, "verification_uri")?;
        Ok(Self {
            device_code: Secret::new_field(given(fields.device_code, "device_code")?)?,
            user_code,
            verification_uri: page(&place).ok_or_else(|| {
                Error::malformed(format!(
                    "{endpoint} gave a `verification_uri` that is no https URL"
                ))
            })?,
            verification_uri_complete: fields.verification_uri_complete.as_deref().and_then(page),
            lifetime: read_seconds(fields.expires_in.as_ref())
                .ok_or_else(|| missing_member(endpoint, "expires_in"))?,
            interval: read_seconds(fields.interval.as_ref()).unwrap_or(DeviceCode::INTERVAL),
        })
    }
}

/// A page that a person may be sent to: not a file, nor a program that is registered for a scheme of its own.
fn page(text: &str) -> Option<Url> {
    let url = parse_url(text).ok()?;
    let origin = Origin::from_url(&url).ok()?;
    (origin.is_https() || origin.is_plain_loopback()).then_some(url)
}

fn expired() -> Error {
    Error::new(
        ErrorKind::Deadline,
        "the code ran out before anybody agreed to the sign-in; start it again",
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

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
