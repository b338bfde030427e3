//! SMART Backend Services: tokens for FHIR servers (SMART App Launch).

use std::time::Duration;

use crate::error::error::Error;
use crate::oauth::client::Client;
use crate::oauth::client_authentication::{Audience, ClientAuthentication};
use crate::oauth::client_builder::ClientBuilder;
use crate::oauth::grants::client_credentials::ClientCredentials;
use crate::oauth::grants::options::grant_setters;
use crate::oauth::signing_key::SigningKey;
use crate::oauth::signing_key::key_pair::Algorithm;
use crate::source::source::{TokenFuture, TokenRequest, TokenSource};

/// Gets tokens for a FHIR server: [SMART Backend Services].
///
/// It is the client credentials grant, with a client assertion that is signed as RS384 by an RSA key or as ES384 by a P-384
/// key. The FHIR server names the token endpoint at `.well-known/smart-configuration`.
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
    /// Gets tokens for the FHIR server with this base URL.
    ///
    /// The token endpoint is discovered when it is first needed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the URL is not absolute or the key signs neither as RS384 nor as
    /// ES384, and [`ErrorKind::Origin`](crate::ErrorKind::Origin) for plain `http` to another machine.
    pub fn discover(
        fhir_base: impl Into<String>,
        client_id: impl Into<String>,
        key: SigningKey,
    ) -> Result<Self, Error> {
        Self::discover_with(Client::builder(client_id), fhir_base, key)
    }

    /// The same, for a client with settings of your own, such as a CA file. Its authentication is replaced.
    ///
    /// # Errors
    ///
    /// As [`discover`](Self::discover) and [`ClientBuilder::build`].
    pub fn discover_with(
        client: ClientBuilder,
        fhir_base: impl Into<String>,
        key: SigningKey,
    ) -> Result<Self, Error> {
        let client = client
            .fhir_server(fhir_base)
            .authentication(authentication(key)?)
            .build()?;
        Ok(Self {
            credentials: ClientCredentials::new(client),
        })
    }

    grant_setters!(credentials.options);
}

fn authentication(key: SigningKey) -> Result<ClientAuthentication, Error> {
    let key = match key.signs_as() {
        Algorithm::Rs256 => key.algorithm(Algorithm::Rs384)?,
        Algorithm::Rs384 | Algorithm::Es384 => key,
        _ => {
            return Err(Error::input(
                "the key signs neither as RS384 nor as ES384, which SMART Backend Services require; give an RSA key or a P-384 key",
            ));
        }
    };
    Ok(ClientAuthentication::private_key_jwt(key)
        .audience(Audience::TokenEndpoint)
        .assertion_lifetime(LIFETIME))
}

impl TokenSource for SmartBackendServices {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> TokenFuture<'a> {
        self.credentials.fetch(request)
    }
}

/// "This time SHALL be no more than five minutes in the future". One minute less allows for a server whose clock is behind.
const LIFETIME: Duration = Duration::from_secs(4 * 60);
