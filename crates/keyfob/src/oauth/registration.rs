//! Dynamic client registration (RFC 7591).

use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};

use crate::error::error::{Error, ErrorKind, causes};
use crate::oauth::authorization_code::redirect_uri::RedirectUri;
use crate::oauth::authorization_server::AuthorizationServer;
use crate::oauth::endpoint::Endpoint;
use crate::oauth::error_code::error_code;
use crate::oauth::error_response::require_success;
use crate::oauth::http_client::ServerResponse;
use crate::token::json::{Json, Object};
use crate::token::secret::Secret;

/// What a client tells a server about itself when it registers (RFC 7591 §2).
///
/// It is a public client of a native program: it has no secret, and signs people in with a browser on this machine.
///
/// ```
/// use keyfob::oauth::RegistrationRequest;
///
/// let request = RegistrationRequest::new("our tool", "http://127.0.0.1:8400/callback")?
///     .initial_access_token("t0ken")?;
/// assert!(!format!("{request:?}").contains("t0ken"));
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct RegistrationRequest {
    client_name: String,
    redirect_uri: String,
    initial_access_token: Option<Secret>,
}

/// A client that a server has registered. It belongs to that issuer and to no other.
///
/// A client is not a secret. Keep it for later sign-ins at the same issuer, also for other resources: each registration leaves
/// a client behind at the server.
///
/// ```
/// use keyfob::oauth::{Client, Registration};
///
/// let registration = Registration::new("https://login.example.com", "c1ient", "http://127.0.0.1:8400/callback");
/// let client = Client::builder(registration.client_id()).issuer(registration.issuer()).build()?;
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    issuer: String,
    client_id: String,
    redirect_uri: String,
}

impl RegistrationRequest {
    /// Describes a client with this name, which the person sees, and this redirect URI.
    ///
    /// Name the port: some servers do not allow any port, although RFC 8252 §7.3 requires it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the redirect URI is not plain `http` to loopback.
    pub fn new(
        client_name: impl Into<String>,
        redirect_uri: impl Into<String>,
    ) -> Result<Self, Error> {
        let redirect_uri = redirect_uri.into();
        RedirectUri::parse(&redirect_uri)?;
        Ok(Self {
            client_name: client_name.into(),
            redirect_uri,
            initial_access_token: None,
        })
    }

    /// Sends this token with the request, for a server that registers only clients that it invited (RFC 7591 §3).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if a header cannot contain it.
    pub fn initial_access_token(mut self, token: impl Into<String>) -> Result<Self, Error> {
        self.initial_access_token = Some(Secret::new(token.into())?);
        Ok(self)
    }

    /// The client metadata. A scope is left out: it would limit the client to what this first resource needs.
    fn to_json(&self) -> String {
        serde_json::json!({
            "client_name": self.client_name,
            "redirect_uris": [self.redirect_uri],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": PUBLIC,
            "application_type": "native",
        })
        .to_string()
    }
}

impl Registration {
    /// A client that was registered before, at this issuer and with this redirect URI.
    #[must_use]
    pub fn new(
        issuer: impl Into<String>,
        client_id: impl Into<String>,
        redirect_uri: impl Into<String>,
    ) -> Self {
        Self {
            issuer: issuer.into(),
            client_id: client_id.into(),
            redirect_uri: redirect_uri.into(),
        }
    }

    /// The issuer of the server that registered the client.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The identifier of the client at that server.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The redirect URI that is registered.
    #[must_use]
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// Whether an error of a sign-in says that the server does not accept the client any more.
    ///
    /// Register the client again then, once.
    #[must_use]
    pub fn is_refused(error: &Error) -> bool {
        let codes = ["`invalid_client`", "`unauthorized_client`"];
        error.kind() == ErrorKind::Refused
            && causes(error).any(|cause| {
                let text = cause.to_string();
                codes.iter().any(|code| text.contains(code))
            })
    }
}

