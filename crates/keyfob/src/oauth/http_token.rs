//! A token in the response to a plain HTTP request: a login endpoint, a metadata server, an installation token.

use std::fmt;
use std::sync::Arc;

use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use zeroize::Zeroizing;

pub(crate) mod body;
pub(crate) mod builder;
pub(crate) mod expiry;
pub(crate) mod part;
pub(crate) mod pointer;
pub(crate) mod renewal;

use crate::error::error::Error;
use crate::oauth::endpoint::{Endpoint, not_json};
use crate::oauth::error_code::error_code;
use crate::oauth::error_response::{Advice, is_text, of_intermediary};
use crate::oauth::http_client::{HttpClient, ServerResponse};
use crate::oauth::http_token::body::Body;
use crate::oauth::http_token::expiry::ExpirySetting;
use crate::oauth::http_token::part::Part;
use crate::oauth::http_token::pointer::Pointer;
use crate::oauth::http_token::renewal::{Attempt, Renewal};
use crate::oauth::inner_tokens::{InnerSources, InnerTokens};
use crate::source::source::{TokenFuture, TokenRequest, TokenSource};
use crate::source::token_text::type_use::TypeUse;
use crate::source::token_text::{expiry_beside, parse_as};
use crate::token::json::Json;
use crate::token::token::{Expiry, Token};

/// A token in the response to an HTTP request of yours, such as a login endpoint or a metadata server.
///
/// Say what to send, and where in the JSON of the response the token and its expiry are (JSON pointers, RFC 6901). Headers and
/// body may hold the token of another source, such as a [`SignedJwt`](crate::SignedJwt). Without a pointer, the response may have
/// any format that [`token_from_text`](crate::source::token_from_text) reads, also a bare token.
///
/// ```
/// use keyfob::oauth::{Algorithm, ExpiryForm, RequestText, SigningKey};
/// use keyfob::{HttpToken, SignedJwt, TokenCache};
///
/// let key = SigningKey::generate(Algorithm::Rs256)?;
/// let app = TokenCache::new(SignedJwt::new(key).issuer("Iv23liabcdefghijklmn"));
/// let source = HttpToken::builder("https://api.github.com/app/installations/42/access_tokens")
///     .header("authorization", RequestText::token_of(app.as_source()).after("Bearer "))
///     .json("/permissions/contents", "read")
///     .token("/token")
///     .expiry("/expires_at", ExpiryForm::Rfc3339)
///     .build()?;
/// let session = keyfob::Session::new("https://api.github.com", source)?;
/// # Ok::<(), keyfob::Error>(())
/// ```
///
/// One request is sent for each token, to this URL only: a redirect is not followed. Nothing of a response is shown in errors,
/// except the names of members that are plain words.
#[derive(Clone)]
pub struct HttpToken(pub(crate) Arc<Settings>);

pub(crate) struct Settings {
    endpoint: Endpoint,
    method: Method,
    headers: Vec<(http::HeaderName, Part)>,
    body: Body,
    inner: InnerSources,
    token: Option<Pointer>,
    expiry: Option<ExpirySetting>,
    refused: Vec<StatusCode>,
    advice: Option<&'static Advice>,
    http: HttpClient,
    renewal: Option<Renewal>,
}

impl Settings {
    async fn request_token(
        &self,
        tokens: &InnerTokens<'_>,
        type_use: TypeUse,
    ) -> Result<Token, Error> {
        let (headers, body) = (self.headers(tokens)?, self.body.text(tokens));
        let sent = self
            .http
            .send(self.method.clone(), &self.endpoint, headers, body);
        let response = sent.await.map_err(|fault| self.unreachable(fault.error))?;
        if !response.status.is_success() {
            return Err(self.refusal(&response));
        }
        let token = self.read(&response, type_use)?;
        if let Some(renewal) = &self.renewal {
            renewal.record(&response, &token);
        }
        Ok(token)
    }

    /// Requests a new token.
    async fn fetch_new(&self, request: &TokenRequest) -> Result<Token, Error> {
        let mut tokens = self.inner.tokens(request).await?;
        loop {
            match self.request_token(&tokens, request.type_use).await {
                Err(error) if tokens.replaced_after(&error).await => {}
                outcome => return tokens.end(outcome),
            }
        }
    }

    fn headers(&self, tokens: &InnerTokens<'_>) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::new();
        // GitHub, for example, refuses a request without it.
        headers.insert(USER_AGENT, HeaderValue::from_static(USER_AGENT_VALUE));
        if let Some(kind) = self.body.content_type() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        for (name, part) in &self.headers {
            let text = part.text(tokens);
            let mut value = HeaderValue::from_str(&text).map_err(|_| {
                Error::input(format!(
                    "the value for the header `{name}` of the request to {} has characters that no header may have",
                    self.endpoint
                ))
            })?;
            value.set_sensitive(true);
            headers.insert(name.clone(), value);
        }
        Ok(headers)
    }

