//! Tokens from OAuth 2.0 servers: the machine-to-machine grants, sign-in for people, and what is around them.
//!
//! A [`Client`] says who asks and where. A grant makes a [`TokenSource`](crate::TokenSource) of it, which a session or a
//! [`TokenCache`](crate::TokenCache) takes as it takes any other:
//!
//! | grant | source |
//! |---|---|
//! | the client's own credentials (RFC 6749 §4.4) | [`ClientCredentials`] |
//! | the same for FHIR servers (SMART Backend Services) | [`SmartBackendServices`] |
//! | a refresh token, which may rotate (RFC 6749 §6) | [`RefreshToken`] |
//! | a signed assertion about somebody (RFC 7523 §2.1) | [`JwtBearer`] |
//! | a token of somebody else's (RFC 8693) | [`TokenExchange`] |
//!
//! Where a person has to sign in, [`AuthorizationCode`] (with a browser on this machine) and [`DeviceCode`] (with one on any)
//! get the first token; [`RefreshToken`] goes on from there.
//!
//! With the feature `dpop`, tokens are bound to a key that each request proves to have (RFC 9449): give the client, and the
//! session, layer or middleware that sends its tokens, the same `DpopProver`.
//!
//! [`Client::introspect`] and [`Client::revoke`] work with the token of any session.

pub(crate) mod authorization_code;
pub(crate) mod client;
pub(crate) mod client_authentication;
pub(crate) mod device_code;
pub(crate) mod endpoint;
pub(crate) mod form;
pub(crate) mod introspection;
pub(crate) mod metadata;
pub(crate) mod refusal;
pub(crate) mod revocation;
pub(crate) mod signing_key;
pub(crate) mod token_answer;

#[cfg(feature = "dpop")]
pub use crate::dpop::DpopProver;
pub use crate::oauth::authorization_code::AuthorizationCode;
pub use crate::oauth::authorization_code::AuthorizationRequest;
pub use crate::oauth::client::Client;
pub use crate::oauth::client::ClientBuilder;
pub use crate::oauth::client_authentication::Audience;
pub use crate::oauth::client_authentication::ClientAuthentication;
pub use crate::oauth::device_code::DeviceAuthorization;
pub use crate::oauth::device_code::DeviceCode;
pub use crate::oauth::introspection::Introspection;
pub use crate::oauth::signing_key::Algorithm;
pub use crate::oauth::signing_key::SigningKey;
pub use crate::source::client_credentials::ClientCredentials;
pub use crate::source::jwt_bearer::JwtBearer;
pub use crate::source::refresh_token::RefreshToken;
pub use crate::source::smart_backend_services::SmartBackendServices;
pub use crate::source::token_exchange::TokenExchange;
pub use crate::source::token_exchange::TokenType;
