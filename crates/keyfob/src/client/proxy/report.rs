//! What an access log says of a response.

use std::sync::Arc;

use crate::error::error::ErrorKind;

/// What a server's access log may say of a response; an extension of each response of a [`Proxy`](crate::proxy::Proxy).
///
/// It holds no secret and no part of the request. The status is that of the response.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub(super) route: Option<Arc<str>>,
    pub(super) retries: u32,
    pub(super) renewals: u32,
    pub(super) error: Option<ErrorKind>,
    pub(super) replay: Option<&'static str>,
}

impl Report {
    /// The name of the route; `None` if the request named none that exists.
    #[must_use]
    pub fn route(&self) -> Option<&str> {
        self.route.as_deref()
    }

    /// How often the request was sent again because an attempt failed.
    #[must_use]
    pub fn retries(&self) -> u32 {
        self.retries
    }

    /// How often the token was renewed because the upstream rejected it.
    #[must_use]
    pub fn renewals(&self) -> u32 {
        self.renewals
    }

    /// The kind of the failure, if the response was made by the proxy and not by the upstream.
    #[must_use]
    pub fn error(&self) -> Option<ErrorKind> {
        self.error
    }

    /// Why the request was not sent again although the upstream rejected the token: its body was larger than the limit.
    #[must_use]
    pub fn not_replayed(&self) -> Option<&'static str> {
        self.replay
    }

    pub(crate) fn error_name(&self) -> Option<&'static str> {
        self.error.map(ErrorKind::name)
    }
}
