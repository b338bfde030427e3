//! Client credentials: a token for the client itself (RFC 6749 §4.4).

use crate::oauth::client::Client;
use crate::oauth::form::Form;
use crate::oauth::grants::options::{GrantOptions, grant_setters};
use crate::source::source::{TokenFuture, TokenRequest, TokenSource};

/// Gets tokens for the client itself: the client credentials grant (RFC 6749 §4.4).
///
/// Use it where a program calls an API in its own name, without a person.
///
/// ```
/// use keyfob::Session;
/// use keyfob::oauth::{Client, ClientAuthentication, ClientCredentials};
///
/// let client = Client::builder("reports")
///     .token_endpoint("https://login.example.com/oauth/token")
///     .authentication(ClientAuthentication::secret_basic("s3cr3t"))
///     .build()?;
/// let source = ClientCredentials::new(client).scopes(["reports:read"]).resource("https://api.example.com/");
/// let session = Session::new("https://api.example.com/v1/", source)?;
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ClientCredentials {
    pub(super) options: GrantOptions,
}

impl ClientCredentials {
    /// Gets tokens for this client.
    pub fn new(client: Client) -> Self {
        Self {
            options: GrantOptions::new(client),
        }
    }

    grant_setters!(options);
}

impl TokenSource for ClientCredentials {
    fn fetch<'a>(&'a self, _: &'a TokenRequest) -> TokenFuture<'a> {
        let form = Form::token_request("client_credentials");
        Box::pin(self.options.request_token(form))
    }
}
