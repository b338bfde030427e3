//! Tokens for FHIR servers (SMART App Launch, Backend Services).

use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::error::error::Error;
use crate::oauth::client::Client;
use crate::oauth::client_authentication::{Audience, ClientAuthentication};
use crate::oauth::grants::client_credentials::ClientCredentials;
use crate::oauth::grants::options::grant_setters;
use crate::oauth::signing_key::{Algorithm, SigningKey};
use crate::source::source::{TokenRequest, TokenSource};
use crate::token::token::Token;

/// A token for a FHIR server, as [SMART Backend Services] has it.
///
/// These are the client's own credentials: a JWT that an RSA key signs as RS384, or one on P-384 as ES384, for the token
/// endpoint that the FHIR server names at `.well-known/smart-configuration`.
///
/// [SMART Backend Services]: https://hl7.org/fhir/smart-app-launch/backend-services.html
///
/// ```
/// use keyfob::Session;
/// use keyfob::oauth::{Algorithm, SigningKey, SmartBackendServices};
///
/// let key = SigningKey::generate(Algorithm::Es384)?.key_id("2026-11");
/// let source = SmartBackendServices::discover("https://ehr.example.com/fhir", "bulk-export", key)?
///     .scopes(["system/Patient.rs", "system/Observation.rs"]);
/// let session = Session::new("https://ehr.example.com/fhir", source)?;
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct SmartBackendServices {
    pub(super) credentials: ClientCredentials,
}

impl SmartBackendServices {
    /// Asks the FHIR server of this base URL for its authorization server when it is first needed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the URL is not an absolute one or the key signs neither as RS384 nor as
    /// ES384, and [`ErrorKind::Origin`](crate::ErrorKind::Origin) for plain http to another host than this one.
    pub fn discover(
        fhir_base: impl Into<String>,
        client_id: impl Into<String>,
        key: SigningKey,
    ) -> Result<Self, Error> {
        let client = Client::builder(client_id)
            .fhir_server(fhir_base)
            .authentication(authentication(key)?)
            .build()?;
        Ok(Self::new(client))
    }

    fn new(client: Client) -> Self {
        Self {
            credentials: ClientCredentials::new(client),
        }
    }

    grant_setters!(credentials.options);
}

fn authentication(key: SigningKey) -> Result<ClientAuthentication, Error> {
    let key = match key.signs_as() {
        Algorithm::Rs256 => key.algorithm(Algorithm::Rs384)?,
        Algorithm::Rs384 | Algorithm::Es384 => key,
        _ => {
            return Err(Error::input(
                "SMART Backend Services want a key that signs as RS384 or ES384: an RSA key, or one on P-384",
            ));
        }
    };
    Ok(ClientAuthentication::private_key_jwt(key)
        .audience(Audience::TokenEndpoint)
        .assertion_lifetime(LIFETIME))
}

impl TokenSource for SmartBackendServices {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Token, Error>> {
        self.credentials.fetch(request)
    }
}

/// "This time SHALL be no more than five minutes in the future", by the server's clock, which may be behind ours.
const LIFETIME: Duration = Duration::from_secs(4 * 60);