impl AuthorizationServer {
    /// Registers a client (RFC 7591 §3).
    ///
    /// Each call leaves one more client behind at the server, so keep the [`Registration`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the server registers no clients; [`ErrorKind::Refused`](crate::ErrorKind::Refused) if it refuses this one, or registers
    /// another one than was asked for; [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) if the response cannot be used; otherwise as a
    /// [`TokenSource`](crate::TokenSource) of a client at this server.
    pub async fn register(&self, request: &RegistrationRequest) -> Result<Registration, Error> {
        let endpoint = self.metadata.registration.get()?;
        let endpoint = endpoint.ok_or_else(|| {
            Error::input("the server registers no clients; register one there yourself, and give its client id")
        })?;
        let http = self.client.client_for(endpoint).await?;
        let mut headers = HeaderMap::new();
        if let Some(token) = &request.initial_access_token {
            headers.insert(AUTHORIZATION, token.header_value(Some("Bearer")));
        }
        let response = http.post_json(endpoint, headers, request.to_json()).await?;
        let response = require_registered(endpoint, response)?;
        let client_id = read_client(&response.object(endpoint)?, endpoint, &request.redirect_uri)?;
        Ok(Registration::new(
            self.issuer(),
            client_id,
            &request.redirect_uri,
        ))
    }
}

/// The error of a refusal says what a person can do.
fn require_registered(
    endpoint: &Endpoint,
    response: ServerResponse,
) -> Result<ServerResponse, Error> {
    let needs_token = matches!(
        response.status,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
    );
    let is_redirect_refused =
        error_code(&response).is_some_and(|code| code.to_string() == "`invalid_redirect_uri`");
    require_success(endpoint, response).map_err(|error| {
        if error.kind() != ErrorKind::Refused {
            return error;
        }
        let advice = match (needs_token, is_redirect_refused) {
            (true, _) => {
                "it may need an initial access token; or register a client at the server yourself, and give its client id"
            }
            (_, true) => "register a client with another redirect URI",
            _ => "register a client at the server yourself, and give its client id",
        };
        Error::refused(format!("the server does not register this client; {advice}"))
            .caused_by(error)
    })
}

/// The identifier in a client information response (RFC 7591 §3.2.1).
///
/// The server "MAY […] replace any of the client's requested metadata values". What a sign-in needs must be as it was asked for.
pub(crate) fn read_client(
    object: &Object,
    endpoint: &Endpoint,
    redirect_uri: &str,
) -> Result<String, Error> {
    let unusable = |why: &str| Error::malformed(format!("{endpoint} sent {why}"));
    let changed = |what: &str| {
        Error::refused(format!(
            "{endpoint} registered the client {what}; register a client at the server yourself, and give its client id"
        ))
    };
    let Some(id) = object.text("client_id") else {
        return Err(unusable("a registration without a client id"));
    };
    // RFC 6749 Appendix A.1: *VSCHAR.
    let is_shown = |byte: u8| (0x20..=0x7e).contains(&byte);
    if id.is_empty() || id.len() > MAX_ID_LENGTH || !id.bytes().all(is_shown) {
        return Err(unusable("a client id that cannot be used"));
    }
    match object.text("token_endpoint_auth_method") {
        Some(PUBLIC) => {}
        Some(_) => return Err(changed("with a secret, and not as a public client")),
        None if object.has("client_secret") => {
            return Err(changed("with a secret, and not as a public client"));
        }
        None => {}
    }
    if let Some(Json::List(uris)) = object.get("redirect_uris") {
        let is_ours = |uri: &Json| matches!(uri, Json::Text(uri) if uri.as_str() == redirect_uri);
        if !uris.iter().any(is_ours) {
            return Err(changed("with another redirect URI"));
        }
    }
    Ok(id.to_owned())
}

/// A public client, which has no secret (`token_endpoint_auth_method`).
const PUBLIC: &str = "none";

/// As long as a URL may be, because some servers use one.
const MAX_ID_LENGTH: usize = 2048;
