//! What was sent to a server: whether anything was, and which secrets.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderValue;
use http_body::{Body, Frame, SizeHint};
use url::form_urlencoded;
use zeroize::Zeroizing;

/// A body whose first read sets a flag.
///
/// The HTTP client reads it only once there is a connection, and before it writes to that. So without the flag, the server
/// has received nothing, whatever the error says: a timeout may have struck while the connection was made (T9).
pub(crate) struct SentBody {
    bytes: Option<Bytes>,
    sent: SentFlag,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct SentFlag(Arc<AtomicBool>);

impl SentFlag {
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl SentBody {
    pub(crate) fn new(bytes: Bytes) -> (Self, SentFlag) {
        let sent = SentFlag::default();
        let body = Self {
            bytes: Some(bytes),
            sent: sent.clone(),
        };
        (body, sent)
    }
}

impl Body for SentBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.sent.0.store(true, Ordering::Release);
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, Bytes::len) as u64)
    }
}

/// The secrets of a request, to find out whether a response repeats one of them (S3).
#[derive(Default)]
pub(crate) struct SentRequest {
    pub(crate) form: Bytes,
    pub(crate) authorization: Option<HeaderValue>,
    /// The values of further headers, which a profile may take from a secret.
    pub(crate) other_headers: Vec<HeaderValue>,
}

impl SentRequest {
    /// Whether a secret of the request contains this text, or the text contains the secret.
    pub(crate) fn has_secret_like(&self, text: &str) -> bool {
        let is_like =
            |secret: &str| !secret.is_empty() && (secret.contains(text) || text.contains(secret));
        let parameters = form_urlencoded::parse(&self.form);
        let mut secrets = parameters.filter(|(name, _)| !NOT_SECRET.contains(&&**name));
        secrets.any(|(_, value)| is_like(&value))
            || self.basic_secret().is_some_and(|secret| is_like(&secret))
            || self.is_in_other_body(text)
            || self.bearer_token().is_some_and(is_like)
            || self.is_in_other_header(text)
    }

    /// Whether another header has this text anywhere. Short ones, such as `true`, are no secrets.
    fn is_in_other_header(&self, text: &str) -> bool {
        let values = self.other_headers.iter();
        let mut values = values.filter_map(|value| value.to_str().ok());
        values.any(|value| {
            value.len() >= SHORTEST_SECRET && (value.contains(text) || text.contains(value))
        })
    }

    /// Whether a body that is no form has this text anywhere.
    fn is_in_other_body(&self, text: &str) -> bool {
        let body = std::str::from_utf8(&self.form).unwrap_or_default();
        !body.contains('=') && body.contains(text) || body.starts_with('{') && body.contains(text)
    }

    fn bearer_token(&self) -> Option<&str> {
        let (_, token) = self
            .authorization
            .as_ref()?
            .to_str()
            .ok()?
            .split_once(' ')?;
        Some(token)
    }

    /// The client secret in `Authorization: Basic`.
    fn basic_secret(&self) -> Option<Zeroizing<String>> {
        let value = self.authorization.as_ref()?.to_str().ok()?;
        let decoded = Zeroizing::new(STANDARD.decode(value.strip_prefix("Basic ")?).ok()?);
        let (_, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
        // Form encoding changes only characters that no shown text has.
        Some(Zeroizing::new(secret.to_owned()))
    }
}

const SHORTEST_SECRET: usize = 8;

/// Parameters whose values are no secrets.
const NOT_SECRET: [&str; 16] = [
    "grant_type",
    "client_id",
    "client_assertion_type",
    "redirect_uri",
    "scope",
    "audience",
    "resource",
    "subject_token_type",
    "requested_token_type",
    "token_type_hint",
    "response_type",
    "code_challenge_method",
    "prompt",
    "acr_values",
    "max_age",
    "dpop_jkt",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s3_a_text_that_repeats_a_secret_is_found() {
        let request = SentRequest {
            form: Bytes::from_static(
                b"grant_type=refresh_token&client_id=a&refresh_token=hush%2Dhush",
            ),
            authorization: Some(HeaderValue::from_static("Basic YTpzZWNyZXQ=")),
            other_headers: vec![
                HeaderValue::from_static("true"),
                HeaderValue::from_static("hunt3r_s3cr3ts"),
            ],
        };
        for text in [
            "hush",
            "hush-hush",
            "bad_hush-hush",
            "secret",
            "sec",
            "no.secret",
            "s3cr3ts",
            "no_hunt3r_s3cr3ts",
        ] {
            assert!(request.has_secret_like(text), "{text}");
        }
        for text in ["bad_refresh_token", "invalid_code", "a", "true"] {
            assert!(!request.has_secret_like(text), "{text}");
        }
    }
}
