//! Tokens from OAuth 2.0 authorization servers.
//!
//! First describe your registration at the server with a [`Client`]. Then choose the grant by your situation:
//!
//! | situation | type | specification |
//! |---|---|---|
//! | A program calls an API in its own name. | [`ClientCredentials`] | RFC 6749 §4.4 |
//! | The same, for a FHIR server. | [`SmartBackendServices`] | SMART App Launch 2.2 |
//! | A person signs in, with a browser on this machine. | [`AuthorizationCode`] | RFC 6749 §4.1, 7636, 8252 |
//! | A person signs in, with a browser on any machine. | [`DeviceCode`] | RFC 8628 |
//! | You have a refresh token, for example from a sign-in. | [`RefreshToken`] | RFC 6749 §6 |
//! | You have a key, or a signed JWT such as a Kubernetes token. | [`JwtBearer`] | RFC 7523 §2.1 |
//! | The server has a grant type of its own. | [`CustomGrant`] | RFC 6749 §4.5 |
//! | You have a token of a user or another server, and need one for a different API. | [`TokenExchange`] | RFC 8693 |
//!
//! The two sign-ins return a [`Token`](crate::Token) once. All other grants are token sources: give one to a
//! [`Session`](crate::Session) or a [`TokenCache`](crate::TokenCache), which gets a new token whenever one is needed.
//!
//! ```
//! use keyfob::Session;
//! use keyfob::oauth::{Client, ClientAuthentication, ClientCredentials};
//!
//! let client = Client::builder("reports")
//!     .issuer("https://login.example.com")
//!     .authentication(ClientAuthentication::secret_basic("s3cr3t"))
//!     .build()?;
//! let source = ClientCredentials::new(client).scopes(["reports:read"]);
//! let session = Session::new("https://api.example.com/v1/", source)?;
//! # Ok::<(), keyfob::Error>(())
//! ```
//!
//! After a sign-in, [`RefreshToken`] renews the token without the person:
//!
//! ```no_run
//! use keyfob::oauth::{Client, DeviceCode, RefreshToken};
//! use keyfob::{Error, TokenCache};
//!
//! # async fn example() -> Result<(), Error> {
//! let client = Client::builder("desktop").issuer("https://login.example.com").build()?;
//! let sign_in = DeviceCode::new(client.clone()).scopes(["offline_access"]).start().await?;
//! println!("Open {} and type {}", sign_in.verification_uri(), sign_in.user_code());
//! let token = sign_in.wait().await?;
//! if let Some(refresh_token) = token.refresh_token() {
//!     let tokens = TokenCache::new(RefreshToken::new(client, refresh_token)?);
//!     tokens.set_token(token)?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! * Where does a person sign in for an API, and as which client? [`ProtectedResource`] finds out with the API's URL alone
//!   (RFC 9728), and [`AuthorizationServer::register`] registers the client (RFC 7591).
//! * How a client proves its identity: [`ClientAuthentication`], with a secret or a [`SigningKey`].
//! * Tokens that are useless to a thief: [`DpopProver`] binds them to a key (DPoP, RFC 9449).
//! * Is a token still active? [`Client::introspect`] (RFC 7662). Make a token unusable: [`Client::revoke`] (RFC 7009).
//! * Keep tokens across restarts, or share them between processes: [`Persisted`](crate::source::Persisted).
//!
//! The sign-ins, [`introspect`](Client::introspect) and [`revoke`](Client::revoke) need a Tokio runtime. Token sources do
//! not: if the program has none, a renewal starts its own.

pub(crate) mod authorization_code;
pub(crate) mod authorization_server;
pub(crate) mod bounded_client;
pub(crate) mod client;
pub(crate) mod client_authentication;
pub(crate) mod client_builder;
pub(crate) mod content_coding;
pub(crate) mod device_code;
pub(crate) mod discovery;
pub(crate) mod dpop;
pub(crate) mod endpoint;
pub(crate) mod error_code;
pub(crate) mod error_response;
pub(crate) mod exchange_outcome;
pub(crate) mod form;
pub(crate) mod grants;
pub(crate) mod http_client;
pub(crate) mod http_token;
pub(crate) mod inner_tokens;
pub(crate) mod introspection;
pub(crate) mod issuer_mismatch;
pub(crate) mod metadata;
pub(crate) mod metadata_request;
pub(crate) mod metadata_store;
pub(crate) mod protected_resource;
pub(crate) mod registration;
#[cfg(feature = "profiles")]
mod registration_store;
pub(crate) mod response_body;
pub(crate) mod response_times;
pub(crate) mod revocation;
pub(crate) mod sent_request;
pub(crate) mod signed_jwt;
pub(crate) mod signing_key;
pub(crate) mod token_response;

pub use crate::oauth::authorization_code::manual_response::ManualResponse;
pub use crate::oauth::authorization_code::pushed_request::PushedRequests;
pub use crate::oauth::authorization_code::{AuthorizationCode, AuthorizationRequest};
pub use crate::oauth::authorization_server::AuthorizationServer;
pub use crate::oauth::client::Client;
pub use crate::oauth::client_authentication::{Audience, ClientAuthentication};
pub use crate::oauth::client_builder::ClientBuilder;
pub use crate::oauth::device_code::{DeviceAuthorization, DeviceCode};
pub use crate::oauth::dpop::DpopProver;
pub use crate::oauth::grants::client_credentials::ClientCredentials;
pub use crate::oauth::grants::custom_grant::CustomGrant;
pub use crate::oauth::grants::jwt_bearer::JwtBearer;
pub use crate::oauth::grants::refresh_token::RefreshToken;
pub use crate::oauth::grants::smart_backend_services::SmartBackendServices;
pub use crate::oauth::grants::token_exchange::{TokenExchange, TokenType};
pub use crate::oauth::http_token::expiry::ExpiryForm;
pub use crate::oauth::http_token::part::RequestText;
pub use crate::oauth::introspection::Introspection;
pub use crate::oauth::protected_resource::{ProtectedResource, ProtectedResourceBuilder};
pub use crate::oauth::registration::{Registration, RegistrationRequest};
pub use crate::oauth::signing_key::SigningKey;
pub use crate::oauth::signing_key::key_pair::Algorithm;