    fn read(&self, response: &ServerResponse, type_use: TypeUse) -> Result<Token, Error> {
        let text = response.text();
        if self.token.is_none() && self.expiry.is_none() {
            return self.read_any_format(&text, type_use);
        }
        let json: Json = serde_json::from_str(&text).map_err(|_| not_json(&self.endpoint))?;
        let (token, beside) = match &self.token {
            Some(pointer) => self.read_at(pointer, &json)?,
            None => (self.read_any_format(&text, type_use)?, Expiry::Unknown),
        };
        let expiry = match &self.expiry {
            Some(setting) => setting.read(&self.endpoint, &json)?,
            None => beside,
        };
        Ok(match expiry {
            Expiry::Unknown => token.expiry_from_jwt(),
            expiry => token.expiry(expiry),
        })
    }

    fn read_any_format(&self, text: &str, type_use: TypeUse) -> Result<Token, Error> {
        parse_as(text.as_bytes(), type_use).map_err(|fault| {
            let endpoint = &self.endpoint;
            let message = format!("{endpoint} sent a response that holds no token: {fault}");
            Error::new(fault.kind(), message)
        })
    }

    /// The token at a pointer, and the expiry beside it.
    fn read_at(&self, pointer: &Pointer, json: &Json) -> Result<(Token, Expiry), Error> {
        let endpoint = &self.endpoint;
        let fault = |what: &str| {
            Error::malformed(format!(
                "{endpoint} sent a response with {what} at `{pointer}`, where the token should be"
            ))
        };
        let text = match pointer.find(endpoint, "the token", json)? {
            Json::Text(text) if text.is_empty() => return Err(fault("an empty text")),
            Json::Text(text) => Zeroizing::new(text.trim().to_owned()),
            other => return Err(fault(pointer::kind(other))),
        };
        let token = Token::new(text.as_str())
            .map_err(|_| fault("a text that has characters that no token has"))?;
        let expiry = match self.expiry {
            Some(_) => Expiry::Unknown,
            None => self.expiry_around(pointer, json)?,
        };
        Ok((token, expiry))
    }

    /// The expiry in what holds the token, or else in what holds that. T5: one that is there is read, whatever it is called.
    fn expiry_around(&self, pointer: &Pointer, json: &Json) -> Result<Expiry, Error> {
        for around in pointer.around(json) {
            let Json::Object(object) = around else {
                continue;
            };
            let found = expiry_beside(object).map_err(|fault| {
                Error::malformed(format!(
                    "{} sent a response whose expiry is not clear: beside the token, {fault}; set where the expiry is",
                    self.endpoint
                ))
            })?;
            if !matches!(found, Expiry::Unknown) {
                return Ok(found);
            }
        }
        Ok(Expiry::Unknown)
    }

    /// The error if there is no response.
    fn unreachable(&self, error: Error) -> Error {
        match self.advice {
            Some(advice) if !advice.unreachable.is_empty() => error.advised(advice.unreachable),
            _ => error,
        }
    }

    /// The error of a response that is no success.
    fn refusal(&self, response: &ServerResponse) -> Error {
        let (endpoint, status) = (&self.endpoint, response.status);
        if status.is_redirection() {
            return Error::unavailable(format!(
                "{endpoint} redirected the request ({status}), and redirects are not followed; configure the final URL"
            ));
        }
        let code = error_code(response);
        if code.is_none()
            && let Some(error) = of_intermediary(endpoint, response)
        {
            return error;
        }
        let message = match &code {
            Some(code) => format!("{endpoint} refused with {code} ({status})"),
            None => format!("{endpoint} refused the request ({status})"),
        };
        let temporary = response.add_pause(Error::unavailable(message.clone()));
        // A server that says when to come back does not mean "never".
        if temporary.pause().is_some() || !self.refused.contains(&status) {
            return temporary;
        }
        let advice = self
            .advice
            .and_then(|advice| advice.for_refusal(code.as_ref(), status));
        let advice = advice.map(|advice| format!("; {advice}"));
        let clock = response.clock_advice();
        let refused = Error::refused(message + &clock + &advice.unwrap_or_default());
        match status {
            StatusCode::UNAUTHORIZED => refused.refuses_credential(),
            // An API says why in JSON. A text may be that of a gateway, behind which the API is not there yet.
            _ if is_text(response) => refused.asked_again_later(),
            _ => refused,
        }
    }
}

impl TokenSource for HttpToken {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> TokenFuture<'a> {
        let settings = &*self.0;
        Box::pin(async move {
            let Some(renewal) = &settings.renewal else {
                return settings.fetch_new(request).await;
            };
            match renewal.attempt(request).await? {
                Attempt::Renewed(token) => Ok(token),
                // It is better than none.
                Attempt::EndsSoon(token) => Ok(settings.fetch_new(request).await.unwrap_or(token)),
                Attempt::Refused => settings.fetch_new(request).await,
            }
        })
    }
}

/// Only where it goes and what is sent, by names: the values may be secrets.
impl fmt::Debug for HttpToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = &*self.0;
        let headers: Vec<_> = settings.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("HttpToken")
            .field("endpoint", &settings.endpoint)
            .field("method", &settings.method)
            .field("headers", &headers)
            .field("body", &settings.body)
            .field("tokens", &settings.inner)
            .finish_non_exhaustive()
    }
}

const USER_AGENT_VALUE: &str = concat!("keyfob/", env!("CARGO_PKG_VERSION"));
