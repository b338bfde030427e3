//! Pushed authorization requests: the server gets the parameters directly, and the browser a reference to them (RFC 9126).

use std::time::Duration;

use http::StatusCode;

use crate::error::error::Error;
use crate::oauth::client::Client;
use crate::oauth::endpoint::Endpoint;
use crate::oauth::error_code::{ErrorCode, error_code};
use crate::oauth::form::Form;
use crate::oauth::http_client::ServerResponse;
use crate::oauth::metadata::Metadata;
use crate::oauth::token_response::{read_seconds, require_member, take_text};

/// Whether the parameters of a sign-in are pushed to the server before the browser goes there (RFC 9126).
///
/// A pushed request comes from the authenticated client. The browser gets only a reference to it, so that no person, program or
/// page can read or change the parameters.
///
/// [`AuthorizationCode`](crate::oauth::AuthorizationCode) has an example.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PushedRequests {
    /// If the server names an endpoint for it, or requires it.
    ///
    /// If an endpoint that is only offered responds with 404 or 405, it is not there, and the browser gets the parameters. Any
    /// other failure is an error.
    #[default]
    WhenOffered,
    /// In any case. It is an error if the server has no endpoint for it.
    Always,
    /// Not at all. It is an error if the server requires it.
    Never,
}

/// The response of the server: what the browser gets in place of the parameters (RFC 9126 §2.2).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PushedResponse {
    pub(crate) request_uri: String,
    /// How long the reference is valid, unless the server does not say.
    pub(crate) lifetime: Option<Duration>,
}

impl PushedRequests {
    /// Pushes the parameters; `None` if the browser gets them itself.
    pub(super) async fn push(
        self,
        client: &Client,
        metadata: &Metadata,
        form: &Form,
    ) -> Result<Option<PushedResponse>, Error> {
        let Some(endpoint) = self.endpoint(metadata)? else {
            return Ok(None);
        };
        let response = client.send_bound(endpoint, metadata, form).await;
        let is_optional = self == Self::WhenOffered && !metadata.requires_pushed_requests;
        if is_optional && response.as_ref().is_ok_and(is_absent) {
            tracing::warn!(target: "keyfob", "the server names an endpoint for pushed authorization requests and has none");
            return Ok(None);
        }
        let response = client.require_success(endpoint, response).await?;
        PushedResponse::read(endpoint, &response).map(Some)
    }

    fn endpoint(self, metadata: &Metadata) -> Result<Option<&Endpoint>, Error> {
        let endpoint = &metadata.pushed_authorization_request;
        match (self, metadata.requires_pushed_requests) {
            (Self::Never, true) => Err(Error::input(
                "the server requires pushed authorization requests (RFC 9126), and the settings turn them off; remove \
                 that setting",
            )),
            (Self::Never, false) => Ok(None),
            (Self::WhenOffered, false) => endpoint.offered(),
            (Self::WhenOffered, true) | (Self::Always, _) => endpoint.require().map(Some),
        }
    }
}

impl PushedResponse {
    pub(crate) fn read(endpoint: &Endpoint, response: &ServerResponse) -> Result<Self, Error> {
        let mut members = response.object(endpoint)?;
        let request_uri = take_text(&mut members, "request_uri");
        let request_uri = require_member(endpoint, "request_uri", request_uri)?;
        let is_plain = request_uri.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_plain || request_uri.len() > MAX_URI_BYTES {
            return Err(Error::malformed(format!(
                "{endpoint} sent a `request_uri` that cannot be used"
            )));
        }
        let lifetime = read_seconds(members.get("expires_in"));
        if lifetime.is_some_and(|lifetime| lifetime.is_zero()) {
            return Err(Error::malformed(format!(
                "{endpoint} sent a `request_uri` that has expired already; check the clock of the server"
            )));
        }
        Ok(Self {
            request_uri,
            lifetime,
        })
    }
}

/// Whether nothing is there. With a registered error code, the server itself has refused.
fn is_absent(response: &ServerResponse) -> bool {
    let absent = [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED];
    let has_code = || error_code(response).is_some_and(|code| ErrorCode::is_registered(&code));
    absent.contains(&response.status) && !has_code()
}

/// Longer references are refused. Those in use have about 100 bytes.
const MAX_URI_BYTES: usize = 2000;
