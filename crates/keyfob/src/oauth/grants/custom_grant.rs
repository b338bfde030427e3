//! A grant type that a server defines itself (RFC 6749 §4.5).

use crate::oauth::client::Client;
use crate::oauth::form::Form;
use crate::oauth::grants::options::{GrantOptions, grant_setters};
use crate::source::source::{TokenFuture, TokenRequest, TokenSource};

/// Gets tokens by a grant type that the server defines: an extension grant (RFC 6749 §4.5).
///
/// The request has this `grant_type`, the parameters that you add, and the client's authentication. What the parameters mean
/// is in the documentation of the server. Each renewal sends them again, so a code that works once is no such parameter.
///
/// ```
/// use keyfob::oauth::{Client, ClientAuthentication, CustomGrant};
///
/// let client = Client::builder("client id of the app")
///     .token_endpoint("https://zoom.us/oauth/token")
///     .authentication(ClientAuthentication::secret_basic("s3cr3t"))
///     .build()?;
/// let source = CustomGrant::new(client, "account_credentials").parameter("account_id", "account id of the app");
/// let session = keyfob::Session::new("https://api.zoom.us/v2/", source)?;
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct CustomGrant {
    pub(super) grant_type: String,
    pub(super) options: GrantOptions,
}

impl CustomGrant {
    /// Gets tokens by this `grant_type`, a word or a URI.
    pub fn new(client: Client, grant_type: impl Into<String>) -> Self {
        Self {
            grant_type: grant_type.into(),
            options: GrantOptions::new(client),
        }
    }

    grant_setters!(options);
}

impl TokenSource for CustomGrant {
    fn fetch<'a>(&'a self, _: &'a TokenRequest) -> TokenFuture<'a> {
        let form = Form::token_request(&self.grant_type);
        Box::pin(self.options.request_token(form))
    }
}
